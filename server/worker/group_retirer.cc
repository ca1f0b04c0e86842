#include "server/worker/group_retirer.h"

#include <algorithm>
#include <utility>

namespace tranche::server {
namespace {

// Nobody waits for it.
constexpr BackoffBounds kPauseOfGroupRetirer = {absl::Minutes(1), absl::Minutes(10)};

}  // namespace

GroupRetirer::GroupRetirer(storage::GroupLedger* ledger, storage::Clock* clock, RandomSource random,
                           const GroupRetirerOptions& options)
    : ledger_(ledger),
      options_(options),
      batch_(std::min(options.batch, kMostGroups)),
      trouble_("deleting old groups", clock, std::move(random), kPauseOfGroupRetirer) {}

absl::Duration GroupRetirer::Step() {
  const absl::StatusOr<int64_t> deleted = ledger_->RetireGroups(options_.age, batch_);
  if (!deleted.ok()) return trouble_.Failed(deleted.status());
  trouble_.Answered();
  deleted_.Add(*deleted);
  return *deleted < batch_ ? options_.interval : options_.pause;
}

}  // namespace tranche::server
