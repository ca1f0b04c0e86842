// Converts a SKU's znode from and to the types of the ledger and the seller, and says which of two is later.
#pragma once

#include <cstdint>
#include <optional>

#include "quota/slices/sku_terms.h"
#include "storage/ledger/quota_ledger.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

internal::v1::SkuAnnouncement ToAnnouncement(const storage::Sku& sku);
SkuTerms TermsOf(const internal::v1::SkuAnnouncement& announcement);

// Is it worth writing `fresh` over `present`? Not if it is older, nor if a node would act the same on both: the exact
// number of unsold units matters only while it is scarce. With `always`, whenever it is newer.
bool Supersedes(const internal::v1::SkuAnnouncement& fresh, const internal::v1::SkuAnnouncement& present, bool always);

// Does an announcement say what the ledger had not reached when the SKU, or the slice, was read? Either it was made
// after that, or it is not of this ledger's history. A slice's units depend on its version alone; within one version of
// a SKU units are only sold, so an announcement with fewer is later. `units`: a slice's allotted units, if known.
bool IsAhead(int64_t version, int64_t at_most, const storage::Sku& read);
bool IsAhead(int64_t version, std::optional<int64_t> units, const storage::HeldSlice& read);

// No more units than this were unsold when it was made; SkuTerms::kPlenty if it does not say.
int64_t AtMost(const internal::v1::SkuAnnouncement& announcement);

}  // namespace tranche::quota
