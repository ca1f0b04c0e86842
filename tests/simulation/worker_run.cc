#include "tests/simulation/worker_run.h"

#include <algorithm>
#include <utility>

namespace tranche::simulation {
namespace {

constexpr absl::Duration kLeastWait = absl::Milliseconds(1);
constexpr absl::Duration kPoll = absl::Milliseconds(500);

double HalfWay() { return 0.5; }

server::GroupExpirerOptions ToGroupOptions(const Scenario& scenario) {
  server::GroupExpirerOptions options;
  options.batch = scenario.expiry_batch;
  return options;
}

}  // namespace

WorkerRun::WorkerRun(World* world, ActorId actor, std::function<void()> ended)
    : process_(world, actor),
      ended_(std::move(ended)),
      ledger_(&process_),
      group_expirer_(&ledger_, &world->scheduler, HalfWay, ToGroupOptions(world->scenario)) {}

void WorkerRun::Spawn(std::function<void()> body) {
  ++fibers_;
  process_.world().scheduler.Spawn([this, body = std::move(body)] {
    body();
    if (--fibers_ > 0) return;
    process_.End();
    ended_();
  });
}

void WorkerRun::Launch() {
  Spawn([this] { ExpireHolds(); });
  if (!process_.world().scenario.offers.empty()) Spawn([this] { EndGroups(); });
}

void WorkerRun::ExpireHolds() {
  while (!process_.crashed()) {
    const auto holds = ledger_.ExpireDue(process_.world().scenario.expiry_batch);
    if (holds.ok() && holds->more) continue;
    const absl::Duration wait = holds.ok() ? std::clamp(holds->until_next, kLeastWait, kPoll) : kPoll;
    process_.AwaitChange([] { return false; }, wait);
  }
}

void WorkerRun::EndGroups() {
  while (!process_.crashed()) {
    const absl::Duration wait = group_expirer_.Step();
    process_.AwaitChange([] { return false; }, wait);
  }
}

}  // namespace tranche::simulation
