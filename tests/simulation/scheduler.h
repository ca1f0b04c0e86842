// Virtual time: runs fibers and callbacks one at a time, in the order of when they are due.
//
// Of what is due in the same nanosecond, the seed decides who goes first. Between two events no time passes, and while
// one runs no other does: whatever a simulated call does between two of its waits is atomic.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "tests/simulation/fiber.h"
#include "tests/simulation/random.h"

namespace tranche::simulation {

class Signal;

class Scheduler : public storage::Clock {
 public:
  // Where virtual time begins, in seconds since the Unix epoch.
  static constexpr int64_t kStart = 1'900'000'000;

  explicit Scheduler(Random random);
  // Every fiber has finished: see Finish.
  ~Scheduler() override;

  absl::Time Now() const override { return now_; }

  // A new fiber, begun at once but not before the caller's next wait.
  void Spawn(std::function<void()> body);
  // Runs `callback` after `delay`, outside of all fibers: it must not wait.
  void After(absl::Duration delay, absl::AnyInvocable<void()> callback);

  // Inside a fiber. While stopping they return at once.
  void Sleep(absl::Duration duration);
  // Until `ready` holds, which is asked now and whenever the signal is notified, or for `timeout`.
  void AwaitSignal(Signal* signal, absl::FunctionRef<bool()> ready, absl::Duration timeout);

  // Runs what is due until then, or until Stop.
  void RunUntil(absl::Time end);
  // Nobody waits any more. Fibers are to notice and return.
  void Stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }
  // After Stop: runs every fiber to its end; callbacks are dropped.
  void Finish();

  uint64_t steps() const { return steps_; }

 private:
  friend class Signal;
  // Used again when its fiber has finished, and never freed before the end: events may still point to it.
  struct Task {
    std::unique_ptr<Fiber> fiber;
    uint64_t wait = 0;  // the number of its present wait, unique among all; an event for another one is void
  };
  struct Event {
    absl::Time at;
    uint64_t tie = 0;
    Task* task = nullptr;
    uint64_t wait = 0;
    absl::AnyInvocable<void()> callback;
  };
  static bool Later(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.tie > b.tie; }

  void Push(Event event);
  void Run(Event event);
  void Resume(Task* task);
  void WakeSoon(Task* task, uint64_t wait);

  Random random_;
  absl::Time now_ = absl::FromUnixSeconds(kStart);
  uint64_t sequence_ = 0;
  uint64_t steps_ = 0;
  bool stopping_ = false;
  Task* running_ = nullptr;
  uint64_t last_wait_ = 0;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<Task*> free_tasks_;
  std::vector<Event> events_;  // a heap
};

// Something that fibers wait for to change.
class Signal {
 public:
  explicit Signal(Scheduler* scheduler) : scheduler_(scheduler) {}
  // Wakes those whose condition holds now.
  void Notify();

 private:
  friend class Scheduler;
  struct Waiter {
    Scheduler::Task* task;
    uint64_t wait;
    const absl::FunctionRef<bool()>* ready;  // lives while its fiber waits
  };
  Scheduler* const scheduler_;
  std::vector<Waiter> waiters_;
};

}  // namespace tranche::simulation
