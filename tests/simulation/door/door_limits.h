// What rate limits promise, by a model of their own:
//
//   not too much    over all nodes and in any time, at most twice the limit's rate, and the bursts of all nodes
//   not too little  a node whose table has room refuses nobody who keeps within the least that any node gives a key
//
// The model does not know which node is a key's home: the first promise counts one such node, and the second none.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/admission/rate_key.h"
#include "tests/simulation/door/door_books.h"

namespace tranche::simulation {

// Who is counted by what.
struct DoorLimitKey {
  std::string sku_id;
  server::RateKeyKind kind = server::RateKeyKind::kUser;
  std::string subject;

  friend auto operator<=>(const DoorLimitKey&, const DoorLimitKey&) = default;
};

class DoorLimits {
 public:
  explicit DoorLimits(int nodes) : nodes_(nodes), rules_(static_cast<size_t>(nodes)) {}

  // From now on the node goes by these limits of the SKU. If they are others than before, tries are counted anew:
  // by the new rule a key may have its burst again.
  void SetRules(int node, const std::string& sku_id, const std::vector<DoorLimitTerms>& limits);
  // The node has counted somebody, as so many tries. False: more were counted than the limit promises.
  bool Count(int node, const DoorLimitTerms& limit, const DoorLimitKey& key, absl::Time now, int tries = 1);
  // May the node refuse somebody now who counts as so many tries?
  bool MayRefuse(int node, const DoorLimitTerms& limit, const DoorLimitKey& key, absl::Time now, int tries = 1) const;

 private:
  // Leaks at twice the limit's rate, so it never holds more than all bursts.
  struct Meter {
    double tries = 0;
    absl::Time at = absl::InfinitePast();
  };

  // A node's burst for a key that is at home elsewhere; 0 if there is no other node.
  int64_t ShareOf(int64_t burst) const;
  // The quickest interval and the largest burst of the limit by this at any node.
  DoorLimitTerms LargestOf(const DoorLimitKey& key) const;

  const int nodes_;
  std::vector<std::map<std::string, std::vector<DoorLimitTerms>>> rules_;  // by node and SKU
  std::map<DoorLimitKey, Meter> meters_;
  // When a node that gives the least would have nothing counted any more.
  std::map<std::pair<int, DoorLimitKey>, absl::Time> idle_at_;
};

}  // namespace tranche::simulation
