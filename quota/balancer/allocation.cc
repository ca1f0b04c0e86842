#include "quota/balancer/allocation.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/numeric/int128.h"
#include "glog/logging.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::QuotaDelta;
using storage::QuotaSnapshot;

int64_t TotalRemaining(const QuotaSnapshot& quota) {
  int64_t total = 0;
  for (const storage::HeldSlice& slice : quota.slices) total += slice.remaining;
  return total;
}

}  // namespace

absl::flat_hash_map<IncarnationId, int64_t> RemainingByHolder(const QuotaSnapshot& quota) {
  absl::flat_hash_map<IncarnationId, int64_t> remaining;
  for (const storage::HeldSlice& slice : quota.slices) remaining[slice.holder] = slice.remaining;
  return remaining;
}

std::vector<int64_t> ShareByWeight(int64_t units, absl::Span<const int64_t> weights) {
  absl::int128 total_weight = 0;
  for (const int64_t weight : weights) {
    CHECK_GE(weight, 0);
    total_weight += weight;
  }
  CHECK_GE(units, 0);
  CHECK(total_weight > 0);
  std::vector<int64_t> shares(weights.size());
  std::vector<absl::int128> remainders(weights.size());
  int64_t left = units;
  for (size_t i = 0; i < weights.size(); ++i) {
    const absl::int128 exact = absl::int128(units) * weights[i];
    shares[i] = static_cast<int64_t>(exact / total_weight);
    remainders[i] = exact % total_weight;
    left -= shares[i];
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  if (storage::Mutated(storage::Mutation::kSharesLoseOddUnits)) left = 0;
  if (storage::Mutated(storage::Mutation::kSharesInventUnits)) left = static_cast<int64_t>(order.size());
  for (size_t i = 0; left > 0; ++i, --left) ++shares[order[i]];
  return shares;
}

std::vector<QuotaDelta> EqualShares(const QuotaSnapshot& quota, absl::Span<const IncarnationId> live) {
  if (live.empty()) return {};
  auto remaining = RemainingByHolder(quota);
  // Earlier receivers get the odd units: those with most come first, so that a second run finds nothing to move.
  std::vector<IncarnationId> receivers(live.begin(), live.end());
  std::sort(receivers.begin(), receivers.end(), [&](IncarnationId a, IncarnationId b) {
    return remaining[a] != remaining[b] ? remaining[a] > remaining[b] : a < b;
  });
  const std::vector<int64_t> weights(receivers.size(), 1);
  const std::vector<int64_t> targets = ShareByWeight(TotalRemaining(quota), weights);

  std::vector<QuotaDelta> deltas;
  for (size_t i = 0; i < receivers.size(); ++i) {
    const int64_t delta = targets[i] - remaining[receivers[i]];
    if (delta != 0) deltas.push_back({receivers[i], delta});
  }
  const absl::flat_hash_set<IncarnationId> staying(live.begin(), live.end());
  for (const storage::HeldSlice& slice : quota.slices) {
    const bool stays = slice.holder == storage::kPool || staying.contains(slice.holder);
    if (!stays && slice.remaining > 0) deltas.push_back({slice.holder, -slice.remaining});
  }
  return deltas;
}

std::vector<QuotaDelta> ShareWithNewcomers(const QuotaSnapshot& quota, absl::Span<const IncarnationId> live,
                                           const std::set<IncarnationId>& newcomers) {
  if (live.empty()) return {};
  auto remaining = RemainingByHolder(quota);
  // Units of other holders are not available here, so a share of them would be demanded in vain.
  int64_t total = remaining[storage::kPool];
  for (const IncarnationId holder : live) total += remaining[holder];
  const int64_t share = total / static_cast<int64_t>(live.size());
  std::vector<QuotaDelta> deltas;
  std::vector<std::pair<int64_t, IncarnationId>> donors;
  int64_t needed = -remaining[storage::kPool];
  for (const IncarnationId holder : live) {
    const int64_t missing = share - remaining[holder];
    if (newcomers.contains(holder) && missing > 0) {
      deltas.push_back({holder, missing});
      needed += missing;
    } else if (remaining[holder] > share) {
      donors.emplace_back(remaining[holder], holder);
    }
  }
  // The richest `lowered` donors are brought down to the level of the next one, until they have given what is needed.
  std::sort(donors.begin(), donors.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  int64_t sum = 0;
  for (size_t lowered = 1; needed > 0 && lowered <= donors.size(); ++lowered) {
    const auto count = static_cast<int64_t>(lowered);
    sum += donors[lowered - 1].first;
    const int64_t next = lowered < donors.size() ? donors[lowered].first : 0;
    const bool enough = sum - next * count >= needed;
    // If there are very many donors, some give more than their part, instead of all giving a unit each.
    const bool few_give_more = count >= kMostDonors && (sum - needed) / count >= share - share / 4;
    if (!enough && !few_give_more) continue;
    const int64_t left = sum - needed;
    for (size_t i = 0; i < lowered; ++i) {
      const int64_t keeps = left / count + (static_cast<int64_t>(i) < left % count ? 1 : 0);
      if (keeps < donors[i].first) deltas.push_back({donors[i].second, keeps - donors[i].first});
    }
    break;
  }
  return deltas;
}

std::vector<QuotaDelta> SharePool(const QuotaSnapshot& quota, absl::Span<const IncarnationId> live) {
  const auto remaining = RemainingByHolder(quota);
  const auto pool = remaining.find(storage::kPool);
  int64_t units = pool == remaining.end() ? 0 : pool->second;
  if (live.empty() || units == 0) return {};

  struct Receiver {
    IncarnationId holder;
    int64_t has;
  };
  std::vector<Receiver> receivers;
  for (const IncarnationId holder : live) {
    const auto found = remaining.find(holder);
    receivers.push_back({holder, found == remaining.end() ? 0 : found->second});
  }
  std::sort(receivers.begin(), receivers.end(),
            [](const Receiver& a, const Receiver& b) { return a.has != b.has ? a.has < b.has : a.holder < b.holder; });
  // Water filling: the poorest `filled` receivers are raised to the common level for which the units just suffice.
  size_t filled = 1;
  int64_t sum = receivers[0].has;
  while (filled < receivers.size() && receivers[filled].has * static_cast<int64_t>(filled) - sum < units) {
    sum += receivers[filled].has;
    ++filled;
  }
  const int64_t level = (sum + units) / static_cast<int64_t>(filled);
  int64_t odd = (sum + units) % static_cast<int64_t>(filled);
  std::vector<QuotaDelta> deltas;
  for (size_t i = 0; i < filled; ++i) {
    const int64_t target = level + (odd > 0 ? 1 : 0);
    odd -= odd > 0 ? 1 : 0;
    if (target > receivers[i].has) deltas.push_back({receivers[i].holder, target - receivers[i].has});
  }
  return deltas;
}

}  // namespace tranche::quota
