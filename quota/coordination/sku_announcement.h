// Converts a SKU's znode from and to the types of the ledger and the seller.
#pragma once

#include "quota/slices/sku_terms.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

internal::v1::SkuAnnouncement ToAnnouncement(const storage::Sku& sku);
SkuTerms TermsOf(const internal::v1::SkuAnnouncement& announcement);

// Is it worth writing `fresh` over `present`? Not if it is older, nor if a node would act the same on both: the exact
// number of unsold units matters only while it is scarce. With `always`, whenever it is newer.
bool Supersedes(const internal::v1::SkuAnnouncement& fresh, const internal::v1::SkuAnnouncement& present, bool always);

}  // namespace tranche::quota
