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
  kNoHolderCheck,      // a commit takes units of somebody else
  kReclaimLeavesLive,  // a reclaimed incarnation can be given units
  kNoReplay,           // the same reservation id is inserted again
  kNoUserLimit,        // what a buyer has already does not count
  kMoveLosesUnits,     // a deposit takes one unit more from the pool than it hands out
  kNoExpectedVersion,  // a move does not look whether the quota has changed meanwhile
  // What becomes of reservations, as the fake has it.
  kConfirmsWhatEnded,      // a confirmation does not look at the state
  kSecondPaymentReplayed,  // another payment of a confirmed reservation is taken for the first one again
  kExpiresWhatEnded,       // an expiry does not look again whether the hold still waits
  kExpiresExtended,        // an expiry goes by the time before the extension
  kCancelReturnsTwice,     // its units come back twice
  kReturnedNotMarked,      // units that come back into an empty pool change no version and are not listed
  kMessageForgotten,       // a cancellation is not told
  kLateBookedTwice,        // a late payment is not remembered
  kLateTakesNoUnits,       // a late payment books units that nobody gives
  kLateForgetsLimit,       // a late payment does not look at what the buyer has
  // The counter and the seller.
  kUnknownIsFailure,  // a lost answer is told as "nothing happened"
  kAcknowledgeBeforeCommit,
  kUnorderedAnnouncements,  // an older announcement is applied over a newer one
  kInFlightNotCounted,      // an announcement is taken for what is free
  kNoGiveBack,              // units of refused claims are lost to the counter
  kGiveBackTwice,
  kMayExistIgnored,      // a refusal from memory although an earlier try may have been committed
  kSoldOutFromOwnSlice,  // a dry node says that the SKU is sold out
  kWaitersNeverWoken,    // units come, and who waits for them does not learn it
  kWaitersForgotten,     // who waits in vain is never answered
  // The announcements.
  kAnnouncerOverwritesNewer,
  kSoldOutNeverLifted,  // terms that say "sold out" stay
  // The node's agent.
  kNoReread,              // neither after a reconnect nor from time to time
  kKeepsDeadIncarnation,  // goes on as an incarnation that is over
  kDemandNotReported,
  // Allocation and balancer.
  kSharesLoseOddUnits,
  kSharesInventUnits,
  kBalancerDoesNotReclaim,
  kBalancerNeverRepairs,
  kBalancerIgnoresDemand,
  kBalancerIgnoresReturned,  // units that come back are left to the repair
  // Group commit.
  kOtherQueuesNotSeen,  // a lane looks at its first queue only for whether there is work
  kCount,
};

#ifdef TRANCHE_MUTATIONS
// Which fence is off; kNone at first. Not thread-safe: set it before the code under test runs.
inline Mutation present_mutation = Mutation::kNone;
inline bool Mutated(Mutation mutation) { return mutation == present_mutation; }
#else
constexpr bool Mutated(Mutation) { return false; }
#endif

}  // namespace tranche::storage
