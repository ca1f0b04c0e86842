// Takes back what dead incarnations held: it goes into the pools.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/balancer/round/round_context.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_ledger.h"

namespace tranche::quota {

class ReclaimStep {
 public:
  explicit ReclaimStep(const RoundContext* context) : context_(*context) {}

  absl::Status Run(Coordination& session);

  // No node is treated as dead before then, except one whose process has ended: that does not depend on the tree.
  void SpareAllUntil(absl::Time when) { nobody_dead_before_ = when; }
  void Forget() {
    first_seen_unregistered_.clear();
    try_again_.clear();
    stripped_.clear();
  }

 private:
  // Why a node loses its units. A session that has ended is the better reason: it is no guess.
  enum class Cause { kProcessEnded, kRegistrationGone };
  struct Gone {
    storage::Incarnation incarnation;
    Cause cause;
  };

  std::vector<Gone> FindGone();
  void ForgetWhoIsBack(const std::vector<Gone>& gone);
  void TellNobodyIsRegistered(size_t live) const;
  bool IsUnregistered(const storage::Incarnation& incarnation);
  absl::Status Reclaim(Coordination& session, const Gone& gone);
  std::optional<int64_t> UnitsOf(storage::IncarnationId incarnation) const;
  // It cannot be ended yet, and `why` says so: takes back what is neither locked nor frozen.
  absl::Status TakeBack(const Gone& gone, const std::string& why);

  const RoundContext& context_;
  std::map<storage::IncarnationId, absl::Time> first_seen_unregistered_;
  absl::Time nobody_dead_before_ = absl::InfinitePast();
  std::map<storage::IncarnationId, absl::Time> try_again_;  // those that could not be ended yet: when to try again
  std::set<storage::IncarnationId> stripped_;               // of those, who was left only what is frozen
};

}  // namespace tranche::quota
