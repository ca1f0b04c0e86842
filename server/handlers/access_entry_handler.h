// Admin calls about who is always let in, or never. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/handlers/front_announcer.h"
#include "storage/clock.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class AccessEntryHandler {
 public:
  // `clock` decides whether a new entry would be over already.
  AccessEntryHandler(storage::FrontLedger* ledger, FrontAnnouncer* announcer, storage::Clock* clock)
      : ledger_(ledger), announcer_(announcer), clock_(clock) {}

  absl::StatusOr<v1::ListAccessEntriesResponse> List(const v1::ListAccessEntriesRequest& request);
  absl::StatusOr<v1::AddAccessEntriesResponse> Add(const v1::AddAccessEntriesRequest& request,
                                                   const storage::Actor& actor);
  absl::StatusOr<v1::RemoveAccessEntriesResponse> Remove(const v1::RemoveAccessEntriesRequest& request,
                                                         const storage::Actor& actor);

 private:
  // `count`: of the entries that were to be added.
  absl::Status AddError(const absl::Status& status, size_t count);

  storage::FrontLedger* const ledger_;
  FrontAnnouncer* const announcer_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
