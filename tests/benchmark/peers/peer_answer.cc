#include "tests/benchmark/peers/peer_answer.h"

#include <optional>
#include <string>

#include "glog/logging.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/errors.h"
#include "storage/ledger/refusal.h"
#include "storage/uuid.h"
#include "tranche/v1/error_reason.pb.h"

namespace tranche::peers {
namespace {

void AnswerSold(const PendingCall& call, bool replayed) {
  v1::Reservation* const reservation = call.response->mutable_reservation();
  reservation->set_reservation_id(call.claim.reservation_id);
  reservation->set_sku_id(call.claim.sku_id);
  reservation->set_user_id(call.claim.user_id);
  reservation->set_quantity(call.claim.quantity);
  reservation->set_state(v1::RESERVATION_STATE_PENDING);
  call.response->set_replayed(replayed);
  call.reactor->Finish(grpc::Status::OK);
}

void AnswerRefused(const PendingCall& call, const absl::Status& refusal) {
  if (!call.refusal_in_response) return call.reactor->Finish(ErrorStatus(refusal));
  *call.response->mutable_refusal() = server::ToRpcStatus(refusal);
  call.reactor->Finish(grpc::Status::OK);
}

}  // namespace

absl::StatusOr<Claim> ReadClaim(const v1::CreateReservationRequest& request) {
  const std::optional<storage::Uuid> id = storage::Uuid::Parse(request.reservation_id());
  if (!id.has_value() || id->is_nil()) {
    return server::InvalidField("reservation_id", "must be a UUID of 36 characters, and not the nil UUID");
  }
  if (request.sku_id().empty()) return server::InvalidField("sku_id", "is missing");
  if (request.user_id().empty()) return server::InvalidField("user_id", "is missing");
  if (request.quantity() != 1) {
    return server::RefusalError({.refusal = storage::Refusal::kQuantityAboveUserLimit, .per_user_limit = 1},
                                request.sku_id());
  }
  return Claim{.reservation_id = id->ToString(), .sku_id = request.sku_id(), .user_id = request.user_id()};
}

void Answer(const PendingCall& call, const absl::StatusOr<Outcome>& outcome) {
  if (!outcome.ok()) {
    LOG_EVERY_T(WARNING, 1) << "the store (at most one line a second): " << outcome.status();
    return call.reactor->Finish(
        ErrorStatus(server::MakeError(v1::ERROR_REASON_COMMIT_UNKNOWN,
                                      "The store failed; repeat with the same reservation id to learn the outcome.")));
  }
  switch (*outcome) {
    case Outcome::kCreated:
    case Outcome::kReplayed:
      return AnswerSold(call, *outcome == Outcome::kReplayed);
    case Outcome::kSoldOut:
      return AnswerRefused(call, server::RefusalError({.refusal = storage::Refusal::kSoldOut}, call.claim.sku_id));
    case Outcome::kUserLimit:
      return AnswerRefused(call,
                           server::RefusalError({.refusal = storage::Refusal::kUserLimitReached, .per_user_limit = 1},
                                                call.claim.sku_id));
    case Outcome::kConflict:
      return call.reactor->Finish(OverloadedStatus("Other claims were in the way too often; nothing was reserved."));
  }
}

grpc::Status ErrorStatus(const absl::Status& error) {
  // The codes of absl and gRPC are the same numbers.
  return grpc::Status(static_cast<grpc::StatusCode>(error.code()), std::string(error.message()),
                      server::SerializedDetails(error));
}

grpc::Status OverloadedStatus(const char* message) {
  google::rpc::ErrorInfo info;
  info.set_domain(server::kErrorDomain);
  info.set_reason(server::ReasonName(v1::ERROR_REASON_OVERLOADED));
  google::rpc::Status status;
  status.set_code(grpc::StatusCode::RESOURCE_EXHAUSTED);
  status.set_message(message);
  status.add_details()->PackFrom(info);
  return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, message, status.SerializeAsString());
}

}  // namespace tranche::peers
