#include "tests/simulation/worker_run.h"

#include <algorithm>

namespace tranche::simulation {
namespace {

constexpr absl::Duration kLeastWait = absl::Milliseconds(1);
constexpr absl::Duration kPoll = absl::Milliseconds(500);

}  // namespace

void WorkerRun::Launch() {
  process_.world().scheduler.Spawn([this] {
    Run();
    process_.End();
    ended_();
  });
}

void WorkerRun::Run() {
  while (!process_.crashed()) {
    const auto holds = ledger_.ExpireDue(process_.world().scenario.expiry_batch);
    if (holds.ok() && holds->more) continue;
    const absl::Duration wait = holds.ok() ? std::clamp(holds->until_next, kLeastWait, kPoll) : kPoll;
    process_.AwaitChange([] { return false; }, wait);
  }
}

}  // namespace tranche::simulation
