#include "tests/simulation/queue/node_intake.h"

#include <set>
#include <utility>

#include "storage/ledger/shard_name.h"

namespace tranche::simulation {
namespace {

constexpr int kPollEvery = 10;  // once a second
// Two polls and more: by then a node knows.
constexpr absl::Duration kKnownAfter = absl::Seconds(3);

server::IntakeOptions ToIntakeOptions(const Scenario& scenario) {
  return {.partitions = scenario.queue_partitions, .decide_within = scenario.decide_within};
}

}  // namespace

NodeIntake::NodeIntake(Process* process, const quota::SliceTable* slices, storage::Books* books)
    : process_(process),
      slices_(slices),
      admin_(process->world().broker.server().Admin()),
      publisher_(process),
      depths_(admin_.get(), &process->world().scheduler),
      unsold_(books),
      intake_(server::QueueIntake::Parts{.publisher = &publisher_,
                                         .depths = &depths_,
                                         .paces = &paces_,
                                         .unsold = &unsold_,
                                         .keys = [process] { return process->world().broker.keys(); },
                                         .clock = &process->world().scheduler},
              ToIntakeOptions(process->world().scenario)) {}

quota::ClaimDiversion::Way NodeIntake::WayOf(const std::string& sku_id, const quota::SkuTerms& terms,
                                             bool accept_queued) {
  const Way way = intake_.WayOf(sku_id, terms, accept_queued);
  const bool automatic = terms.claim_path == storage::ClaimPath::kAuto && accept_queued;
  if (automatic && way == Way::kSell && KnowsOfWaiting(sku_id)) process_->world().claims.OnOvertaken(sku_id);
  if (automatic && way == Way::kQueue) process_->world().claims.Count("queued by itself");
  return way;
}

void NodeIntake::Queue(std::vector<storage::ReservationClaim> lines, bool cart, const std::string& sku_id,
                       const quota::SkuTerms& terms, absl::Time deadline, QueueDone done) {
  intake_.Queue(std::move(lines), cart, sku_id, terms, deadline, std::move(done));
}

bool NodeIntake::KnowsOfWaiting(const std::string& sku_id) const {
  const World& world = process_->world();
  const auto queued = queued_since_.find(sku_id);
  if (queued == queued_since_.end()) return false;
  const absl::Time since = world.scheduler.Now() - kKnownAfter;
  return queued->second <= since && process_->hindered_until() <= since && world.broker.up_since() <= since &&
         world.broker.WaitingSince(world.broker.QueueOf(sku_id)) <= since;
}

void NodeIntake::Look(const storage::PipelineStats& stats) {
  const World& world = process_->world();
  const absl::Time now = world.scheduler.Now();
  paces_.Note(storage::kHomeShard, stats.ledger_answers, stats.waited, now);
  std::set<std::string> queues;
  for (const storage::Sku& sku : world.scenario.skus) {
    const auto slice = slices_->Find(sku.sku_id);
    const auto terms = slice == nullptr ? nullptr : slice->terms();
    if (terms == nullptr || terms->claim_path == storage::ClaimPath::kDirect) {
      queued_since_.erase(sku.sku_id);
    } else {
      queued_since_.try_emplace(sku.sku_id, now);
      queues.insert(world.broker.QueueOf(sku.sku_id));
    }
  }
  if (looks_++ % kPollEvery == 0) depths_.Poll(std::vector<std::string>(queues.begin(), queues.end()));
}

}  // namespace tranche::simulation
