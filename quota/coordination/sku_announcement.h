// The payload of a SKU's znode, from and to what the ledger and the seller use.
#pragma once

#include "quota/slices/sku_terms.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

internal::v1::SkuAnnouncement ToAnnouncement(const storage::Sku& sku);
SkuTerms TermsOf(const internal::v1::SkuAnnouncement& announcement);

// Is it worth writing `fresh` over `present`? Not when it is older, nor when a node would do the same on both: the
// exact number of unsold units matters to nobody, that there are none does. With `always`, whenever it is newer.
bool Supersedes(const internal::v1::SkuAnnouncement& fresh, const internal::v1::SkuAnnouncement& present, bool always);

}  // namespace tranche::quota
