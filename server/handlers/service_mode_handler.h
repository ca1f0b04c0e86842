// Admin calls about what nodes do for buyers at all. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "server/handlers/front_announcer.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

v1::StoredServiceMode ToMessage(const storage::ServiceMode& mode);

class ServiceModeHandler {
 public:
  // Both outlive this.
  ServiceModeHandler(storage::FrontLedger* ledger, FrontAnnouncer* announcer)
      : ledger_(ledger), announcer_(announcer) {}

  absl::StatusOr<v1::GetServiceModeResponse> Get(const v1::GetServiceModeRequest& request);
  // Also tells nodes of what was set before: the answer of then may have been lost before they were told.
  absl::StatusOr<v1::SetServiceModeResponse> Set(const v1::SetServiceModeRequest& request, const storage::Actor& actor);

 private:
  storage::FrontLedger* const ledger_;
  FrontAnnouncer* const announcer_;
};

}  // namespace tranche::server
