// Where a process shows its metrics, and whether it lives and is ready, over HTTP/1.1, in plain text or with TLS.
//
//   /metrics  Prometheus' text format
//   /livez    200 while the process answers at all
//   /readyz   200, or 503 and why the process should get no work now
//
// GET and HEAD only; everybody who can connect may ask, with TLS everybody whose handshake succeeds. Each connection
// serves one request, whose body is not read. The threads are few, so a caller who says nothing, or takes nothing,
// loses the connection after kMetricsTimeout, and one who has not taken the whole answer after kMetricsAnswerTimeout.
// Of one address, kMetricsCallersPerAddress callers are served at a time; further ones are closed at once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/metrics/address_share.h"
#include "server/metrics/door_tls.h"
#include "server/metrics/metric_set.h"
#include "server/metrics/process_metrics.h"
#include "server/process/file_descriptor.h"
#include "server/process/metrics_options.h"
#include "server/process/served_certificates.h"

namespace tranche::server {

inline constexpr absl::Duration kMetricsTimeout = absl::Seconds(2);
inline constexpr absl::Duration kMetricsAnswerTimeout = absl::Seconds(10);
inline constexpr int kMetricsCallersPerAddress = 8;  // half of the threads

// Thread-safe.
class MetricsDoor {
 public:
  // OK: ready. Otherwise the message is what /readyz answers. Called on several threads; must not block.
  using Ready = std::function<absl::Status()>;

  // Serves at options.listen, which is not empty, until the door is destroyed; writes the port file. `sources` live
  // until then, and so do `certificates`, unless they are null: plain text. The metrics of every process
  // (process_metrics.h) are served, too. An error's message is one line for operators.
  static absl::StatusOr<std::unique_ptr<MetricsDoor>> Start(const MetricsOptions& options,
                                                            std::vector<MetricSource*> sources, Ready ready,
                                                            ServedCertificates* certificates = nullptr);
  // Waits for the answers that are being made, not for their callers.
  ~MetricsDoor();
  MetricsDoor(const MetricsDoor&) = delete;
  MetricsDoor& operator=(const MetricsDoor&) = delete;

  int port() const { return port_; }

 private:
  MetricsDoor(std::vector<MetricSource*> sources, Ready ready, ServedCertificates* certificates);

  absl::Status Listen(const MetricsOptions& options);
  // On each thread: a caller at a time, until the door closes.
  void Run();
  bool AwaitCaller();
  void ServeItsShare(FileDescriptor socket, const sockaddr_storage& peer);
  void Serve(FileDescriptor socket);
  // Returns the HTTP status.
  int AnswerTo(const std::string& path, std::string* body);
  std::string Scrape();

  const Ready ready_;
  ProcessMetrics process_;
  absl::Mutex scraping_;
  const std::vector<MetricSource*> sources_ ABSL_GUARDED_BY(scraping_);
  std::unique_ptr<DoorTls> tls_;  // null: plain text
  AddressShare share_{kMetricsCallersPerAddress};
  FileDescriptor listening_;
  FileDescriptor closing_;  // an eventfd; can be read once the door closes
  int port_ = 0;
  std::vector<std::thread> threads_;  // they use the others
};

}  // namespace tranche::server
