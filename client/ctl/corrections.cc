#include "client/ctl/corrections.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

// AdminService accepts no more at once.
constexpr size_t kBatch = 100;

}  // namespace

void Corrections::Propose(const reconcile::Difference& difference) {
  if (difference.correction == reconcile::Correction::kNeedsPerson) return;
  ++by_advice_[absl::StrCat(reconcile::NameOf(difference.kind), ": ", difference.advice)];
  if (++proposed_ > most_) return;
  v1::Correction& correction = corrections_.emplace_back();
  correction.set_reservation_id(reconcile::FormatReservationId(difference.reservation_id));
  if (difference.correction == reconcile::Correction::kMarkRefunded) {
    // The ledger's name for it: the statement's refund may have another name.
    correction.mutable_mark_refunded()->set_payment_reference(difference.ledger_reference);
    return;
  }
  correction.mutable_apply_payment()->set_payment_reference(difference.reference);
  correction.mutable_apply_payment()->set_amount_minor(difference.amount_minor);
  correction.mutable_apply_payment()->set_currency(std::string(difference.currency.text()));
}

void Corrections::PrintProposals(Session& session) const {
  if (by_advice_.empty()) {
    session.err() << "No correction is safe; see the report's advice.\n";
    return;
  }
  for (const auto& [advice, count] : by_advice_) session.err() << count << " x " << advice << "\n";
}

absl::Status Corrections::Apply(Session& session) {
  for (size_t begin = 0; begin < corrections_.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, corrections_.size());
    v1::ApplyCorrectionsRequest request;
    for (size_t i = begin; i < end; ++i) *request.add_corrections() = corrections_[i];
    ASSIGN_OR_RETURN(const auto response, session.Admin(&v1::AdminService::Stub::ApplyCorrections, request,
                                                        /*default_timeout=*/absl::Minutes(1)));
    if (static_cast<size_t>(response.results_size()) != end - begin) {
      return absl::InternalError("the node answered with fewer results than corrections");
    }
    for (size_t i = begin; i < end; ++i) Count(session, corrections_[i], response.results(static_cast<int>(i - begin)));
  }
  return absl::OkStatus();
}

void Corrections::Count(Session& session, const v1::Correction& correction,
                        const v1::ApplyCorrectionsResponse::Result& result) {
  const std::string name(absl::StripPrefix(v1::CorrectionOutcome_Name(result.outcome()), "CORRECTION_OUTCOME_"));
  ++outcomes_[name];
  if (result.outcome() < v1::CORRECTION_OUTCOME_NOT_FOUND) return;
  ++undone_;
  session.err() << "not corrected: " << correction.reservation_id() << ": " << name << "\n";
}

}  // namespace tranche::ctl
