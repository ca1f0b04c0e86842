#include "server/worker/audit_retirer.h"

#include <utility>

namespace tranche::server {
namespace {

// Nobody waits for it.
constexpr BackoffBounds kPauseOfAuditRetirer = {absl::Minutes(1), absl::Minutes(10)};

}  // namespace

AuditRetirer::AuditRetirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random,
                           const AuditRetirerOptions& options)
    : ledger_(ledger),
      clock_(clock),
      options_(options),
      trouble_("retiring the audit log", clock, std::move(random), kPauseOfAuditRetirer) {}

absl::Duration AuditRetirer::Step() {
  const absl::StatusOr<int64_t> retired = ledger_->RetireAudit(options_.age, options_.batch, clock_->Now());
  if (!retired.ok()) return trouble_.Failed(retired.status());
  trouble_.Answered();
  return *retired < options_.batch ? options_.interval : options_.pause;
}

}  // namespace tranche::server
