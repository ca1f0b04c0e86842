#include "storage/postgres/connection_limits.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace tranche::storage {
namespace {

constexpr ConnectionNeeds kNeeds{.most = 20, .least = 3};

TEST(ConnectionLimits, NothingIsSaidWhereThereIsEnough) {
  const ConnectionVerdict verdict =
      Judge({{"server", "max_connections", 97, 77}, {"role", "tranche_node", 20, 0}}, kNeeds);
  EXPECT_TRUE(verdict.warnings.empty());
  EXPECT_EQ(verdict.refusal, "");
}

TEST(ConnectionLimits, WhatOthersHaveTakenIsNotThere) {
  const ConnectionVerdict verdict = Judge({{"server", "max_connections", 97, 90}}, kNeeds);
  ASSERT_EQ(verdict.warnings.size(), 1u);
  for (const char* part : {"97 connections", "90 are taken", "may want 20", "raise max_connections by 13"}) {
    EXPECT_TRUE(absl::StrContains(verdict.warnings[0], part)) << verdict.warnings[0];
  }
  EXPECT_EQ(verdict.refusal, "") << "others may give some back";
}

TEST(ConnectionLimits, EachLimitHasItsOwnRemedy) {
  const ConnectionVerdict verdict = Judge({{"role", "tranche_node", 9, 1}, {"database", "tranche", 10, 0}}, kNeeds);
  ASSERT_EQ(verdict.warnings.size(), 2u);
  EXPECT_TRUE(absl::StrContains(verdict.warnings[0], "CONNECTION LIMIT of the role tranche_node to 21"))
      << verdict.warnings[0];
  EXPECT_TRUE(absl::StrContains(verdict.warnings[1], "CONNECTION LIMIT of the database tranche to 20"))
      << verdict.warnings[1];
}

TEST(ConnectionLimits, WhatCanNeverBeEnoughIsRefused) {
  const ConnectionVerdict verdict = Judge({{"role", "tranche_node", 2, 0}}, kNeeds);
  EXPECT_TRUE(absl::StrContains(verdict.refusal, "fewer than 3")) << verdict.refusal;
}

}  // namespace
}  // namespace tranche::storage
