// Admin calls about draws. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/clock.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/quota_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class DrawAdminHandler {
 public:
  // `quotas` tell what the SKU is and where its units are, `front` whether its policy has a draw.
  DrawAdminHandler(storage::DrawLedger* draws, storage::QuotaLedger* quotas, storage::FrontLedger* front,
                   storage::Clock* clock)
      : draws_(draws), quotas_(quotas), front_(front), clock_(clock) {}

  absl::StatusOr<v1::CreateDrawResponse> Create(const v1::CreateDrawRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::ChangeDrawResponse> Change(const v1::ChangeDrawRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::ListDrawsResponse> List(const v1::ListDrawsRequest& request);
  absl::StatusOr<v1::ListDrawEntriesResponse> ListEntries(const v1::ListDrawEntriesRequest& request);
  absl::StatusOr<v1::ListDrawAwardsResponse> ListAwards(const v1::ListDrawAwardsRequest& request);

 private:
  absl::StatusOr<storage::SkuQuota> FindSku(const std::string& sku_id);
  // The front door's policy of the SKU; DRAW_STATE if it has no draw.
  absl::StatusOr<v1::FrontPolicy> FindPolicy(const std::string& sku_id);
  // Whether the draw takes its seed: while entries are open, or not all sealed, whoever knows the seed could choose
  // winners, and the ledger's log is one place more to read it.
  absl::Status CheckTakesSeed(const storage::DrawKey& key);
  // With its number, if the caller asks for the newest.
  absl::StatusOr<storage::Draw> FindDraw(const std::string& sku_id, int64_t number);

  storage::DrawLedger* const draws_;
  storage::QuotaLedger* const quotas_;
  storage::FrontLedger* const front_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
