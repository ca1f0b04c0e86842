// Gets units for slices that have run dry out of their SKUs' pools. Nobody else is needed for that: what nobody holds
// is everybody's, and the ledger decides. Units that other nodes hold are the balancer's matter; so is all demand that
// the pool cannot meet, and it is reported only then.
//
// What the ledger answers is applied at once. The agent announces it afterwards; if that fails, repair does.
//
// A pool is only asked at the shard where the SKU is announced: after a restore, another one may have an older copy.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/slices/pool_pacing.h"
#include "quota/slices/slice_table.h"
#include "storage/base/counter.h"
#include "storage/books.h"
#include "storage/clock.h"

namespace tranche::quota {

// How its questions ended.
struct PoolTakeCounts {
  Counter taken;   // some units came
  Counter none;    // the pool had none, or the incarnation has ended
  Counter failed;  // no answer
  Counter units;
};

// Thread-safe. Outlived by its dependencies, and outlives the books' callbacks.
class PoolTaker {
 public:
  PoolTaker(SliceTable* slices, storage::Books* books, storage::Clock* clock)
      : slices_(slices), books_(books), clock_(clock) {}

  // Somebody wants so many units of the slice. If fewer are free, it asks the pool, unless that was asked in vain a
  // moment ago. False: nobody is about to ask it, so if that is news, the balancer must be told. Does not block; call
  // it as often as you like.
  bool Ask(const std::shared_ptr<Slice>& slice, int64_t wanted);
  // Somebody who wanted so many was told that there are not so many. Asks now and then whether that is still so: holds
  // may have lapsed, and nobody may be there to announce it.
  void Doubt(const std::shared_ptr<Slice>& slice, int64_t wanted);

  // The ledger had too few units for a claim of so many, by a version of the slice that is not applied here. So units
  // have left it that the counter still has. It may be that nobody is there to announce that: a slice that counts them
  // is never dry, and would not ask for others. Asks the pool, whose answer says what the slice has.
  void Overtaken(const std::shared_ptr<Slice>& slice, int64_t ledger_version, int64_t wanted);

  // While not accepting, the node wants no units.
  void SetAccepting(bool accepting) { accepting_.store(accepting, std::memory_order_relaxed); }

  const PoolTakeCounts& counts() const { return counts_; }

  // How long a SKU that another transaction has locked is not asked for.
  static constexpr absl::Duration kLockedPause = absl::Seconds(1);

 private:
  struct Question {
    std::shared_ptr<Slice> slice;
    PoolPacing::Reason reason;
    int64_t units = 0;
    absl::Time asked_at;
  };

  bool Begin(const std::shared_ptr<Slice>& slice, PoolPacing::Reason reason, int64_t lacking);
  void Send(Question question, const std::string& shard);
  void Answered(const Question& question, absl::StatusOr<storage::PoolTake> answer);
  void Failed(const Question& question, const absl::Status& error);
  void Tell(const SkuTerms& known, const SkuTerms& fresh, const storage::PoolTake& take);

  SliceTable* const slices_;
  storage::Books* const books_;
  storage::Clock* const clock_;
  std::atomic<bool> accepting_{true};
  PoolTakeCounts counts_;
};

}  // namespace tranche::quota
