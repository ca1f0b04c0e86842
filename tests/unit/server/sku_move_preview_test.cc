#include "server/handlers/sku_move_preview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tranche::server {
namespace {

using storage::SkuWhereabouts;
using Place = SkuWhereabouts::Place;
using ::testing::HasSubstr;

// A shard that can only be asked where the SKU is.
class AskedShard final : public storage::SkuMoveLedger {
 public:
  absl::StatusOr<SkuWhereabouts> where = SkuWhereabouts{};

  absl::StatusOr<SkuWhereabouts> Where(const std::string&) override { return where; }
  absl::StatusOr<std::vector<storage::ListedWhereabouts>> ListWhereabouts(const std::string&, int) override {
    return No();
  }
  absl::StatusOr<storage::PreparedLeave> PrepareLeave(const std::string&, const std::string&) override { return No(); }
  absl::StatusOr<std::string> Snapshot() override { return No(); }
  absl::Status BeginLeave(const std::string&, const std::string&, const std::string&, const storage::Actor&) override {
    return No();
  }
  absl::StatusOr<storage::SkuPage> ExportPage(const std::string&, storage::SkuPart, const std::string&,
                                              const storage::PageCursor&, int) override {
    return No();
  }
  absl::StatusOr<storage::ExportedSku> ExportSku(const std::string&, const std::string&) override { return No(); }
  absl::StatusOr<bool> CancelLeave(const std::string&, const std::string&, const storage::Actor&) override {
    return No();
  }
  absl::Status FinishLeave(const std::string&, const std::string&, const std::string&, const storage::Actor&) override {
    return No();
  }
  absl::StatusOr<bool> GiveUpOlderCopy(const std::string&, const std::string&, int64_t,
                                       const storage::Actor&) override {
    return No();
  }
  absl::Status BeginArrival(const std::string&, const std::string&, const std::string&) override { return No(); }
  absl::Status ImportPage(const std::string&, const std::string&, storage::SkuPart, const std::string&) override {
    return No();
  }
  absl::Status FinishArrival(const storage::ExportedSku&, const std::string&, const storage::Actor&) override {
    return No();
  }
  absl::StatusOr<bool> CancelArrival(const std::string&) override { return No(); }
  absl::StatusOr<int64_t> Purge(const std::string&, int) override { return No(); }
  absl::Status NoteWhereabouts(const std::string&, const std::string&) override { return No(); }

 private:
  static absl::Status No() { return absl::UnimplementedError("a preview changes nothing"); }
};

SkuWhereabouts At(Place place, const std::string& other_shard = "") {
  return {.place = place, .other_shard = other_shard, .token = ""};
}

class SkuMovePreviewTest : public ::testing::Test {
 protected:
  absl::StatusOr<SkuPlaces> Find(const std::string& target) {
    return FindSkuPlaces({{"home", &home_}, {"a", &a_}, {"b", &b_}}, "tv", target);
  }
  SkuPlaces Places(const std::string& target) {
    const auto places = Find(target);
    EXPECT_TRUE(places.ok()) << places.status();
    return places.value_or(SkuPlaces());
  }
  static std::string WhyNot(const absl::Status& status) { return std::string(status.message()); }

  AskedShard home_, a_, b_;
};

TEST_F(SkuMovePreviewTest, ASkuAtRestMayMoveAndHasNothingToAbort) {
  a_.where = At(Place::kHere);
  home_.where = At(Place::kGone, "a");
  EXPECT_EQ(Places("b").owner, "a");
  EXPECT_TRUE(CheckMove(Places("b"), "b").ok());
  EXPECT_TRUE(CheckAbort(Places("b"), "b").ok());
  EXPECT_FALSE(IsUnfinished(Places("b"), "b"));
  EXPECT_THAT(WhyNot(CheckAbort(Places("a"), "a")), HasSubstr("it is at a already: move it back instead"));
}

TEST_F(SkuMovePreviewTest, AMoveThatWasAbandonedCanBeFinishedAndAborted) {
  a_.where = At(Place::kHere);
  b_.where = At(Place::kArriving, "a");
  EXPECT_TRUE(IsUnfinished(Places("b"), "b")) << "it was being copied";
  a_.where = At(Place::kLeaving, "b");
  EXPECT_TRUE(IsUnfinished(Places("b"), "b")) << "it is paused";
  EXPECT_EQ(Places("b").owner, "a");
  EXPECT_TRUE(CheckMove(Places("b"), "b").ok());
  EXPECT_TRUE(CheckAbort(Places("b"), "b").ok());
}

TEST_F(SkuMovePreviewTest, WhatIsOnItsWayElsewhereIsRefused) {
  a_.where = At(Place::kLeaving, "b");
  b_.where = At(Place::kArriving, "a");
  EXPECT_THAT(WhyNot(CheckMove(Places("home"), "home")), HasSubstr("it is on its way from a to b"));
  EXPECT_THAT(WhyNot(CheckMove(Places("a"), "a")), HasSubstr("it is on its way from a to b"));
  EXPECT_THAT(WhyNot(CheckAbort(Places("home"), "home")), HasSubstr("it is on its way to b"));
}

TEST_F(SkuMovePreviewTest, AfterTheDecisionItIsAtTheTarget) {
  a_.where = At(Place::kLeaving, "b");
  b_.where = At(Place::kHere);
  EXPECT_EQ(Places("b").owner, "b");
  EXPECT_TRUE(CheckMove(Places("b"), "b").ok());
  EXPECT_FALSE(CheckAbort(Places("b"), "b").ok());
}

TEST_F(SkuMovePreviewTest, ASilentShardCountsOnlyWhereItMatters) {
  a_.where = At(Place::kHere);
  b_.where = absl::UnavailableError("silent");
  EXPECT_TRUE(Find("home").ok()) << "found at a";
  EXPECT_EQ(Find("b").status().code(), absl::StatusCode::kUnavailable) << "the target must answer";
  a_.where = SkuWhereabouts{};
  EXPECT_EQ(Find("home").status().code(), absl::StatusCode::kUnavailable) << "it may be at b";
  b_.where = SkuWhereabouts{};
  EXPECT_EQ(Find("home").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tranche::server
