#include "quota/coordination/tree_rebuild.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/quota_mover.h"
#include "quota/fake/fake_coordination.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/sessions.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

// Notes how much the rebuild holds at once.
class CountingLedger : public storage::FakeLedger {
 public:
  using FakeLedger::FakeLedger;

  absl::StatusOr<std::vector<storage::Sku>> ListSkus(const std::string& after, int limit) override {
    largest_page = std::max(largest_page, limit);
    return FakeLedger::ListSkus(after, limit);
  }

  int largest_page = 0;
};

class TreeRebuildTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sessions_.session = *connector_.Connect(&observer_);
    for (const char* name : {"a", "b"}) nodes_.push_back(*ledger_.RegisterIncarnation(name, "host:1"));
  }

  void CreateSkus(int count) {
    for (int i = 0; i < count; ++i) {
      const storage::Sku sku{
          .sku_id = absl::StrFormat("sku-%06d", i), .title = "", .price_minor = 100, .currency = "EUR", .stock = 10};
      ASSERT_TRUE(ledger_.CreateSku(sku, "test").ok());
      for (const IncarnationId node : nodes_) {
        ASSERT_TRUE(ledger_.MoveUnits(sku.sku_id, {{{node, 4}}}, std::nullopt, "test").ok());
      }
    }
  }

  RebuildReport Rebuild(RebuildMode mode = RebuildMode::kWrite) {
    const auto report = RebuildTree(sessions_, ledger_, clock_, mode);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(RebuildReport());
  }

  void DeleteTree(const std::string& path) {
    if (const auto children = sessions_.session->List(path, Watch::kNo); children.ok()) {
      for (const std::string& child : *children) DeleteTree(absl::StrCat(path, "/", child));
    }
    ASSERT_TRUE(sessions_.session->Delete(path, kAnyVersion).ok()) << path;
  }
  void DeleteEverything() {
    for (const char* path : kFixedPaths) DeleteTree(path);
  }

  template <typename Message>
  Message Read(const std::string& path) {
    Message message;
    const auto znode = sessions_.session->Get(path, Watch::kNo);
    EXPECT_TRUE(znode.ok()) << path << ": " << znode.status();
    if (znode.ok()) {
      EXPECT_TRUE(message.ParseFromString(znode->data));
    }
    return message;
  }

  storage::FakeClock clock_;
  CountingLedger ledger_{&clock_};
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  testing::DeafObserver observer_;
  testing::FixedSession sessions_;
  std::vector<IncarnationId> nodes_;
};

TEST_F(TreeRebuildTest, RestoresADeletedTreeAsTheLedgerHasIt) {
  CreateSkus(3);
  ASSERT_TRUE(ledger_.SetDraining(nodes_[1], true, "test").ok());
  Rebuild();
  DeleteEverything();
  const RebuildReport report = Rebuild();
  EXPECT_EQ(report.fixed_folders.missing, 9);
  EXPECT_EQ(report.skus.missing, 3);
  EXPECT_EQ(report.slice_folders.missing, 2);
  EXPECT_EQ(report.slices.missing, 6);
  EXPECT_EQ(report.drain_requests.missing, 1);

  EXPECT_EQ(Read<internal::v1::SkuAnnouncement>(SkuPath("sku-000001")).unsold(), 10);
  const auto slice = Read<internal::v1::SliceAnnouncement>(SlicePath(nodes_[1], "sku-000002"));
  EXPECT_EQ(slice.allotted(), 4);
  EXPECT_EQ(slice.version(), 3);
  const auto drain = Read<internal::v1::DrainRequest>(DrainPath(nodes_[1]));
  EXPECT_EQ(drain.requested_at_us(), absl::ToUnixMicros(clock_.Now()));
  EXPECT_FALSE(drain.exit()) << "that a process was to end is not in the ledger";
}

TEST_F(TreeRebuildTest, ASecondRunFindsNothingToDo) {
  CreateSkus(3);
  Rebuild();
  const RebuildReport again = Rebuild();
  EXPECT_EQ(again.slices.expected, 6);
  for (const RebuildCount& count :
       {again.fixed_folders, again.skus, again.slice_folders, again.slices, again.drain_requests}) {
    EXPECT_EQ(count.missing + count.outdated, 0);
  }
}

TEST_F(TreeRebuildTest, CountingWritesNothing) {
  CreateSkus(2);
  const RebuildReport counted = Rebuild(RebuildMode::kCount);
  EXPECT_EQ(counted.slices.missing, 4);
  EXPECT_FALSE(sessions_.session->Get(SlicesPath(nodes_[0]), Watch::kNo).ok());
  EXPECT_FALSE(sessions_.session->Get(SkuPath("sku-000000"), Watch::kNo).ok());
  DeleteTree(kDrainPath);
  EXPECT_EQ(Rebuild(RebuildMode::kCount).fixed_folders.missing, 1);
  EXPECT_FALSE(sessions_.session->Get(kDrainPath, Watch::kNo).ok());
}

TEST_F(TreeRebuildTest, ReplacesWhatIsOlderAndOverrulesWhatTheLedgerNeverSaid) {
  CreateSkus(1);
  Rebuild();
  ASSERT_TRUE(ledger_.MoveUnits("sku-000000", {{{nodes_[0], 1}}}, std::nullopt, "test").ok());
  internal::v1::SliceAnnouncement newer;
  newer.set_allotted(77);
  newer.set_version(1000);
  ASSERT_TRUE(sessions_.session->Set(SlicePath(nodes_[1], "sku-000000"), newer.SerializeAsString(), kAnyVersion).ok());
  EXPECT_EQ(Rebuild(RebuildMode::kCount).slices.outdated, 2);
  const RebuildReport report = Rebuild();
  EXPECT_EQ(report.slices.outdated, 2);
  EXPECT_EQ(report.slices.missing, 0);
  EXPECT_EQ(Read<internal::v1::SliceAnnouncement>(SlicePath(nodes_[0], "sku-000000")).allotted(), 5);
  const auto overruled = Read<internal::v1::SliceAnnouncement>(SlicePath(nodes_[1], "sku-000000"));
  EXPECT_EQ(overruled.allotted(), 4);
  EXPECT_EQ(overruled.version(), 1001) << "above what was written";
  EXPECT_EQ(Rebuild().slices.outdated, 0);
}

TEST_F(TreeRebuildTest, WhatIsNoMessageIsReplaced) {
  CreateSkus(1);
  Rebuild();
  ASSERT_TRUE(sessions_.session->Set(SkuPath("sku-000000"), "\xff", kAnyVersion).ok());
  EXPECT_EQ(Rebuild().skus.outdated, 1);
  EXPECT_EQ(Read<internal::v1::SkuAnnouncement>(SkuPath("sku-000000")).unsold(), 10);
}

TEST_F(TreeRebuildTest, EndedIncarnationsAreNotBroughtBack) {
  CreateSkus(1);
  ASSERT_TRUE(ledger_.ReclaimIncarnation(nodes_[0]).ok());
  const RebuildReport report = Rebuild();
  EXPECT_EQ(report.slice_folders.expected, 1);
  EXPECT_EQ(report.slices.expected, 1);
  EXPECT_FALSE(sessions_.session->Get(SlicesPath(nodes_[0]), Watch::kNo).ok());
}

TEST_F(TreeRebuildTest, GoesThroughManySkusInPages) {
  CreateSkus(3 * storage::kMaxQuotaBatch);  // a last page that is full
  EXPECT_EQ(Rebuild().skus.missing, 3 * storage::kMaxQuotaBatch);
  EXPECT_EQ(Rebuild().slices.expected, 6 * storage::kMaxQuotaBatch);
  EXPECT_LE(ledger_.largest_page, storage::kMaxQuotaBatch);
}

TEST_F(TreeRebuildTest, FailsAndGoesOnFromThere) {
  CreateSkus(2);
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  EXPECT_FALSE(RebuildTree(sessions_, ledger_, clock_, RebuildMode::kWrite).ok());
  EXPECT_EQ(Rebuild().slices.missing, 4);
  ledger_.FailNext(1);
  EXPECT_TRUE(absl::IsUnavailable(RebuildTree(sessions_, ledger_, clock_, RebuildMode::kWrite).status()));
  sessions_.session = nullptr;
  EXPECT_TRUE(absl::IsUnavailable(RebuildTree(sessions_, ledger_, clock_, RebuildMode::kWrite).status()));
}

}  // namespace
}  // namespace tranche::quota
