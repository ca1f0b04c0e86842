#include "server/handlers/enter_sale_handler.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/admission/challenge.h"
#include "server/admission/waiting_ticket.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

absl::Status CheckVisit(const v1::EnterSaleRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckBuyer(request.user_id()));
  RETURN_IF_ERROR(CheckBuyerAddress(request.buyer_address()));
  if (request.challenge_solution().size() > kMaxSolutionBytes) {
    return InvalidField("challenge_solution", absl::StrCat("must be at most ", kMaxSolutionBytes, " bytes"));
  }
  if (request.waiting_ticket().size() <= kMaxWaitingTicketBytes) return absl::OkStatus();
  return InvalidField("waiting_ticket", absl::StrCat("must be at most ", kMaxWaitingTicketBytes, " bytes"));
}

// Who would wait for longer is told nothing: such a number says only that hardly anybody is let in.
constexpr absl::Duration kLongestWaitTold = absl::Hours(24);

v1::WaitingPlace ToWaitingPlace(const RoomPlace& place, const DoorRoom& room) {
  v1::WaitingPlace message;
  message.set_ticket(place.ticket);
  if (place.ahead.has_value()) message.set_ahead(*place.ahead);
  if (place.expected_wait.has_value() && *place.expected_wait <= kLongestWaitTold) {
    *message.mutable_expected_wait() = ToDuration(*place.expected_wait);
  }
  if (place.computed_at != absl::InfinitePast()) *message.mutable_as_of() = ToTimestamp(place.computed_at);
  message.set_round(room.round);
  message.set_commitment(room.commitment);
  message.set_rank(place.rank);
  message.set_threshold(place.threshold);
  message.set_shuffled(place.shuffled);
  return message;
}

// Buyers may be let in later: the sale opens or goes on, or units that are held come back.
bool MayGoOn(const quota::Refused& refused) {
  switch (refused.refusal) {
    case storage::Refusal::kSaleNotOpen:
    case storage::Refusal::kSalePaused:
      return true;
    case storage::Refusal::kSoldOut:
      return refused.holds_may_lapse;
    default:
      return false;
  }
}

bool HasOpened(const quota::Refused& held_by, absl::Time now) {
  return held_by.refusal != storage::Refusal::kSaleNotOpen && held_by.opens_at <= now;
}

// Of one that has not.
absl::Duration UntilOpening(const quota::Refused& held_by, absl::Time now) {
  if (held_by.opens_at == absl::InfinitePast()) return absl::InfiniteDuration();
  return std::max(held_by.opens_at - now, absl::ZeroDuration());
}

void TellWhyHeld(const quota::Refused& held_by, v1::WaitingPlace* place) {
  place->set_sale_refusal(ReasonName(static_cast<v1::ErrorReason>(held_by.refusal)));
  place->set_sale_refusal_text(held_by.pause_reason);
}

v1::EnterSaleResponse ToEnterSaleResponse(const DoorEntry& entry) {
  v1::EnterSaleResponse response;
  response.set_admitted(entry.admitted);
  if (!entry.purchase_token.empty()) {
    response.set_purchase_token(entry.purchase_token);
    *response.mutable_token_expire_time() = ToTimestamp(entry.token_expires_at);
  }
  if (!entry.challenge.empty()) {
    response.mutable_challenge()->set_altcha(entry.challenge);
    *response.mutable_challenge()->mutable_expire_time() = ToTimestamp(entry.challenge_expires_at);
  }
  response.set_challenge_problem(entry.challenge_problem);
  if (entry.retry_after > absl::ZeroDuration()) *response.mutable_retry_after() = ToDuration(entry.retry_after);
  if (entry.lottery.has_value()) {
    v1::LotteryTicket* const ticket = response.mutable_lottery();
    ticket->set_round(entry.lottery->round);
    ticket->set_commitment(entry.lottery->commitment);
    ticket->set_rank(entry.rank);
    ticket->set_threshold(entry.lottery->threshold);
  }
  if (entry.place.has_value()) *response.mutable_place() = ToWaitingPlace(*entry.place, *entry.room);
  if (entry.place.has_value() && entry.held_by.has_value()) TellWhyHeld(*entry.held_by, response.mutable_place());
  return response;
}

}  // namespace

void EnterSaleHandler::Enter(const v1::EnterSaleRequest& request, absl::Time deadline, const std::string& buyer_address,
                             Done done) {
  absl::Status valid = CheckVisit(request);
  if (valid.ok()) valid = MayServe(request.sku_id());
  if (!valid.ok()) return done(std::move(valid));
  Visit visit{.sku_id = request.sku_id(),
              .user_id = request.user_id(),
              .address = buyer_address,
              .challenge_solution = request.challenge_solution(),
              .waiting_ticket = request.waiting_ticket(),
              .deadline = deadline,
              .done = std::move(done)};
  check_(request.sku_id(), [this, visit = std::move(visit)](std::optional<quota::Refused> refused) mutable {
    const Way way = refused.has_value() ? WayOf(*refused, visit.sku_id) : Way::kAskDoor;
    if (way == Way::kRefuse) return visit.done(RefusalError(*refused, visit.sku_id));
    if (way == Way::kWaitInRoom) visit.held_by = std::move(refused);
    AskDoor(std::move(visit));
  });
}

absl::Status EnterSaleHandler::MayServe(const std::string& sku_id) const {
  if (!serving_.load(std::memory_order_acquire)) {
    return RefusalError({.refusal = storage::Refusal::kExhaustedHere}, sku_id);
  }
  if (!accepting_.load(std::memory_order_relaxed)) return RefusalError({.refusal = storage::Refusal::kDraining});
  return absl::OkStatus();
}

EnterSaleHandler::Way EnterSaleHandler::WayOf(const quota::Refused& refused, const std::string& sku_id) const {
  const std::shared_ptr<const DoorState> state = door_->state();
  const DoorPolicy* const policy = state->PolicyOf(sku_id);
  if (policy == nullptr) return Way::kRefuse;
  if (policy->draw && refused.refusal == storage::Refusal::kSoldOut) return Way::kAskDoor;
  return policy->room.has_value() && MayGoOn(refused) ? Way::kWaitInRoom : Way::kRefuse;
}

void EnterSaleHandler::AskDoor(Visit visit) {
  const bool held = visit.held_by.has_value();
  if (!held && !door_->closed_to_some()) {
    v1::EnterSaleResponse open;
    open.set_admitted(true);
    return visit.done(std::move(open));
  }
  const absl::Time now = clock_->Now();
  const bool opened = !held || HasOpened(*visit.held_by, now);
  DoorEntry entry = door_->Enter({.sku_id = visit.sku_id,
                                  .user_id = visit.user_id,
                                  .address = visit.address,
                                  .challenge_solution = visit.challenge_solution,
                                  .waiting_ticket = visit.waiting_ticket,
                                  .opened = opened,
                                  .may_enter = !held,
                                  .opens_in = opened ? absl::ZeroDuration() : UntilOpening(*visit.held_by, now)},
                                 now, visit.deadline);
  if (entry.refused.has_value()) return visit.done(RefusalError(*entry.refused, visit.sku_id));
  // The room was taken out of the policy meanwhile: nobody enters a sale that is held.
  if (held && !entry.place.has_value()) return visit.done(RefusalError(*visit.held_by, visit.sku_id));
  // As a claim would be told: the sale's word comes before the service mode's.
  if (held) entry.held_by = std::move(visit.held_by);
  if (entry.wait <= absl::ZeroDuration()) return visit.done(ToEnterSaleResponse(entry));
  AnswerAfterWait(entry, std::move(visit));
}

void EnterSaleHandler::AnswerAfterWait(const DoorEntry& entry, Visit visit) {
  // Shared, so that it can still be called when the door has ended.
  auto done = std::make_shared<Done>(std::move(visit.done));
  const bool parked =
      door_->Park(entry.wait, [this, done, sku_id = visit.sku_id, response = ToEnterSaleResponse(entry)]() mutable {
        // A node that ends calls those who wait before their time has come.
        if (absl::Status may = MayServe(sku_id); !may.ok()) return (*done)(std::move(may));
        (*done)(std::move(response));
      });
  if (!parked) (*done)(RefusalError({.refusal = storage::Refusal::kDraining}));
}

}  // namespace tranche::server
