// What the front door would say to a buyer, check by check, and why: for operators.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "server/admission/door_state.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// Of ExplainAdmission.
struct DoorOpinion {
  DoorCheck check = DoorCheck::kAccessList;
  // kSkip: not asked for.
  enum class Verdict { kPass, kWait, kRefuse, kSkip } verdict = Verdict::kSkip;
  std::optional<quota::Refused> refused = {};  // kRefuse
  std::string detail = {};                     // for operators
};

// Who asks, and with what.
struct DoorQuestion {
  absl::string_view sku_id = {};
  absl::string_view user_id = {};
  absl::string_view address = {};         // "": not known
  absl::string_view purchase_token = {};  // "": none
  const v1::BuyerHints* hints = nullptr;  // null: none
  bool without_scripts = false;
};

// All checks, in their order; those after a refusal as they would be without it. Counts no try, and nobody as somebody
// who waits. A waiting room: what a first EnterSale would find now, in a sale that is open.
std::vector<DoorOpinion> ExplainDoor(const DoorView& view, const DoorQuestion& question, absl::Time now);

}  // namespace tranche::server
