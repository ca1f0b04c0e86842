#include "quota/sale/grant.h"

#include "glog/logging.h"
#include "storage/ledger/ledger_error.h"
#include "storage/mutation.h"

namespace tranche::quota {

using storage::CommitOutcome;
using storage::CommitResult;

bool TryGrant(const std::shared_ptr<Slice>& slice, int64_t units, Grant* grant) {
  const int64_t version = slice->counter().version();  // before the units are taken: see Settle
  if (!slice->counter().TryTake(units)) return false;
  slice->CountInFlight(units);
  *grant = Grant{slice, units, version};
  return true;
}

bool IsShort(const absl::StatusOr<CommitResult>& result) {
  return result.ok() && result->outcome == CommitOutcome::kShort;
}

void Settle(const Grant& grant, const SliceTable& table, const absl::StatusOr<CommitResult>& result) {
  Slice& slice = *grant.slice;
  slice.CountInFlight(-grant.units);
  if (result.ok() && result->outcome == CommitOutcome::kCreated) return slice.CountGranted(grant.units);
  // The node granted by the very announcement that the ledger went by, so no move explains why units are missing: the
  // counter was too high (by a lost answer that was committed after all) by at least one unit, which never existed.
  // Only one unit is known to be missing, and a counter that is too low would strand units for good; if more are
  // missing, the next refusal will tell. The version at the time of the grant decides: a later announcement is already
  // in the counter.
  const bool one_never_was_there = IsShort(result) && result->slice_version == grant.version;
  // Also after an unknown commit, and after a replay that may be our own lost try: if the units were spent, the count
  // is too high now, and the case above corrects it. A count that is too low would strand units.
  if (!storage::Mutated(storage::Mutation::kNoGiveBack)) {
    slice.counter().GiveBack(grant.units - (one_never_was_there ? 1 : 0));
  }
  if (storage::Mutated(storage::Mutation::kGiveBackTwice)) slice.counter().GiveBack(grant.units);
  // The ledger has not reached the version by which they were granted, so it was not the ledger that announced it.
  // Nobody else may see that announcement any more: only a report tells the balancer which version we go by.
  const bool goes_by_a_false_one = IsShort(result) && result->slice_version < grant.version;
  if (goes_by_a_false_one && slice.MarkWanted(grant.units)) table.NoteExhausted();
  if (result.ok() && result->outcome == CommitOutcome::kNotHeld) table.NoteIncarnationEnded(slice.incarnation());
}

std::optional<Refused> RefuseByTerms(const SkuTerms& terms, int64_t quantity, absl::Time now) {
  if (terms.closed || now >= terms.closes_at) return Refused{.refusal = Refusal::kSaleClosed};
  if (terms.paused) return Refused{.refusal = Refusal::kSalePaused, .pause_reason = terms.pause_reason};
  if (now < terms.opens_at) return Refused{.refusal = Refusal::kSaleNotOpen, .opens_at = terms.opens_at};
  if (quantity > terms.per_user_limit) {
    return Refused{.refusal = Refusal::kQuantityAboveUserLimit, .per_user_limit = terms.per_user_limit};
  }
  return std::nullopt;
}

Refused OutOfUnits(const SkuTerms& terms, int64_t quantity) {
  const bool sold_out = terms.sold_out() || storage::Mutated(storage::Mutation::kSoldOutFromOwnSlice);
  if (sold_out) return Refused{.refusal = Refusal::kSoldOut, .holds_may_lapse = terms.holds_may_lapse};
  const bool short_of_it =
      quantity > terms.at_most || (quantity > 1 && storage::Mutated(storage::Mutation::kInsufficientFromOwnSlice));
  if (!short_of_it) return Refused{.refusal = Refusal::kExhaustedHere};
  return Refused{
      .refusal = Refusal::kInsufficientUnits, .holds_may_lapse = terms.holds_may_lapse, .available = terms.at_most};
}

bool IsFinal(const Refused& refused) { return refused.refusal != Refusal::kExhaustedHere; }

Refusal RefusalOf(const absl::Status& status) {
  const bool forgets_doubt = storage::Mutated(storage::Mutation::kUnknownIsFailure);
  if (storage::IsUnknownCommit(status) && !forgets_doubt) return Refusal::kCommitUnknown;
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return Refusal::kOverloaded;
    case absl::StatusCode::kDeadlineExceeded:
      return Refusal::kDeadlinePassed;
    case absl::StatusCode::kUnavailable:
      return Refusal::kLedgerUnavailable;
    case absl::StatusCode::kCancelled:
      return Refusal::kDraining;
    default:
      LOG_EVERY_T(ERROR, 1) << "the ledger refused a batch: " << status;
      return Refusal::kInternal;
  }
}

Refusal RefusalOf(const absl::Status& status, bool may_exist) {
  const Refusal refusal = RefusalOf(status);
  return may_exist && refusal == Refusal::kDeadlinePassed ? Refusal::kCommitUnknown : refusal;
}

Refusal RefusalOf(const CommitResult& result) {
  switch (result.outcome) {
    case CommitOutcome::kRefused:
      return result.refusal;
    case CommitOutcome::kNotHeld:
    case CommitOutcome::kShort:
      return Refusal::kExhaustedHere;
    case CommitOutcome::kCreated:
    case CommitOutcome::kReplayed:
    case CommitOutcome::kBusy:
    case CommitOutcome::kDepends:
      break;
  }
  LOG(FATAL) << "outcome " << static_cast<int>(result.outcome) << " is no refusal";
}

Refused RefusedByLedger(const CommitResult& result, const SkuTerms* terms, int64_t quantity, absl::Time now) {
  Refused refused{.refusal = RefusalOf(result), .pause_reason = result.pause_reason, .about = result.about};
  if (terms == nullptr) return refused;
  const bool too_many = refused.refusal == Refusal::kQuantityAboveUserLimit;
  if (terms->opens_at > now) refused.opens_at = terms->opens_at;
  if (!too_many || quantity > terms->per_user_limit) refused.per_user_limit = terms->per_user_limit;
  return refused;
}

}  // namespace tranche::quota
