// A buyer's EnterSale as the front door sees it, and its answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "server/admission/delay_ticket.h"
#include "server/admission/front_policy.h"
#include "server/admission/outside_checks.h"
#include "server/admission/room_entry.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// Who asks to enter a sale, and with what.
struct DoorVisit {
  absl::string_view sku_id = {};
  absl::string_view user_id = {};
  absl::string_view address = {};             // "": not known
  absl::string_view challenge_solution = {};  // "": none
  absl::string_view waiting_ticket = {};      // "": none
  // As in RoomVisit. False only where the policy has a room: buyers join it before the opening, and wait in it while
  // nothing is sold.
  bool opened = true;
  bool may_enter = true;
  absl::Duration opens_in = absl::ZeroDuration();
  // For risk rules, captchas and delays; see EnterSaleRequest and RiskFacts.
  const v1::BuyerHints* hints = nullptr;  // null: none
  std::optional<int> scored = {};
  bool can_score = false;    // this node has a scorer
  bool score_asked = false;  // it was asked, whether it has answered or not
  bool without_scripts = false;
  absl::string_view delay_ticket = {};  // "": none
  CaptchaVerdict captcha = CaptchaVerdict::kNone;
  bool captcha_available = false;  // this node has a captcha's provider, and it can be asked
};

inline RoomVisit RoomVisitOf(const DoorVisit& visit) {
  return {.sku_id = visit.sku_id,
          .user_id = visit.user_id,
          .ticket = visit.waiting_ticket,
          .opened = visit.opened,
          .may_enter = visit.may_enter,
          .opens_in = visit.opens_in};
}

// What should be asked outside before Enter.
struct DoorNeeds {
  bool score = false;    // the scorer
  bool captcha = false;  // the captcha's provider, if something to verify came
};

// What EnterSale is answered.
struct DoorEntry {
  std::optional<quota::Refused> refused = {};  // then nothing else is set
  absl::Duration wait = absl::ZeroDuration();  // go on with this answer after that: call Park with it
  bool admitted = true;
  std::string purchase_token = {};  // "": none is asked for, or it is not earned yet
  absl::Time token_expires_at = absl::InfinitePast();
  std::string challenge = {};  // "": none to solve
  absl::Time challenge_expires_at = absl::InfinitePast();
  std::string challenge_problem = {};                 // why the solution that came was not taken
  absl::Duration retry_after = absl::ZeroDuration();  // not admitted: enter again after that
  // Without its key. Its threshold is that of the buyer's tier, a part of the round's: it admits exactly those whom the
  // answer admits, but buyers who compare can find out that there are tiers.
  std::optional<DoorLottery> lottery = {};
  uint64_t rank = 0;                           // in the lottery
  std::optional<DoorRoom> room = {};           // without its key
  std::optional<RoomPlace> place = {};         // in the room; set if `room` is
  std::optional<quota::Refused> held_by = {};  // nobody is let in through the room, because of this service mode
  bool captcha = false;                        // to be solved
  std::string captcha_problem = {};            // why the response that came was not taken
  std::string delay_ticket = {};               // "": no delay to wait for; retry_after is set with it
  DelayTicket delay = {};
  int tier = 0;  // by the risk rules; 0: the policy has none
};

}  // namespace tranche::server
