// Admin calls about the queues of claims: how full they are, whether consumers rest, and what could not be decided.
// Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/handlers/claim_queues.h"
#include "storage/books.h"
#include "storage/clock.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/audit_ledger.h"
#include "storage/ledger/settings_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class ClaimQueueHandler {
 public:
  // All outlive the handler.
  struct Parts {
    ClaimBroker broker = {};
    std::function<std::vector<std::string>()> shards = nullptr;  // the names of all, home first
    storage::Books* books = nullptr;
    storage::SettingsLedger* settings = nullptr;  // home's
    storage::AuditLedger* audit = nullptr;        // home's
    storage::Clock* clock = nullptr;
  };

  explicit ClaimQueueHandler(Parts parts) : parts_(std::move(parts)) {}

  absl::StatusOr<v1::ListClaimQueuesResponse> List(const v1::ListClaimQueuesRequest& request);
  // Also where there is no broker: it is the ledger that consumers ask.
  absl::StatusOr<v1::SetClaimQueuePausedResponse> SetPaused(const v1::SetClaimQueuePausedRequest& request,
                                                            const storage::Actor& actor);
  absl::StatusOr<v1::ListDeadClaimsResponse> ListDead(const v1::ListDeadClaimsRequest& request);
  // An error only if nothing was settled. What was settled before an error stays so, and the warnings tell the error.
  absl::StatusOr<v1::SettleDeadClaimsResponse> Settle(const v1::SettleDeadClaimsRequest& request,
                                                      const storage::Actor& actor);

 private:
  absl::StatusOr<v1::SettleDeadClaimsResponse> Preview(const v1::SettleDeadClaimsRequest& request);

  const Parts parts_;
};

}  // namespace tranche::server
