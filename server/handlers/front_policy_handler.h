// Admin calls about the front door's policies. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/handlers/front_announcer.h"
#include "storage/clock.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class FrontPolicyHandler {
 public:
  // `skus` tells whether a policy's SKU exists, and since when it is sold. `trusted_proxies`: --trusted-proxies, for
  // warnings.
  FrontPolicyHandler(storage::FrontLedger* ledger, storage::SkuLedger* skus, FrontAnnouncer* announcer,
                     int trusted_proxies, const storage::Clock* clock = storage::Clock::Real())
      : ledger_(ledger), skus_(skus), announcer_(announcer), trusted_proxies_(trusted_proxies), clock_(clock) {}

  absl::StatusOr<v1::ListFrontPoliciesResponse> List(const v1::ListFrontPoliciesRequest& request);
  absl::StatusOr<v1::SetFrontPolicyResponse> Set(const v1::SetFrontPolicyRequest& request, const storage::Actor& actor);

 private:
  using MaybePolicy = std::optional<storage::FrontPolicyRow>;

  // nullopt: there is none. Errors are the ledger's.
  absl::StatusOr<MaybePolicy> Find(const std::string& sku_id);
  // What was set, against what was there just before.
  v1::SetFrontPolicyResponse Answer(const v1::SetFrontPolicyRequest& request, const MaybePolicy& before,
                                    const storage::FrontPolicyRow& after);
  void WarnAboutOthers(const v1::SetFrontPolicyRequest& request, const MaybePolicy& before,
                       v1::SetFrontPolicyResponse& response);
  void WarnAboutSku(const v1::SetFrontPolicyRequest& request, v1::SetFrontPolicyResponse& response);
  // As many SKUs have a room as may, and this one would be one more. Two changes at the same time may both pass: then
  // the first kMostRooms by sku_id are paced, and nobody is let in to the other.
  absl::Status CheckMostRooms(const v1::SetFrontPolicyRequest& request, const MaybePolicy& before);
  absl::Status SetError(const absl::Status& status, const v1::SetFrontPolicyRequest& request,
                        const MaybePolicy& before);
  // POLICY_CHANGED.
  absl::Status PolicyIsAnother(const std::string& sku_id);
  // Not the ledger, which may be busy, but the number of policies stands in the way.
  bool HasAllItMay();

  storage::FrontLedger* const ledger_;
  storage::SkuLedger* const skus_;
  FrontAnnouncer* const announcer_;
  const int trusted_proxies_;
  const storage::Clock* const clock_;
};

}  // namespace tranche::server
