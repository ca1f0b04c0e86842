// Where a process shows its metrics, and whether it lives and is ready, over HTTP/1.1.
//
//   /metrics  Prometheus' text format
//   /livez    200 while the process answers at all
//   /readyz   200, or 503 and why the process should get no work now
//
// GET and HEAD only; everybody who can connect may ask. Each connection serves one request. The threads are few, so a
// caller who says nothing, or takes nothing, loses the connection after kMetricsTimeout.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/metrics/metric_set.h"
#include "server/metrics/process_metrics.h"
#include "server/process/metrics_options.h"

struct mg_connection;
struct mg_context;

namespace tranche::server {

inline constexpr absl::Duration kMetricsTimeout = absl::Seconds(2);

// Thread-safe.
class MetricsDoor {
 public:
  // OK: ready. Otherwise the message is what /readyz answers. Called on several threads; must not block.
  using Ready = std::function<absl::Status()>;

  // Serves at options.listen, which is not empty, until the door is destroyed; writes the port file. `sources` live
  // until then, and those of every process (process_metrics.h) are served, too. An error's message is one line for
  // operators.
  static absl::StatusOr<std::unique_ptr<MetricsDoor>> Start(const MetricsOptions& options,
                                                            std::vector<MetricSource*> sources, Ready ready);
  // Waits for the answers that are being made.
  ~MetricsDoor();
  MetricsDoor(const MetricsDoor&) = delete;
  MetricsDoor& operator=(const MetricsDoor&) = delete;

  int port() const { return port_; }

 private:
  MetricsDoor(std::vector<MetricSource*> sources, Ready ready);

  absl::Status Listen(const MetricsOptions& options);
  // What civetweb calls for each request; returns the HTTP status.
  static int Answer(mg_connection* connection);
  int AnswerTo(const std::string& path, std::string* body);
  std::string Scrape();

  const Ready ready_;
  ProcessMetrics process_;
  absl::Mutex scraping_;
  const std::vector<MetricSource*> sources_ ABSL_GUARDED_BY(scraping_);
  mg_context* server_ = nullptr;
  int port_ = 0;
};

}  // namespace tranche::server
