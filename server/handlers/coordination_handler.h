// Admin calls that show the coordination tree and restore it from the ledger. Blocking: not on gRPC's threads.
// Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class CoordinationHandler {
 public:
  CoordinationHandler(quota::SessionSource* sessions, storage::StockLedger* ledger, storage::Clock* clock)
      : sessions_(sessions), ledger_(ledger), clock_(clock) {}

  // Depth first, children sorted. A page also ends when its payloads grow past 1 MiB.
  absl::StatusOr<v1::DumpCoordinationResponse> Dump(const v1::DumpCoordinationRequest& request);
  // Takes as long as reading every SKU and its announcements does.
  absl::StatusOr<v1::RebuildCoordinationResponse> Rebuild(const v1::RebuildCoordinationRequest& request,
                                                          const storage::Actor& actor);

 private:
  // What Rebuild does, apart from its entry in the audit log.
  absl::StatusOr<v1::RebuildCoordinationResponse> RebuildNow(const v1::RebuildCoordinationRequest& request,
                                                             quota::Coordination* session, const storage::Actor& actor);

  quota::SessionSource* const sessions_;
  storage::StockLedger* const ledger_;
  storage::Clock* const clock_;
};

// A znode's payload as protobuf JSON; its path decides the message type. The leader's payload is a name, shown as text.
// A payload of an unknown type is base64, an empty one "".
std::string RenderPayload(const std::string& path, const std::string& data);

}  // namespace tranche::server
