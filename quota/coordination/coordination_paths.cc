#include "quota/coordination/coordination_paths.h"

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tranche::quota {
namespace {

std::string Child(absl::string_view parent, storage::IncarnationId incarnation) {
  return absl::StrCat(parent, "/", incarnation);
}

// FNV-1a over the id's bytes, 32 bits, its four bytes folded into one by exclusive or. Every process of every version
// and language must find a SKU in the same bucket, so this must never change, and a library's hash will not do
// (Abseil's is seeded anew in every process). Folded, since FNV's lowest byte alone mixes poorly.
uint8_t Bucket(absl::string_view sku_id) {
  constexpr uint32_t kOffsetBasis = 2166136261u;
  constexpr uint32_t kPrime = 16777619u;
  uint32_t hash = kOffsetBasis;
  for (const char c : sku_id) {
    hash ^= static_cast<uint8_t>(c);
    hash *= kPrime;
  }
  return static_cast<uint8_t>(hash ^ (hash >> 8) ^ (hash >> 16) ^ (hash >> 24));
}

}  // namespace

std::string NodePath(storage::IncarnationId incarnation) { return Child(kNodesPath, incarnation); }

std::string SlicesPath(storage::IncarnationId incarnation) { return Child(kSlicesPath, incarnation); }

std::string SlicePath(storage::IncarnationId incarnation, absl::string_view sku_id) {
  return absl::StrCat(SlicesPath(incarnation), "/", sku_id);
}

std::string DemandPath(storage::IncarnationId incarnation) { return Child(kDemandPath, incarnation); }

std::string DrainPath(storage::IncarnationId incarnation) { return Child(kDrainPath, incarnation); }

std::string RoomReportPath(storage::IncarnationId incarnation) { return Child(kRoomsPath, incarnation); }

std::string LeaderPath(absl::string_view shard) {
  if (shard == storage::kHomeShard) return absl::StrCat(kBalancerPath, "/leader");
  return absl::StrCat(kBalancerPath, "/shard-", shard);
}

std::string LedgerMarkPath(absl::string_view shard) { return absl::StrCat(kLedgerPath, "/", shard); }

std::string SkuBucketPath(absl::string_view sku_id) {
  return absl::StrCat(kSkusPath, "/", absl::Hex(Bucket(sku_id), absl::kZeroPad2));
}

std::string SkuPath(absl::string_view sku_id) { return absl::StrCat(SkuBucketPath(sku_id), "/", sku_id); }

storage::IncarnationId ParseIncarnation(absl::string_view name) {
  storage::IncarnationId incarnation = 0;
  // Accepts only the spelling that the functions above write: no sign, no blanks, no leading zero.
  if (!absl::SimpleAtoi(name, &incarnation) || incarnation <= 0 || absl::StrCat(incarnation) != name) return 0;
  return incarnation;
}

}  // namespace tranche::quota
