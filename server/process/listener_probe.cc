#include "server/process/listener_probe.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/process/host.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// How a client begins HTTP/2, with an empty SETTINGS frame. The server answers with its own.
constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
constexpr absl::string_view kHello(kPreface, sizeof(kPreface) - 1);

// How a client begins TLS (its ClientHello), as OpenSSL writes it. The same each time: nothing is kept secret with it.
absl::StatusOr<std::string> TlsHello() {
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  const std::unique_ptr<SSL, void (*)(SSL*)> client(context == nullptr ? nullptr : SSL_new(context.get()), &SSL_free);
  if (client == nullptr) return absl::ResourceExhaustedError("OpenSSL has no memory for a probe of the own port");
  BIO* const to_server = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), to_server);
  constexpr unsigned char kH2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(client.get(), kH2, sizeof(kH2));
  (void)SSL_connect(client.get());  // it wants the server's answer
  ERR_clear_error();
  char* hello = nullptr;
  const long size = BIO_get_mem_data(to_server, &hello);
  if (size <= 0) return absl::InternalError("OpenSSL begins no handshake for a probe of the own port");
  return std::string(hello, static_cast<size_t>(size));
}

absl::Status Failure(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

absl::Status Await(int socket, short events, absl::Time deadline) {
  while (true) {
    const int64_t left = std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
    pollfd waiting{socket, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left));
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("no answer in time");
    if (errno != EINTR) return Failure("poll");
  }
}

absl::Status AwaitConnected(int socket, absl::Time deadline) {
  RETURN_IF_ERROR(Await(socket, POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return Failure("getsockopt");
  errno = error;
  return error == 0 ? absl::OkStatus() : Failure("cannot connect");
}

// A connection that begins, or has begun.
absl::StatusOr<FileDescriptor> Connect(const SocketAddress& to) {
  FileDescriptor client(socket(to.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!client.open()) return Failure("cannot open a socket");
  {
    // The server needs one as well. Taking the last would break what is asked about.
    const FileDescriptor of_server(dup(client.number()));
    if (!of_server.open()) return Failure("no descriptor is free");
  }
  // Closed without waiting, so that asking every second leaves no socket in TIME_WAIT.
  const linger at_once{1, 0};
  setsockopt(client.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  if (connect(client.number(), to.get(), to.length) != 0 && errno != EINPROGRESS) return Failure("cannot connect");
  return client;
}

// A wildcard listens for both families, or for the one that the machine has.
std::vector<std::string> HostsToAsk(const std::string& listening) {
  if (IsWildcard(listening)) return {"127.0.0.1", "::1"};
  return {listening};
}

}  // namespace

absl::StatusOr<ListenerProbe> ListenerProbe::Make(const Address& listening, Protocol protocol) {
  std::string question(kHello);
  if (protocol == Protocol::kTls) {
    ASSIGN_OR_RETURN(question, TlsHello());
  }
  std::vector<Target> targets;
  for (const std::string& host : HostsToAsk(listening.host)) {
    ASSIGN_OR_RETURN(const auto addresses, Resolve({host, listening.port}, Lookup::kNames));
    for (const SocketAddress& address : addresses) {
      targets.push_back({absl::StrCat(host, " port ", listening.port), address});
    }
  }
  return ListenerProbe(std::move(question), std::move(targets));
}

bool ListenerProbe::has_answered() const {
  return std::any_of(targets_.begin(), targets_.end(), [](const Target& target) { return target.has_answered; });
}

// A connection that the program took and then closed is an answer, too: it does so when it is short of memory.
absl::Status ListenerProbe::Proceed(Target& target, absl::Time deadline) const {
  if (!target.question.open()) {
    target.sent = false;
    ASSIGN_OR_RETURN(target.question, Connect(target.address));
  }
  const int socket = target.question.number();
  if (!target.sent) {
    RETURN_IF_ERROR(AwaitConnected(socket, deadline));
    if (send(socket, question_.data(), question_.size(), MSG_NOSIGNAL) < 0) {
      return errno == ECONNRESET || errno == EPIPE ? absl::OkStatus() : Failure("cannot send");
    }
    target.sent = true;
  }
  RETURN_IF_ERROR(Await(socket, POLLIN, deadline));
  char first = 0;
  if (recv(socket, &first, 1, 0) < 0 && errno != ECONNRESET) return Failure("cannot receive");
  return absl::OkStatus();
}

absl::Status ListenerProbe::Ask(absl::Duration timeout) {
  absl::Status failure;
  for (Target& target : targets_) {
    const absl::Status answer = Proceed(target, absl::Now() + timeout);
    target.has_answered |= answer.ok();
    // Where nobody has ever answered, a question that is torn down later would look like an answer.
    if (!absl::IsDeadlineExceeded(answer) || !target.has_answered) target.question = FileDescriptor();
    if (!answer.ok() && target.has_answered) {
      failure.Update(absl::UnavailableError(absl::StrCat(target.name, ": ", answer.message())));
    }
  }
  return failure;
}

}  // namespace tranche::server
