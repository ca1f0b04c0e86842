#include "server/node/node_access.h"

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/denied_call.h"

namespace tranche::server {
namespace {

// Entries that wait for the ledger; more are dropped.
constexpr int kMaxQueuedEntries = 64;

}  // namespace

NodeAccess::NodeAccess(const std::string& file, const AccessFile::Place& node, storage::AuditLedger* log)
    : log_(log),
      file_(file, node),
      denials_([this](const Denial& denial) { return Audit(denial); }, storage::Clock::Real()),
      control_(&file_, &denials_),
      executor_(std::make_unique<storage::BoundedExecutor>(1, kMaxQueuedEntries)) {}

absl::Status NodeAccess::Start() {
  const absl::Status opened = file_.Open();
  if (!opened.ok()) {
    return absl::Status(opened.code(), absl::StrCat("--access-file cannot be used: ", std::string(opened.message())));
  }
  look_task_ = std::make_unique<PeriodicTask>(AccessFile::kLookEvery, [this] { file_.Look(); });
  return absl::OkStatus();
}

bool NodeAccess::Audit(const Denial& denial) {
  absl::AnyInvocable<void()> task = [this, denial] {
    const absl::Status written = WriteDeniedCall(log_, denial);
    if (written.ok()) return;
    dropped_entries_.fetch_add(1, std::memory_order_relaxed);
    LOG(WARNING) << "the audit log does not say that " << denial.actor << " was denied " << denial.method_name() << ": "
                 << written.message();
  };
  if (executor_->TryRun(task)) return true;
  dropped_entries_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void NodeAccess::Collect(MetricSet* metrics) const {
  for (const auto& [kind, count] : denials_.counts()) {
    const v1::ErrorReason reason = kind.known ? v1::ERROR_REASON_ROLE_MISSING : v1::ERROR_REASON_CALLER_UNKNOWN;
    metrics->AddCounter("tranche_denied_calls_total", "Calls that their callers may not make.",
                        static_cast<double>(count),
                        {{"grpc_service", kind.service}, {"grpc_method", kind.method}, {"reason", ReasonName(reason)}});
  }
  metrics->AddCounter("tranche_denied_calls_not_audited_total",
                      "Denied calls that should be in the audit log, and are not.",
                      static_cast<double>(dropped_entries_.load(std::memory_order_relaxed)));
  metrics->AddGauge("tranche_access_file_faulty", "1 while the access file is not used as it is now.",
                    file_.faulty() ? 1 : 0);
}

void NodeAccess::StopThreads() {
  look_task_.reset();
  executor_.reset();
}

}  // namespace tranche::server
