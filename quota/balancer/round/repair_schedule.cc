#include "quota/balancer/round/repair_schedule.h"

#include "storage/mutation.h"

namespace tranche::quota {

RepairSchedule::RepairSchedule(storage::StockLedger* ledger, Announcer* announcer, storage::Clock* clock,
                               const BalancerOptions* options, SkuObserver* observer)
    : clock_(clock),
      options_(*options),
      repair_(ledger, announcer, options->shard == storage::kHomeShard, options->copies.get(), observer) {}

absl::Status RepairSchedule::Step(Coordination& session) {
  if (storage::Mutated(storage::Mutation::kBalancerNeverRepairs)) return absl::OkStatus();
  const absl::Time now = clock_->Now();
  if (!repair_.running()) {
    if (now - last_pass_ < options_.repair_interval) return absl::OkStatus();
    repair_.Begin();
    last_pass_ = now;
  } else if (now - last_step_ < options_.poll_interval) {
    return absl::OkStatus();  // not urgent: rounds in quick succession have other work
  }
  last_step_ = now;
  return repair_.Step(session);
}

void RepairSchedule::AnnounceSlicesOf(storage::IncarnationId incarnation) {
  if (!repair_.AnnounceSlicesOf(incarnation).ok()) Soon();
}

}  // namespace tranche::quota
