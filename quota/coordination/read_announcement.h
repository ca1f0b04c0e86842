// Reads the announcements of SKUs and slices.
//
// What no ledger can have announced counts as unreadable: a version below 1 or above kMostVersion, or a negative or
// absurd number of units. Nodes do not apply it, and whoever knows the ledger writes over it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

// A ledger's versions begin at 1 and grow by one with every move, so none comes near this: a million moves per second
// take 146,000 years. Nor is any raised near it (storage::kMostRaisedVersion).
inline constexpr int64_t kMostVersion = int64_t{1} << 62;

std::optional<internal::v1::SkuAnnouncement> ReadSkuAnnouncement(const std::string& data);
std::optional<internal::v1::SliceAnnouncement> ReadSliceAnnouncement(const std::string& data);

}  // namespace tranche::quota
