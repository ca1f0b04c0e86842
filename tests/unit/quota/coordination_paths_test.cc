#include "quota/coordination/coordination_paths.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace tranche::quota {
namespace {

TEST(CoordinationPaths, LieBelowTheFixedFirstLevel) {
  EXPECT_EQ(NodePath(7), "/nodes/7");
  EXPECT_EQ(SlicesPath(7), "/slices/7");
  EXPECT_EQ(SlicePath(7, "tv"), "/slices/7/tv");
  EXPECT_EQ(DemandPath(7), "/demand/7");
  EXPECT_EQ(DrainPath(7), "/drain/7");
  EXPECT_EQ(LeaderPath(), "/balancer/leader");
  EXPECT_EQ(std::string(kFrontDoorPath), "/frontdoor");
  EXPECT_EQ(std::string(kRoomsPath), "/rooms");
  EXPECT_EQ(RoomReportPath(7), "/rooms/7");
}

// The FNV authors' test vectors: "" is 811c9dc5, "a" e40c292c, "foobar" bf9cf968. Any other client must find the same.
TEST(CoordinationPaths, SkuBucketIsFoldedFnv1a) {
  EXPECT_EQ(SkuBucketPath(""), "/skus/c5");
  EXPECT_EQ(SkuBucketPath("a"), "/skus/ed");
  EXPECT_EQ(SkuBucketPath("foobar"), "/skus/b2");
  EXPECT_EQ(SkuPath("foobar"), "/skus/b2/foobar");
}

TEST(CoordinationPaths, BucketOfNonAsciiIdTakesBytesAsUnsigned) {
  // Computed here step by step, with the bytes as in any other language.
  uint32_t hash = 2166136261u;
  for (const unsigned byte : {0xc3u, 0xa9u}) hash = (hash ^ byte) * 16777619u;
  const unsigned bucket = (hash ^ (hash >> 8) ^ (hash >> 16) ^ (hash >> 24)) & 0xff;
  EXPECT_EQ(SkuBucketPath("\xc3\xa9"), absl::StrCat("/skus/", absl::Hex(bucket, absl::kZeroPad2)));
}

TEST(CoordinationPaths, ConsecutiveSkusSpreadOverAllBuckets) {
  std::map<std::string, int> sizes;
  constexpr int kSkus = 100'000;
  for (int i = 0; i < kSkus; ++i) ++sizes[SkuBucketPath(absl::StrCat("sku-", i))];
  EXPECT_EQ(sizes.size(), 256u);
  // The fullest has at most twice its fair share: 780 names of 100,000, far below one reply's 1 MiB.
  for (const auto& [bucket, size] : sizes) EXPECT_LE(size, 2 * kSkus / 256) << bucket;
}

TEST(CoordinationPaths, ParseIncarnationTakesOnlyWhatThePathsWrite) {
  EXPECT_EQ(ParseIncarnation("1"), 1);
  EXPECT_EQ(ParseIncarnation("9223372036854775807"), 9223372036854775807);
  for (const char* name : {"", "0", "-1", "+1", "01", " 1", "1 ", "1a", "leader", "9223372036854775808"}) {
    EXPECT_EQ(ParseIncarnation(name), 0) << name;
  }
}

}  // namespace
}  // namespace tranche::quota
