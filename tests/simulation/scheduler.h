// Virtual time: runs fibers and callbacks one at a time, in the order in which they are due.
//
// The seed decides the order of those that are due in the same nanosecond. Between two events no time passes, and only
// one runs at a time: everything that a simulated call does between two waits is atomic.
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

  // A new fiber; it begins at once, but not before the caller's next wait.
  void Spawn(std::function<void()> body);
  // Runs `callback` after `delay`, outside all fibers: it must not wait.
  void After(absl::Duration delay, absl::AnyInvocable<void()> callback);

  // Inside a fiber. After Stop they return at once.
  void Sleep(absl::Duration duration);
  // Waits until `ready` holds, which is checked now and whenever the signal is notified, or for `timeout`.
  void AwaitSignal(Signal* signal, absl::FunctionRef<bool()> ready, absl::Duration timeout);

  // Runs everything that is due until then, or until Stop.
  void RunUntil(absl::Time end);
  // Ends all waits. Fibers must notice it and return.
  void Stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }
  // After Stop: runs every fiber to its end; callbacks are dropped.
  void Finish();

  uint64_t steps() const { return steps_; }

 private:
  friend class Signal;
  // Reused when its fiber has finished, and never freed before the end: events may still point to it.
  struct Task {
    std::unique_ptr<Fiber> fiber;
    uint64_t wait = 0;  // the number of its current wait, unique among all; an event for another one is void
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

// A condition that fibers wait for.
class Signal {
 public:
  explicit Signal(Scheduler* scheduler) : scheduler_(scheduler) {}
  // Wakes fibers whose condition holds now.
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
