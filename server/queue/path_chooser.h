// Which way claims of a SKU go: pure, without a clock of its own.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "quota/sale/claim_diversion.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::server {

// Claims that have waited for so long, over kSlowFor, make a shard slow; below kFastAgain over kFastFor it is fast
// again. The latter is longer than a consumer rests before it tries a claim again (ClaimConsumer): what consumers hold
// is in no queue's depth, and a buyer's next claim should not overtake it.
inline constexpr absl::Duration kSlowWait = absl::Milliseconds(20);
inline constexpr absl::Duration kFastAgain = absl::Milliseconds(10);
inline constexpr absl::Duration kSlowFor = absl::Seconds(1);
inline constexpr absl::Duration kFastFor = absl::Seconds(5);

// Is a shard too slow to let callers wait? Not thread-safe: told and asked by one thread, once in a while.
class ShardPace {
 public:
  // `answers`: does the ledger? `waited`: the longest that a claim of the last moment waited for its batch; zero if
  // there was none.
  void Note(bool answers, absl::Duration waited, absl::Time now);
  bool slow() const { return slow_; }

 private:
  bool slow_ = false;
  absl::Time since_ = absl::InfiniteFuture();  // it would change; InfiniteFuture: it would not
};

struct PathView {
  storage::ClaimPath path = storage::ClaimPath::kDirect;
  bool accept_queued = false;
  bool has_queue = false;  // this node has a key for tickets, and a broker that takes claims or has some
  bool shard_slow = false;
  int64_t backlog = 0;  // claims in the SKU's queue, as known
};

// kQueue: kQueue with accept_queued, else kRefuse. kAuto: kQueue with accept_queued while the shard is slow or there is
// a backlog, which keeps a buyer's claims in their order. Otherwise kSell. A SKU whose path is kQueue is never sold
// directly, also where has_queue is false.
quota::ClaimDiversion::Way ChoosePath(const PathView& view);

// May a claim still go into a queue of this depth? 4 for each unsold unit, at least 1,000.
bool HasRoom(int64_t depth, int64_t unsold);

}  // namespace tranche::server
