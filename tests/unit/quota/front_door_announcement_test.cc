#include "quota/coordination/front_door_announcement.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "quota/coordination/coordination_paths.h"
#include "quota/fake/fake_coordination.h"
#include "tests/unit/quota/tree_tools.h"

namespace tranche::quota {
namespace {

TEST(FrontDoorVersion, IsReadOnlyAsItIsWritten) {
  EXPECT_EQ(ReadFrontDoorVersion("17"), 17);
  for (const char* other : {"", "0", "-3", "+3", " 3", "03", "3x", "99999999999999999999", "garbage"}) {
    EXPECT_EQ(ReadFrontDoorVersion(other), 0) << other;
  }
}

class AnnounceFrontDoorTest : public ::testing::Test {
 protected:
  std::string Announced() { return other_.tree().Get(kFrontDoorPath, Watch::kNo)->data; }

  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  Bystander other_{&connector_};
};

TEST_F(AnnounceFrontDoorTest, AnotherVersionReplacesOne) {
  ASSERT_TRUE(AnnounceFrontDoor(other_.tree(), 7).ok());
  EXPECT_EQ(Announced(), "7");
  ASSERT_TRUE(AnnounceFrontDoor(other_.tree(), 10).ok());
  EXPECT_EQ(Announced(), "10");
  ASSERT_TRUE(AnnounceFrontDoor(other_.tree(), 6).ok());
  EXPECT_EQ(Announced(), "6") << "a restore takes versions back, and nodes have to hear of what is changed then";
}

TEST_F(AnnounceFrontDoorTest, WhatStandsThereIsNotWrittenAgain) {
  ASSERT_TRUE(AnnounceFrontDoor(other_.tree(), 7).ok());
  const int32_t writes = other_.tree().Get(kFrontDoorPath, Watch::kNo)->version;
  ASSERT_TRUE(AnnounceFrontDoor(other_.tree(), 7).ok());
  EXPECT_EQ(other_.tree().Get(kFrontDoorPath, Watch::kNo)->version, writes);
}

TEST_F(AnnounceFrontDoorTest, WhatIsNoVersionIsReplaced) {
  ASSERT_TRUE(other_.tree().Set(kFrontDoorPath, "garbage", kAnyVersion).ok());
  ASSERT_TRUE(AnnounceFrontDoor(other_.tree(), 1).ok());
  EXPECT_EQ(Announced(), "1");
}

TEST_F(AnnounceFrontDoorTest, ATreeThatWasDeletedIsMadeAgain) {
  zookeeper_.DeleteTree();
  ASSERT_TRUE(AnnounceFrontDoor(other_.tree(), 7).ok());
  EXPECT_EQ(Announced(), "7");
}

TEST_F(AnnounceFrontDoorTest, FailsWhenZookeeperDoesNotAnswer) {
  zookeeper_.SetDown(true);
  EXPECT_TRUE(absl::IsUnavailable(AnnounceFrontDoor(other_.tree(), 7)));
}

}  // namespace
}  // namespace tranche::quota
