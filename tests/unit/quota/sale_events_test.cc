#include "quota/balancer/sale_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tranche::quota {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1000);

class SaleEventsTest : public ::testing::Test {
 protected:
  storage::Sku Tv(int64_t unsold, bool held = false) const {
    storage::Sku sku = sku_;
    sku.unsold = unsold;
    sku.holds_may_lapse = held;
    return sku;
  }
  // "NAME SKU unsold/units", with the seconds since it opened.
  static std::vector<std::string> Texts(const std::vector<SaleEvent>& events) {
    std::vector<std::string> texts;
    for (const SaleEvent& event : events) {
      texts.push_back(absl::StrCat(
          event.name, " ", event.sku_id, " ", event.unsold, "/", event.units, event.held ? " held" : "",
          event.since_opened.has_value() ? absl::StrCat(" ", absl::ToDoubleSeconds(*event.since_opened), "s") : ""));
    }
    return texts;
  }
  std::vector<std::string> See(const storage::Sku& sku) { return Texts(events_.See(SightOf(sku, now_), now_)); }
  std::vector<std::string> Tick() { return Texts(events_.Tick(now_)); }
  // A whole look at these SKUs.
  std::vector<std::string> Pass(const std::vector<storage::Sku>& skus) {
    std::vector<std::string> all;
    events_.BeginPass();
    for (const storage::Sku& sku : skus) {
      for (std::string& text : See(sku)) all.push_back(std::move(text));
    }
    events_.EndPass();
    return all;
  }

  absl::Time now_ = kStart;
  storage::Sku sku_{.sku_id = "tv", .title = "", .currency = "", .stock = 10};
  SaleEvents events_;
};

TEST_F(SaleEventsTest, ASaleFromItsOpeningToItsEnd) {
  Pass({});
  sku_.opens_at = kStart + absl::Seconds(5);
  sku_.closes_at = kStart + absl::Minutes(10);
  EXPECT_THAT(See(Tv(10)), IsEmpty());
  EXPECT_THAT(Tick(), IsEmpty());
  now_ += absl::Seconds(5);
  EXPECT_THAT(Tick(), ElementsAre("sale.opened tv 10/10"));
  now_ += absl::Seconds(2);
  EXPECT_THAT(See(Tv(3)), IsEmpty());
  EXPECT_THAT(See(Tv(0, /*held=*/true)), ElementsAre("sale.sold_out tv 0/10 held 2s"));
  EXPECT_THAT(See(Tv(0, /*held=*/true)), IsEmpty());
  now_ += absl::Seconds(10);
  EXPECT_THAT(See(Tv(1)), ElementsAre("sale.on_sale_again tv 1/10 12s"));
  EXPECT_THAT(See(Tv(0)), ElementsAre("sale.sold_out tv 0/10 12s"));
  now_ = sku_.closes_at;
  EXPECT_THAT(Tick(), ElementsAre("sale.ended tv 0/10 595s"));
  EXPECT_THAT(See(Tv(0)), IsEmpty());
  EXPECT_EQ(events_.size(), 0u);
}

TEST_F(SaleEventsTest, ANewLeaderLearnsSilently) {
  sku_.opens_at = kStart - absl::Seconds(60);
  storage::Sku other = Tv(4);
  other.sku_id = "phone";
  EXPECT_THAT(Pass({Tv(0), other}), IsEmpty());
  other.unsold = 0;
  EXPECT_THAT(See(other), ElementsAre("sale.sold_out phone 0/10 60s")) << "the opening is known from the terms";
  storage::Sku fresh = Tv(10);
  fresh.sku_id = "new";
  EXPECT_THAT(See(fresh), ElementsAre("sale.opened new 10/10"));
}

TEST_F(SaleEventsTest, WhatChangesWhileALeaderLearnsIsNews) {
  events_.BeginPass();
  EXPECT_THAT(See(Tv(5)), IsEmpty());
  EXPECT_THAT(See(Tv(0)), ElementsAre("sale.sold_out tv 0/10"));
}

TEST_F(SaleEventsTest, APassThatWasUnderWayTeachesALeaderNotAll) {
  Pass({});
  events_.BeginPass();
  events_.Forget();
  events_.EndPass();
  EXPECT_THAT(See(Tv(5)), IsEmpty());
  EXPECT_THAT(Pass({Tv(5)}), IsEmpty());
}

TEST_F(SaleEventsTest, ASaleThatIsOverBetweenTwoLooksHasBothEvents) {
  Pass({});
  EXPECT_THAT(See(Tv(0)), ElementsAre("sale.opened tv 0/10", "sale.sold_out tv 0/10 0s"));
}

TEST_F(SaleEventsTest, ThatAllIsPaidIsToldOnce) {
  Pass({Tv(5)});
  EXPECT_THAT(See(Tv(0, /*held=*/true)), ElementsAre("sale.sold_out tv 0/10 held"));
  EXPECT_THAT(See(Tv(0)), ElementsAre("sale.sold_out tv 0/10"));
  EXPECT_THAT(See(Tv(0)), IsEmpty());
}

TEST_F(SaleEventsTest, AUnitThatComesAndGoesIsToldNowAndThen) {
  Pass({Tv(0)});
  int told = 0;
  for (int i = 0; i < 1000; ++i) {
    told += static_cast<int>(See(Tv(i % 2)).size());
    now_ += absl::Milliseconds(100);
  }
  EXPECT_GE(told, 10);
  EXPECT_LE(told, 22) << "two in ten seconds";
  now_ += absl::Minutes(1);
  See(Tv(1));
  EXPECT_THAT(See(Tv(0)), ElementsAre("sale.sold_out tv 0/10")) << "what it is in the end is told";
}

TEST_F(SaleEventsTest, ClosedAtOnceOrBeforeItOpened) {
  Pass({Tv(5)});
  sku_.closed = true;
  EXPECT_THAT(See(Tv(5)), ElementsAre("sale.closed tv 5/10"));
  EXPECT_THAT(See(Tv(5)), IsEmpty());
  storage::Sku early = sku_;
  early.sku_id = "early";
  early.closed = false;
  early.opens_at = kStart + absl::Hours(1);
  EXPECT_THAT(See(early), IsEmpty());
  early.closed = true;
  EXPECT_THAT(See(early), ElementsAre("sale.closed early 0/10"));
  now_ += absl::Hours(2);
  EXPECT_THAT(Tick(), IsEmpty());
}

TEST_F(SaleEventsTest, WhatAPassDoesNotSeeIsForgottenAndCostsNoMemory) {
  sku_.closes_at = kStart + absl::Seconds(30);
  Pass({Tv(5)});
  EXPECT_EQ(events_.size(), 1u);
  Pass({});
  EXPECT_EQ(events_.size(), 0u);
  now_ += absl::Minutes(1);
  EXPECT_THAT(Tick(), IsEmpty()) << "it has moved to another shard";
}

TEST_F(SaleEventsTest, MemoryAndTheWorkOfATickAreBounded) {
  SaleEvents few(3);
  for (int i = 0; i < 10; ++i) {
    storage::Sku sku = Tv(1);
    sku.sku_id = absl::StrCat("sku-", i);
    few.See(SightOf(sku, now_), now_);
  }
  EXPECT_EQ(few.size(), 3u);
  EXPECT_TRUE(few.full());

  sku_.opens_at = kStart + absl::Seconds(1);
  Pass({});
  for (int i = 0; i < 500; ++i) {
    storage::Sku sku = Tv(1);
    sku.sku_id = absl::StrCat("sku-", i);
    See(sku);
  }
  now_ += absl::Seconds(1);
  EXPECT_EQ(Tick().size(), SaleEvents::kMostPerTick);
  EXPECT_EQ(Tick().size(), SaleEvents::kMostPerTick);
  EXPECT_EQ(Tick().size(), 500 - 2 * SaleEvents::kMostPerTick);
}

}  // namespace
}  // namespace tranche::quota
