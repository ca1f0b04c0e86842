// A few threads for calls that block, behind a bounded queue: gRPC's and ZooKeeper's own threads must never wait.
#pragma once

#include <deque>
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
class BoundedExecutor : public Executor {
 public:
  BoundedExecutor(int threads, int max_queue);
  ~BoundedExecutor() override;
  BoundedExecutor(const BoundedExecutor&) = delete;
  BoundedExecutor& operator=(const BoundedExecutor&) = delete;

  // False when the queue is full.
  bool TryRun(absl::AnyInvocable<void()>& task) override;
  size_t queued() const override;

 private:
  // With the trace of the call that it was handed over for.
  struct Task {
    absl::AnyInvocable<void()> run;
    TraceTag trace;
  };

  void Work();

  const size_t max_queue_;
  mutable absl::Mutex mutex_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tranche::storage
