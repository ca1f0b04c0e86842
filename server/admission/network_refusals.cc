#include "server/admission/network_refusals.h"

#include <optional>
#include <string>

#include "server/admission/buyer_address.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"

namespace tranche::server {
namespace {

struct RefusalCount {
  RateFingerprint key = 0;
  absl::Duration interval = absl::ZeroDuration();
  int most = 0;  // N of the rule
};

// nullopt: nobody counts.
std::optional<RefusalCount> RefusalCountOf(const DoorView& view, const DoorPolicy& policy, absl::string_view address) {
  if (!policy.risk.has_value() || policy.risk->address_refusals <= 0 || view.table == nullptr) return std::nullopt;
  const std::string network = NetworkOf(address);
  if (network.empty()) return std::nullopt;
  const int most = policy.risk->address_refusals;
  return RefusalCount{view.hasher->OfRefusals(policy.sku_id, network), absl::Hours(1) / most, most};
}

}  // namespace

void CountNetworkRefusal(const DoorView& view, const DoorPolicy& policy, absl::string_view address, absl::Time now) {
  const std::optional<RefusalCount> count = RefusalCountOf(view, policy, address);
  if (!count.has_value()) return;
  const RateRule rule = {.interval = count->interval, .tolerance = count->interval * (2 * count->most - 1)};
  // In a table that is too full, what is counted would hold back others for hours.
  if (view.table->Look(count->key, rule, now).by_shared) return;
  view.table->Try(count->key, rule, now);
}

bool HasManyRefusals(const DoorView& view, const DoorPolicy& policy, absl::string_view address, absl::Time now) {
  const std::optional<RefusalCount> count = RefusalCountOf(view, policy, address);
  if (!count.has_value()) return false;
  const RateRule rule = {.interval = count->interval, .tolerance = count->interval * (count->most - 1)};
  const RateVerdict verdict = view.table->Look(count->key, rule, now);
  // What a shared bucket says is about others, too.
  return !verdict.taken && !verdict.by_shared;
}

}  // namespace tranche::server
