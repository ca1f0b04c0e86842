// The draws of several shards as one ledger.
#include "storage/shards/routing_draw_ledger.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/storage/east_shard.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct DrawShard : SilenceableShard {
  DrawShard(std::string shard, Clock* clock) : SilenceableShard(std::move(shard), clock), draw_ledger(&ledger, clock) {
    draws = &draw_ledger;
  }

  FakeDrawLedger draw_ledger;
};

class RoutingDrawLedgerTest : public ::testing::Test {
 protected:
  RoutingDrawLedgerTest() {
    EXPECT_TRUE(set_.Refresh().ok());
    CreateSku(home_, "tv");
    CreateSku(east_, "radio");
  }
  ~RoutingDrawLedgerTest() override { set_.StopMirrors(); }

  static void CreateSku(DrawShard* shard, const std::string& sku_id) {
    Sku sku;
    sku.sku_id = sku_id;
    sku.currency = "EUR";
    sku.stock = 10;
    EXPECT_TRUE(shard->ledger.CreateSku(sku, "test").ok());
  }
  static NewDraw Asked(const std::string& sku_id) {
    return {.sku_id = sku_id, .winners = 1, .public_source = "a newspaper"};
  }
  void Begin(const std::string& sku_id) {
    const auto begun = draws_.CreateDraw(Asked(sku_id), /*preview=*/false, "test");
    ASSERT_TRUE(begun.ok()) << begun.status();
  }
  std::vector<std::string> Listed(const std::string& sku_id) {
    std::vector<std::string> names;
    const auto listed = draws_.ListDraws(sku_id);
    EXPECT_TRUE(listed.ok()) << listed.status();
    for (const Draw& draw : listed.value_or(std::vector<Draw>())) {
      names.push_back(absl::StrCat(draw.key.sku_id, " ", draw.key.number));
    }
    return names;
  }

  FakeClock clock_;
  DrawShard* east_ = nullptr;
  DrawShard* home_ = new DrawShard(kHomeShard, &clock_);  // owned by the set
  ShardSet set_{std::unique_ptr<ShardBackend>(home_),
                [this](const Shard& shard) {
                  auto made = std::make_unique<DrawShard>(shard.name, &clock_);
                  east_ = made.get();
                  return made;
                },
                [](IncarnationId) {}};
  RoutingDrawLedger draws_{&set_};
};

TEST_F(RoutingDrawLedgerTest, ADrawIsWhereItsSkuIs) {
  Begin("tv");
  Begin("radio");
  EXPECT_TRUE(home_->draw_ledger.GetDraw({"tv", 1}).ok());
  EXPECT_TRUE(east_->draw_ledger.GetDraw({"radio", 1}).ok());
  const DrawKey key{"radio", 1};
  EXPECT_EQ(draws_.GetDraw({"radio", 0})->key, key);
  const DrawEntryClaim alice{.sku_id = "radio", .user_id = "alice"};
  const auto entered = east_->draw_ledger.EnterDraws(LockMode::kWait, {&alice, 1});
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_EQ(draws_.FindDrawEntry(key, "alice")->entry_id, entered->front().entry_id);
  EXPECT_EQ(draws_.ChangeDraw(key, DrawStep::kClose, "", /*preview=*/false, "test")->state, DrawState::kClosing);
  EXPECT_EQ(east_->draw_ledger.GetDraw(key)->state, DrawState::kClosing);
  EXPECT_THAT(*draws_.ListDrawEntries(key, std::nullopt, 10), ElementsAre(entered->front().entry_id));
  const DrawChunk chunk{.first = entered->front().entry_id, .last = entered->front().entry_id, .entries = 1};
  ASSERT_TRUE(east_->draw_ledger.AddDrawChunks(key, {&chunk, 1}).ok());
  EXPECT_THAT(*draws_.ReadDrawChunks(key), ElementsAre(chunk));
  EXPECT_THAT(*draws_.ListDrawAwards(key, 0, 10), IsEmpty());
}

TEST_F(RoutingDrawLedgerTest, WhatIsNowhereIsToldApart) {
  EXPECT_TRUE(absl::IsNotFound(draws_.GetDraw({"sofa", 0}).status()));
  EXPECT_TRUE(absl::IsNotFound(draws_.ListDraws("sofa").status()));
  EXPECT_TRUE(absl::IsNotFound(draws_.CreateDraw(Asked("sofa"), false, "test").status()));
  EXPECT_TRUE(IsNoDraw(draws_.GetDraw({"radio", 0}).status())) << "its shard has answered";
  Begin("radio");
  EXPECT_TRUE(IsNoDrawEntry(draws_.FindDrawEntry({"radio", 1}, "alice").status()));
  const auto second = draws_.CreateDraw(Asked("radio"), false, "test");
  ASSERT_TRUE(DrawStateConflictOf(second.status()).has_value()) << second.status();
  EXPECT_EQ(DrawStateConflictOf(second.status())->state, "OPEN");
}

TEST_F(RoutingDrawLedgerTest, TheDrawsOfAllShardsAreListedByTheirAge) {
  for (const char* sku_id : {"radio", "tv"}) {
    Begin(sku_id);
    clock_.AdvanceBy(absl::Seconds(1));
  }
  ASSERT_TRUE(draws_.ChangeDraw({"radio", 1}, DrawStep::kCancel, "", false, "test").ok());
  Begin("radio");
  EXPECT_THAT(Listed(""), ElementsAre("radio 2", "tv 1", "radio 1"));
  EXPECT_THAT(Listed("radio"), ElementsAre("radio 2", "radio 1"));
  EXPECT_THAT(Listed("tv"), ElementsAre("tv 1"));
}

TEST_F(RoutingDrawLedgerTest, OnlyTheNewestAreListed) {
  for (int i = 0; i < kMaxDrawsTold; ++i) {
    const std::string sku_id = absl::StrCat("sku-", i);
    CreateSku(i % 2 == 0 ? home_ : east_, sku_id);
    Begin(sku_id);
    clock_.AdvanceBy(absl::Seconds(1));
  }
  Begin("radio");
  const std::vector<std::string> listed = Listed("");
  EXPECT_THAT(listed, SizeIs(kMaxDrawsTold));
  EXPECT_EQ(listed.front(), "radio 1");
  EXPECT_EQ(listed.back(), "sku-1 1") << "the oldest one is left out";
}

TEST_F(RoutingDrawLedgerTest, AListIsCompleteOrAnError) {
  Begin("tv");
  Begin("radio");
  east_->FallSilent();
  EXPECT_TRUE(absl::IsUnavailable(draws_.ListDraws("").status()));
  EXPECT_TRUE(absl::IsUnavailable(draws_.GetDraw({"radio", 1}).status())) << "it may be there";
  EXPECT_THAT(Listed("tv"), ElementsAre("tv 1")) << "home has it";
}

TEST_F(RoutingDrawLedgerTest, EntriesAndWorkGoToTheShardsThemselves) {
  Begin("tv");
  const DrawKey key{"tv", 1};
  const DrawEntryClaim alice{.sku_id = "tv", .user_id = "alice"};
  EXPECT_TRUE(absl::IsUnimplemented(draws_.EnterDraws(LockMode::kWait, {&alice, 1}).status()));
  EXPECT_TRUE(absl::IsUnimplemented(draws_.ListDrawWork().status()));
  EXPECT_TRUE(absl::IsUnimplemented(draws_.AddDrawChunks(key, {})));
  EXPECT_TRUE(absl::IsUnimplemented(draws_.SealDraw(key, 0, "")));
  EXPECT_TRUE(absl::IsUnimplemented(draws_.RankDraw(key, {}, 1).status()));
  EXPECT_TRUE(absl::IsUnimplemented(draws_.AwardDraw(key, 1).status()));
  EXPECT_TRUE(absl::IsUnimplemented(draws_.PurgeDraws(1).status()));
}

}  // namespace
}  // namespace tranche::storage
