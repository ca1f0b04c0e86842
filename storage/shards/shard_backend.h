// One shard as a front node uses it: its ledgers, its pipelines, and threads for calls that block. No shard shares a
// thread, a connection or a queue with another, so a shard that is slow or down delays only its own SKUs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "storage/executor.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/health_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/ledger/outbox_ledger.h"
#include "storage/ledger/payment_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/shard_ledger.h"
#include "storage/ledger/stock_ledger.h"
#include "storage/ledger/whereabouts_ledger.h"
#include "storage/pipeline/cart_pipeline.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_pipeline.h"
#include "storage/pipeline/entry_pipeline.h"

namespace tranche::storage {

// What one of a shard's pools of connections has now.
struct ConnectionCounts {
  std::string pool;  // what it is for, in a word
  int used = 0;      // lent, or being set up
  int idle = 0;
  int limit = 0;  // it may have so many
};

// Thread-safe. Everything it points to lives as long as it does.
class ShardBackend {
 public:
  virtual ~ShardBackend() = default;
  // For shutdown, in this order. Refuses what waits in the pipelines, without waiting for what is in flight.
  virtual void RefuseWaiting() {}
  // Aborts what is under way at the ledger and answers every later call with kUnavailable. May be called at any time,
  // from any thread.
  virtual void GiveUpLedger() {}
  // Ends the threads for blocking calls; then the pipelines. What is queued still runs. Pipelines with threads must be
  // ended by StopPipelines: an answer on a lane may hold the last reference to its shard, and a lane cannot end itself.
  virtual void StopExecutor() {}
  virtual void StopPipelines() {}

  // Its database must not be used, for this reason: for those who look at the cluster's state.
  void NoteUnfit(std::string why) {
    absl::MutexLock lock(&unfit_mutex_);
    unfit_ = std::move(why);
  }
  // Empty: it was not found to be unfit.
  std::string unfit() const {
    absl::MutexLock lock(&unfit_mutex_);
    return unfit_;
  }

  // Of each of its pools, if it has any.
  virtual std::vector<ConnectionCounts> Connections() const { return {}; }

  Executor& for_reads() const { return read_executor != nullptr ? *read_executor : *executor; }
  Executor& for_pool() const { return pool_executor != nullptr ? *pool_executor : *executor; }

  // Does its ledger answer, as far as the commit pipeline knows?
  bool Answers() const { return claims->Stats().ledger_answers; }

  std::string name;
  std::string dsn;
  ReservationLedger* reservations = nullptr;
  StockLedger* stock = nullptr;
  LifecycleLedger* lifecycle = nullptr;
  ShardLedger* shards = nullptr;
  OutboxLedger* outbox = nullptr;
  PaymentLedger* payments = nullptr;
  WhereaboutsLedger* whereabouts = nullptr;
  HealthLedger* health = nullptr;
  // Only home's is used.
  FrontLedger* front = nullptr;
  DrawLedger* draws = nullptr;
  GroupLedger* groups = nullptr;
  CommitPipeline* claims = nullptr;
  ChangePipeline* changes = nullptr;
  CartPipeline* carts = nullptr;
  EntryPipeline* entries = nullptr;
  // For carts. The other two are for what carts must not wait behind: reads of a SKU or of reservations, and questions
  // for units of a pool; null: `executor`.
  Executor* executor = nullptr;
  Executor* read_executor = nullptr;
  Executor* pool_executor = nullptr;
  // For looks at its state: they wait behind no other call, and none waits behind them.
  Executor* look_executor = nullptr;

 private:
  mutable absl::Mutex unfit_mutex_;
  std::string unfit_ ABSL_GUARDED_BY(unfit_mutex_);
};

inline absl::Status SilentShard(const ShardBackend& shard) {
  return AtShard(absl::UnavailableError(absl::StrCat("shard ", shard.name, " does not answer")), shard.name);
}

}  // namespace tranche::storage
