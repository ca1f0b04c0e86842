#include "storage/pipeline/change_pipeline.h"

#include <utility>

namespace tranche::storage {
namespace {

template <typename Kind>
std::vector<Kind> ChangesOf(absl::Span<const PendingChange> batch) {
  std::vector<Kind> changes;
  changes.reserve(batch.size());
  for (const PendingChange& pending : batch) changes.push_back(std::get<Kind>(pending.change));
  return changes;
}

}  // namespace

const Uuid& ChangeWork::IdOf(const Item& item) { return ReservationOf(item.change); }

// Once in doubt, it stays so until the ledger answers: later tries that do nothing say nothing about that one.
GoAgain ChangeWork::MustGoAgain(const Result& result, Item* item) {
  item->in_doubt = item->in_doubt || result.outcome == ChangeOutcome::kInDoubt;
  const bool again = result.outcome == ChangeOutcome::kBusy || result.outcome == ChangeOutcome::kInDoubt;
  return again ? GoAgain::kOnceFree : GoAgain::kNo;
}

absl::StatusOr<std::vector<ChangeResult>> ChangeWork::Send(absl::Span<const Item> batch, LockMode mode) {
  const auto& first = batch.front().change;
  if (std::holds_alternative<Payment>(first)) return ledger_->ConfirmReservations(mode, ChangesOf<Payment>(batch));
  if (std::holds_alternative<Cancellation>(first)) {
    return ledger_->CancelReservations(mode, ChangesOf<Cancellation>(batch));
  }
  return ledger_->ExtendReservations(mode, ChangesOf<Extension>(batch));
}

bool ChangeWork::LedgerAnswers() {
  const Uuid nobody{};
  return ledger_->ReadReservations(absl::MakeConstSpan(&nobody, 1)).ok();
}

void ChangePipeline::Submit(Change change, absl::Time deadline, ChangeDone done) {
  group_.Submit(PendingChange{std::move(change), deadline, std::move(done)});
}

}  // namespace tranche::storage
