// What all calls of one client share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/internal/node_set.h"
#include "client/internal/retry_budget.h"
#include "client/internal/scheduler.h"
#include "client/internal/throttle.h"
#include "tranche/options.h"

namespace tranche::internal {

struct CallEnvironment {
  CallEnvironment(const ClientOptions& options, std::vector<std::shared_ptr<Stub>> stubs,
                  std::shared_ptr<Scheduler> scheduler, const RandomSource& random = {})
      : options(options),
        nodes(std::move(stubs)),
        budget(options.retry.budget_tokens, options.retry.budget_refill),
        claim_throttle(MakeThrottle(options.throttle, random, ", with the same reservation id")),
        sale_entry_throttle(MakeThrottle(options.throttle, random)),
        draw_entry_throttle(MakeThrottle(options.throttle, random)),
        scheduler(std::move(scheduler)) {}

  // Every call begins and ends through these, so that the client can wait for the last one.
  void CallBegins() {
    absl::MutexLock lock(&mutex);
    ++outstanding;
  }
  void CallEnds() {
    absl::MutexLock lock(&mutex);
    --outstanding;
  }
  void AwaitCalls() {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(
        +[](int64_t* count) { return *count == 0; }, &outstanding));
  }

  const ClientOptions options;
  NodeSet nodes;
  RetryBudget budget;
  // For claims with carts and joins of groups, for EnterSale, and for EnterDraw; null: switched off. Each by itself:
  // that the ledger takes no more entries into draws says nothing of claims, nor of EnterSale, which needs no ledger.
  // Nothing else is throttled: payments, cancellations and extensions are the last to be sacrificed, and a look-up
  // comes before a payment or settles a doubt.
  const std::unique_ptr<Throttle> claim_throttle;
  const std::unique_ptr<Throttle> sale_entry_throttle;
  const std::unique_ptr<Throttle> draw_entry_throttle;
  const std::shared_ptr<Scheduler> scheduler;
  // Once set, there are no further attempts.
  std::atomic<bool> closing{false};

  absl::Mutex mutex;
  int64_t outstanding ABSL_GUARDED_BY(mutex) = 0;
};

}  // namespace tranche::internal
