#include "server/metrics/metrics_door.h"

#include <civetweb.h>
#include <netdb.h>
#include <netinet/in.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/process/file_descriptor.h"
#include "server/process/port_file.h"
#include "server/process/socket_address.h"
#include "storage/base/address.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// Prometheus, a probe of the supervisor, and some whom somebody keeps waiting.
constexpr char kDoorThreads[] = "16";
// Connections that wait for a thread.
constexpr char kDoorQueue[] = "16";
// Of a request's line and headers.
constexpr char kMostRequestBytes[] = "4096";
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kPlainType[] = "text/plain; charset=utf-8";

// An answer is sent in pieces of so many bytes.
constexpr size_t kPieceBytes = 4096;
// While the door closes.
constexpr absl::Duration kWakeEvery = absl::Milliseconds(20);

constexpr int kOk = 200;
constexpr int kNotFound = 404;
constexpr int kNotAllowed = 405;
constexpr int kUnavailable = 503;

absl::string_view ReasonPhrase(int status) {
  switch (status) {
    case kOk:
      return "OK";
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

// As civetweb takes it: it knows numbers only. The wildcard of IPv6 is for IPv4, too, as it is for gRPC.
absl::StatusOr<std::string> PortSpec(const SocketAddress& at) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  const int error = getnameinfo(at.get(), at.length, host.data(), host.size(), port.data(), port.size(),
                                NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return absl::UnavailableError(gai_strerror(error));
  const absl::string_view number = host.data();
  if (number == "::") return absl::StrCat("+", port.data());
  const bool is_ipv6 = at.address.ss_family == AF_INET6;
  return is_ipv6 ? absl::StrCat("[", number, "]:", port.data()) : absl::StrCat(number, ":", port.data());
}

void SetPort(int port, SocketAddress* address) {
  if (address->address.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address->address)->sin6_port = htons(static_cast<uint16_t>(port));
  } else {
    reinterpret_cast<sockaddr_in*>(&address->address)->sin_port = htons(static_cast<uint16_t>(port));
  }
}

absl::Status CannotListen(const std::string& listen, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("cannot serve metrics at ", listen, " (", why,
                                             "): stop what uses this port, or choose another address with "
                                             "--metrics-listen"));
}

absl::Status NoIpv6(const std::string& listen) {
  return absl::InvalidArgumentError(absl::StrCat("cannot serve metrics at ", listen,
                                                 ": this build serves metrics over IPv4 only: give --metrics-listen an "
                                                 "IPv4 address, such as 0.0.0.0:PORT"));
}

// Connects, and is gone: who waits for connections there wakes up. Does not wait.
void Knock(const SocketAddress& at) {
  const FileDescriptor socket(
      ::socket(at.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, /*protocol=*/0));
  if (socket.open()) (void)connect(socket.number(), at.get(), at.length);
}

// civetweb's own words; the caller of Start tells what matters.
int KeepSilent(const mg_connection*, const char* message) {
  VLOG(1) << "metrics: " << message;
  return 1;
}

void Send(mg_connection* connection, int status, absl::string_view type, const std::string& body, bool with_body) {
  std::string answer = absl::StrCat(
      "HTTP/1.1 ", status, " ", ReasonPhrase(status), "\r\nContent-Type: ", type, "\r\nContent-Length: ", body.size(),
      status == kNotAllowed ? "\r\nAllow: GET, HEAD" : "", "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  if (with_body) answer += body;
  // civetweb bounds only the time of each piece: a caller who takes little by little would keep the thread for long.
  const absl::Time give_up = absl::Now() + kMetricsAnswerTimeout;
  for (absl::string_view left = answer; !left.empty() && absl::Now() < give_up;) {
    const int sent = mg_write(connection, left.data(), std::min(left.size(), kPieceBytes));
    if (sent <= 0) return;
    left.remove_prefix(static_cast<size_t>(sent));
  }
}

}  // namespace

MetricsDoor::MetricsDoor(std::vector<MetricSource*> sources, Ready ready)
    : ready_(std::move(ready)), sources_([&] {
        sources.push_back(&process_);
        return std::move(sources);
      }()) {}

// The thread that waits for connections would notice its end only after two seconds. A knock that comes too early is
// taken for a caller, so there are several.
MetricsDoor::~MetricsDoor() {
  if (server_ == nullptr) return;
  absl::Notification stopped;
  std::thread stop([&] {
    mg_stop(server_);
    stopped.Notify();
  });
  do {
    Knock(address_);
  } while (!stopped.WaitForNotificationWithTimeout(kWakeEvery));
  stop.join();
}

absl::StatusOr<std::unique_ptr<MetricsDoor>> MetricsDoor::Start(const MetricsOptions& options,
                                                                std::vector<MetricSource*> sources, Ready ready) {
  std::unique_ptr<MetricsDoor> door(new MetricsDoor(std::move(sources), std::move(ready)));
  RETURN_IF_ERROR(door->Listen(options));
  if (!options.port_file.empty()) {
    RETURN_IF_ERROR(WritePortFile(options.port_file, door->port_, "--metrics-port-file"));
  }
  LOG(INFO) << "metrics at port " << door->port_;
  return door;
}

absl::Status MetricsDoor::Listen(const MetricsOptions& options) {
  const absl::StatusOr<SocketAddress> address = FindAddress(options.listen);
  if (!address.ok()) return CannotListen(options.listen, address.status().message());
  if (address->address.ss_family == AF_INET6 && mg_check_feature(MG_FEATURES_IPV6) == 0) return NoIpv6(options.listen);
  const absl::StatusOr<std::string> spec = PortSpec(*address);
  if (!spec.ok()) return CannotListen(options.listen, spec.status().message());
  const std::string timeout = absl::StrCat(absl::ToInt64Milliseconds(kMetricsTimeout));
  // No document root, so no files and no scripts; one request for each connection.
  const char* settings[] = {"listening_ports",
                            spec->c_str(),
                            "num_threads",
                            kDoorThreads,
                            "connection_queue",
                            kDoorQueue,
                            "max_request_size",
                            kMostRequestBytes,
                            "request_timeout_ms",
                            timeout.c_str(),
                            "enable_keep_alive",
                            "no",
                            "enable_directory_listing",
                            "no",
                            nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = &MetricsDoor::Answer;
  callbacks.log_message = &KeepSilent;
  mg_init_data init{.callbacks = &callbacks, .user_data = this, .configuration_options = settings};
  std::array<char, 256> why{};
  mg_error_data error{.code = nullptr, .text = why.data(), .text_buffer_size = why.size()};
  mg_init_library(0);
  server_ = mg_start2(&init, &error);
  if (server_ == nullptr) return CannotListen(options.listen, why.data());
  mg_server_port served{};
  if (mg_get_server_ports(server_, 1, &served) != 1) return CannotListen(options.listen, "it has no port");
  port_ = served.port;
  address_ = *address;
  SetPort(port_, &address_);
  return absl::OkStatus();
}

int MetricsDoor::Answer(mg_connection* connection) {
  // Otherwise civetweb reads the rest of the request's body afterwards, for as long as the caller sends some of it.
  mg_disable_connection_keep_alive(connection);
  const mg_request_info* request = mg_get_request_info(connection);
  const absl::string_view method = request->request_method;
  const bool head = method == "HEAD";
  std::string body;
  int status = kNotAllowed;
  if (head || method == "GET") {
    auto* door = static_cast<MetricsDoor*>(request->user_data);
    status = door->AnswerTo(request->local_uri, &body);
  } else {
    body = "GET and HEAD only\n";
  }
  const bool metrics = status == kOk && absl::string_view(request->local_uri) == "/metrics";
  Send(connection, status, metrics ? kMetricsType : kPlainType, body, !head);
  return status;
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
