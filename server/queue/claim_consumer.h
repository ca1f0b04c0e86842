// Decides what is in one shard's claim queues: sells each claim as a front node does, or has the ledger note that it is
// refused for good, and settles its message when the decision is in the ledger (docs/decisions/0021-queue.md).
//
// What only time mends is tried again here, with growing pauses, and not put back: so it keeps its place, and no
// delivery is counted. A claim for a paused SKU waits so, too, unless too many do (paused_skus.h). While the shard's
// ledger does not answer, one claim at a time asks whether it does again, and all others wait.
//
// Who joins a group that is about to be opened, perhaps by another consumer, is tried again for a while: one queue's
// claims are in the hands of several consumers (join_places.h).
//
// What is refused is noted in batches: of each shard, one call is under way, and takes along what has gathered since.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "server/queue/claim_queue.h"
#include "server/queue/consumer_counts.h"
#include "server/queue/held_claims.h"
#include "server/queue/join_places.h"
#include "server/queue/paused_skus.h"
#include "storage/books.h"
#include "storage/clock.h"

namespace tranche::server {

// How long one try may wait for the ledger.
inline constexpr absl::Duration kTryQueuedClaim = absl::Seconds(5);
// Whoever keeps a message for 30 minutes loses the connection, and all that it holds.
inline constexpr absl::Duration kHoldDelivery = absl::Minutes(20);
// Pauses between the tries of one claim: doubled from the shortest one, each with a random part of up to its half less.
inline constexpr absl::Duration kShortestPause = absl::Milliseconds(50);
inline constexpr absl::Duration kLongestPause = absl::Seconds(2);
// A claim that has met so many faults goes back, and is a dead letter after some deliveries.
inline constexpr int kMostInternalErrors = 20;
// Who joins a group that is not there is refused only after this. Another consumer may have its opening, and may hear
// of a resume later (kHearsOfResume), make one try that comes to nothing (kTryQueuedClaim), and pause before the next
// one (kLongestPause): this is their sum. An opening that needs more tries, or whose consumer is lost, is not waited
// for.
inline constexpr absl::Duration kAwaitOpening = absl::Seconds(12);

// Thread-safe. Outlived by its dependencies, except for the source, which may be stopped before; outlives whatever it
// has begun at the sellers and the books. Holds at most what the source hands over unsettled.
class ClaimConsumer : public ClaimSource::Receiver {
 public:
  // quota::Seller::Sell and quota::CartSeller::Sell, without a gate and without a queue, or stand-ins for them.
  using Sell = std::function<void(storage::ReservationClaim, absl::Time deadline, bool may_exist, quota::SaleDone)>;
  using SellCart =
      std::function<void(std::vector<storage::ReservationClaim>, absl::Time deadline, bool may_exist, quota::CartDone)>;

  struct Parts {
    std::string shard;  // whose queues these are
    ClaimSource* source = nullptr;
    Sell sell = {};
    SellCart sell_cart = {};
    storage::Books* books = nullptr;
    const storage::Clock* clock = nullptr;
    // Where the SKU is believed to be; "": not known. It must not block. Optional.
    std::function<std::string(const std::string& sku_id)> shard_of = {};
    int prefetch = 1;   // of each queue
    uint64_t seed = 0;  // of the random part of pauses
  };

  explicit ClaimConsumer(Parts parts);

  // ClaimSource::Receiver.
  void OnDelivery(ClaimDelivery delivery) override;
  void OnLost(const std::string& queue) override;

  // Begins the tries that are due. Call it every 50 ms.
  void Tick();

  // While it is set it takes nothing new, and begins no sale: what is under way ends, and what is here waits. Claims
  // that are refused already, or whose deadline passes, are noted all the same.
  void SetPaused(bool paused);
  // Takes nothing new; what is under way is decided, and all else goes back to its queue. May be taken back.
  void SetDraining(bool draining);
  // SetDraining, waits for what is under way, at most for `timeout`, and gives back the rest: late answers are ignored.
  // Nothing is here afterwards.
  void Drain(absl::Duration timeout);

  const ConsumerCounts& counts() const { return counts_; }
  size_t held() const;
  // When the oldest of them came, but for those that wait for a resume, of their SKU or of this consumer; nullopt: no
  // other is held.
  std::optional<absl::Time> oldest_held_since() const;

 private:
  // A line of a claim that the ledger is to be told of.
  struct LineName {
    uint64_t number = 0;
    size_t line = 0;
  };
  // Of one shard.
  struct Notes {
    std::deque<LineName> waiting = {};
    bool under_way = false;
    size_t most = storage::kMaxBatch;  // in a call: fewer after one that failed, to find what is in its way
  };
  // What is to be done once the lock is released: everybody else may answer at once.
  struct Work {
    struct Settle {
      std::string queue;
      uint64_t tag = 0;
      Settlement settlement = Settlement::kDone;
    };
    struct Try {
      uint64_t number = 0;
      std::vector<storage::ReservationClaim> lines;
      bool cart = false;
      absl::Time deadline;
      bool may_exist = false;
    };
    struct Note {
      std::string shard;
      std::vector<LineName> lines;
      std::vector<storage::ClaimRefusal> batch;
    };
    struct Look {
      LineName line;
      std::string sku_id;
    };
    std::vector<Settle> settles = {};
    std::vector<Try> tries = {};
    std::vector<Note> notes = {};
    std::vector<Look> looks = {};
  };

  void Do(Work work) ABSL_LOCKS_EXCLUDED(mutex_);
  void Begin(Work::Try tried) ABSL_LOCKS_EXCLUDED(mutex_);

  // Answers.
  // `sku_id`: of the line that was refused.
  void OnSold(uint64_t number, bool replayed) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnRefused(uint64_t number, storage::Refusal refusal, const std::string& sku_id) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnNoted(const std::string& shard, const std::vector<LineName>& lines,
               const absl::StatusOr<std::vector<storage::RefuseResult>>& results) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnLooked(LineName line, const absl::StatusOr<storage::Sku>& sku) ABSL_LOCKS_EXCLUDED(mutex_);

  // Begins if it is its turn.
  void TryNow(HeldClaim& held, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginNow(HeldClaim& held, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Would it be sold now, while that is paused?
  bool Rests(const HeldClaim& held, absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Probe(absl::Time now, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null: it is not here any more, or not at the seller.
  HeldClaim* Tried(uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Refused(HeldClaim& held, storage::Refusal refusal, const std::string& sku_id, Work& work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Its group is not there: does it join one, and is it to be tried again? Then it has a place for that, or its group
  // is about to be opened here.
  bool AwaitsGroup(HeldClaim& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // It does not wait for its group any more, or from anew.
  void LeaveJoinPlace(HeldClaim& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has its SKU moved away? Then what becomes of a try says nothing about this shard's ledger.
  bool IsElsewhere(const HeldClaim& held) const;
  void TryAgain(HeldClaim& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteLedgerOut(const HeldClaim& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteLedgerAnswers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nobody asks for all any more: each finds out for itself.
  void EndLedgerOut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SettleForeign(HeldClaim& held, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteFault(HeldClaim& held, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void BeginNoting(HeldClaim& held, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendNotes(const std::string& shard, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Noted(LineName name, const storage::RefuseResult& result, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NotNoted(const std::string& shard, const std::vector<LineName>& lines, const absl::Status& error, Work& work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One line less is under way; `error`: of the ledger's answer about it, if it failed.
  void EndNote(HeldClaim& held, const absl::Status& error, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Settle(HeldClaim& held, Settlement settlement, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBack(HeldClaim& held, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns those that may have their turn now.
  std::vector<uint64_t> Forget(HeldClaim& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TryTurns(const std::vector<uint64_t>& numbers, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetStep(HeldClaim& held, HeldClaim::Step step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration PauseAfter(int tries) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellSource() ABSL_LOCKS_EXCLUDED(mutex_);

  const Parts parts_;
  ConsumerCounts counts_;

  absl::Mutex telling_;  // the source is told to pause and to resume in the order in which that was decided
  mutable absl::Mutex mutex_;
  HeldClaims held_ ABSL_GUARDED_BY(mutex_);
  PausedSkus paused_skus_ ABSL_GUARDED_BY(mutex_);
  JoinPlaces join_places_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Notes> notes_ ABSL_GUARDED_BY(mutex_);  // by shard
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;                   // of those that are held
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  // When sales last went on, after a pause of this consumer or a silence of the ledger. While they rest, other
  // consumers open no groups, either: so no join has waited for its group before this.
  absl::Time goes_on_since_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();

  bool ledger_out_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time answered_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // it last did
  int probes_in_vain_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t probe_ ABSL_GUARDED_BY(mutex_) = 0;       // the claim that asks for all; 0: none
  uint64_t last_probe_ ABSL_GUARDED_BY(mutex_) = 0;  // the next one is of another, as the fault may be its SKU's
  absl::Time probe_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tranche::server
