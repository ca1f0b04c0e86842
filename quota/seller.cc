#include "quota/seller.h"

#include <optional>
#include <utility>

#include "glog/logging.h"
#include "storage/ledger_error.h"

namespace tranche::quota {
namespace {

using storage::CommitOutcome;
using storage::CommitResult;
using storage::ReservationClaim;

// What the terms alone forbid.
std::optional<Refused> RefuseByTerms(const SkuTerms& terms, int32_t quantity, absl::Time now) {
  if (terms.closed || now >= terms.closes_at) return Refused{.refusal = Refusal::kClosed};
  if (now < terms.opens_at) return Refused{.refusal = Refusal::kNotOpen, .opens_at = terms.opens_at};
  if (quantity > terms.per_user_limit) {
    return Refused{.refusal = Refusal::kQuantityAboveUserLimit, .per_user_limit = terms.per_user_limit};
  }
  return std::nullopt;
}

Refused OutOfUnits(const SkuTerms& terms) {
  if (terms.sold_out) return Refused{.refusal = Refusal::kSoldOut, .holds_may_lapse = terms.holds_may_lapse};
  return Refused{.refusal = Refusal::kExhaustedHere};
}

Refusal RefusalOf(const absl::Status& status) {
  if (storage::IsUnknownCommit(status)) return Refusal::kCommitUnknown;
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
      LOG(ERROR) << "the ledger refused a batch: " << status;
      return Refusal::kInternal;
  }
}

Refusal RefusalOf(CommitOutcome outcome) {
  switch (outcome) {
    case CommitOutcome::kConflict:
      return Refusal::kReservationIdReused;
    case CommitOutcome::kUserLimitReached:
      return Refusal::kUserLimitReached;
    case CommitOutcome::kNotHeld:
    case CommitOutcome::kShort:
      return Refusal::kExhaustedHere;
    case CommitOutcome::kSkuNotFound:
      return Refusal::kSkuNotFound;
    case CommitOutcome::kQuantityAboveLimit:
      return Refusal::kQuantityAboveUserLimit;
    case CommitOutcome::kNotOpen:
      return Refusal::kNotOpen;
    case CommitOutcome::kClosed:
      return Refusal::kClosed;
    case CommitOutcome::kCreated:
    case CommitOutcome::kReplayed:
    case CommitOutcome::kBusy:
      break;
  }
  LOG(FATAL) << "outcome " << static_cast<int>(outcome) << " is no refusal";
}

// Units taken from a slice's counter.
struct Grant {
  std::shared_ptr<Slice> slice;
  int64_t units = 0;
  // The announcement by which they were granted, or an older one.
  int64_t version = 0;
};

// Brings the counter in line with what the ledger decided about the units.
void Settle(const Grant& grant, const SliceTable& table, const absl::StatusOr<CommitResult>& result) {
  Slice& slice = *grant.slice;
  if (result.ok() && result->outcome == CommitOutcome::kCreated) return slice.CountGranted();
  // Granted by the very announcement that the ledger went by, so no move explains why they are missing: the counter was
  // too high (a lost answer that was committed after all), and these units never were there. The version at the time of
  // the grant decides: one that has been announced since is already in the counter.
  const bool never_were_there =
      result.ok() && result->outcome == CommitOutcome::kShort && result->slice_version == grant.version;
  if (never_were_there) return;
  // After an unknown commit as well, and after a replay that may be our own lost try: if the units were spent, the
  // count is too high now, and the case above mends it. Too low would strand them.
  slice.counter().GiveBack(grant.units);
  if (result.ok() && result->outcome == CommitOutcome::kNotHeld) table.NoteIncarnationEnded(slice.incarnation());
}

}  // namespace

void Seller::Sell(ReservationClaim claim, absl::Time deadline, bool may_exist, SaleDone done) {
  const auto refuse = [&](Refused refused) {
    if (may_exist) return AnswerFromLedger(std::move(claim), refused, std::move(done));
    done(refused);
  };
  if (!accepting_.load(std::memory_order_relaxed)) return done(Refused{.refusal = Refusal::kDraining});
  std::shared_ptr<Slice> slice = slices_->Find(claim.sku_id);
  const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
  if (terms == nullptr) return SellWithoutSlice(std::move(claim), may_exist, std::move(done));
  if (const auto refused = RefuseByTerms(*terms, claim.quantity, clock_->Now())) return refuse(*refused);
  const int64_t version = slice->counter().version();  // before the units are taken: see Settle
  if (!slice->counter().TryTake(claim.quantity)) {
    slice->CountDenied();
    if (slice->MarkWanted(claim.quantity)) slices_->NoteExhausted();
    return refuse(OutOfUnits(*terms));
  }
  Commit(std::move(slice), version, std::move(claim), deadline, std::move(done));
}

void Seller::SellWithoutSlice(ReservationClaim claim, bool may_exist, SaleDone done) {
  const std::string sku_id = claim.sku_id;
  directory_->Lookup(sku_id, [this, claim = std::move(claim), may_exist,
                              done = std::move(done)](const SkuDirectory::Found& found) mutable {
    Refused refused;
    if (!found.ok()) {
      refused.refusal = RefusalOf(found.status());
      return done(refused);
    }
    if (!found->has_value()) return done(Refused{.refusal = Refusal::kSkuNotFound});
    const SkuTerms& terms = **found;
    refused = RefuseByTerms(terms, claim.quantity, clock_->Now()).value_or(OutOfUnits(terms));
    if (may_exist) return AnswerFromLedger(std::move(claim), refused, std::move(done));
    done(refused);
  });
}

void Seller::AnswerFromLedger(ReservationClaim claim, Refused otherwise, SaleDone done) {
  // Shared, so that it can still be answered when the executor has no room.
  auto answer = std::make_shared<SaleDone>(std::move(done));
  absl::AnyInvocable<void()> look_up = [this, claim = std::move(claim), otherwise, answer] {
    const absl::StatusOr<CommitResult> found = ledger_->FindReservation(claim.reservation_id);
    if (absl::IsNotFound(found.status())) return (*answer)(otherwise);
    if (!found.ok()) return (*answer)(Refused{.refusal = Refusal::kCommitUnknown});
    const storage::Reservation& first = found->reservation;
    if (first.sku_id != claim.sku_id || first.user_id != claim.user_id || first.quantity != claim.quantity) {
      return (*answer)(Refused{.refusal = Refusal::kReservationIdReused});
    }
    (*answer)(Sold{first, /*replayed=*/true});
  };
  if (!executor_->TryRun(look_up)) (*answer)(Refused{.refusal = Refusal::kOverloaded});
}

void Seller::Commit(std::shared_ptr<Slice> slice, int64_t granted_version, ReservationClaim claim, absl::Time deadline,
                    SaleDone done) {
  Grant grant{.slice = std::move(slice), .units = claim.quantity, .version = granted_version};
  const storage::IncarnationId incarnation = grant.slice->incarnation();
  pipeline_->Submit(
      incarnation, std::move(claim), deadline,
      [this, grant = std::move(grant), done = std::move(done)](absl::StatusOr<CommitResult> result) mutable {
        Settle(grant, *slices_, result);
        if (!result.ok()) return done(Refused{.refusal = RefusalOf(result.status())});
        if (result->outcome == CommitOutcome::kCreated || result->outcome == CommitOutcome::kReplayed) {
          return done(Sold{std::move(result->reservation), result->outcome == CommitOutcome::kReplayed});
        }
        Refused refused{.refusal = RefusalOf(result->outcome)};
        if (const auto terms = grant.slice->terms(); terms != nullptr) {
          refused.per_user_limit = terms->per_user_limit;
          refused.opens_at = terms->opens_at;
        }
        done(refused);
      });
}

}  // namespace tranche::quota
