#include "tests/simulation/process.h"

namespace tranche::simulation {

void Process::Crash() {
  if (crashed()) return;
  NoteFault(Fault::kCrash);
  crashed_ = true;
  changed_.Notify();
}

void Process::Pause(absl::Duration duration) {
  NoteFault(Fault::kPause, absl::ToInt64Milliseconds(duration));
  paused_until_ = world_->scheduler.Now() + duration;
  Hinder(duration);
}

void Process::End() {
  crashed_ = true;
  changed_.Notify();
}

bool Process::Await(absl::Duration shortest, absl::Duration longest) {
  if (crashed()) return false;
  Scheduler& scheduler = world_->scheduler;
  scheduler.Sleep(world_->call_random.Between(shortest, longest));
  while (!crashed() && paused()) scheduler.Sleep(paused_for());
  if (!crashed() && world_->faulty && world_->call_random.Chance(world_->scenario.call_faults.crash)) Crash();
  return !crashed();
}

void Process::AwaitChange(absl::FunctionRef<bool()> ready, absl::Duration timeout) {
  if (crashed()) return;
  const auto wanted = [&] { return crashed() || ready(); };
  world_->scheduler.AwaitSignal(&changed_, wanted, timeout);
  while (!crashed() && paused()) world_->scheduler.Sleep(paused_for());
}

}  // namespace tranche::simulation
