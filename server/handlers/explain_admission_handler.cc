#include "server/handlers/explain_admission_handler.h"

#include "absl/strings/str_cat.h"
#include "server/admission/buyer_address.h"
#include "server/admission/door_refusals.h"
#include "server/admission/risk_rule.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

v1::AdmissionCheck::Verdict ToVerdict(DoorOpinion::Verdict verdict) {
  switch (verdict) {
    case DoorOpinion::Verdict::kPass:
      return v1::AdmissionCheck::VERDICT_PASS;
    case DoorOpinion::Verdict::kWait:
      return v1::AdmissionCheck::VERDICT_WAIT;
    case DoorOpinion::Verdict::kRefuse:
      return v1::AdmissionCheck::VERDICT_REFUSE;
    case DoorOpinion::Verdict::kSkip:
      return v1::AdmissionCheck::VERDICT_SKIP;
  }
  return v1::AdmissionCheck::VERDICT_UNSPECIFIED;
}

v1::AdmissionCheck CheckToMessage(const DoorOpinion& opinion, const std::string& sku_id) {
  v1::AdmissionCheck message;
  message.set_check(std::string(DoorCheckName(opinion.check)));
  message.set_verdict(ToVerdict(opinion.verdict));
  if (opinion.refused.has_value()) message.set_reason(ReasonName(RefusalError(*opinion.refused, sku_id)));
  message.set_detail(opinion.detail);
  return message;
}

v1::AdmissionCheck CheckOfMode(const storage::ServiceMode& mode) {
  v1::AdmissionCheck message;
  message.set_check("service_mode");
  message.set_verdict(v1::AdmissionCheck::VERDICT_REFUSE);
  message.set_reason(ReasonName(RefusalError(ServiceLimited(mode))));
  message.set_detail(absl::StrCat("the service mode is ", storage::ServiceModeName(mode.kind)));
  return message;
}

}  // namespace

absl::StatusOr<v1::ExplainAdmissionResponse> ExplainAdmissionHandler::Explain(
    const v1::ExplainAdmissionRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckBuyer(request.user_id()));
  RETURN_IF_ERROR(CheckBuyerAddress(request.address(), "address"));
  RETURN_IF_ERROR(CheckPurchaseToken(request.purchase_token()));
  if (request.has_hints()) RETURN_IF_ERROR(CheckBuyerHints(request.hints()));
  // As a buyer's address reaches the door.
  const std::string address = PlainAddress(request.address());
  if (source_.catch_up != nullptr) source_.catch_up(kCatchUp);
  v1::ExplainAdmissionResponse response;
  response.set_node(node_());
  // Before the door's state, which may only get newer: it is never said to be fresher than it is.
  const absl::Duration age = source_.age();
  if (age != absl::InfiniteDuration()) *response.mutable_door_age() = ToDuration(age);
  const FrontDoor::Explanation explanation =
      source_.door->Explain({.sku_id = request.sku_id(),
                             .user_id = request.user_id(),
                             .address = address,
                             .purchase_token = request.purchase_token(),
                             .hints = request.has_hints() ? &request.hints() : nullptr,
                             .without_scripts = request.without_scripts()},
                            clock_->Now());
  if (const DoorPolicy* const policy = explanation.state->PolicyOf(request.sku_id()); policy != nullptr) {
    response.set_policy_sku_id(policy->sku_id);
    response.set_policy_version(policy->version);
  }
  if (explanation.state->reserves_nothing()) *response.add_checks() = CheckOfMode(explanation.state->mode);
  for (const DoorOpinion& opinion : explanation.opinions) {
    *response.add_checks() = CheckToMessage(opinion, request.sku_id());
  }
  return response;
}

}  // namespace tranche::server
