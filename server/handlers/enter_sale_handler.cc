#include "server/handlers/enter_sale_handler.h"

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
    if (refused.has_value() && !AsksDoorAllTheSame(refused->refusal, visit.sku_id)) {
      return visit.done(RefusalError(*refused, visit.sku_id));
    }
    if (refused.has_value() && refused->refusal == storage::Refusal::kSaleNotOpen) visit.not_open = std::move(refused);
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

bool EnterSaleHandler::AsksDoorAllTheSame(storage::Refusal refusal, const std::string& sku_id) const {
  const std::shared_ptr<const DoorState> state = door_->state();
  const DoorPolicy* const policy = state->PolicyOf(sku_id);
  if (policy == nullptr) return false;
  if (refusal == storage::Refusal::kSoldOut) return policy->draw;
  return refusal == storage::Refusal::kSaleNotOpen && policy->room.has_value();
}

void EnterSaleHandler::AskDoor(Visit visit) {
  const bool sale_open = !visit.not_open.has_value();
  if (sale_open && !door_->closed_to_some()) {
    v1::EnterSaleResponse open;
    open.set_admitted(true);
    return visit.done(std::move(open));
  }
  const DoorEntry entry = door_->Enter({.sku_id = visit.sku_id,
                                        .user_id = visit.user_id,
                                        .address = visit.address,
                                        .challenge_solution = visit.challenge_solution,
                                        .waiting_ticket = visit.waiting_ticket,
                                        .sale_open = sale_open},
                                       clock_->Now(), visit.deadline);
  if (entry.refused.has_value()) return visit.done(RefusalError(*entry.refused, visit.sku_id));
  // The room was taken out of the policy meanwhile: nobody enters before the sale opens.
  if (!sale_open && !entry.place.has_value()) return visit.done(RefusalError(*visit.not_open, visit.sku_id));
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
