// Where requests wait a moment for units that are on their way to this node: claims and carts, in the same lines.
//
// Bounded in number and in time, so that a sale that is over cannot pile up requests. Requests are served in the order
// in which they came, with one exception: one that wants more units than have come does not block those behind it.
//
// Who waits holds no units. A cart waits for one of its SKUs at a time, and takes all or nothing when it is woken; so
// carts that want the same SKUs cannot block each other.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/sale/pool_taker.h"
#include "quota/slices/slice_table.h"
#include "storage/clock.h"

namespace tranche::quota {

struct WaitingOptions {
  // How long a request waits at most for units that may be on their way to this node; 0: not at all.
  absl::Duration exhausted_wait = absl::Milliseconds(100);
  // The most requests that wait at once, over all SKUs; further ones are told "exhausted here" at once.
  size_t max_waiting = 1000;
};

// Demand that requests leave at slices. Those who bring units are told of it later, without a lock.
class NewDemand {
 public:
  void Note(const std::shared_ptr<Slice>& slice, int64_t units) {
    is_news_ = slice->MarkWanted(units) || is_news_;
    for (Dry& known : dry_) {
      if (known.slice != slice) continue;
      known.wanted = std::min(known.wanted, units);
      return;
    }
    dry_.push_back({slice, units});
  }
  // Is some of it not known yet?
  bool is_news() const { return is_news_; }

  struct Dry {
    std::shared_ptr<Slice> slice;
    int64_t wanted = 0;  // the smallest quantity that was noted
  };
  // A cart's SKUs at most, or what one SKU's line waits for.
  const std::vector<Dry>& dry() const { return dry_; }

 private:
  bool is_news_ = false;
  std::vector<Dry> dry_;
};

// A request that waits for units.
class Waiter {
 public:
  // `sku_id`: what it waits for; may be empty until TryToGo has said.
  explicit Waiter(std::string sku_id = "") : sku_id_(std::move(sku_id)) {}
  virtual ~Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Takes all that the request wants, or nothing. False: it must wait, perhaps for another SKU than before, and is
  // noted as demand. True: it need not wait, since it has its units, or can get none any more.
  //
  // Called with the room's lock held, so by one thread at a time, and units that it takes and gives back are missed by
  // no other waiter. It touches only slices.
  virtual bool TryToGo(absl::Time now, NewDemand& demand) = 0;

  // The answer: one of these, once, without the lock.
  virtual void GoOn() = 0;      // TryToGo was true
  virtual void GiveUp() = 0;    // its time is over, or the room is full
  virtual void SendAway() = 0;  // the node is not accepting requests

  // How many units of the SKU that it waits for it wants. Called with the room's lock held.
  virtual int64_t wanted() const = 0;

  const std::string& sku_id() const { return sku_id_; }
  absl::Time wait_until() const { return wait_until_; }

 protected:
  void WaitFor(const std::string& sku_id) { sku_id_ = sku_id; }

 private:
  friend class WaitingRoom;
  std::string sku_id_;
  absl::Time wait_until_ = absl::InfiniteFuture();
};

// Thread-safe. Outlived by its dependencies, and outlives the sellers, which close it when they end.
class WaitingRoom {
 public:
  // `pools`: where units come from; null if only the balancer brings some.
  WaitingRoom(SliceTable* slices, storage::Clock* clock, WaitingOptions options = {}, PoolTaker* pools = nullptr);
  ~WaitingRoom();

  // Tries once more, since units that came before now have woken nobody; then waits, until `deadline` at most.
  void Enter(std::unique_ptr<Waiter> waiter, absl::Time deadline);

  // Units of the SKU or other terms have come: requests that wait for it and can be served go on.
  void Serve(const std::string& sku_id);

  // A request for so many units was refused, since nobody has as many of the slice's SKU. See PoolTaker::Doubt.
  void NoteRefused(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, int64_t units);

  // The ledger had too few units for a claim of so many. See PoolTaker::Overtaken.
  void NoteShort(const std::shared_ptr<Slice>& slice, int64_t ledger_version, int64_t units);

  // Answers requests that have waited long enough, and asks the pools again for the others. Call it every few
  // milliseconds; it costs nothing when none waits.
  void AnswerOverdue();

  // Closed: who waits is sent away, and so is who comes.
  void SetOpen(bool open);

  // How many requests wait for units of the SKU; and of any.
  size_t waiting(const std::string& sku_id) const;
  size_t waiting() const { return size_.load(std::memory_order_relaxed); }

 private:
  // By when they came to the room, whichever line they were in first.
  using Line = std::map<uint64_t, std::unique_ptr<Waiter>>;
  enum class Answer { kGoesOn, kGivesUp, kSentAway };
  struct Leaving {
    std::unique_ptr<Waiter> waiter;
    Answer answer;
  };

  void ServeLine(Line& line, const std::string& sku_id, absl::Time now, NewDemand& demand,
                 std::vector<Leaving>* leaving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<std::unique_ptr<Waiter>> TakeOverdue(absl::Time now);
  // To be called without the lock.
  void Bring(const NewDemand& demand);
  void AskForWaiting();
  void Dismiss(const NewDemand& demand, std::vector<Leaving> leaving);

  SliceTable* const slices_;
  storage::Clock* const clock_;
  const WaitingOptions options_;
  PoolTaker* const pools_;
  mutable absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  // Ordered, so that answers do not depend on hashes: the simulation replays them.
  std::map<std::string, Line> by_sku_ ABSL_GUARDED_BY(mutex_);
  std::atomic<size_t> size_{0};  // of all lines; written with mutex_ held
};

}  // namespace tranche::quota
