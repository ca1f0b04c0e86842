// Too few units at all nodes together, where announcements do not tell. They say how many units are unsold only while
// few are (storage::ScarceBelow). A request for more than that can lack units of which nobody has spoken, and would be
// sent from node to node for ever; so the ledger is asked, through the directory: once a second at most for each SKU.
#pragma once

#include <cstdint>
#include <optional>

#include "quota/sale/grant.h"
#include "quota/sale/sku_directory.h"
#include "quota/slices/sku_terms.h"

namespace tranche::quota {

// Can all nodes together have fewer units than `quantity` without an announcement that says so? Never for small
// quantities: nothing is asked about those.
inline bool MayLackUnannounced(const SkuTerms& terms, int64_t quantity) {
  return quantity > storage::ScarceBelow(terms.per_user_limit);
}

// The refusal, if the ledger said so. nullopt also if it did not answer.
inline std::optional<Refused> TooFew(const SkuDirectory::Found& found, int64_t quantity) {
  if (!found.ok() || !found->has_value()) return std::nullopt;
  const Refused refused = OutOfUnits((*found)->ExactTerms(), quantity);
  return IsFinal(refused) ? std::optional(refused) : std::nullopt;
}

}  // namespace tranche::quota
