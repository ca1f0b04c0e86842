#include "storage/postgres/dsn_keywords.h"

#include <gtest/gtest.h>

#include <string>

namespace tranche::storage {
namespace {

TEST(DsnKeywordsTest, TheStringsOwnKeywordStaysOrIsReplaced) {
  for (const char* const dsn : {"host=db connect_timeout=9", "postgresql://db?connect_timeout=9"}) {
    EXPECT_EQ(*WithKeywords(dsn, {{"connect_timeout", "2"}, {"user", "u"}}, OwnKeyword::kStays),
              "connect_timeout='9' host='db' user='u'");
    EXPECT_EQ(*WithKeywords(dsn, {{"connect_timeout", "2"}}, OwnKeyword::kReplaced), "connect_timeout='2' host='db'");
  }
}

TEST(DsnKeywordsTest, ATextWithinAValueIsNoKeyword) {
  EXPECT_EQ(
      *WithKeywords("host=db application_name='x connect_timeout=9'", {{"connect_timeout", "2"}}, OwnKeyword::kStays),
      "application_name='x connect_timeout=9' connect_timeout='2' host='db'");
  EXPECT_EQ(*WithKeywords("postgresql://db/connect_timeout%3D9", {{"connect_timeout", "2"}}, OwnKeyword::kStays),
            "connect_timeout='2' dbname='connect_timeout=9' host='db'");
}

TEST(DsnKeywordsTest, WhatLibpqCannotReadIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(WithKeywords("host", {}, OwnKeyword::kStays).status()));
}

}  // namespace
}  // namespace tranche::storage
