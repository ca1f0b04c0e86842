// Admin calls about the front door's keys. No answer and no log has a key itself. Blocking: not on gRPC's threads.
// Thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/handlers/front_announcer.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class FrontKeyHandler {
 public:
  FrontKeyHandler(storage::FrontLedger* ledger, FrontAnnouncer* announcer) : ledger_(ledger), announcer_(announcer) {}

  absl::StatusOr<v1::ListFrontKeysResponse> List(const v1::ListFrontKeysRequest& request);
  absl::StatusOr<v1::RotateFrontKeyResponse> Rotate(const v1::RotateFrontKeyRequest& request,
                                                    const storage::Actor& actor);

 private:
  // The current key is another one than the caller expects: shows the keys, and changes nothing.
  absl::StatusOr<v1::RotateFrontKeyResponse> RotatedBefore(bool preview);

  storage::FrontLedger* const ledger_;
  FrontAnnouncer* const announcer_;
};

}  // namespace tranche::server
