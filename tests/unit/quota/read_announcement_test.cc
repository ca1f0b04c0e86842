#include "quota/coordination/read_announcement.h"

#include <limits>

#include "gtest/gtest.h"

namespace tranche::quota {
namespace {

constexpr int64_t kHighestNumber = std::numeric_limits<int64_t>::max();

std::string SliceOf(int64_t allotted, int64_t version) {
  internal::v1::SliceAnnouncement announcement;
  announcement.set_allotted(allotted);
  announcement.set_version(version);
  return announcement.SerializeAsString();
}

std::string SkuOfVersion(int64_t version) {
  internal::v1::SkuAnnouncement announcement;
  announcement.set_state(internal::v1::SkuAnnouncement::STATE_CLOSED);
  announcement.set_version(version);
  return announcement.SerializeAsString();
}

TEST(ReadAnnouncementTest, WhatNoLedgerCanHaveAnnouncedIsUnreadable) {
  EXPECT_EQ(ReadSliceAnnouncement(SliceOf(7, 1))->allotted(), 7);
  EXPECT_EQ(ReadSliceAnnouncement(SliceOf(0, kMostVersion))->version(), kMostVersion);
  for (const int64_t version : {kHighestNumber, kMostVersion + 1, int64_t{0}, int64_t{-1}}) {
    EXPECT_FALSE(ReadSliceAnnouncement(SliceOf(7, version)).has_value()) << version;
    EXPECT_FALSE(ReadSkuAnnouncement(SkuOfVersion(version)).has_value()) << version;
  }
  EXPECT_FALSE(ReadSliceAnnouncement(SliceOf(-1, 5)).has_value());
  EXPECT_FALSE(ReadSliceAnnouncement(SliceOf(kHighestNumber, 5)).has_value());
  EXPECT_EQ(ReadSkuAnnouncement(SkuOfVersion(3))->version(), 3);
}

TEST(ReadAnnouncementTest, AnEmptyZnodeIsNoAnnouncement) {
  EXPECT_FALSE(ReadSliceAnnouncement("").has_value());
  EXPECT_FALSE(ReadSkuAnnouncement("").has_value());
  EXPECT_FALSE(ReadSkuAnnouncement("\xff").has_value());
}

}  // namespace
}  // namespace tranche::quota
