// Who may call this node: its access file, the thread that looks at it, and what becomes of calls that are denied.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/access/access_control.h"
#include "server/access/access_file.h"
#include "server/access/denials.h"
#include "server/metrics/metric_set.h"
#include "server/process/periodic_task.h"
#include "storage/bounded_executor.h"
#include "storage/ledger/audit_ledger.h"

namespace tranche::server {

// Thread-safe, except for starting and ending. Outlives the calls that it judges.
class NodeAccess {
 public:
  // Until it has started, nobody may call. `log` is where denied changes are written; it outlives this, or StopThreads.
  NodeAccess(const std::string& file, const AccessFile::Place& node, storage::AuditLedger* log);
  NodeAccess(const NodeAccess&) = delete;
  NodeAccess& operator=(const NodeAccess&) = delete;

  // Reads the file; an error is one line for operators. From then on it is read again when it changes.
  absl::Status Start();

  AccessControl* control() { return &control_; }

  // The access file is not used as it is now. Thread-safe.
  bool file_faulty() const { return file_.faulty(); }
  void Collect(MetricSet* metrics) const;

  // Ends the threads; entries that are queued are still written. Call it when no call is under way any more.
  void StopThreads();

 private:
  bool Audit(const Denial& denial);

  storage::AuditLedger* const log_;
  AccessFile file_;
  Denials denials_;
  AccessControl control_;
  std::atomic<int64_t> dropped_entries_{0};
  std::unique_ptr<storage::BoundedExecutor> executor_;  // for entries, which must not wait behind operators' calls
  std::unique_ptr<PeriodicTask> look_task_;             // last: it uses the others
};

}  // namespace tranche::server
