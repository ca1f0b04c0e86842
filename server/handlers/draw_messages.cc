#include "server/handlers/draw_messages.h"

#include "absl/strings/strip.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

using storage::AwardOutcome;
using storage::DrawState;

v1::Draw::State ToDrawState(DrawState state) {
  switch (state) {
    case DrawState::kOpen:
      return v1::Draw::STATE_OPEN;
    case DrawState::kClosing:
      return v1::Draw::STATE_CLOSING;
    case DrawState::kClosed:
      return v1::Draw::STATE_CLOSED;
    case DrawState::kSeeded:
      return v1::Draw::STATE_SEEDED;
    case DrawState::kDrawn:
      return v1::Draw::STATE_DRAWN;
    case DrawState::kFinished:
      return v1::Draw::STATE_FINISHED;
    case DrawState::kCancelled:
      return v1::Draw::STATE_CANCELLED;
  }
  return v1::Draw::STATE_UNSPECIFIED;
}

}  // namespace

v1::Draw DrawToMessage(const storage::Draw& draw) {
  v1::Draw message;
  message.set_sku_id(draw.key.sku_id);
  message.set_number(draw.key.number);
  message.set_state(ToDrawState(draw.state));
  message.set_winners(draw.winners);
  message.set_quantity(draw.quantity);
  message.set_seed_commitment(draw.seed_commitment);
  message.set_public_source(draw.public_source);
  message.set_entries(draw.entries);
  message.set_merkle_root(draw.merkle_root);
  message.set_seed(draw.seed);
  message.set_cutoff(draw.cutoff);
  message.set_pending(draw.pending);
  message.set_confirmed(draw.confirmed);
  message.set_lapsed(draw.lapsed);
  *message.mutable_create_time() = ToTimestamp(draw.created_at);
  if (draw.closed_at.has_value()) *message.mutable_close_time() = ToTimestamp(*draw.closed_at);
  if (draw.seeded_at.has_value()) *message.mutable_seed_time() = ToTimestamp(*draw.seeded_at);
  if (draw.finished_at.has_value()) *message.mutable_finish_time() = ToTimestamp(*draw.finished_at);
  return message;
}

std::string DrawStateName(DrawState state) {
  return std::string(absl::StripPrefix(v1::Draw::State_Name(ToDrawState(state)), "STATE_"));
}

v1::GetDrawEntryResponse::Outcome ToOutcome(AwardOutcome outcome) {
  switch (outcome) {
    case AwardOutcome::kPending:
      return v1::GetDrawEntryResponse::OUTCOME_PENDING;
    case AwardOutcome::kConfirmed:
      return v1::GetDrawEntryResponse::OUTCOME_CONFIRMED;
    case AwardOutcome::kLapsed:
      return v1::GetDrawEntryResponse::OUTCOME_LAPSED;
    case AwardOutcome::kPassedOver:
      return v1::GetDrawEntryResponse::OUTCOME_PASSED_OVER;
  }
  return v1::GetDrawEntryResponse::OUTCOME_UNSPECIFIED;
}

v1::DrawAward AwardToMessage(const storage::DrawAward& award) {
  v1::DrawAward message;
  message.set_place(award.place);
  message.set_entry_id(award.entry_id.ToString());
  message.set_outcome(ToOutcome(award.outcome));
  if (award.reservation_id.has_value()) message.set_reservation_id(award.reservation_id->ToString());
  message.set_user_id(award.user_id);
  *message.mutable_award_time() = ToTimestamp(award.awarded_at);
  return message;
}

}  // namespace tranche::server
