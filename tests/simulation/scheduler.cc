#include "tests/simulation/scheduler.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace tranche::simulation {
namespace {

// The time from a notification until the waiting thread runs.
constexpr absl::Duration kLongestWakeUp = absl::Microseconds(200);
// A fiber that does not end although every wait returns at once would block the simulation.
constexpr int kMostResumesAtEnd = 100000;

}  // namespace

Scheduler::Scheduler(Random random) : random_(random) {}

Scheduler::~Scheduler() { CHECK_EQ(free_tasks_.size(), tasks_.size()) << "Finish was not called"; }

void Scheduler::Push(Event event) {
  // The sequence makes ties unique, so that the order does not depend on the heap.
  event.tie = (random_.Next() & ~uint64_t{0xFFFFFFFF}) | (++sequence_ & 0xFFFFFFFF);
  events_.push_back(std::move(event));
  std::push_heap(events_.begin(), events_.end(), Later);
}

void Scheduler::Spawn(std::function<void()> body) {
  if (free_tasks_.empty()) {
    tasks_.push_back(std::make_unique<Task>());
    free_tasks_.push_back(tasks_.back().get());
  }
  Task* const task = free_tasks_.back();
  free_tasks_.pop_back();
  task->fiber = std::make_unique<Fiber>(std::move(body));
  task->wait = ++last_wait_;
  Push(Event{.at = now_, .tie = 0, .task = task, .wait = task->wait, .callback = {}});
}

void Scheduler::After(absl::Duration delay, absl::AnyInvocable<void()> callback) {
  Push(Event{.at = now_ + delay, .tie = 0, .task = nullptr, .wait = 0, .callback = std::move(callback)});
}

void Scheduler::Sleep(absl::Duration duration) {
  CHECK(running_ != nullptr) << "only a fiber may wait";
  if (stopping_) return;
  Push(Event{.at = now_ + duration, .tie = 0, .task = running_, .wait = running_->wait, .callback = {}});
  running_->fiber->Suspend();
}

void Scheduler::AwaitSignal(Signal* signal, absl::FunctionRef<bool()> ready, absl::Duration timeout) {
  CHECK(running_ != nullptr) << "only a fiber may wait";
  if (stopping_ || ready()) return;
  Task* const task = running_;
  signal->waiters_.push_back({task, task->wait, &ready});
  if (timeout != absl::InfiniteDuration()) {
    Push(Event{.at = now_ + timeout, .tie = 0, .task = task, .wait = task->wait, .callback = {}});
  }
  running_->fiber->Suspend();
  std::erase_if(signal->waiters_, [task](const Signal::Waiter& waiter) { return waiter.task == task; });
}

void Scheduler::Resume(Task* task) {
  task->wait = ++last_wait_;
  running_ = task;
  task->fiber->Resume();
  running_ = nullptr;
  if (!task->fiber->finished()) return;
  task->fiber.reset();
  task->wait = 0;
  free_tasks_.push_back(task);
}

void Scheduler::Run(Event event) {
  ++steps_;
  if (event.task == nullptr) return event.callback();
  if (event.task->wait == event.wait) Resume(event.task);
}

void Scheduler::RunUntil(absl::Time end) {
  while (!stopping_ && !events_.empty() && events_.front().at <= end) {
    std::pop_heap(events_.begin(), events_.end(), Later);
    Event event = std::move(events_.back());
    events_.pop_back();
    now_ = std::max(now_, event.at);
    Run(std::move(event));
  }
  if (!stopping_) now_ = std::max(now_, end);
}

void Scheduler::Finish() {
  CHECK(stopping_);
  events_.clear();
  int resumes = 0;
  while (free_tasks_.size() < tasks_.size()) {
    for (const auto& task : tasks_) {
      if (task->fiber == nullptr) continue;
      CHECK(++resumes < kMostResumesAtEnd) << "a fiber does not end";
      Resume(task.get());
    }
  }
  events_.clear();
}

void Scheduler::WakeSoon(Task* task, uint64_t wait) {
  Push(Event{.at = now_ + random_.Between(absl::ZeroDuration(), kLongestWakeUp),
             .tie = 0,
             .task = task,
             .wait = wait,
             .callback = {}});
}

void Signal::Notify() {
  for (size_t i = 0; i < waiters_.size();) {
    if (!(*waiters_[i].ready)()) {
      ++i;
      continue;
    }
    scheduler_->WakeSoon(waiters_[i].task, waiters_[i].wait);
    waiters_.erase(waiters_.begin() + static_cast<ptrdiff_t>(i));
  }
}

}  // namespace tranche::simulation
