#include "server/metrics/metrics_door.h"

#include <civetweb.h>
#include <netdb.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "server/process/port_file.h"
#include "server/process/socket_address.h"
#include "storage/base/address.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// Prometheus, a probe of the supervisor, and two whom somebody keeps waiting.
constexpr char kDoorThreads[] = "4";
// Connections that wait for a thread.
constexpr char kDoorQueue[] = "16";
// Of a request's line and headers.
constexpr char kMostRequestBytes[] = "4096";
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kPlainType[] = "text/plain; charset=utf-8";

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

// As civetweb takes it: it knows numbers only. Of a name's addresses, the first of IPv4 if there is one. The wildcard
// of IPv6 is for IPv4, too, as it is for gRPC.
absl::StatusOr<std::string> PortSpec(const std::string& listen) {
  const std::optional<Address> address = ParseAddress(listen);
  if (!address.has_value()) return absl::InvalidArgumentError("it is not HOST:PORT");
  ASSIGN_OR_RETURN(const std::vector<SocketAddress> resolved, Resolve(*address, Lookup::kNames));
  const auto ipv4 = std::find_if(resolved.begin(), resolved.end(),
                                 [](const SocketAddress& one) { return one.address.ss_family == AF_INET; });
  const SocketAddress& first = ipv4 == resolved.end() ? resolved.front() : *ipv4;
  std::array<char, NI_MAXHOST> host{};
  const int error = getnameinfo(first.get(), first.length, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST);
  if (error != 0) return absl::UnavailableError(gai_strerror(error));
  const absl::string_view number = host.data();
  if (number == "::") return absl::StrCat("+", address->port);
  const bool is_ipv6 = first.address.ss_family == AF_INET6;
  return is_ipv6 ? absl::StrCat("[", number, "]:", address->port) : absl::StrCat(number, ":", address->port);
}

absl::Status CannotListen(const std::string& listen, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("cannot serve metrics at ", listen, " (", why,
                                             "): stop what uses this port, or choose another address with "
                                             "--metrics-listen"));
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
  mg_write(connection, answer.data(), answer.size());
}

}  // namespace

MetricsDoor::MetricsDoor(std::vector<MetricSource*> sources, Ready ready)
    : ready_(std::move(ready)), sources_([&] {
        sources.push_back(&process_);
        return std::move(sources);
      }()) {}

MetricsDoor::~MetricsDoor() {
  if (server_ != nullptr) mg_stop(server_);
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
  const absl::StatusOr<std::string> spec = PortSpec(options.listen);
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
  return absl::OkStatus();
}

int MetricsDoor::Answer(mg_connection* connection) {
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
