#include "quota/coordination/announcement_repair.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/fake/fake_coordination.h"
#include "storage/fake/fake_ledger.h"
#include "tests/unit/quota/tree_tools.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::SliceAnnouncement;
using storage::IncarnationId;
using storage::QuotaDelta;

class AnnouncementRepairTest : public ::testing::Test {
 protected:
  void CreateSku(const std::string& sku_id) {
    ASSERT_TRUE(
        ledger_.CreateSku({.sku_id = sku_id, .title = "", .price_minor = 1, .currency = "EUR", .stock = 10}, "test")
            .ok());
  }
  IncarnationId AddNode() {
    const IncarnationId id = *ledger_.RegisterIncarnation("node", "host:1");
    EXPECT_TRUE(tree().Create(SlicesPath(id), "", CreateMode::kPersistent).ok());
    return id;
  }
  // Only in the ledger.
  void Give(IncarnationId id, const std::string& sku_id, int64_t units) {
    ASSERT_TRUE(ledger_.MoveUnits(sku_id, {QuotaDelta{id, units}}, std::nullopt, "test").ok());
  }
  Coordination& tree() { return session_.tree(); }
  bool Exists(const std::string& path) { return session_.Exists(path); }
  SliceAnnouncement Announced(IncarnationId id, const std::string& sku_id) {
    const auto znode = tree().Get(SlicePath(id, sku_id), Watch::kNo);
    SliceAnnouncement announcement;
    EXPECT_TRUE(znode.ok() && announcement.ParseFromString(znode->data)) << znode.status();
    return announcement;
  }
  // Begins and runs a pass. Returns the number of its steps.
  int Pass() {
    repair_.Begin();
    int steps = 0;
    for (; repair_.running() && steps < 100; ++steps) EXPECT_TRUE(repair_.Step(tree()).ok());
    return steps;
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  Bystander session_{&connector_};
  Announcer announcer_{&session_};
  AnnouncementRepair repair_{&ledger_, &announcer_};
};

TEST_F(AnnouncementRepairTest, WritesWhatIsMissingOrOldAndNothingElse) {
  CreateSku("tv");
  const IncarnationId a = AddNode(), b = AddNode();
  Give(a, "tv", 4);
  Give(b, "tv", 3);
  EXPECT_FALSE(repair_.running());
  EXPECT_EQ(Pass(), 1) << "small systems are done in one step";
  EXPECT_EQ(Announced(a, "tv").allotted(), 4);
  EXPECT_EQ(Announced(b, "tv").allotted(), 3);
  ASSERT_TRUE(Exists(SkuPath("tv")));

  Give(a, "tv", 1);
  const int32_t other_version = tree().Get(SlicePath(b, "tv"), Watch::kNo)->version;
  const int32_t sku_version = tree().Get(SkuPath("tv"), Watch::kNo)->version;
  Pass();
  EXPECT_EQ(Announced(a, "tv").allotted(), 5);
  EXPECT_EQ(tree().Get(SlicePath(b, "tv"), Watch::kNo)->version, other_version);
  EXPECT_EQ(tree().Get(SkuPath("tv"), Watch::kNo)->version, sku_version);
  const int32_t slice_version = tree().Get(SlicePath(a, "tv"), Watch::kNo)->version;
  Pass();
  EXPECT_EQ(tree().Get(SlicePath(a, "tv"), Watch::kNo)->version, slice_version);
}

TEST_F(AnnouncementRepairTest, ALargeSystemIsRepairedInBoundedPieces) {
  constexpr int kSkus = 1200;
  const IncarnationId a = AddNode(), b = AddNode();
  for (int i = 0; i < kSkus; ++i) {
    const std::string sku_id = absl::StrCat("sku-", 10000 + i);
    CreateSku(sku_id);
    Give(i % 2 == 0 ? a : b, sku_id, 1);
  }
  repair_.Begin();
  ASSERT_TRUE(repair_.Step(tree()).ok());
  EXPECT_TRUE(Exists(SkuPath("sku-10000")));
  EXPECT_FALSE(Exists(SkuPath("sku-11199")));
  EXPECT_TRUE(tree().List(SlicesPath(a), Watch::kNo)->empty());
  int steps = 1;
  for (; repair_.running() && steps < 100; ++steps) ASSERT_TRUE(repair_.Step(tree()).ok());
  EXPECT_GE(steps, 3);
  EXPECT_LE(steps, 6);
  EXPECT_TRUE(Exists(SkuPath("sku-11199")));
  EXPECT_EQ(tree().List(SlicesPath(a), Watch::kNo)->size(), kSkus / 2);
  EXPECT_EQ(tree().List(SlicesPath(b), Watch::kNo)->size(), kSkus / 2);
}

TEST_F(AnnouncementRepairTest, APassGoesOnAfterAStepThatFailed) {
  CreateSku("tv");
  const IncarnationId a = AddNode();
  Give(a, "tv", 4);
  repair_.Begin();
  ledger_.FailNext(1);
  EXPECT_FALSE(repair_.Step(tree()).ok());
  EXPECT_TRUE(repair_.running());
  for (int step = 0; repair_.running() && step < 10; ++step) ASSERT_TRUE(repair_.Step(tree()).ok());
  EXPECT_EQ(Announced(a, "tv").allotted(), 4);
}

TEST_F(AnnouncementRepairTest, OnlyWhatEndedIncarnationsLeftIsRemoved) {
  CreateSku("tv");
  const IncarnationId live = AddNode(), ended = AddNode();
  ASSERT_TRUE(ledger_.ReclaimIncarnation(ended).ok());
  // Above every number that the ledger has given out: from a tree that was not emptied with the ledger.
  const IncarnationId stranger = ended + 100;
  for (const IncarnationId id : {ended, stranger}) {
    if (id == stranger) {
      ASSERT_TRUE(tree().Create(SlicesPath(id), "", CreateMode::kPersistent).ok());
    }
    ASSERT_TRUE(tree().Create(SlicePath(id, "tv"), "", CreateMode::kPersistent).ok());
    ASSERT_TRUE(tree().Create(DrainPath(id), "", CreateMode::kPersistent).ok());
  }
  ASSERT_TRUE(ledger_.SetDraining(live, true, "test").ok());
  ASSERT_TRUE(tree().Create(DrainPath(live), "", CreateMode::kPersistent).ok());
  // Drained only, never announced to.
  ASSERT_TRUE(tree().Create(DrainPath(stranger + 1), "", CreateMode::kPersistent).ok());
  Pass();
  for (const IncarnationId id : {ended, stranger, stranger + 1}) {
    EXPECT_FALSE(Exists(SlicesPath(id))) << id;
    EXPECT_FALSE(Exists(DrainPath(id))) << id;
  }
  EXPECT_TRUE(Exists(SlicesPath(live)));
  EXPECT_TRUE(Exists(DrainPath(live)));
}

TEST_F(AnnouncementRepairTest, WhatSomebodyWroteAboutANodeThatIsNoneIsRemoved) {
  const IncarnationId live = AddNode(), none = live + 100;
  ASSERT_TRUE(tree().Create(NodePath(none), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(tree().Create(DemandPath(none + 1), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(tree().Create(RoomReportPath(none + 2), "", CreateMode::kPersistent).ok());
  // With children, which a simple deletion does not remove.
  for (const std::string& path : {DrainPath(live), DrainPath(none), DrainPath(none) + "/a"}) {
    ASSERT_TRUE(tree().Create(path, "", CreateMode::kPersistent).ok());
  }
  ASSERT_TRUE(tree().Create(DrainPath(live) + "/child", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(tree().Create(DrainPath(none) + "/a/b", "", CreateMode::kPersistent).ok());
  Pass();
  for (const std::string& path :
       {NodePath(none), DemandPath(none + 1), RoomReportPath(none + 2), DrainPath(none), DrainPath(live)}) {
    EXPECT_FALSE(Exists(path)) << path;
  }
  EXPECT_TRUE(Exists(SlicesPath(live)));
}

TEST_F(AnnouncementRepairTest, AllOfOneIncarnationAtOnce) {
  const IncarnationId a = AddNode(), b = AddNode();
  for (const char* sku_id : {"tv", "radio"}) {
    CreateSku(sku_id);
    Give(a, sku_id, 2);
    Give(b, sku_id, 2);
  }
  size_t announced = 0;
  ASSERT_TRUE(repair_.AnnounceSlicesOf(a, &announced).ok());
  EXPECT_EQ(announced, 2u);
  EXPECT_TRUE(Exists(SlicePath(a, "tv")));
  EXPECT_TRUE(Exists(SlicePath(a, "radio")));
  EXPECT_FALSE(Exists(SlicePath(b, "tv")));
}

// What is known of copies, without the shards that know it.
class ScriptedCopies : public storage::CopyCheck {
 public:
  void BeginPass() override { ++passes; }
  absl::StatusOr<Verdict> Judge(const std::string& sku_id, const std::string& announced_at) override {
    judged.push_back(sku_id + " at " + announced_at);
    return verdict;
  }

  absl::StatusOr<Verdict> verdict = Verdict::kOpen;
  std::vector<std::string> judged;
  int passes = 0;
};

using Verdict = storage::CopyCheck::Verdict;

// The repair of home, where the SKU "tv" is announced as being at the shard "hot".
class CopyRepairTest : public AnnouncementRepairTest {
 protected:
  void SetUp() override {
    node_ = AddNode();
    for (const char* sku_id : {"tv", "radio"}) {
      CreateSku(sku_id);
      Give(node_, sku_id, 4);
    }
    Announce("tv", 1);
  }
  // As the other shard does it.
  void Announce(const std::string& sku_id, int64_t version) {
    storage::Sku sku = *ledger_.GetSku(sku_id);
    sku.shard = "hot";
    sku.quota_version = version;
    ASSERT_TRUE(announcer_.Replacing().Announce({{sku, /*always=*/true}}, {}).ok());
  }
  internal::v1::SkuAnnouncement AnnouncedSku(const std::string& sku_id) {
    const auto znode = tree().Get(SkuPath(sku_id), Watch::kNo);
    internal::v1::SkuAnnouncement announcement;
    EXPECT_TRUE(znode.ok() && announcement.ParseFromString(znode->data)) << znode.status();
    return announcement;
  }
  std::string ShardOf(const std::string& sku_id) { return AnnouncedSku(sku_id).shard(); }
  int64_t Version(const std::string& sku_id) { return ledger_.GetSku(sku_id)->quota_version; }
  void PassWithCopies() {
    with_copies_.Begin();
    for (int step = 0; with_copies_.running() && step < 100; ++step) EXPECT_TRUE(with_copies_.Step(tree()).ok());
  }

  ScriptedCopies copies_;
  AnnouncementRepair with_copies_{&ledger_, &announcer_, /*of_home=*/true, &copies_};
  IncarnationId node_ = storage::kPool;
};

TEST_F(CopyRepairTest, OnlyASkuThatIsAnnouncedElsewhereIsJudged) {
  PassWithCopies();
  PassWithCopies();
  EXPECT_EQ(copies_.judged, (std::vector<std::string>{"tv at hot", "tv at hot"}));
  EXPECT_EQ(copies_.passes, 2);
}

TEST_F(CopyRepairTest, WhileItIsOpenTheOtherShardsAnnouncementStays) {
  // Whichever of them has the higher version.
  for (const int64_t version : {int64_t{1}, Version("tv"), Version("tv") + 100}) {
    Announce("tv", version);
    const int64_t before = Version("tv");
    PassWithCopies();
    EXPECT_EQ(ShardOf("tv"), "hot");
    EXPECT_EQ(Version("tv"), before) << "nothing to overrule";
    EXPECT_FALSE(Exists(SlicePath(node_, "tv"))) << "its slices are the other shard's, too";
    ASSERT_TRUE(with_copies_.AnnounceSlicesOf(node_).ok());
    EXPECT_FALSE(Exists(SlicePath(node_, "tv")));
  }
  EXPECT_TRUE(with_copies_.IsOpen("tv"));
  EXPECT_EQ(ShardOf("radio"), "");
  EXPECT_EQ(Announced(node_, "radio").allotted(), 4);
}

TEST_F(CopyRepairTest, WhatCannotBeJudgedStaysOpenAndIsTold) {
  copies_.verdict = absl::UnavailableError("our own ledger");
  with_copies_.Begin();
  EXPECT_TRUE(absl::IsUnavailable(with_copies_.Step(tree())));
  EXPECT_EQ(ShardOf("tv"), "hot");
  EXPECT_TRUE(with_copies_.IsOpen("tv"));
  EXPECT_EQ(ShardOf("radio"), "") << "the others are repaired";
}

TEST_F(CopyRepairTest, ACopyThatWasGivenUpIsNotAnnounced) {
  copies_.verdict = Verdict::kGivenUp;
  PassWithCopies();
  EXPECT_EQ(ShardOf("tv"), "hot");
  EXPECT_FALSE(with_copies_.IsOpen("tv"));
}

TEST_F(CopyRepairTest, ACopyThatCountsIsAnnouncedInsteadOfTheOther) {
  copies_.verdict = Verdict::kCounts;
  PassWithCopies();
  EXPECT_EQ(ShardOf("tv"), "");
  EXPECT_EQ(Announced(node_, "tv").allotted(), 4);
  // The announcement of the other one may have a higher version.
  Announce("tv", Version("tv") + 100);
  ASSERT_EQ(ShardOf("tv"), "hot");
  PassWithCopies();
  EXPECT_EQ(ShardOf("tv"), "");
  EXPECT_EQ(AnnouncedSku("tv").version(), Version("tv"));
  EXPECT_FALSE(with_copies_.IsOpen("tv"));
}

TEST_F(CopyRepairTest, OnceItIsKnownItIsNoLongerOpen) {
  PassWithCopies();
  ASSERT_TRUE(with_copies_.IsOpen("tv"));
  copies_.verdict = Verdict::kCounts;
  PassWithCopies();
  EXPECT_FALSE(with_copies_.IsOpen("tv"));
  EXPECT_EQ(Announced(node_, "tv").allotted(), 4);
}

TEST_F(CopyRepairTest, WhoKnowsOfNoOtherShardAnnouncesWhatItHas) {
  Pass();
  EXPECT_EQ(ShardOf("tv"), "");
}

TEST_F(CopyRepairTest, ManyAreJudgedInBoundedPieces) {
  constexpr size_t kCopies = 150;
  for (size_t i = 0; i < kCopies; ++i) {
    const std::string sku_id = absl::StrCat("sku-", 1000 + i);
    CreateSku(sku_id);
    Announce(sku_id, 1);
  }
  with_copies_.Begin();
  ASSERT_TRUE(with_copies_.Step(tree()).ok());
  EXPECT_LE(copies_.judged.size(), 100u);
  for (int step = 0; with_copies_.running() && step < 100; ++step) ASSERT_TRUE(with_copies_.Step(tree()).ok());
  EXPECT_EQ(copies_.judged.size(), kCopies + 1) << "each once, and tv";
  EXPECT_EQ(std::set<std::string>(copies_.judged.begin(), copies_.judged.end()).size(), kCopies + 1);
  for (size_t i = 0; i < kCopies; ++i) EXPECT_TRUE(with_copies_.IsOpen(absl::StrCat("sku-", 1000 + i)));
}

}  // namespace
}  // namespace tranche::quota
