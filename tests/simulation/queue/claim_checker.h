// Checks the rules of queued claims, at the moment when something happens.
//
//   decided   a claim that was answered "queued" gets a decision
//   once      a decision never changes: what was refused is never sold, and what was sold is never refused
//   told      whatever a buyer is told of a claim is in the ledger at that moment
//   settled   a message leaves its queue only when the ledger has the decision of each of its lines
//   order     a consumer decides a buyer's claims for a SKU in the order in which they came to it; and a node sells
//             nothing of a SKU on AUTO at once while others' claims for it wait
//
// It keeps its own list of decisions, from the results of the ledger's calls. The Checker is told about units and
// checks them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/queue/queued_claim.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/claim_refusal.h"
#include "storage/ledger/reservation_ledger.h"
#include "tests/simulation/checker.h"

namespace tranche::simulation {

// What a buyer was told of a claim or cart that was queued.
enum class ClaimTold { kUndecided, kSold, kRefused };

class ClaimChecker {
 public:
  // `watches`: claims are queued in this run. Otherwise it does nothing: a ledger that is restored forgets decisions.
  ClaimChecker(bool watches, Checker* checker, storage::FakeLedger* ledger)
      : watches_(watches), checker_(checker), ledger_(ledger) {}

  // The ledger was called.
  void OnCommit(absl::Span<const storage::CommitResult> results);
  void OnRefused(absl::Span<const storage::ClaimRefusal> batch, absl::Span<const storage::RefuseResult> results);

  // A buyer was told that these lines of a claim or cart are queued.
  void OnQueued(absl::Span<const storage::ReservationClaim> lines);
  // A buyer who asked then was told, now, that these rows are what became of the claim or cart with these ids. Returns
  // what they say. Who asked before another answer came may still find nothing.
  ClaimTold OnTold(absl::Span<const storage::Uuid> ids, absl::Span<const storage::Reservation> rows,
                   absl::Time asked_at, absl::Time now);
  // Is one of these lines refused for good? Then a cart of them is not to be had, for whatever reason is told.
  bool AnyRefused(absl::Span<const storage::Uuid> ids) const;
  // A consumer says that this message may leave its queue. `held`: what it has in hand, in the order in which it came.
  void OnDone(const server::QueuedClaim& claim, const std::map<uint64_t, server::QueuedClaim>& held, uint64_t tag);
  // A node sells at once while claims for the SKU have long been waiting.
  void OnOvertaken(const std::string& sku_id);

  void Count(const char* what) { ++counts_[what]; }
  // How often things happened, by name.
  const std::map<std::string, int64_t>& counts() const { return counts_; }

  // Lines that were answered "queued" and have no decision yet.
  int64_t undecided() const { return static_cast<int64_t>(undecided_.size()); }
  // One of them; "" if there is none.
  std::string Undecided() const { return undecided_.empty() ? "" : undecided_.begin()->ToString(); }

 private:
  void Decide(const storage::Reservation& row);
  // A row that somebody found: is it what was decided?
  void CheckRow(const storage::Reservation& row);
  void Violated(const char* rule, const storage::Uuid& id, const char* detail);

  const bool watches_;
  Checker* const checker_;
  storage::FakeLedger* const ledger_;
  // By line: why it was refused for good, or that it was sold.
  std::map<storage::Uuid, std::optional<storage::Refusal>> decisions_;
  std::set<storage::Uuid> undecided_;
  struct Told {
    ClaimTold told = ClaimTold::kUndecided;
    absl::Time at;
  };
  std::map<storage::Uuid, Told> told_;  // by the first line
  std::map<std::string, int64_t> counts_;
};

}  // namespace tranche::simulation
