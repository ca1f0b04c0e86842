#include "storage/uuid.h"

#include <gtest/gtest.h>

#include "absl/container/flat_hash_set.h"

namespace tranche::storage {
namespace {

TEST(Uuid, ParsesAndPrintsTheUsualForm) {
  const auto uuid = Uuid::Parse("0123abcd-4567-89ef-fedc-ba9876543210");
  ASSERT_TRUE(uuid.has_value());
  EXPECT_EQ(uuid->bytes[0], 0x01);
  EXPECT_EQ(uuid->bytes[3], 0xcd);
  EXPECT_EQ(uuid->bytes[15], 0x10);
  EXPECT_EQ(uuid->ToString(), "0123abcd-4567-89ef-fedc-ba9876543210");
}

TEST(Uuid, CaseDoesNotMatter) {
  const auto upper = Uuid::Parse("0123ABCD-4567-89EF-FEDC-BA9876543210");
  ASSERT_TRUE(upper.has_value());
  EXPECT_EQ(*upper, *Uuid::Parse("0123abcd-4567-89ef-fedc-ba9876543210"));
  EXPECT_EQ(upper->ToString(), "0123abcd-4567-89ef-fedc-ba9876543210");
}

TEST(Uuid, RefusesEverythingElse) {
  for (const char* text : {"", "0123abcd", "0123abcd456789effedcba9876543210", "{0123abcd-4567-89ef-fedc-ba9876543210}",
                           "0123abcd-4567-89ef-fedc-ba987654321", "0123abcd-4567-89ef-fedc-ba98765432100",
                           "0123abcd-4567-89ef-fedc-ba987654321g", "0123abcd-4567-89ef-fedcb-a9876543210",
                           "0123abcd_4567_89ef_fedc_ba9876543210", " 123abcd-4567-89ef-fedc-ba9876543210",
                           "-123abcd-4567-89ef-fedc-ba9876543210", "0123abcd-4567-89ef-fedc-ba987654321-"}) {
    EXPECT_FALSE(Uuid::Parse(text).has_value()) << text;
  }
  EXPECT_FALSE(Uuid::Parse(absl::string_view("0123abcd-4567-89ef-fedc-ba987654321\0", 36)).has_value());
}

TEST(Uuid, NilIsAllZeros) {
  EXPECT_TRUE(Uuid{}.is_nil());
  EXPECT_TRUE(Uuid::Parse("00000000-0000-0000-0000-000000000000")->is_nil());
  EXPECT_FALSE(Uuid::Parse("00000000-0000-0000-0000-000000000001")->is_nil());
}

TEST(Uuid, OrdersByBytesAndHashesByValue) {
  const Uuid low = *Uuid::Parse("00000000-0000-0000-0000-000000000001");
  const Uuid high = *Uuid::Parse("80000000-0000-0000-0000-000000000000");
  EXPECT_LT(low, high);
  EXPECT_FALSE(high < low);
  EXPECT_EQ(absl::flat_hash_set<Uuid>({low, high, low}).size(), 2u);
}

}  // namespace
}  // namespace tranche::storage
