#include "quota/coordination/sku_announcement.h"

#include "gtest/gtest.h"

namespace tranche::quota {
namespace {

using internal::v1::SkuAnnouncement;
using storage::Sku;

Sku SkuOf(int64_t version, int64_t unsold) {
  Sku sku{.sku_id = "tv", .title = "", .price_minor = 1, .currency = "EUR"};
  sku.quota_version = version;
  sku.unsold = unsold;
  return sku;
}
SkuAnnouncement At(int64_t version, int64_t unsold) { return ToAnnouncement(SkuOf(version, unsold)); }

TEST(SkuAnnouncementTest, TermsSurviveTheirAnnouncement) {
  Sku sku = SkuOf(7, 0);
  sku.per_user_limit = 3;
  sku.opens_at = absl::UnixEpoch() + absl::Seconds(5);
  sku.closed = true;
  sku.holds_may_lapse = true;
  const SkuTerms terms = TermsOf(ToAnnouncement(sku));
  EXPECT_EQ(terms.per_user_limit, 3);
  EXPECT_EQ(terms.opens_at, sku.opens_at);
  EXPECT_EQ(terms.closes_at, absl::InfiniteFuture());
  EXPECT_TRUE(terms.closed);
  EXPECT_TRUE(terms.sold_out());
  EXPECT_TRUE(terms.holds_may_lapse);
}

TEST(SkuAnnouncementTest, APauseSurvivesItsAnnouncement) {
  Sku sku = SkuOf(7, 10);
  EXPECT_FALSE(TermsOf(ToAnnouncement(sku)).paused);
  sku.paused = true;
  sku.pause_reason = "a break";
  const SkuTerms terms = TermsOf(ToAnnouncement(sku));
  EXPECT_TRUE(terms.paused);
  EXPECT_EQ(terms.pause_reason, "a break");
  EXPECT_FALSE(terms.closed);
  sku.closed = true;
  EXPECT_TRUE(TermsOf(ToAnnouncement(sku)).closed) << "the more lasting reason";
}

TEST(SkuAnnouncementTest, ThePathOfClaimsSurvivesItsAnnouncement) {
  using storage::ClaimPath;
  for (const ClaimPath path : {ClaimPath::kDirect, ClaimPath::kQueue, ClaimPath::kAuto}) {
    Sku sku = SkuOf(7, 10);
    sku.claim_path = path;
    EXPECT_EQ(TermsOf(ToAnnouncement(sku)).claim_path, path);
    EXPECT_EQ(TermsOf(sku).claim_path, path);
    EXPECT_EQ(Supersedes(ToAnnouncement(sku), At(6, 10), false), path != ClaimPath::kDirect);
  }
}

TEST(SupersedesTest, AnOlderOneNeverReplacesANewerOne) {
  EXPECT_FALSE(Supersedes(At(4, 0), At(5, 10), false));
  EXPECT_FALSE(Supersedes(At(4, 10), At(5, 0), true));
}

// Read before the stock was added, written after: the addition has a newer version.
TEST(SupersedesTest, ASoldOutThatIsWrittenLateDoesNotHideAddedStock) {
  const SkuAnnouncement sold_out = At(5, 0), added = At(6, 10);
  EXPECT_TRUE(Supersedes(added, sold_out, true));
  EXPECT_FALSE(Supersedes(sold_out, added, false));
  // It was never written, so the terms before and after the addition are the same: written nevertheless.
  EXPECT_TRUE(Supersedes(added, At(4, 3), /*always=*/true));
  EXPECT_FALSE(Supersedes(added, At(4, 3), /*always=*/false));
}

// Within one version units are only sold.
TEST(SupersedesTest, OfTwoWithOneVersionTheSoldOutOneIsTheLater) {
  EXPECT_TRUE(Supersedes(At(5, 0), At(5, 3), false));
  EXPECT_FALSE(Supersedes(At(5, 3), At(5, 0), false));
  EXPECT_FALSE(Supersedes(At(5, 3), At(5, 0), true));
}

SkuAnnouncement ScarceAt(int64_t version, int64_t unsold) {
  Sku sku = SkuOf(version, unsold);
  sku.per_user_limit = 4;
  return ToAnnouncement(sku);
}

TEST(SupersedesTest, TheExactNumberMattersWhileABuyerMayAskForMore) {
  EXPECT_EQ(TermsOf(ScarceAt(5, 3)).at_most, 3);
  EXPECT_EQ(TermsOf(ScarceAt(5, 4)).at_most, SkuTerms::kPlenty);
  EXPECT_TRUE(Supersedes(ScarceAt(5, 2), ScarceAt(5, 3), false));
  EXPECT_FALSE(Supersedes(ScarceAt(5, 3), ScarceAt(5, 2), true)) << "within one version units are only sold";
  EXPECT_TRUE(Supersedes(ScarceAt(6, 3), ScarceAt(5, 2), false)) << "some have come back";
  EXPECT_FALSE(Supersedes(ScarceAt(6, 9), ScarceAt(5, 8), false));
}

TEST(SkuAnnouncementTest, AnEarlierVersionSaysOnlyWhetherAnythingIsUnsold) {
  SkuAnnouncement announcement = ScarceAt(5, 2);
  announcement.clear_at_most();
  EXPECT_EQ(TermsOf(announcement).at_most, SkuTerms::kPlenty);
  announcement.set_unsold(0);
  EXPECT_EQ(TermsOf(announcement).at_most, 0);
}

TEST(SupersedesTest, AVersionThatNoLedgerIsRaisedToIsWrittenOver) {
  EXPECT_TRUE(Supersedes(At(5, 10), At(storage::kMostRaisedVersion + 1, 10), false));
  EXPECT_FALSE(Supersedes(At(5, 10), At(storage::kMostRaisedVersion, 10), false)) << "the ledger is raised above it";
  const int64_t high = storage::kMostRaisedVersion + 1000;
  EXPECT_FALSE(Supersedes(At(high, 10), At(high + 1000, 10), false)) << "by a small step";
  EXPECT_TRUE(Supersedes(At(high, 10), At(2 * storage::kMostRaisedVersion, 10), false));
}

TEST(IsAheadTest, AnotherNumberOfTheSameVersionOrAHigherVersionIsAhead) {
  Sku read = SkuOf(5, 3);
  read.per_user_limit = 4;
  EXPECT_TRUE(IsAhead(6, 3, read));
  EXPECT_FALSE(IsAhead(4, 0, read));
  EXPECT_FALSE(IsAhead(5, 3, read));
  EXPECT_TRUE(IsAhead(5, 2, read)) << "one was sold since";
  EXPECT_FALSE(IsAhead(5, SkuTerms::kPlenty, read));
  const storage::HeldSlice slice{.holder = 1, .allotted = 4, .remaining = 2, .version = 5};
  EXPECT_TRUE(IsAhead(6, 4, slice));
  EXPECT_FALSE(IsAhead(4, 7, slice));
  EXPECT_FALSE(IsAhead(5, 4, slice));
  EXPECT_TRUE(IsAhead(5, 3, slice)) << "its units depend on its version alone";
  EXPECT_FALSE(IsAhead(5, std::nullopt, slice));
}

TEST(SupersedesTest, WhatChangesNothingForANodeIsNotWritten) {
  EXPECT_FALSE(Supersedes(At(6, 9), At(5, 10), false)) << "the exact number matters to nobody";
  EXPECT_FALSE(Supersedes(At(5, 9), At(5, 10), true));
  Sku closed = SkuOf(6, 10);
  closed.closed = true;
  EXPECT_TRUE(Supersedes(ToAnnouncement(closed), At(5, 10), false));
  Sku paused = SkuOf(6, 10), for_another_reason = paused;
  paused.paused = for_another_reason.paused = true;
  for_another_reason.pause_reason = "a break";
  EXPECT_TRUE(Supersedes(ToAnnouncement(paused), At(5, 10), false));
  EXPECT_TRUE(Supersedes(ToAnnouncement(for_another_reason), ToAnnouncement(paused), false)) << "buyers are told";
  EXPECT_FALSE(Supersedes(ToAnnouncement(paused), ToAnnouncement(paused), true));
  Sku lapsing = SkuOf(5, 0);
  lapsing.holds_may_lapse = true;
  EXPECT_TRUE(Supersedes(ToAnnouncement(lapsing), At(5, 0), false)) << "it decides what a refused buyer is told";
}

}  // namespace
}  // namespace tranche::quota
