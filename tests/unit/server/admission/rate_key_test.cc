#include "server/admission/rate_key.h"

#include <array>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace tranche::server {
namespace {

TEST(RateKeyTest, KindsHaveTheNamesThatBuyersSee) {
  EXPECT_EQ(RateKeyName(RateKeyKind::kUser), "user");
  EXPECT_EQ(RateKeyName(RateKeyKind::kAddress), "address");
  EXPECT_EQ(RateKeyName(RateKeyKind::kToken), "token");
  EXPECT_EQ(RateKeyName(RateKeyKind::kSku), "sku");
}

TEST(RateKeyTest, EachPartOfANameCounts) {
  const RateKeyHasher hasher;
  const RateFingerprint one = hasher.Of(RateKeyKind::kUser, "tv", "alice");
  EXPECT_EQ(hasher.Of(RateKeyKind::kUser, "tv", "alice"), one);
  EXPECT_NE(hasher.Of(RateKeyKind::kToken, "tv", "alice"), one);
  EXPECT_NE(hasher.Of(RateKeyKind::kUser, "*", "alice"), one);
  EXPECT_NE(hasher.Of(RateKeyKind::kUser, "tv", "bob"), one);
}

TEST(RateKeyTest, WhoWaitsHasANameThatNoLimitHas) {
  const RateKeyHasher hasher;
  const RateFingerprint one = hasher.OfWaiting("tv", 3, "alice");
  EXPECT_EQ(hasher.OfWaiting("tv", 3, "alice"), one);
  EXPECT_NE(hasher.OfWaiting("tv", 4, "alice"), one);
  EXPECT_NE(hasher.OfWaiting("radio", 3, "alice"), one);
  EXPECT_NE(hasher.OfWaiting("tv", 3, "bob"), one);
  EXPECT_NE(hasher.OfWaiting("tv", 31, "1:bob"), hasher.OfWaiting("tv", 3, "11:bob"));
  for (const RateKeyKind kind : kRateKeyKinds) EXPECT_NE(hasher.Of(kind, "tv", "3:alice"), one);
}

// Joined without lengths, these would be the same bytes.
TEST(RateKeyTest, WhereAPartEndsCounts) {
  const RateKeyHasher hasher;
  EXPECT_NE(hasher.Of(RateKeyKind::kUser, "tv", "alice"), hasher.Of(RateKeyKind::kUser, "tva", "lice"));
  EXPECT_NE(hasher.Of(RateKeyKind::kUser, "tv", ""), hasher.Of(RateKeyKind::kUser, "", "tv"));
}

// So nobody can find out keys that meet.
TEST(RateKeyTest, EachProcessHashesInAnotherWay) {
  const RateKeyHasher hasher;
  const RateKeyHasher other;
  EXPECT_NE(hasher.Of(RateKeyKind::kUser, "tv", "alice"), other.Of(RateKeyKind::kUser, "tv", "alice"));
}

TEST(RateKeyTest, NamesMayBeLong) {
  const RateKeyHasher hasher;
  const std::string name(2'000, 'x');
  EXPECT_NE(hasher.Of(RateKeyKind::kUser, "tv", name), hasher.Of(RateKeyKind::kUser, "tv", name + "y"));
}

TEST(RateKeyTest, ManyKeysHaveDistinctFingerprints) {
  const RateKeyHasher hasher;
  std::set<RateFingerprint> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(hasher.Of(RateKeyKind::kUser, "tv", absl::StrCat("buyer-", i)));
  EXPECT_EQ(seen.size(), 10'000u);
}

// Computed with another implementation: SipHash-2-4, over the kind, the length of "tv" in four bytes, "tv" and "alice".
// Nodes of two versions must agree about homes.
TEST(RateKeyTest, WithAKnownKeyTheHashIsTheSameEverywhere) {
  std::array<unsigned char, 16> key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<unsigned char>(i);
  EXPECT_EQ(HashRateKey(key, RateKeyKind::kUser, "tv", "alice"), 0xd3543240c916144bu);
}

}  // namespace
}  // namespace tranche::server
