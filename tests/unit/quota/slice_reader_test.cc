// An agent follows what is announced of its slices.
#include "quota/node/slice_reader.h"

#include <memory>
#include <optional>

#include "gtest/gtest.h"
#include "tests/unit/quota/node_agent_fixture.h"

namespace tranche::quota {
namespace {

TEST_F(BegunNodeAgentTest, FollowsWhatIsAnnounced) {
  Give(4);
  ASSERT_EQ(Free(), 4);
  const std::shared_ptr<Slice> slice = slices_.Find("tv");
  EXPECT_EQ(slice->incarnation(), agent_.incarnation());
  EXPECT_EQ(slice->terms()->per_user_limit, 10);
  EXPECT_FALSE(slice->terms()->sold_out());
  ASSERT_TRUE(slice->counter().TryTake(1));
  Give(3);
  EXPECT_EQ(Free(), 6);
  Give(-5);
  EXPECT_EQ(Free(), 1);
  EXPECT_EQ(slices_.Find("tv"), slice) << "changed in place: claims in flight count on it";
}

TEST_F(BegunNodeAgentTest, WhatNoEventToldIsFoundByTheResync) {
  Give(4);
  zookeeper_.DropNextWatchEvents(100);
  Give(3);
  ASSERT_EQ(Free(), 4);
  clock_.AdvanceBy(options_.resync_interval);
  Turns();
  EXPECT_EQ(Free(), 7);
  zookeeper_.DropNextWatchEvents(0);
  Give(1);
  EXPECT_EQ(Free(), 8) << "its watches are set again";
}

TEST_F(BegunNodeAgentTest, AReconnectReadsEverything) {
  Give(4);
  const int64_t session = agent_.Session()->SessionId();
  zookeeper_.Disconnect(session);
  Give(2);
  EXPECT_EQ(Free(), 4);
  zookeeper_.Reconnect(session);
  EXPECT_TRUE(agent_.HasWork());
  Turns();
  EXPECT_EQ(Free(), 6);
}

TEST_F(BegunNodeAgentTest, ASliceThatVanishedIsStillOurs) {
  Give(4);
  ASSERT_TRUE(tree().Delete(SlicePath(agent_.incarnation(), "tv"), kAnyVersion).ok());
  Turns();
  EXPECT_EQ(Free(), 4);
  Give(1);
  EXPECT_EQ(Free(), 5);
}

TEST_F(BegunNodeAgentTest, UnreadableAnnouncementsChangeNothing) {
  Give(4);
  ASSERT_TRUE(tree().Set(SlicePath(agent_.incarnation(), "tv"), "\xff", kAnyVersion).ok());
  ASSERT_TRUE(tree().Set(SkuPath("tv"), "\xff", kAnyVersion).ok());
  Turns();
  EXPECT_EQ(Free(), 4);
}

// A node queues claims by them, and holds nothing of the SKU. It went by terms of long ago once a read of them had
// failed.
TEST_F(BegunNodeAgentTest, TermsWithoutASliceAreReadAgain) {
  const auto announce = [this](const absl::StatusOr<storage::Sku>& sku) {
    ASSERT_TRUE(sku.ok()) << sku.status();
    ASSERT_TRUE(announcer_.Announce({{{*sku, /*always=*/true}}}, {}).ok());
    Turns();
  };
  announce(ledger_.GetSku("tv"));
  const std::shared_ptr<Slice> slice = slices_.FindOrAdd("tv");
  slices_.NoteTermsWanted("tv");
  Turns();
  ASSERT_NE(slice->terms(), nullptr);
  ASSERT_EQ(slice->counter().version(), 0) << "it holds a slice";
  zookeeper_.DropNextWatchEvents(100);
  announce(ledger_.SetSkuPaused("tv", true, "a break", std::nullopt, "test"));
  ASSERT_FALSE(slice->terms()->paused) << "the event was not lost";
  clock_.AdvanceBy(options_.resync_interval);
  Turns();
  EXPECT_TRUE(slice->terms()->paused);
  zookeeper_.DropNextWatchEvents(0);
  announce(ledger_.SetSkuPaused("tv", false, "", std::nullopt, "test"));
  EXPECT_FALSE(slice->terms()->paused) << "its watch is set again";
}

TEST_F(BegunNodeAgentTest, ASliceOfASkuWhoseTermsWereReadIsRead) {
  ASSERT_NE(slices_.FindOrAdd("tv"), nullptr);
  slices_.NoteTermsWanted("tv");
  Turns();
  Give(4);
  EXPECT_EQ(Free(), 4);
}

}  // namespace
}  // namespace tranche::quota
