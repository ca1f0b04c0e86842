#include "server/admission/homes.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "server/admission/mix_bits.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

// Known to everybody, and the same in all versions: a node with another one would disagree with the rest. What somebody
// can gain by choosing their home is bounded anyway, see the header.
constexpr std::array<unsigned char, 16> kHomeHashKey = {'t', 'r', 'a', 'n', 'c', 'h', 'e', '-',
                                                        'h', 'o', 'm', 'e', 's', '-', 'v', '1'};

uint64_t NodeSeed(storage::IncarnationId node) { return MixBits(static_cast<uint64_t>(node)); }

// To enter and to claim are two tries: whoever comes here by chance should not be refused the second one.
constexpr int64_t kLeastBurst = 2;

// Of one of so many nodes that are not a key's home.
int64_t ShareOfBurst(int64_t burst, int64_t nodes) {
  const int64_t part = burst / nodes + (burst % nodes == 0 ? 0 : 1);
  return std::min(burst, std::max(kLeastBurst, part));
}

// Never the same for two nodes, since their seeds differ.
uint64_t WeightOf(uint64_t key_hash, uint64_t node_seed) { return MixBits(key_hash ^ node_seed); }

}  // namespace

Homes::Homes(storage::IncarnationId self, const std::vector<storage::IncarnationId>& nodes) : self_(NodeSeed(self)) {
  std::vector<storage::IncarnationId> others = nodes;
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
  others.erase(std::remove(others.begin(), others.end(), self), others.end());
  others_.reserve(others.size());
  for (const storage::IncarnationId node : others) others_.push_back(NodeSeed(node));
}

bool Homes::IsHome(RateKeyKind kind, absl::string_view policy_sku_id, absl::string_view subject) const {
  if (others_.empty()) return true;
  const uint64_t hash = HashRateKey(kHomeHashKey, kind, policy_sku_id, subject);
  const uint64_t own = WeightOf(hash, self_);
  return std::none_of(others_.begin(), others_.end(),
                      [hash, own](uint64_t seed) { return WeightOf(hash, seed) > own; });
}

RateRule Homes::Share(const RateRule& rule, bool home) const {
  if (home || others_.empty() || storage::Mutated(storage::Mutation::kLimitNotShared)) return rule;
  const auto others = static_cast<int64_t>(others_.size());
  const int64_t burst = rule.tolerance / rule.interval + 1;
  const absl::Duration interval = rule.interval * others;
  return {.interval = interval, .tolerance = interval * (ShareOfBurst(burst, others) - 1), .max_wait = rule.max_wait};
}

}  // namespace tranche::server
