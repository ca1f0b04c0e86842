// Admin calls about groups. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/handlers/ended_groups.h"
#include "storage/clock.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/group_ledger.h"
#include "storage/uuid.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class GroupAdminHandler {
 public:
  // `clock` tells how much time a group has left.
  GroupAdminHandler(storage::GroupLedger* groups, storage::Clock* clock) : groups_(groups), clock_(clock) {}

  absl::StatusOr<v1::CreateGroupOfferResponse> CreateOffer(const v1::CreateGroupOfferRequest& request,
                                                           const storage::Actor& actor);
  absl::StatusOr<v1::CloseGroupOfferResponse> CloseOffer(const v1::CloseGroupOfferRequest& request,
                                                         const storage::Actor& actor);
  absl::StatusOr<v1::CancelGroupResponse> Cancel(const v1::CancelGroupRequest& request, const storage::Actor& actor);

  // Groups that were cancelled by calls here. A repeat counts only if EndedGroups has forgotten the first.
  int64_t cancelled() const { return cancelled_.count(); }

 private:
  // Why the ledger has not taken the offer.
  absl::Status CreateError(const absl::Status& status, const storage::GroupOffer& offer);
  // Why the ledger has not cancelled the group.
  absl::Status CancelError(const absl::Status& status, const storage::Uuid& id, const std::string& sku_id);
  bool HasAllOffers(const std::string& sku_id);

  storage::GroupLedger* const groups_;
  storage::Clock* const clock_;
  EndedGroups cancelled_;
};

}  // namespace tranche::server
