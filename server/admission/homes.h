// Which node a rate-limited key is at home at: rendezvous hashing (Thaler, Ravishankar 1998) over the nodes that live.
//
// A key's home gives it the full limit. Each of the other N-1 nodes gives it a share: 1/(N-1) of the rate, and a burst
// of 1/(N-1) of the limit's, rounded up, but at least 2, or 1 where that is the limit's. Buyers do not choose their
// node: with a burst of 1, who enters and claims within a second would be refused at most nodes. So whoever sprays
// their tries over all nodes gets at most twice the rate, and burst + (N-1) times that share at once, as long as no
// node comes or goes. When one does, the keys that it takes along or leaves have another home, which may give them
// another burst.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::server {

// Immutable, so thread-safe.
class Homes {
 public:
  // Without others: this node is everybody's home.
  Homes() = default;
  // `self` is added if it is not among them.
  Homes(storage::IncarnationId self, const std::vector<storage::IncarnationId>& nodes);

  size_t nodes() const { return others_.size() + 1; }
  // All nodes agree, because this hash has no secret key. About 1 ns for each node, and a hash of the key's name.
  bool IsHome(RateKeyKind kind, absl::string_view policy_sku_id, absl::string_view subject) const;
  // The rule as this node applies it. Its tolerance is taken for that of a whole burst, as a policy's is.
  RateRule Share(const RateRule& rule, bool home) const;

 private:
  // Of a node, for its weight for a key: the highest has it.
  uint64_t self_ = 0;
  std::vector<uint64_t> others_;
};

}  // namespace tranche::server
