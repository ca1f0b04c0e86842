// How a connection comes about: socket, TLS, login.
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/queue/amqp_connection.h"
#include "server/queue/amqp_reply.h"
#include "storage/base/secret_file.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr int kAmqpFrameBytes = 128 * 1024;
// The kernel calls a socket writable while a third of this is free: more than one message needs.
constexpr int kAmqpSendBuffer = 512 * 1024;

struct BrokerUser {
  std::string name = "guest";
  std::string password = "guest";
};

absl::StatusOr<BrokerUser> ReadBrokerUser(const std::string& path) {
  if (path.empty()) return BrokerUser();
  ASSIGN_OR_RETURN(const std::string line, ReadSecretLine(path));
  const size_t colon = line.find(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::UnavailableError(absl::StrCat(path, " must hold one line USER:PASSWORD"));
  }
  return BrokerUser{.name = line.substr(0, colon), .password = line.substr(colon + 1)};
}

absl::Status TrustAuthorities(amqp_socket_t* socket, const std::string& ca_file) {
  if (ca_file.empty()) {
    auto* const context = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
    if (SSL_CTX_set_default_verify_paths(context) == 1) return absl::OkStatus();
    return absl::UnavailableError("the authorities that this machine trusts cannot be read");
  }
  if (amqp_ssl_socket_set_cacert(socket, ca_file.c_str()) == AMQP_STATUS_OK) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot use the authorities in ", ca_file));
}

// By OpenSSL itself: librabbitmq's own check knows no addresses, and takes a common name for a host's.
absl::Status ExpectHost(amqp_socket_t* socket, const std::string& host) {
  auto* const context = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
  X509_VERIFY_PARAM* const check = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_ip_asc(check, host.c_str()) == 1) return absl::OkStatus();
  if (X509_VERIFY_PARAM_set1_host(check, host.c_str(), host.size()) == 1) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("no certificate can be for ", host));
}

amqp_table_entry_t Capability(const char* name) {
  amqp_table_entry_t entry = {};
  entry.key = amqp_cstring_bytes(name);
  entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  entry.value.value.boolean = 1;
  return entry;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AmqpConnection>> AmqpConnection::Open(const BrokerOptions& options,
                                                                     const Address& broker, absl::Duration timeout) {
  const amqp_connection_state_t state = amqp_new_connection();
  if (state == nullptr) return absl::UnavailableError("no memory for a connection to the broker");
  std::unique_ptr<AmqpConnection> connection(new AmqpConnection(state, broker.ToString()));
  RETURN_IF_ERROR(connection->Connect(options, broker, timeout));
  return connection;
}

absl::Status AmqpConnection::Connect(const BrokerOptions& options, const Address& broker, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::string_view bare = broker.host;
  if (absl::ConsumePrefix(&bare, "[")) absl::ConsumeSuffix(&bare, "]");
  const std::string host(bare);
  ASSIGN_OR_RETURN(amqp_socket_t* const socket, MakeSocket(options, host));
  const timeval wait = absl::ToTimeval(timeout);
  RETURN_IF_ERROR(
      AmqpStatus(amqp_socket_open_noblock(socket, host.c_str(), broker.port, &wait), broker_, "when connecting"));
  const int own = fcntl(amqp_get_sockfd(state_), F_DUPFD_CLOEXEC, 0);
  if (own < 0) return absl::UnavailableError(absl::StrCat("no descriptor for the broker ", broker_));
  descriptor_ = FileDescriptor(own);
  // A failure only means that Publish may wait sooner.
  setsockopt(own, SOL_SOCKET, SO_SNDBUF, &kAmqpSendBuffer, sizeof(kAmqpSendBuffer));
  const timeval rest = absl::ToTimeval(std::max(deadline - absl::Now(), absl::Milliseconds(1)));
  amqp_set_handshake_timeout(state_, &rest);
  LimitWaits(timeout);
  return LogIn(options);
}

absl::StatusOr<amqp_socket_t*> AmqpConnection::MakeSocket(const BrokerOptions& options, const std::string& host) {
  if (!options.tls) {
    amqp_socket_t* const plain = amqp_tcp_socket_new(state_);
    if (plain == nullptr) return absl::UnavailableError("no memory for a socket");
    return plain;
  }
  amqp_socket_t* const socket = amqp_ssl_socket_new(state_);
  if (socket == nullptr) return absl::UnavailableError("TLS cannot be used for the broker");
  amqp_ssl_socket_set_verify_peer(socket, 1);
  amqp_ssl_socket_set_verify_hostname(socket, 0);
  RETURN_IF_ERROR(ExpectHost(socket, host));
  RETURN_IF_ERROR(AmqpStatus(amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST), broker_,
                             "when asking for TLS 1.2"));
  RETURN_IF_ERROR(TrustAuthorities(socket, options.ca_file));
  if (!options.certificate_file.empty() &&
      amqp_ssl_socket_set_key(socket, options.certificate_file.c_str(), options.key_file.c_str()) != AMQP_STATUS_OK) {
    return absl::UnavailableError(
        absl::StrCat("cannot use the certificate ", options.certificate_file, " with the key ", options.key_file));
  }
  return socket;
}

absl::Status AmqpConnection::LogIn(const BrokerOptions& options) {
  ASSIGN_OR_RETURN(const BrokerUser user, ReadBrokerUser(options.user_file));
  // Without being told so, the broker says nothing of alarms, lost consumers and rejected publishes.
  amqp_table_entry_t capabilities[] = {Capability("connection.blocked"), Capability("consumer_cancel_notify"),
                                       Capability("publisher_confirms"), Capability("basic.nack")};
  amqp_table_entry_t property = {};
  property.key = amqp_cstring_bytes("capabilities");
  property.value.kind = AMQP_FIELD_KIND_TABLE;
  property.value.value.table = {.num_entries = 4, .entries = capabilities};
  const amqp_table_t properties = {.num_entries = 1, .entries = &property};
  const amqp_rpc_reply_t reply =
      amqp_login_with_properties(state_, options.vhost.c_str(), /*channel_max=*/0, kAmqpFrameBytes,
                                 static_cast<int>(absl::ToInt64Seconds(kAmqpHeartbeat)), &properties,
                                 AMQP_SASL_METHOD_PLAIN, user.name.c_str(), user.password.c_str());
  return AmqpStatus(reply, broker_,
                    absl::StrCat("at the login of ", user.name, " to the virtual host ", options.vhost));
}

}  // namespace tranche::server
