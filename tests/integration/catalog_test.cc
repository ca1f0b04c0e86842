// What a shop reads, on real servers: SKUs for its pages, and the lines of an order at once.
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

class CatalogTest : public SaleTest {
 protected:
  void Start(int shards = 0) {
    MiniClusterOptions options;
    options.nodes = 2;
    options.shards = shards;
    StartCluster(options);
  }
  // Page views until the SKU is told to be so; what is read, or that there is none, may be a second old.
  Sku AwaitAvailability(const std::string& sku_id, Availability wanted) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (true) {
      const auto sku = client_->GetSku(sku_id);
      const bool not_seen = ReasonOf(sku.status()) == Reason::kSkuNotFound;
      EXPECT_TRUE(sku.ok() || not_seen) << sku.status();
      if (sku.ok() && sku->availability == wanted) return *sku;
      if ((!sku.ok() && !not_seen) || absl::Now() > give_up) {
        ADD_FAILURE() << sku_id << " is never " << AvailabilityName(wanted);
        return Sku{};
      }
    }
  }
  Reservation Hold(const std::string& sku, const std::string& user) {
    const auto held = client_->Create({.sku = sku, .user = user});
    EXPECT_TRUE(held.ok()) << held.status();
    return held.value_or(Reservation{});
  }
};

TEST_F(CatalogTest, APageShowsASaleFromItsBeginningToItsEnd) {
  Start();
  EXPECT_EQ(ReasonOf(client_->GetSku("tv").status()), Reason::kSkuNotFound);
  OpenSale("tv", 12, absl::Minutes(15), "", /*per_user_limit=*/3);
  Sku sku = AwaitAvailability("tv", Availability::kPlenty);
  EXPECT_EQ(sku.title, "tv");
  EXPECT_EQ(sku.price_minor, 49900);
  EXPECT_EQ(sku.currency, "EUR");
  EXPECT_EQ(sku.per_user_limit, 3);
  EXPECT_EQ(sku.hold, absl::Minutes(15));
  EXPECT_EQ(sku.state, SaleState::kOpen);
  EXPECT_EQ(sku.open_time, absl::InfinitePast());
  EXPECT_EQ(sku.close_time, absl::InfiniteFuture());

  std::vector<Reservation> held;
  for (int i = 0; i < 4; ++i) {
    const auto three = client_->Create({.sku = "tv", .user = absl::StrCat("buyer-", i), .quantity = i < 3 ? 3 : 2});
    ASSERT_TRUE(three.ok()) << three.status();
    held.push_back(*three);
  }
  EXPECT_EQ(AwaitAvailability("tv", Availability::kFew).state, SaleState::kOpen);
  held.push_back(Hold("tv", "last"));
  EXPECT_EQ(AwaitAvailability("tv", Availability::kNoneForNow).state, SaleState::kSoldOut);
  for (const Reservation& one : held) {
    ASSERT_TRUE(client_
                    ->Confirm({.reservation_id = one.reservation_id,
                               .payment_reference = "pay",
                               .amount_minor = one.amount_minor,
                               .currency = one.currency})
                    .ok());
  }
  EXPECT_EQ(AwaitAvailability("tv", Availability::kNone).state, SaleState::kSoldOut);
  CheckLedger();
}

TEST_F(CatalogTest, WithoutItsDatabaseANodeGoesOnShowingWhatItKnows) {
  Start();
  OpenSale("tv", 100);
  // Every node is asked in turn; each has to know the SKU.
  for (int node = 0; node < 2; ++node) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (!ClientOf({cluster_->endpoint(node)})->GetSku("tv").ok()) ASSERT_LT(absl::Now(), give_up);
  }
  ASSERT_TRUE(cluster_->postgres().Stop().ok());
  const absl::Time give_up = absl::Now() + kPatience;
  absl::StatusOr<Sku> sku = client_->GetSku("tv");
  while (sku.ok() && sku->age < absl::Seconds(2) && absl::Now() < give_up) sku = client_->GetSku("tv");
  ASSERT_TRUE(sku.ok()) << sku.status();
  EXPECT_GE(sku->age, absl::Seconds(2)) << "read although there is no database?";
  EXPECT_EQ(sku->availability, Availability::kPlenty);
  EXPECT_EQ(ReasonOf(client_->GetSku("boat").status()), Reason::kLedgerUnavailable);
  ASSERT_TRUE(cluster_->postgres().Start().ok());
  while (sku.ok() && sku->age >= absl::Seconds(2) && absl::Now() < give_up) sku = client_->GetSku("tv");
  ASSERT_TRUE(sku.ok()) << sku.status();
  EXPECT_LT(sku->age, absl::Seconds(2));
}

TEST_F(CatalogTest, TheSkusOfAllShardsAreListedTogether) {
  Start(/*shards=*/1);
  std::vector<std::string> created;
  for (int i = 0; i < 5; ++i) {
    created.push_back(absl::StrCat("sku-", i));
    OpenSale(created.back(), 10, absl::Minutes(15), i % 2 == 0 ? "" : "s1");
  }
  const absl::Time give_up = absl::Now() + kPatience;
  std::vector<std::string> listed;
  // A page that was read before the last SKU was created is told for a second.
  while (listed != created && absl::Now() < give_up) {
    listed.clear();
    ListSkus query{.page_size = 2, .page_token = ""};
    do {
      const auto page = client_->ListSkus(query);
      ASSERT_TRUE(page.ok()) << page.status();
      ASSERT_LE(page->skus.size(), 2u);
      for (const Sku& sku : page->skus) listed.push_back(sku.sku_id);
      query.page_token = page->next_page_token;
    } while (!query.page_token.empty());
  }
  EXPECT_EQ(listed, created);
}

TEST_F(CatalogTest, TheLinesOfAnOrderAreReadAtOnce) {
  Start(/*shards=*/1);
  OpenSale("tv", 10);
  OpenSale("radio", 10, absl::Minutes(15), "s1");
  const Reservation tv = Hold("tv", "alice");
  const Reservation radio = Hold("radio", "alice");
  ASSERT_TRUE(
      client_->Cancel({.reservation_id = radio.reservation_id, .reason = "changed their mind", .sku = ""}).ok());

  const auto lines = client_->BatchGet({radio.reservation_id, MakeUuidV7(), tv.reservation_id});
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->size(), 2u) << "without the one that does not exist";
  EXPECT_EQ((*lines)[0].reservation_id, radio.reservation_id);
  EXPECT_EQ((*lines)[0].state, ReservationState::kCancelled);
  EXPECT_EQ((*lines)[0].cancel_reason, "changed their mind");
  EXPECT_EQ((*lines)[1].reservation_id, tv.reservation_id);
  EXPECT_EQ((*lines)[1].state, ReservationState::kPending);
  EXPECT_EQ((*lines)[1].amount_minor, 49900);

  const auto none = client_->BatchGet({});
  EXPECT_TRUE(absl::IsInvalidArgument(none.status())) << none.status();
}

}  // namespace
}  // namespace tranche::testing
