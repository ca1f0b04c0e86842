// Threads for calls that block, shared by several kinds of calls. Each kind has a bounded queue of its own, and threads
// that the others leave to it; what is not reserved goes to whoever needs it. So slow calls of one kind keep no other
// kind waiting, and no thread is idle that could be used.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "storage/base/log_trace.h"
#include "storage/executor.h"

namespace tranche::storage {

// Thread-safe. The destructor first runs what is queued. A task's log lines carry the trace of the thread that handed
// it over (log_trace.h).
class SharedThreads {
 public:
  struct Kind {
    int reserved = 0;   // so many threads are left to it, also while it needs none
    int max_queue = 0;  // so many of its calls may wait for a thread
  };

  // No more threads may be reserved than there are. A kind without a reserved one needs a thread that nobody has
  // reserved.
  SharedThreads(int threads, const std::vector<Kind>& kinds);
  ~SharedThreads();
  SharedThreads(const SharedThreads&) = delete;
  SharedThreads& operator=(const SharedThreads&) = delete;

  // For calls of the kind, by its place in `kinds`. Lives as long as this.
  Executor* Of(size_t kind) { return doors_.at(kind).get(); }

 private:
  class Door;
  // With the trace of the call that it was handed over for.
  struct Task {
    absl::AnyInvocable<void()> run;
    TraceTag trace;
  };
  struct State {
    Kind kind;
    int running = 0;
    std::deque<Task> waiting;
  };

  bool TryRun(size_t kind, absl::AnyInvocable<void()>& task);
  size_t Queued(size_t kind) const;
  void Work();
  // The kind whose call begins next; that behind the last one: none may.
  size_t Next() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MayRun(size_t kind) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NoneWaits() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int count_;
  std::vector<std::unique_ptr<Executor>> doors_;
  mutable absl::Mutex mutex_;
  std::vector<State> states_ ABSL_GUARDED_BY(mutex_);  // by kind; as many from the start
  size_t last_ ABSL_GUARDED_BY(mutex_) = 0;            // the kind that had the last turn
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tranche::storage
