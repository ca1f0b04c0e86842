// One run of one process, as far as faults concern it.
#pragma once

#include <algorithm>

#include "absl/time/time.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class Process {
 public:
  Process(World* world, ActorId actor) : world_(world), actor_(actor), changed_(&world->scheduler) {}

  World& world() const { return *world_; }
  ActorId actor() const { return actor_; }

  // The process has ended in order.
  void End();
  // From now on every call of the process fails and does nothing; its fibers must return when they notice.
  void Crash();
  bool crashed() const { return crashed_ || world_->scheduler.stopping(); }
  // Its fibers and timers stand still for this long.
  void Pause(absl::Duration duration);
  bool paused() const { return world_->scheduler.Now() < paused_until_; }
  absl::Duration paused_for() const { return paused_until_ - world_->scheduler.Now(); }
  // For this long it may be unable to do its work, through no fault of its own.
  void Hinder(absl::Duration duration) {
    hindered_until_ = std::max(hindered_until_, world_->scheduler.Now() + duration);
  }
  absl::Time hindered_until() const { return hindered_until_; }
  void CutOffFromLedger(bool cut_off) { cut_off_from_ledger_ = cut_off; }
  bool ReachesLedger() const { return !cut_off_from_ledger_ && !world_->ledger_down; }

  // A wait in the middle of a call, in a fiber: others run meanwhile, and the process may crash here. False if it has.
  // has.
  bool Await(absl::Duration shortest, absl::Duration longest);
  // A pause of the process itself, or until `ready`.
  void AwaitChange(absl::FunctionRef<bool()> ready, absl::Duration timeout);
  // Something that this process's fibers may wait for has changed.
  void NoteChange() { changed_.Notify(); }

  void Note(const char* what, int64_t a = 0, int64_t b = 0, int64_t c = 0) const {
    world_->trace.Add(world_->scheduler.Now(), actor_, what, a, b, c);
  }
  void NoteFault(Fault fault, int64_t a = 0) const {
    world_->Count(fault);
    Note(NameOf(fault), a);
  }

 private:
  World* const world_;
  const ActorId actor_;
  Signal changed_;
  bool crashed_ = false;
  bool cut_off_from_ledger_ = false;
  absl::Time paused_until_ = absl::InfinitePast();
  absl::Time hindered_until_ = absl::InfinitePast();
};

}  // namespace tranche::simulation
