// Announcements that the ledger has never made: the ledger's word counts, in ZooKeeper and at the nodes.
#include "quota/coordination/overruling.h"

#include <functional>
#include <limits>
#include <memory>

#include "gtest/gtest.h"
#include "quota/coordination/announcement_repair.h"
#include "quota/coordination/read_announcement.h"
#include "quota/coordination/tree_rebuild.h"
#include "tests/unit/quota/node_agent_fixture.h"

namespace tranche::quota {
namespace {

using internal::v1::SkuAnnouncement;
using internal::v1::SliceAnnouncement;
using storage::kMostRaisedVersion;

constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

// A node that holds 4 units of 10, and whoever repairs its announcements.
class OverrulingTest : public BegunNodeAgentTest {
 protected:
  OverrulingTest() { Give(4); }

  std::string SlicePathOfNode() { return SlicePath(agent_.incarnation(), "tv"); }
  void Write(const std::string& path, const std::string& data) {
    ASSERT_TRUE(tree().Set(path, data, kAnyVersion).ok());
    Turns();
  }
  void WriteSlice(int64_t allotted, int64_t version) {
    SliceAnnouncement announcement;
    announcement.set_allotted(allotted);
    announcement.set_version(version);
    Write(SlicePathOfNode(), announcement.SerializeAsString());
  }
  void WriteSku(SkuAnnouncement::State state, int64_t version, int64_t unsold = 10) {
    SkuAnnouncement announcement;
    announcement.set_sku_id("tv");
    announcement.set_state(state);
    announcement.set_per_user_limit(10);
    announcement.set_version(version);
    announcement.set_unsold(unsold);
    Write(SkuPath("tv"), announcement.SerializeAsString());
  }
  SliceAnnouncement AnnouncedSlice() {
    const auto announcement = ReadSliceAnnouncement(tree().Get(SlicePathOfNode(), Watch::kNo)->data);
    EXPECT_TRUE(announcement.has_value());
    return announcement.value_or(SliceAnnouncement());
  }
  // What the leading balancer does every ten seconds.
  void Repair() {
    AnnouncementRepair repair(&ledger_, &announcer_);
    repair.Begin();
    while (repair.running()) ASSERT_TRUE(repair.Step(tree()).ok());
    Turns();
  }
  void Rebuild() {
    ASSERT_TRUE(RebuildTree(other_, ledger_, clock_, RebuildMode::kWrite).ok());
    Turns();
  }
  int64_t Version() { return ledger_.GetSku("tv")->quota_version; }
  // ZooKeeper and the node say what the ledger says.
  void ExpectObeyed() {
    EXPECT_EQ(Free(), 4);
    EXPECT_EQ(AnnouncedSlice().allotted(), 4);
    EXPECT_EQ(AnnouncedSlice().version(), slices_.Find("tv")->counter().version());
    EXPECT_FALSE(slices_.Find("tv")->terms()->closed);
    EXPECT_FALSE(slices_.Find("tv")->terms()->sold_out());
  }
};

TEST_F(OverrulingTest, ASliceWrittenByHandWithTheHighestVersionIsRepaired) {
  const int64_t version = Version();
  WriteSlice(0, kHighest);
  EXPECT_EQ(Free(), 4) << "the node does not believe it";
  Repair();
  ExpectObeyed();
  EXPECT_EQ(Version(), version) << "it is simply written over";
  WriteSlice(0, kHighest);
  Rebuild();
  ExpectObeyed();
}

TEST_F(OverrulingTest, ASliceWrittenByHandWithAPlausibleVersionIsOverruled) {
  WriteSlice(0, 1000);
  EXPECT_EQ(Free(), 0) << "the node cannot know better";
  Repair();
  ExpectObeyed();
  EXPECT_GT(Version(), 1000);
  WriteSlice(99, Version() + 5);
  Rebuild();
  ExpectObeyed();
  Give(2);
  EXPECT_EQ(Free(), 6) << "moves go on from there";
}

TEST_F(OverrulingTest, ASliceWithItsOwnVersionAndOtherUnitsIsOverruled) {
  WriteSlice(1, AnnouncedSlice().version());
  Repair();
  ExpectObeyed();
}

TEST_F(OverrulingTest, AnAnnouncementBelowTheSkusVersionAndAboveItsSlicesIsOverruled) {
  ASSERT_TRUE(ledger_.AddStock("tv", 1, std::nullopt, "test").ok());
  ASSERT_TRUE(ledger_.AddStock("tv", 1, std::nullopt, "test").ok());
  WriteSlice(0, Version());
  ASSERT_EQ(Free(), 0);
  Repair();
  ExpectObeyed();
}

TEST_F(OverrulingTest, ASkuWrittenByHandIsOverruled) {
  for (const int64_t version : {kHighest, kMostVersion, int64_t{1000}}) {
    WriteSku(SkuAnnouncement::STATE_CLOSED, version);
    Repair();
    ExpectObeyed();
  }
  WriteSku(SkuAnnouncement::STATE_CLOSED, Version() + 1000);
  Rebuild();
  ExpectObeyed();
}

// As after a restore: the version has been announced before, when nothing was left.
TEST_F(OverrulingTest, ASoldOutOfTheSameVersionIsOverruled) {
  WriteSku(SkuAnnouncement::STATE_OPEN, Version(), /*unsold=*/0);
  ASSERT_TRUE(slices_.Find("tv")->terms()->sold_out());
  Repair();
  ExpectObeyed();
}

// The ledger's version cannot be raised above it.
TEST_F(OverrulingTest, AVersionNearTheHighestEndsTheIncarnation) {
  const storage::IncarnationId before = agent_.incarnation();
  for (const int64_t version : {kMostRaisedVersion + 1, kMostVersion}) {
    WriteSlice(0, version);
    ASSERT_EQ(Free(), 0);
    Repair();
    EXPECT_GT(agent_.incarnation(), before);
    EXPECT_EQ(Pool(), 10);
    Give(4);
    ExpectObeyed();
  }
  EXPECT_LT(Version(), 1000);
  WriteSlice(0, kMostRaisedVersion);
  Repair();
  ExpectObeyed();
  Give(1);
  EXPECT_EQ(Free(), 5);
}

// The node has applied it, and the znode was put right since.
TEST_F(OverrulingTest, WhatANodeGoesByIsOverruled) {
  WriteSlice(0, 1000);
  ASSERT_TRUE(tree().Delete(SlicePathOfNode(), kAnyVersion).ok());
  Repair();
  ASSERT_EQ(Free(), 0) << "in ZooKeeper all is well";
  const AheadOfLedger reported{"tv", agent_.incarnation(), 1000, std::nullopt};
  ASSERT_TRUE(Overrule(ledger_, announcer_, {&reported, 1}, "test").ok());
  Turns();
  ExpectObeyed();
}

// Moves, and announces the move, after the repair has read the ledger and before it looks at the announcements.
class MovingLedger : public storage::FakeLedger {
 public:
  using FakeLedger::FakeLedger;
  absl::StatusOr<std::vector<storage::Sku>> ListSkus(const std::string& after, int limit) override {
    auto skus = FakeLedger::ListSkus(after, limit);
    Meanwhile();
    return skus;
  }
  absl::StatusOr<std::vector<std::pair<std::string, storage::HeldSlice>>> ListSlices(
      storage::IncarnationId incarnation) override {
    auto slices = FakeLedger::ListSlices(incarnation);
    Meanwhile();
    return slices;
  }

  std::function<void()> meanwhile;

 private:
  void Meanwhile() {
    if (meanwhile) meanwhile();
  }
};

TEST(OverrulingRaceTest, WhatWasAnnouncedAfterTheLedgerWasReadIsNotOverruled) {
  storage::FakeClock clock;
  MovingLedger ledger(&clock);
  FakeZookeeper zookeeper;
  FakeConnector connector(&zookeeper);
  Bystander session(&connector);
  Announcer announcer(&session);
  QuotaMover mover(&ledger, &announcer);
  ASSERT_TRUE(
      ledger.CreateSku({.sku_id = "tv", .title = "", .price_minor = 1, .currency = "EUR", .stock = 10}, "test").ok());
  const storage::IncarnationId node = *ledger.RegisterIncarnation("node", "host:1");
  ASSERT_TRUE(session.tree().Create(SlicesPath(node), "", CreateMode::kPersistent).ok());
  int64_t moves = 0;
  ledger.meanwhile = [&] {
    const storage::QuotaDelta delta{node, moves % 2 == 0 ? 10 : -10};
    ASSERT_TRUE(mover.Move("tv", {&delta, 1}, std::nullopt, "test").ok());
    ++moves;
  };
  AnnouncementRepair repair(&ledger, &announcer);
  for (int pass = 0; pass < 3; ++pass) {
    repair.Begin();
    while (repair.running()) ASSERT_TRUE(repair.Step(session.tree()).ok());
  }
  EXPECT_EQ(moves, 6);
  EXPECT_EQ(ledger.GetSku("tv")->quota_version, 1 + moves) << "only the moves have raised it";
}

}  // namespace
}  // namespace tranche::quota
