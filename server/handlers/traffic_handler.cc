#include "server/handlers/traffic_handler.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "server/errors.h"
#include "server/handlers/status_handler.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

constexpr int kUsualTraffic = 20;

}  // namespace

absl::StatusOr<v1::ListTrafficResponse> TrafficHandler::List(const v1::ListTrafficRequest& request) {
  if (request.limit() < 0) return InvalidField("limit", "must not be negative");
  const int limit = request.limit() == 0 ? kUsualTraffic : std::min(request.limit(), storage::kMaxQuotaBatch);
  const absl::Time until = absl::Now() + StatusHandler::kPatience;
  const auto asked = traffic_.Ask(*executor_, [sessions = sessions_]() -> absl::StatusOr<ClusterTraffic> {
    const std::shared_ptr<quota::Coordination> session = sessions->Session();
    if (session == nullptr) return absl::UnavailableError("no session");
    return ReadClusterTraffic(*session);
  });
  const absl::StatusOr<ClusterTraffic> traffic = asked->Await(until);
  if (!traffic.ok()) return CoordinationError(traffic.status());

  v1::ListTrafficResponse response;
  for (v1::SkuTraffic& sku : BusiestSkus(*traffic, static_cast<size_t>(limit))) *response.add_skus() = std::move(sku);
  absl::Duration oldest;
  for (const auto& [_, node] : traffic->nodes) oldest = std::max(oldest, clock_->Now() - node.reported_at);
  *response.mutable_oldest_report() = ToDuration(oldest);
  if (!response.skus().empty()) AddUnsold(until, &response);
  return response;
}

void TrafficHandler::AddUnsold(absl::Time until, v1::ListTrafficResponse* response) {
  std::vector<std::string> ids;
  for (const v1::SkuTraffic& sku : response->skus()) ids.push_back(sku.sku_id());
  const auto quotas =
      quotas_.Ask(*executor_, [ledger = ledger_, ids] { return ledger->ReadQuotas(ids); })->Await(until);
  if (!quotas.ok()) return;
  std::map<std::string, int64_t> unsold;
  for (const storage::SkuQuota& quota : *quotas) unsold[quota.sku.sku_id] = quota.sku.unsold;
  for (v1::SkuTraffic& sku : *response->mutable_skus()) {
    const auto found = unsold.find(sku.sku_id());
    if (found != unsold.end()) sku.set_unsold(found->second);
  }
}

}  // namespace tranche::server
