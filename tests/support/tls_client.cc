#include "tests/support/tls_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <csignal>
#include <memory>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "tests/support/http_get.h"

namespace tranche::testing {
namespace {

using Context = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;

std::unique_ptr<BIO, int (*)(BIO*)> BioOf(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

Certificate CertificateOf(const std::string& pem) {
  Certificate certificate(PEM_read_bio_X509(BioOf(pem).get(), nullptr, nullptr, nullptr), &X509_free);
  CHECK(certificate != nullptr);
  return certificate;
}

absl::Status Failed(const char* what) {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return absl::UnavailableError(absl::StrCat(what, ": ", reason == nullptr ? "closed" : reason));
}

Context ContextFor(const TlsCall& call) {
  Context context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  CHECK_EQ(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), CertificateOf(call.authority_pem).get()), 1);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (call.own.certificate_pem.empty()) return context;
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_bio_PrivateKey(BioOf(call.own.key_pem).get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  CHECK_EQ(SSL_CTX_use_certificate(context.get(), CertificateOf(call.own.certificate_pem).get()), 1);
  CHECK_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
  return context;
}

absl::Status Connect(const TlsCall& call, SSL* ssl) {
  X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1");
  if (!call.alpn.empty()) {
    const std::string offered = std::string(1, static_cast<char>(call.alpn.size())) + call.alpn;
    CHECK_EQ(SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(offered.data()),
                                 static_cast<unsigned>(offered.size())),
             0);
  }
  if (call.resume != nullptr) CHECK_EQ(SSL_set_session(ssl, call.resume.get()), 1);
  return SSL_connect(ssl) == 1 ? absl::OkStatus() : Failed("no handshake");
}

std::string SerialOfPeer(SSL* ssl) {
  const Certificate peer(SSL_get1_peer_certificate(ssl), &X509_free);
  return SerialOf(peer.get());
}

}  // namespace

absl::StatusOr<TlsAnswer> CallTls(int port, const TlsCall& call) {
  std::signal(SIGPIPE, SIG_IGN);
  ERR_clear_error();
  const TcpClient tcp(port);
  if (tcp.number() < 0) return absl::UnavailableError("nobody listens");
  const Context context = ContextFor(call);
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context.get()), &SSL_free);
  CHECK_EQ(SSL_set_fd(ssl.get(), tcp.number()), 1);
  RETURN_IF_ERROR(Connect(call, ssl.get()));
  TlsAnswer answer;
  answer.server_serial = SerialOfPeer(ssl.get());
  const unsigned char* alpn = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl.get(), &alpn, &size);
  if (alpn != nullptr) answer.alpn.assign(reinterpret_cast<const char*>(alpn), size);
  if (!call.send.empty()) (void)SSL_write(ssl.get(), call.send.data(), static_cast<int>(call.send.size()));
  std::array<char, 65536> piece{};
  while (call.read_all || answer.bytes.empty()) {
    const int got = SSL_read(ssl.get(), piece.data(), piece.size());
    if (got <= 0) break;
    answer.bytes.append(piece.data(), static_cast<size_t>(got));
  }
  if (answer.bytes.empty()) return Failed("no answer");
  answer.resumed = SSL_session_reused(ssl.get()) == 1;
  // The ticket has come before what was read. OpenSSL would spoil a session that is not ended in order.
  SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  answer.session.reset(SSL_get1_session(ssl.get()), &SSL_SESSION_free);
  ERR_clear_error();
  return answer;
}

}  // namespace tranche::testing
