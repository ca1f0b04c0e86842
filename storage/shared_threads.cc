#include "storage/shared_threads.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace tranche::storage {

class SharedThreads::Door final : public Executor {
 public:
  Door(SharedThreads* threads, size_t kind) : threads_(threads), kind_(kind) {}
  bool TryRun(absl::AnyInvocable<void()>& task) override { return threads_->TryRun(kind_, task); }
  size_t queued() const override { return threads_->Queued(kind_); }

 private:
  SharedThreads* const threads_;
  const size_t kind_;
};

SharedThreads::SharedThreads(int threads, const std::vector<Kind>& kinds) : count_(threads), states_(kinds.size()) {
  int reserved = 0;
  bool all_have = true;
  for (size_t i = 0; i < kinds.size(); ++i) {
    doors_.push_back(std::make_unique<Door>(this, i));
    states_[i].kind = kinds[i];
    reserved += kinds[i].reserved;
    all_have = all_have && kinds[i].reserved > 0;
  }
  CHECK(reserved <= threads && (all_have || reserved < threads)) << "some calls would never have a thread";
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

SharedThreads::~SharedThreads() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

bool SharedThreads::TryRun(size_t kind, absl::AnyInvocable<void()>& task) {
  absl::MutexLock lock(&mutex_);
  State& state = states_[kind];
  if (stopping_ || state.waiting.size() >= static_cast<size_t>(state.kind.max_queue)) return false;
  state.waiting.push_back({std::move(task), CurrentTrace()});
  return true;
}

size_t SharedThreads::Queued(size_t kind) const {
  absl::MutexLock lock(&mutex_);
  return states_[kind].waiting.size();
}

// The threads that run calls, and those that are kept for other kinds, are never more than there are: so a kind that
// has fewer than are reserved for it always finds one.
bool SharedThreads::MayRun(size_t kind) const {
  if (states_[kind].running < states_[kind].kind.reserved) return true;
  int taken = 0;
  for (const State& state : states_) taken += std::max(state.running, state.kind.reserved);
  return taken < count_;
}

size_t SharedThreads::Next() const {
  for (size_t i = 1; i <= states_.size(); ++i) {
    const size_t kind = (last_ + i) % states_.size();
    if (!states_[kind].waiting.empty() && MayRun(kind)) return kind;
  }
  return states_.size();
}

bool SharedThreads::NoneWaits() const {
  return std::all_of(states_.begin(), states_.end(), [](const State& state) { return state.waiting.empty(); });
}

void SharedThreads::Work() {
  while (true) {
    Task task;
    size_t kind = 0;
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return Next() < states_.size() || (stopping_ && NoneWaits());
      };
      mutex_.Await(absl::Condition(&ready));
      kind = Next();
      if (kind == states_.size()) return;
      last_ = kind;
      State& state = states_[kind];
      ++state.running;
      task = std::move(state.waiting.front());
      state.waiting.pop_front();
    }
    {
      const ScopedTrace trace(std::move(task.trace));
      task.run();
    }
    absl::MutexLock lock(&mutex_);
    --states_[kind].running;
  }
}

}  // namespace tranche::storage
