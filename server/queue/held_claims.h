// The claims that a consumer has been handed and has not settled, in the order in which they came.
//
// A buyer's own claims for a SKU have their turns one after the other: the next one when the one before is gone from
// here, whatever became of it. Who joins a group has their turn after those who open it and came before; but of a queue
// only so many joins wait for that, so that other claims in it find room. Others do not wait for each other. Each waits
// for what came before it alone, so there is no cycle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "server/queue/queued_claim.h"
#include "storage/ledger/refusal.h"
#include "storage/uuid.h"

namespace tranche::server {

struct HeldClaim {
  enum class Step {
    kWaits,  // for its turn, or until try_at
    kSells,  // the seller has it
    kNotes,  // the ledger is being told why it is refused
  };
  // Of the claim's lines, by their number.
  struct Line {
    std::string shard;   // where its SKU is, as far as is known
    bool noted = false;  // the ledger knows what became of it, or there is nothing to be known
  };

  uint64_t number = 0;  // of all that were ever held; set by Add
  std::string queue;
  uint64_t tag = 0;
  QueuedClaim claim;
  absl::Time since = {};
  std::vector<Line> lines = {};
  Step step = Step::kWaits;
  absl::Time try_at = absl::InfinitePast();  // not before
  absl::Time began = absl::InfinitePast();   // the try that is under way
  int tries = 0;                             // that came to nothing, for the next pause
  int internal_errors = 0;
  bool may_exist = false;     // an earlier try may have been committed
  bool unanswered = false;    // the last try's answer was that nobody knows
  std::string kept_for = {};  // it has a place among those that wait for this paused SKU; see PausedSkus
  // It joins a group that was not there at the last try, nor since then.
  std::optional<absl::Time> awaits_group_since = {};
  bool has_join_place = false;  // among those that wait for their group; see JoinPlaces
  // It is refused for good, and the ledger does not know it yet.
  storage::Refusal refusal = storage::Refusal::kNone;
  int noting = 0;        // lines that the ledger is being told of
  bool sold = false;     // the ledger says so of a line that was to be refused
  bool foreign = false;  // likewise: it does not know the SKU of one
};

// Not thread-safe. References and pointers to a claim stay good until it is removed.
class HeldClaims {
 public:
  // `prefetch`: of each queue. A quarter of it may be joins that wait for an opening.
  explicit HeldClaims(int prefetch);

  HeldClaim& Add(HeldClaim held);
  // Null: it is not here any more.
  HeldClaim* Find(uint64_t number);
  // Is no earlier claim of its buyer for one of its SKUs here, nor, if it joins a group, an earlier one that opens it?
  // A join that came when as many as may waited for openings waits for none.
  bool HasTurn(const HeldClaim& held) const;
  // Is a claim of another buyer here that opens the group of `held`, whichever of the two came first?
  bool AnotherOpensGroupOf(const HeldClaim& held) const;
  // Returns those that may have their turn now.
  std::vector<uint64_t> Remove(uint64_t number);

  // By number.
  std::map<uint64_t, HeldClaim>& all() { return all_; }
  const std::map<uint64_t, HeldClaim>& all() const { return all_; }
  size_t size() const { return all_.size(); }

 private:
  // Of one group that is about to be opened.
  struct OfGroup {
    std::set<uint64_t> openings = {};  // at least one
    std::set<uint64_t> joins = {};     // that wait for one of these, which came before
  };

  void AddToGroup(const HeldClaim& held);
  void RemoveFromGroup(const HeldClaim& held, std::vector<uint64_t>& next);

  const size_t most_waiting_joins_;  // of a queue
  std::map<uint64_t, HeldClaim> all_;
  absl::flat_hash_map<std::string, std::set<uint64_t>> turns_;  // by buyer and SKU
  absl::flat_hash_map<storage::Uuid, OfGroup> groups_;
  absl::flat_hash_map<std::string, size_t> waiting_joins_;  // for an opening, by queue
  uint64_t next_number_ = 1;
};

}  // namespace tranche::server
