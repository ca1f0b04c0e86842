#include "quota/balancer/operator_plans.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/container/flat_hash_map.h"
#include "glog/logging.h"
#include "quota/balancer/allocation.h"

namespace tranche::quota {

using storage::IncarnationId;
using storage::QuotaDelta;
using storage::QuotaSnapshot;

std::optional<std::vector<QuotaDelta>> SetRemaining(const QuotaSnapshot& quota, absl::Span<const IncarnationId> live,
                                                    IncarnationId holder, int64_t remaining) {
  CHECK_GE(remaining, 0);
  auto units_of = RemainingByHolder(quota);
  const int64_t delta = remaining - units_of[holder];
  if (delta == 0) return std::vector<QuotaDelta>{};
  std::vector<IncarnationId> others;
  std::copy_if(live.begin(), live.end(), std::back_inserter(others), [&](IncarnationId id) { return id != holder; });

  std::vector<QuotaDelta> deltas = {{holder, delta}};
  if (delta < 0) {
    QuotaSnapshot given_up{.sku_id = quota.sku_id, .quota_version = quota.quota_version, .closed = false, .slices = {}};
    for (const storage::HeldSlice& slice : quota.slices) {
      if (slice.holder != storage::kPool && slice.holder != holder) given_up.slices.push_back(slice);
    }
    given_up.slices.push_back({.holder = storage::kPool, .allotted = -delta, .remaining = -delta, .version = 0});
    for (const QuotaDelta& gain : SharePool(given_up, others)) deltas.push_back(gain);
    return deltas;
  }
  const int64_t missing = delta - units_of[storage::kPool];
  if (missing <= 0) return deltas;
  std::vector<int64_t> weights;
  int64_t available = 0;
  for (const IncarnationId other : others) {
    weights.push_back(units_of[other]);
    available += units_of[other];
  }
  if (missing > available) return std::nullopt;
  const std::vector<int64_t> taken = ShareByWeight(missing, weights);
  for (size_t i = 0; i < others.size(); ++i) {
    if (taken[i] > 0) deltas.push_back({others[i], -taken[i]});
  }
  return deltas;
}

std::optional<std::vector<QuotaDelta>> MoveBetween(const QuotaSnapshot& quota, IncarnationId from, IncarnationId to,
                                                   int64_t units) {
  CHECK_GT(units, 0);
  CHECK_NE(from, to);
  if (RemainingByHolder(quota)[from] < units) return std::nullopt;
  // The pool is the other side of every delta.
  std::vector<QuotaDelta> deltas;
  if (from != storage::kPool) deltas.push_back({from, -units});
  if (to != storage::kPool) deltas.push_back({to, units});
  return deltas;
}

std::vector<QuotaDelta> WeightedShares(const QuotaSnapshot& quota, absl::Span<const WeightedReceiver> receivers) {
  auto left = RemainingByHolder(quota);
  int64_t total = 0;
  for (const auto& [_, units] : left) total += units;
  std::vector<int64_t> weights;
  for (const WeightedReceiver& receiver : receivers) weights.push_back(receiver.weight);
  const std::vector<int64_t> targets = ShareByWeight(total, weights);

  std::vector<QuotaDelta> deltas;
  for (size_t i = 0; i < receivers.size(); ++i) {
    const IncarnationId incarnation = receivers[i].incarnation;
    const int64_t delta = targets[i] - left[incarnation];
    if (delta != 0) deltas.push_back({incarnation, delta});
    left.erase(incarnation);
  }
  for (const storage::HeldSlice& slice : quota.slices) {
    const bool other = slice.holder != storage::kPool && left.contains(slice.holder);
    if (other && slice.remaining > 0) deltas.push_back({slice.holder, -slice.remaining});
  }
  return deltas;
}

int64_t WeightOfRate(double units_per_s) {
  // Far above any node's rate, and small enough that a thousand of them can be summed up.
  constexpr double kHighestRate = 1e9;
  if (!(units_per_s > 0)) return 0;  // NaN too
  return std::llround(std::min(units_per_s, kHighestRate) * 1000);
}

}  // namespace tranche::quota
