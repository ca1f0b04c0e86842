#include "server/handlers/audited_change_handler.h"

#include <algorithm>
#include <map>

#include "absl/strings/strip.h"
#include "server/admission/buyer_address.h"
#include "server/errors.h"
#include "server/handlers/awaited.h"
#include "server/handlers/change_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// As `tranchectl` waits for an answer.
constexpr absl::Duration kLongestChange = absl::Seconds(10);

std::string NameOfState(v1::ReservationState state) {
  return std::string(absl::StripPrefix(v1::ReservationState_Name(state), "RESERVATION_STATE_"));
}

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone()); }

// Retention may take the reservation, so the entry tells whose it was, and of what.
Members Before(const std::string& id, const storage::Reservation& found) {
  Members before;
  before.Add("reservation_id", id);
  if (found.reservation_id.is_nil()) return before;
  before.Add("user_id", found.user_id)
      .Add("units", int64_t{found.quantity})
      .Add("amount_minor", found.amount_minor)
      .Add("currency", found.currency)
      .Add("state", StateName(found.state))
      .Add("expires_at", TimeText(found.expires_at));
  return before;
}

Members Asked(const v1::ConfirmReservationRequest& request) {
  Members asked;
  asked.Add("payment_reference", request.payment_reference())
      .Add("amount_minor", request.amount_minor())
      .Add("currency", request.currency());
  return asked;
}

Members Asked(const v1::CancelReservationRequest& request) {
  Members asked;
  if (!request.reason().empty()) asked.Add("cancel_reason", request.reason());
  return asked;
}

Members Asked(const v1::ExtendReservationRequest& request) {
  Members asked;
  asked.Add("extend_by_s", request.extend_by().seconds()).Add("extension", int64_t{request.extension()});
  return asked;
}

// What all changes have in common.
template <typename Response>
Members ResultOf(const Response& response) {
  Members result;
  if (response.replayed()) result.Add("replayed", true);
  if (!response.has_reservation()) return result;
  result.Add("state", NameOfState(response.reservation().state()));
  const auto expires_at = FromTimestamp(response.reservation().expire_time());
  if (expires_at.has_value()) result.Add("expires_at", TimeText(*expires_at));
  return result;
}

void AddOutcome(const v1::ConfirmReservationResponse& response, Members& result) {
  const std::string name = v1::ConfirmOutcome_Name(response.outcome());
  result.Add("outcome", std::string(absl::StripPrefix(name, "CONFIRM_OUTCOME_")));
  if (response.has_rebooked()) result.Add("rebooked_as", response.rebooked().reservation_id());
}

template <typename Response>
void AddOutcome(const Response&, Members&) {}

// The caller is told of an error, but the ledger has recorded their payment and asks for its refund.
bool WasRecorded(const absl::Status& error) { return MetadataOfError(error, "refund_requested") == "true"; }

Members RecordedResult(const absl::Status& error) {
  Members result;
  result.Add("outcome", std::string("PAID_UNFULFILLED"))
      .Add("error", ReasonName(error))
      .Add("state", MetadataOfError(error, "state"));
  return result;
}

}  // namespace

absl::StatusOr<v1::ChangeReservationResponse> AuditedChangeHandler::Change(const v1::ChangeReservationRequest& request,
                                                                           const storage::Actor& actor,
                                                                           absl::Time deadline) {
  const absl::Time end = std::min(deadline, clock_->Now() + kLongestChange);
  v1::ChangeReservationResponse response;
  switch (request.change_case()) {
    case v1::ChangeReservationRequest::kConfirm: {
      ASSIGN_OR_RETURN(*response.mutable_confirm(),
                       ChangeOne(request.confirm(), "confirm_reservation", actor, end, &ChangeHandler::Confirm));
      return response;
    }
    case v1::ChangeReservationRequest::kCancel: {
      ASSIGN_OR_RETURN(*response.mutable_cancel(),
                       ChangeOne(request.cancel(), "cancel_reservation", actor, end, &ChangeHandler::Cancel));
      return response;
    }
    case v1::ChangeReservationRequest::kExtend: {
      ASSIGN_OR_RETURN(*response.mutable_extend(),
                       ChangeOne(request.extend(), "extend_reservation", actor, end, &ChangeHandler::Extend));
      return response;
    }
    case v1::ChangeReservationRequest::kCreate: {
      ASSIGN_OR_RETURN(*response.mutable_create(), Create(request.create(), actor, end));
      return response;
    }
    default:
      return InvalidField("change", "is missing");
  }
}

template <typename Response, typename Request>
absl::StatusOr<Response> AuditedChangeHandler::ChangeOne(const Request& request, const char* action,
                                                         const storage::Actor& actor, absl::Time deadline,
                                                         void (ChangeHandler::*method)(const Request&, absl::Time,
                                                                                       ChangeHandler::Done<Response>)) {
  RETURN_IF_ERROR(ToChange(request).status());
  ASSIGN_OR_RETURN(const storage::Reservation found, Find(request.reservation_id(), deadline));
  AuditedAction::What what{.actor = actor,
                           .action = action,
                           // One that retention has archived is not found.
                           .sku_id = found.reservation_id.is_nil() ? request.sku_id() : found.sku_id,
                           .before = Before(request.reservation_id(), found),
                           .asked = Asked(request)};
  what.asked.Add("reservation_id", request.reservation_id());
  ASSIGN_OR_RETURN(AuditedAction audited, AuditedAction::Begin(log_of_(what.sku_id), what));

  // Such a call is answered by its deadline, and when the node ends.
  Awaited<absl::StatusOr<Response>> answer;
  (changes_->*method)(request, deadline, answer.Callback());
  absl::StatusOr<Response> response = answer.Wait();
  if (!response.ok()) {
    if (WasRecorded(response.status())) {
      audited.EndDone(RecordedResult(response.status()));
    } else {
      audited.EndFailed(response.status());
    }
    return response.status();
  }
  Members result = ResultOf(*response);
  AddOutcome(*response, result);
  audited.EndDone(std::move(result));
  return response;
}

absl::StatusOr<storage::Reservation> AuditedChangeHandler::Find(const std::string& reservation_id,
                                                                absl::Time deadline) {
  v1::GetReservationRequest request;
  request.set_reservation_id(reservation_id);
  Awaited<absl::StatusOr<storage::Reservation>> answer;
  reservations_->Get(request, deadline, answer.Callback());
  absl::StatusOr<storage::Reservation> found = answer.Wait();
  if (absl::IsNotFound(found.status())) return storage::Reservation();
  return found;
}

absl::StatusOr<std::vector<AuditedAction>> AuditedChangeHandler::BeginCart(const v1::CreateReservationsRequest& request,
                                                                           const storage::Actor& actor) {
  struct Part {
    int64_t units = 0;
    std::vector<std::string> ids;
  };
  std::map<std::string, Part> parts;
  for (const v1::CartLine& line : request.lines()) {
    parts[line.sku_id()].units += line.quantity();
    parts[line.sku_id()].ids.push_back(line.reservation_id());
  }
  std::vector<AuditedAction> begun;
  for (const auto& [sku_id, part] : parts) {
    AuditedAction::What what{
        .actor = actor, .action = "create_reservation", .sku_id = sku_id, .before = {}, .asked = {}};
    what.asked.Add("user_id", request.user_id()).Add("units", part.units).Add("reservation_ids", part.ids);
    absl::StatusOr<AuditedAction> audited = AuditedAction::Begin(log_of_(sku_id), what);
    if (!audited.ok()) {
      for (AuditedAction& other : begun) other.EndRefused(audited.status());
      return audited.status();
    }
    begun.push_back(*audited);
  }
  return begun;
}

absl::StatusOr<v1::CreateReservationsResponse> AuditedChangeHandler::Create(
    const v1::CreateReservationsRequest& request, const storage::Actor& actor, absl::Time deadline) {
  RETURN_IF_ERROR(CheckCart(request).status());
  ASSIGN_OR_RETURN(std::vector<AuditedAction> begun, BeginCart(request, actor));
  Awaited<absl::StatusOr<v1::CreateReservationsResponse>> answer;
  // Operators are believed about it at every node: they could take the limit away.
  carts_->Create(request, deadline, answer.Callback(), PlainAddress(request.buyer_address()));
  const absl::StatusOr<v1::CreateReservationsResponse> response = answer.Wait();
  for (AuditedAction& audited : begun) {
    if (!response.ok()) {
      audited.EndFailed(response.status());
      continue;
    }
    Members result;
    if (response->replayed()) result.Add("replayed", true);
    audited.EndDone(std::move(result));
  }
  return response;
}

}  // namespace tranche::server
