// Whether anybody could buy a unit of a SKU now: for those who ask before they claim.
#pragma once

#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "quota/sale/sale_result.h"
#include "quota/sale/sku_directory.h"
#include "quota/slices/slice_table.h"
#include "storage/clock.h"

namespace tranche::quota {

// Why nobody could; nothing: somebody could. Units that may still come to this node count as units.
using EntryChecked = absl::AnyInvocable<void(std::optional<Refused>)>;

// Calls `done` exactly once: inline from what this node knows, otherwise as SkuDirectory::Lookup does. It changes
// nothing: an entry is no demand. `slices`, `directory` and `clock` live until then.
void CheckEntry(const SliceTable& slices, SkuDirectory& directory, const storage::Clock& clock,
                const std::string& sku_id, EntryChecked done);

}  // namespace tranche::quota
