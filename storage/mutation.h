// The fences that the mutation test removes one at a time, to check that the simulation notices.
//
// A fence checks `Mutated(Mutation::kX)` in the one line that removing it would delete. In every ordinary build that is
// a constant false and costs nothing; only the libraries made for the mutation test (TRANCHE_MUTATIONS) can switch one
// off.
#pragma once

namespace tranche::storage {

enum class Mutation {
  kNone,
  // The ledger, as the fake implements it.
  kNoHolderCheck,         // a commit takes units that belong to another incarnation
  kReclaimLeavesLive,     // a reclaimed incarnation can be given units
  kNoReplay,              // the same reservation id is inserted again
  kSellsWhilePaused,      // a commit does not check whether the sale is paused
  kNoUserLimit,           // units that a buyer already has do not count
  kMoveLosesUnits,        // a deposit takes one unit more from the pool than it hands out
  kNoExpectedVersion,     // a move does not check whether the quota has changed meanwhile
  kMarkCountsRegardless,  // looks at a ledger whose history broke off make it seem to go on
  // The life of reservations, as the fake implements it.
  kConfirmsWhatEnded,        // a confirmation does not check the state
  kSecondPaymentReplayed,    // another payment for a confirmed reservation is treated as the first one again
  kExpiresWhatEnded,         // an expiry does not check again whether the hold still waits
  kExpiresExtended,          // an expiry uses the time before the extension
  kCancelReturnsTwice,       // its units come back twice
  kReturnedNotMarked,        // units that come back into a pool with few units change no version and are not listed
  kReturnMarkedOnlyIfEmpty,  // the same, unless the pool is empty
  kMessageForgotten,         // a cancellation sends no message
  kLateBookedTwice,          // a late payment is not remembered
  kLateTakesNoUnits,         // a late payment books units without taking them from anywhere
  kLateForgetsLimit,         // a late payment does not check what the buyer already has
  // Groups, as the fake implements them.
  kSeatBeyondTheLast,   // a payment for a full group takes one seat more
  kSeatAfterDeadline,   // a payment takes a seat although the deadline has passed
  kFailureNotRefunded,  // a group that fails asks for no refunds
  kFilledLeavesOneOut,  // a group that is filled does not confirm one of those who have paid
  kExpiresSeated,       // the hold of a member who has paid lapses
  // The counter and the seller.
  kUnknownIsFailure,  // a lost answer is reported as "nothing happened"
  kAcknowledgeBeforeCommit,
  kUnorderedAnnouncements,  // an older announcement is applied over a newer one
  kInFlightNotCounted,      // an announced number is treated as free, although some of it is in flight
  kNoGiveBack,              // units of refused claims are lost to the counter
  kGiveBackTwice,
  kMayExistIgnored,           // a refusal from memory although an earlier try may have been committed
  kSoldOutFromOwnSlice,       // a dry node says that the SKU is sold out
  kInsufficientFromOwnSlice,  // a node with too few units says that no other has more
  kLooksNeverRepeated,        // what the ledger once said about a SKU is believed for ever
  kWaitersNeverWoken,         // units come, and waiting requests do not learn of it
  kWaitersForgotten,          // a request that waits in vain is never answered
  kCartKeepsItsUnits,         // a cart that must wait keeps the units that it could take
  kPoolNeverAsked,            // a node that runs dry waits for the balancer
  kCartStaysInItsLine,        // a cart that misses another SKU than before still waits for the one that has come
  // The announcements.
  kAnnouncerOverwritesNewer,
  kNothingOverruled,     // an announcement that is ahead of the ledger stays
  kSoldOutNeverLifted,   // terms that say "sold out" stay
  kHistoryAlwaysGoesOn,  // nobody notices that the ledger is an older state of itself
  // The node's agent.
  kNoReread,              // neither after a reconnect nor from time to time
  kKeepsDeadIncarnation,  // goes on as an incarnation that has ended
  kDemandNotReported,
  // Allocation and balancer.
  kSharesLoseOddUnits,
  kSharesInventUnits,
  kBalancerDoesNotReclaim,
  kBalancerNeverRepairs,
  kBalancerIgnoresDemand,
  kBalancerIgnoresReturned,  // units that come back are left to the repair
  // Group commit.
  kOtherQueuesNotSeen,  // a lane only checks its first queue for work
  kSlowDoubtForgotten,  // a request that must wait for a lock forgets that an earlier try may have been committed
  // The front door (server/admission).
  kTokenForAnyUser,           // a purchase token is not bound to its buyer
  kTokenForAnySku,            // nor to its SKU
  kTokenNeverExpires,         // a token's expiry is ignored
  kPreviousKeyDropped,        // what was made before a rotation of the key is refused
  kBusySlotReused,            // a slot of the rate table is used again while its time is in the future
  kLimitNotShared,            // each node gives every key the full limit
  kEntryIgnoresDenials,       // EnterSale lets in who is on the deny list
  kLotteryNotAsked,           // a claim without a token is let in whatever its rank is
  kChallengeForAnybody,       // a solved challenge is not bound to its buyer and SKU
  kTicketOfAnyRound,          // a waiting ticket counts in other rounds, too
  kThresholdFalls,            // a node takes over a threshold that is below the one that it knows
  kThresholdIncludesItsRank,  // who has the threshold as their rank is let in, before their turn
  kRefusedTierEnters,         // EnterSale lets in whose tier is refused
  kTierAsksForNoMore,         // the challenge is as easy for every tier
  kDelayNotAwaited,           // a delay ticket counts before its time
  kDelayForAnybody,           // nor is it bound to its buyer and SKU
  kCaptchaNotAsked,           // whatever is shown counts as a solved captcha
  // Claims that are queued.
  kRefusesWhatExists,   // a claim that was decided is refused for good
  kRefusedIsSoldAgain,  // one that was refused for good is sold
  kDoneBeforeDecision,  // a message leaves its queue before the ledger has the decision
  kBacklogForgotten,    // claims on AUTO are sold at once while others wait in the queue
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
