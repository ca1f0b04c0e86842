#include "tests/simulation/door/door_limits.h"

#include <algorithm>

namespace tranche::simulation {

void DoorLimits::SetRules(int node, const std::string& sku_id, const std::vector<DoorLimitTerms>& limits) {
  std::vector<DoorLimitTerms>& known = rules_[static_cast<size_t>(node)][sku_id];
  if (known == limits) return;
  known = limits;
  std::erase_if(meters_, [&sku_id](const auto& meter) { return meter.first.sku_id == sku_id; });
}

int64_t DoorLimits::ShareOf(int64_t burst) const {
  const int64_t others = nodes_ - 1;
  if (others == 0) return 0;
  return std::min(burst, std::max<int64_t>(2, (burst + others - 1) / others));
}

DoorLimitTerms DoorLimits::LargestOf(const DoorLimitKey& key) const {
  DoorLimitTerms largest = {.kind = key.kind, .interval = absl::InfiniteDuration(), .burst = 0};
  for (const auto& of_node : rules_) {
    const auto found = of_node.find(key.sku_id);
    if (found == of_node.end()) continue;
    for (const DoorLimitTerms& limit : found->second) {
      if (limit.kind != key.kind) continue;
      largest.interval = std::min(largest.interval, limit.interval);
      largest.burst = std::max(largest.burst, limit.burst);
    }
  }
  return largest;
}

bool DoorLimits::Count(int node, const DoorLimitTerms& limit, const DoorLimitKey& key, absl::Time now, int tries) {
  absl::Time& idle_at = idle_at_.try_emplace({node, key}, absl::InfinitePast()).first->second;
  idle_at = std::max(idle_at, now) + tries * limit.interval * std::max(nodes_ - 1, 1);
  const DoorLimitTerms largest = LargestOf(key);
  Meter& meter = meters_.try_emplace(key, Meter{.tries = 0, .at = now}).first->second;
  const double leaked = 2 * absl::FDivDuration(now - meter.at, largest.interval);
  meter = {.tries = std::max(0.0, meter.tries - leaked) + tries, .at = now};
  constexpr double kRounding = 1e-3;
  return meter.tries <= static_cast<double>(largest.burst + (nodes_ - 1) * ShareOf(largest.burst)) + kRounding;
}

bool DoorLimits::MayRefuse(int node, const DoorLimitTerms& limit, const DoorLimitKey& key, absl::Time now,
                           int tries) const {
  const auto found = idle_at_.find({node, key});
  // Each try but the last comes before one more.
  const absl::Duration own = (tries - 1) * limit.interval * std::max(nodes_ - 1, 1);
  const absl::Time idle_at = (found == idle_at_.end() ? now : std::max(found->second, now)) + own;
  absl::Duration tolerance = (limit.burst - 1) * limit.interval;
  if (nodes_ > 1) {
    tolerance = std::min(tolerance, (ShareOf(limit.burst) - 1) * (nodes_ - 1) * limit.interval);
  }
  return idle_at - now > tolerance;
}

}  // namespace tranche::simulation
