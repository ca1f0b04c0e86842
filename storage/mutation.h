// The fences that the mutation test takes away one at a time, to see the simulation find out.
//
// A fence asks `Mutated(Mutation::kX)` in the one line that would be missing without it. In every ordinary build that
// is a constant false and costs nothing; only the libraries made for the mutation test (TRANCHE_MUTATIONS) can switch
// one off.
#pragma once

namespace tranche::storage {

enum class Mutation {
  kNone,
  // The ledger, as the fake has it.
  kNoHolderCheck,      // commits spend slots of whoever holds them
  kReclaimLeavesLive,  // a reclaimed incarnation can still be given units
  kNoReplay,           // the same reservation id is inserted again
  kNoUserLimit,        // units of one buyer are not added up
  kMoveLosesUnits,     // a deposit takes one unit more from the pool than it hands out
  kNoExpectedVersion,  // a move does not look whether the quota has changed meanwhile
  // The commit pipeline.
  kAcknowledgeBeforeCommit,  // answers before the ledger does
  kUnknownIsFailure,         // a lost answer is told as "nothing happened"
  kResendDropsClaims,        // claims in doubt are forgotten when the batch goes again
  // The counter and the seller.
  kUnorderedAnnouncements,  // an older announcement is applied over a newer one
  kInFlightNotCounted,      // an announcement overwrites what is free, as if nothing were in flight
  kNoGiveBack,              // units of refused claims are lost to the counter
  kGiveBackTwice,
  kSoldOutFromOwnSlice,  // a dry node says that the SKU is sold out
  // The announcements.
  kAnnouncerOverwritesNewer,
  kSoldOutNeverLifted,  // terms that say "sold out" are never replaced
  // The node's agent.
  kNoRereadAfterReconnect,
  kKeepsDeadIncarnation,  // does not begin a new one when its session has expired
  kDemandNotReported,
  kWaitersNeverWoken,
  // Allocation and balancer.
  kSharesLoseOddUnits,
  kSharesInventUnits,
  kBalancerDoesNotReclaim,
  kBalancerNeverRepairs,
  kBalancerIgnoresDemand,
  kBalancerNoHysteresis,
};

#ifdef TRANCHE_MUTATIONS
// Which fence is off; kNone at first. Not thread-safe: set it before the code under test runs.
inline Mutation present_mutation = Mutation::kNone;
inline bool Mutated(Mutation mutation) { return mutation == present_mutation; }
#else
constexpr bool Mutated(Mutation) { return false; }
#endif

}  // namespace tranche::storage
