#include "server/handlers/enter_sale_messages.h"

#include <cstddef>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/challenge.h"
#include "server/admission/delay_ticket.h"
#include "server/admission/risk_rule.h"
#include "server/admission/waiting_ticket.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr size_t kMaxCaptchaResponseBytes = 4096;

absl::Status CheckSize(const std::string& text, size_t most, absl::string_view field) {
  if (text.size() <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be at most ", most, " bytes"));
}

// What widgets give. It is sent on, so nothing else may be.
absl::Status CheckCaptchaResponse(const std::string& response) {
  RETURN_IF_ERROR(CheckSize(response, kMaxCaptchaResponseBytes, "captcha_response"));
  const bool printable = absl::c_all_of(response, [](char c) { return c >= 0x21 && c <= 0x7e; });
  if (printable) return absl::OkStatus();
  return InvalidField("captcha_response", "must be printable ASCII without spaces");
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

void TellWhyHeld(const quota::Refused& held_by, v1::WaitingPlace* place) {
  place->set_sale_refusal(ReasonName(static_cast<v1::ErrorReason>(held_by.refusal)));
  place->set_sale_refusal_text(held_by.pause_reason);
}

v1::Delay ToDelay(const DoorEntry& entry) {
  v1::Delay message;
  message.set_ticket(entry.delay_ticket);
  *message.mutable_ready_time() = ToTimestamp(entry.delay.ready_at);
  *message.mutable_expire_time() = ToTimestamp(entry.delay.expires_at);
  return message;
}

}  // namespace

absl::Status CheckEnterSale(const v1::EnterSaleRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckBuyer(request.user_id()));
  RETURN_IF_ERROR(CheckBuyerAddress(request.buyer_address()));
  RETURN_IF_ERROR(CheckSize(request.challenge_solution(), kMaxSolutionBytes, "challenge_solution"));
  RETURN_IF_ERROR(CheckSize(request.waiting_ticket(), kMaxWaitingTicketBytes, "waiting_ticket"));
  RETURN_IF_ERROR(CheckCaptchaResponse(request.captcha_response()));
  RETURN_IF_ERROR(CheckSize(request.delay_ticket(), kMaxDelayTicketBytes, "delay_ticket"));
  return request.has_hints() ? CheckBuyerHints(request.hints()) : absl::OkStatus();
}

v1::EnterSaleResponse ToEnterSaleResponse(const DoorEntry& entry, const CaptchaVerifier* captcha) {
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
  if (entry.captcha && captcha != nullptr) response.mutable_captcha()->set_site_key(captcha->site_key());
  response.set_captcha_problem(entry.captcha_problem);
  if (!entry.delay_ticket.empty()) *response.mutable_delay() = ToDelay(entry);
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

}  // namespace tranche::server
