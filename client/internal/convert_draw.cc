// The part of convert.h that is about draws.
#include <utility>

#include "client/internal/convert.h"
#include "client/internal/proto_time.h"

namespace tranche {

const char* DrawStateName(DrawState state) {
  switch (state) {
    case DrawState::kOpen:
      return "OPEN";
    case DrawState::kClosing:
      return "CLOSING";
    case DrawState::kClosed:
      return "CLOSED";
    case DrawState::kSeeded:
      return "SEEDED";
    case DrawState::kDrawn:
      return "DRAWN";
    case DrawState::kFinished:
      return "FINISHED";
    case DrawState::kCancelled:
      return "CANCELLED";
    case DrawState::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

const char* DrawOutcomeName(DrawOutcome outcome) {
  switch (outcome) {
    case DrawOutcome::kWaiting:
      return "WAITING";
    case DrawOutcome::kPending:
      return "PENDING";
    case DrawOutcome::kConfirmed:
      return "CONFIRMED";
    case DrawOutcome::kLapsed:
      return "LAPSED";
    case DrawOutcome::kPassedOver:
      return "PASSED_OVER";
    case DrawOutcome::kNotDrawn:
      return "NOT_DRAWN";
    case DrawOutcome::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

namespace internal {
namespace {

Draw ToDraw(const tranche::v1::Draw& message) {
  Draw draw;
  draw.sku_id = message.sku_id();
  draw.number = message.number();
  draw.state = static_cast<DrawState>(message.state());
  draw.winners = message.winners();
  draw.quantity = message.quantity();
  draw.seed_commitment = message.seed_commitment();
  draw.public_source = message.public_source();
  draw.entries = message.entries();
  draw.merkle_root = message.merkle_root();
  draw.seed = message.seed();
  draw.cutoff = message.cutoff();
  draw.pending = message.pending();
  draw.confirmed = message.confirmed();
  draw.lapsed = message.lapsed();
  draw.create_time = ToTime(message.create_time());
  if (message.has_close_time()) draw.close_time = ToTime(message.close_time());
  if (message.has_seed_time()) draw.seed_time = ToTime(message.seed_time());
  if (message.has_finish_time()) draw.finish_time = ToTime(message.finish_time());
  return draw;
}

}  // namespace

tranche::v1::EnterDrawRequest ToProto(EnterDraw request) {
  tranche::v1::EnterDrawRequest message;
  message.set_sku_id(std::move(request.sku));
  message.set_user_id(std::move(request.user));
  message.set_purchase_token(std::move(request.purchase_token));
  message.set_buyer_address(std::move(request.buyer_address));
  return message;
}

tranche::v1::GetDrawEntryRequest ToProto(GetDrawEntry query) {
  tranche::v1::GetDrawEntryRequest message;
  message.set_sku_id(std::move(query.sku));
  message.set_user_id(std::move(query.user));
  message.set_draw_number(query.draw_number);
  return message;
}

EnteredDraw FromProto(const tranche::v1::EnterDrawResponse& message) {
  return {.draw_number = message.draw_number(), .entry_id = message.entry_id(), .replayed = message.replayed()};
}

DrawEntry FromProto(const tranche::v1::GetDrawEntryResponse& message) {
  DrawEntry entry;
  entry.entry_id = message.entry_id();
  entry.outcome = static_cast<DrawOutcome>(message.outcome());
  entry.reservation_id = message.reservation_id();
  entry.rank = message.rank();
  entry.leaf_index = message.leaf_index();
  entry.audit_path.assign(message.audit_path().begin(), message.audit_path().end());
  entry.draw = ToDraw(message.draw());
  return entry;
}

}  // namespace internal
}  // namespace tranche
