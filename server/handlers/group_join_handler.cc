#include "server/handlers/group_join_handler.h"

#include <memory>
#include <utility>

#include "server/handlers/claim_checks.h"
#include "server/handlers/group_messages.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

template <typename Request>
absl::StatusOr<storage::ReservationClaim> CheckJoin(const Request& request, const std::string& offer_id) {
  ASSIGN_OR_RETURN(storage::ReservationClaim claim, CheckClaim(request));
  ASSIGN_OR_RETURN(const storage::Uuid group_id, CheckGroupId(request.group_id()));
  claim.group = std::make_shared<const storage::GroupJoin>(storage::GroupJoin{group_id, offer_id});
  return claim;
}

absl::StatusOr<storage::ReservationClaim> CheckOpening(const v1::OpenGroupRequest& request) {
  RETURN_IF_ERROR(CheckOfferId(request.offer_id()));
  return CheckJoin(request, request.offer_id());
}

}  // namespace

void GroupJoinHandler::Open(const v1::OpenGroupRequest& request, absl::Time deadline, std::string buyer_address,
                            Done<v1::OpenGroupResponse> done) {
  Claim(CheckOpening(request), request, deadline, std::move(buyer_address), std::move(done));
}

void GroupJoinHandler::Join(const v1::JoinGroupRequest& request, absl::Time deadline, std::string buyer_address,
                            Done<v1::JoinGroupResponse> done) {
  Claim(CheckJoin(request, /*offer_id=*/""), request, deadline, std::move(buyer_address), std::move(done));
}

template <typename Request, typename Response>
void GroupJoinHandler::Claim(absl::StatusOr<storage::ReservationClaim> claim, const Request& request,
                             absl::Time deadline, std::string buyer_address, Done<Response> done) {
  claims_->Claim(std::move(claim), deadline, request.may_exist(),
                 {.address = std::move(buyer_address),
                  .purchase_token = request.purchase_token(),
                  .accept_queued = request.accept_queued()},
                 [this, done = std::move(done)](const absl::StatusOr<Accepted>& accepted) mutable {
                   if (!accepted.ok()) return done(accepted.status());
                   Response response;
                   claims_->Fill(*accepted, &response);
                   done(std::move(response));
                 });
}

void GroupJoinHandler::Leave(const v1::LeaveGroupRequest& request, absl::Time deadline,
                             Done<v1::LeaveGroupResponse> done) {
  v1::CancelReservationRequest cancellation;
  cancellation.set_reservation_id(request.reservation_id());
  cancellation.set_reason(request.reason());
  cancellation.set_sku_id(request.sku_id());
  changes_->Leave(cancellation, deadline,
                  [done = std::move(done)](absl::StatusOr<v1::CancelReservationResponse> cancelled) mutable {
                    if (!cancelled.ok()) return done(cancelled.status());
                    v1::LeaveGroupResponse response;
                    *response.mutable_reservation() = std::move(*cancelled->mutable_reservation());
                    response.set_replayed(cancelled->replayed());
                    done(std::move(response));
                  });
}

}  // namespace tranche::server
