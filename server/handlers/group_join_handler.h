// GroupService.OpenGroup, JoinGroup and LeaveGroup, without gRPC: a claim that joins a group, sold and counted like any
// other one, and the cancellation of a member's reservation.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/handlers/change_handler.h"
#include "server/handlers/reservation_handler.h"
#include "storage/ledger/reservation_ledger.h"
#include "tranche/v1/group_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class GroupJoinHandler {
 public:
  // Called exactly once, inline or on another thread; must not block.
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  GroupJoinHandler(ReservationHandler* claims, ChangeHandler* changes) : claims_(claims), changes_(changes) {}

  // `request` is not used after these return. `buyer_address`: as for ReservationHandler::Create. Queued only if the
  // request accepts that; who repeats one that was queued, and refused for good, gets that refusal.
  void Open(const v1::OpenGroupRequest& request, absl::Time deadline, std::string buyer_address,
            Done<v1::OpenGroupResponse> done);
  void Join(const v1::JoinGroupRequest& request, absl::Time deadline, std::string buyer_address,
            Done<v1::JoinGroupResponse> done);
  // ChangeHandler::Leave, and counted there.
  void Leave(const v1::LeaveGroupRequest& request, absl::Time deadline, Done<v1::LeaveGroupResponse> done);

 private:
  // `claim`: of the request, or what is wrong with it.
  template <typename Request, typename Response>
  void Claim(absl::StatusOr<storage::ReservationClaim> claim, const Request& request, absl::Time deadline,
             std::string buyer_address, Done<Response> done);

  ReservationHandler* const claims_;
  ChangeHandler* const changes_;
};

}  // namespace tranche::server
