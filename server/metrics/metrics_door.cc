#include "server/metrics/metrics_door.h"

#include <netinet/in.h>
#include <poll.h>
#include <prometheus/text_serializer.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/metrics/door_caller.h"
#include "server/process/port_file.h"
#include "server/process/socket_address.h"
#include "storage/base/address.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// Prometheus, a probe of the supervisor, and some whom somebody keeps waiting.
constexpr int kDoorThreads = 16;
static_assert(kMetricsCallersPerAddress < kDoorThreads);
// Connections that wait for a thread.
constexpr int kDoorQueue = 64;
// Of a request's line and headers.
constexpr size_t kMostRequestBytes = 4096;
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kPlainType[] = "text/plain; charset=utf-8";

// An answer is sent in pieces of so many bytes.
constexpr size_t kPieceBytes = 4096;
// While this process may have no more descriptors.
constexpr int kPauseMs = 100;

constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;
constexpr int kNotAllowed = 405;
constexpr int kUnavailable = 503;

absl::string_view ReasonPhrase(int status) {
  switch (status) {
    case kOk:
      return "OK";
    case kBadRequest:
      return "Bad Request";
    case kNotFound:
      return "Not Found";
    case kNotAllowed:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

// Of a name's addresses, the first of IPv4 if there is one.
absl::StatusOr<SocketAddress> FindAddress(const std::string& listen) {
  const std::optional<Address> address = ParseAddress(listen);
  if (!address.has_value()) return absl::InvalidArgumentError("it is not HOST:PORT");
  ASSIGN_OR_RETURN(const std::vector<SocketAddress> resolved, Resolve(*address, Lookup::kNames));
  const auto ipv4 = std::find_if(resolved.begin(), resolved.end(),
                                 [](const SocketAddress& one) { return one.address.ss_family == AF_INET; });
  return ipv4 == resolved.end() ? resolved.front() : *ipv4;
}

absl::Status CannotListen(const std::string& listen, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("cannot serve metrics at ", listen, " (", why,
                                             "): stop what uses this port, or choose another address with "
                                             "--metrics-listen"));
}

// Does not block. The wildcard of IPv6 is for IPv4, too, as it is for gRPC.
absl::StatusOr<FileDescriptor> ListeningSocket(const SocketAddress& at) {
  FileDescriptor made(socket(at.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, /*protocol=*/0));
  if (!made.open()) return absl::UnavailableError(strerror(errno));
  const int on = 1, off = 0;
  setsockopt(made.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (at.address.ss_family == AF_INET6) setsockopt(made.number(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(made.number(), at.get(), at.length) != 0 || listen(made.number(), kDoorQueue) != 0) {
    return absl::UnavailableError(strerror(errno));
  }
  return made;
}

absl::StatusOr<int> PortOf(const FileDescriptor& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(socket.number(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return absl::UnavailableError(strerror(errno));
  }
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

// The process's other threads take signals. And OpenSSL writes to connections that may be gone.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

struct Request {
  std::string method;
  std::string path;  // without what follows a "?"
};

// Its line and headers; nullopt if it is not HTTP/1, too long or too late. A body is not read.
std::optional<Request> ReadRequest(DoorCaller& caller, absl::Time deadline) {
  std::string head;
  std::array<char, kMostRequestBytes> piece{};
  while (!absl::StrContains(head, "\r\n\r\n")) {
    const size_t got = caller.Read(piece.data(), piece.size(), deadline);
    if (got == 0 || head.size() + got > kMostRequestBytes) return std::nullopt;
    head.append(piece.data(), got);
  }
  const std::vector<std::string> words = absl::StrSplit(head.substr(0, head.find("\r\n")), ' ');
  if (words.size() != 3 || !absl::StartsWith(words[2], "HTTP/1.")) return std::nullopt;
  return Request{words[0], words[1].substr(0, words[1].find('?'))};
}

void Send(DoorCaller& caller, int status, absl::string_view type, const std::string& body, bool with_body) {
  std::string answer = absl::StrCat(
      "HTTP/1.1 ", status, " ", ReasonPhrase(status), "\r\nContent-Type: ", type, "\r\nContent-Length: ", body.size(),
      status == kNotAllowed ? "\r\nAllow: GET, HEAD" : "", "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  if (with_body) answer += body;
  // Each piece in time, and all of them: a caller who takes little by little would keep the thread for long.
  const absl::Time give_up = absl::Now() + kMetricsAnswerTimeout;
  for (absl::string_view left = answer; !left.empty();) {
    const absl::string_view piece = left.substr(0, kPieceBytes);
    if (!caller.Write(piece, std::min(give_up, absl::Now() + kMetricsTimeout)) || absl::Now() >= give_up) return;
    left.remove_prefix(piece.size());
  }
}

}  // namespace

MetricsDoor::MetricsDoor(std::vector<MetricSource*> sources, Ready ready, ServedCertificates* certificates)
    : ready_(std::move(ready)), process_(certificates), sources_([&] {
        sources.push_back(&process_);
        return std::move(sources);
      }()) {}

MetricsDoor::~MetricsDoor() {
  const uint64_t one = 1;
  const bool told = closing_.open() && write(closing_.number(), &one, sizeof(one)) == sizeof(one);
  CHECK(told || threads_.empty());
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<std::unique_ptr<MetricsDoor>> MetricsDoor::Start(const MetricsOptions& options,
                                                                std::vector<MetricSource*> sources, Ready ready,
                                                                ServedCertificates* certificates) {
  std::unique_ptr<MetricsDoor> door(new MetricsDoor(std::move(sources), std::move(ready), certificates));
  if (certificates != nullptr) {
    ASSIGN_OR_RETURN(door->tls_, DoorTls::Make(certificates));
  }
  RETURN_IF_ERROR(door->Listen(options));
  if (!options.port_file.empty()) {
    RETURN_IF_ERROR(WritePortFile(options.port_file, door->port_, "--metrics-port-file"));
  }
  LOG(INFO) << "metrics at port " << door->port_ << (certificates == nullptr ? "" : ", with TLS");
  return door;
}

absl::Status MetricsDoor::Listen(const MetricsOptions& options) {
  const absl::StatusOr<SocketAddress> address = FindAddress(options.listen);
  if (!address.ok()) return CannotListen(options.listen, address.status().message());
  absl::StatusOr<FileDescriptor> listening = ListeningSocket(*address);
  if (!listening.ok()) return CannotListen(options.listen, listening.status().message());
  listening_ = *std::move(listening);
  closing_ = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!closing_.open()) return CannotListen(options.listen, strerror(errno));
  const absl::StatusOr<int> port = PortOf(listening_);
  if (!port.ok()) return CannotListen(options.listen, port.status().message());
  port_ = *port;
  for (int i = 0; i < kDoorThreads; ++i) threads_.emplace_back([this] { Run(); });
  return absl::OkStatus();
}

void MetricsDoor::Run() {
  BlockSignals();
  while (AwaitCaller()) {
    sockaddr_storage peer{};
    socklen_t length = sizeof(peer);
    FileDescriptor caller(
        accept4(listening_.number(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (caller.open()) {
      ServeItsShare(std::move(caller), peer);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The caller stays in the queue: without a pause this would not rest.
      pollfd closing{closing_.number(), POLLIN, 0};
      (void)poll(&closing, 1, kPauseMs);
    }
  }
}

// False when the door closes. Several threads may wake for one caller; one gets it.
bool MetricsDoor::AwaitCaller() {
  pollfd waiting[] = {{listening_.number(), POLLIN, 0}, {closing_.number(), POLLIN, 0}};
  (void)poll(waiting, 2, -1);
  return waiting[1].revents == 0;
}

void MetricsDoor::ServeItsShare(FileDescriptor socket, const sockaddr_storage& peer) {
  const std::string address = ShareKey(peer);
  if (!share_.Enter(address)) return;
  Serve(std::move(socket));
  share_.Leave(address);
}

void MetricsDoor::Serve(FileDescriptor socket) {
  DoorTls::Session session = tls_ == nullptr ? nullptr : tls_->NewSession(socket.number());
  if (tls_ != nullptr && session == nullptr) return;
  DoorCaller caller(std::move(socket), std::move(session), closing_.number());
  const std::optional<Request> request = ReadRequest(caller, absl::Now() + kMetricsTimeout);
  if (!request.has_value()) {
    return Send(caller, kBadRequest, kPlainType, "no request of HTTP/1.1 with at most 4096 bytes of headers\n", true);
  }
  const bool head = request->method == "HEAD";
  std::string body = "GET and HEAD only\n";
  const int status = head || request->method == "GET" ? AnswerTo(request->path, &body) : kNotAllowed;
  const bool metrics = status == kOk && request->path == "/metrics";
  Send(caller, status, metrics ? kMetricsType : kPlainType, body, !head);
}

int MetricsDoor::AnswerTo(const std::string& path, std::string* body) {
  if (path == "/metrics") {
    *body = Scrape();
    return kOk;
  }
  if (path == "/livez") {
    *body = "ok\n";
    return kOk;
  }
  if (path == "/readyz") {
    const absl::Status ready = ready_();
    *body = ready.ok() ? "ok\n" : absl::StrCat(ready.message(), "\n");
    return ready.ok() ? kOk : kUnavailable;
  }
  *body = "/metrics, /livez and /readyz are here\n";
  return kNotFound;
}

// One at a time; it is sent afterwards, so that a slow caller holds up no other.
std::string MetricsDoor::Scrape() {
  MetricSet metrics;
  absl::MutexLock lock(&scraping_);
  for (MetricSource* source : sources_) source->Collect(&metrics);
  return prometheus::TextSerializer().Serialize(metrics.Take());
}

}  // namespace tranche::server
