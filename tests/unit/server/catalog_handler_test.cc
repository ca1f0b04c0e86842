// What visitors are told about SKUs.
#include "server/handlers/catalog_handler.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "server/handlers/field_checks.h"
#include "storage/fake/fake_ledger.h"
#include "tests/unit/server/error_matchers.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

storage::Sku Left(int64_t stock, int64_t unsold, bool holds_may_lapse = false) {
  storage::Sku sku;
  sku.stock = stock;
  sku.unsold = unsold;
  sku.holds_may_lapse = holds_may_lapse;
  return sku;
}

TEST(Availability, FewIsTenUnitsOrATwentiethOfTheStock) {
  const absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(AvailabilityOf(Left(1000, 1000), now), v1::AVAILABILITY_PLENTY);
  EXPECT_EQ(AvailabilityOf(Left(1000, 51), now), v1::AVAILABILITY_PLENTY);
  EXPECT_EQ(AvailabilityOf(Left(1000, 50), now), v1::AVAILABILITY_FEW);
  EXPECT_EQ(AvailabilityOf(Left(100, 11), now), v1::AVAILABILITY_PLENTY);
  EXPECT_EQ(AvailabilityOf(Left(100, 10), now), v1::AVAILABILITY_FEW);
  EXPECT_EQ(AvailabilityOf(Left(5, 5), now), v1::AVAILABILITY_FEW);
  EXPECT_EQ(AvailabilityOf(Left(1000, 1), now), v1::AVAILABILITY_FEW);
}

TEST(Availability, UnitsOnHoldMayComeBackAndSoldOnesDoNot) {
  const absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(AvailabilityOf(Left(1000, 0, /*holds_may_lapse=*/true), now), v1::AVAILABILITY_NONE_FOR_NOW);
  EXPECT_EQ(AvailabilityOf(Left(1000, 0), now), v1::AVAILABILITY_NONE);
  EXPECT_EQ(AvailabilityOf(Left(0, 0), now), v1::AVAILABILITY_NONE);
}

TEST(Availability, OfASaleThatIsOverNothingIsLeft) {
  const absl::Time now = absl::UnixEpoch();
  storage::Sku sku = Left(1000, 1000);
  sku.opens_at = now + absl::Hours(1);
  EXPECT_EQ(AvailabilityOf(sku, now), v1::AVAILABILITY_PLENTY) << "before it opens: what there will be";
  sku.closes_at = now + absl::Hours(2);
  EXPECT_EQ(AvailabilityOf(sku, sku.closes_at - absl::Nanoseconds(1)), v1::AVAILABILITY_PLENTY);
  EXPECT_EQ(AvailabilityOf(sku, sku.closes_at), v1::AVAILABILITY_NONE);
  sku = Left(1000, 0, /*holds_may_lapse=*/true);
  sku.closed = true;
  EXPECT_EQ(AvailabilityOf(sku, now), v1::AVAILABILITY_NONE);
}

// The handler converts one to the other by its number.
TEST(SaleState, IsTheStateThatOperatorsSee) {
  const auto* operators = v1::SkuState_descriptor();
  const auto* visitors = v1::SaleState_descriptor();
  ASSERT_EQ(operators->value_count(), visitors->value_count());
  for (int i = 0; i < operators->value_count(); ++i) {
    const auto* same = visitors->FindValueByNumber(operators->value(i)->number());
    ASSERT_NE(same, nullptr) << operators->value(i)->name();
    EXPECT_EQ(absl::StripPrefix(same->name(), "SALE_STATE_"),
              absl::StripPrefix(operators->value(i)->name(), "SKU_STATE_"));
  }
}

class CatalogHandlerTest : public ::testing::Test {
 protected:
  storage::Sku Create(const std::string& sku_id, int64_t stock = 100) {
    storage::Sku sku;
    sku.sku_id = sku_id;
    sku.title = absl::StrCat("The ", sku_id);
    sku.price_minor = 49900;
    sku.currency = "EUR";
    sku.stock = stock;
    sku.per_user_limit = 2;
    const auto created = ledger_.CreateSku(sku, "test");
    EXPECT_TRUE(created.ok()) << created.status();
    return created.value_or(sku);
  }

  absl::StatusOr<v1::CatalogServiceGetSkuResponse> Get(const std::string& sku_id) {
    v1::CatalogServiceGetSkuRequest request;
    request.set_sku_id(sku_id);
    absl::StatusOr<v1::CatalogServiceGetSkuResponse> result = absl::InternalError("not answered");
    handler_.Get(request, absl::InfiniteFuture(), [&](auto response) { result = std::move(response); });
    return result;
  }
  absl::StatusOr<v1::CatalogServiceListSkusResponse> List(int page_size, const std::string& token = "") {
    v1::CatalogServiceListSkusRequest request;
    request.set_page_size(page_size);
    request.set_page_token(token);
    absl::StatusOr<v1::CatalogServiceListSkusResponse> result = absl::InternalError("not answered");
    handler_.List(request, absl::InfiniteFuture(), [&](auto response) { result = std::move(response); });
    return result;
  }
  // The ids of all pages.
  std::vector<std::string> All(int page_size) {
    std::vector<std::string> ids;
    std::string token;
    do {
      const auto page = List(page_size, token);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || ids.size() > 1000) return ids;
      for (const v1::CatalogSku& sku : page->skus()) ids.push_back(sku.sku_id());
      token = page->next_page_token();
    } while (!token.empty());
    return ids;
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  absl::Status trouble_;  // of the ledger
  int reads_ = 0;
  CatalogHandler handler_{
      [this](const std::string& sku_id, auto done) {
        ++reads_;
        done(trouble_.ok() ? ledger_.GetSku(sku_id) : absl::StatusOr<storage::Sku>(trouble_));
      },
      [this](const std::string& after, auto done) {
        ++reads_;
        using Skus = absl::StatusOr<std::vector<storage::Sku>>;
        done(trouble_.ok() ? ledger_.ListSkus(after, CatalogHandler::kLargestPage + 1) : Skus(trouble_));
      },
      &clock_};
};

TEST_F(CatalogHandlerTest, ASkuAsVisitorsMaySeeIt) {
  Create("tv");
  const auto found = Get("tv");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->sku().sku_id(), "tv");
  EXPECT_EQ(found->sku().title(), "The tv");
  EXPECT_EQ(found->sku().price_minor(), 49900);
  EXPECT_EQ(found->sku().currency(), "EUR");
  EXPECT_FALSE(found->sku().has_open_time());
  EXPECT_FALSE(found->sku().has_close_time());
  EXPECT_EQ(found->sku().per_user_limit(), 2);
  EXPECT_EQ(found->sku().hold().seconds(), 900);
  EXPECT_EQ(found->sku().state(), v1::SALE_STATE_OPEN);
  EXPECT_EQ(found->sku().availability(), v1::AVAILABILITY_PLENTY);
  EXPECT_EQ(found->age().seconds(), 0);
}

TEST_F(CatalogHandlerTest, AWindowOpensAtItsTimeAlsoInTheCache) {
  storage::Sku sku;
  sku.sku_id = "tv";
  sku.currency = "EUR";
  sku.stock = 100;
  sku.opens_at = clock_.Now() + absl::Milliseconds(500);
  ASSERT_TRUE(ledger_.CreateSku(sku, "test").ok());
  EXPECT_EQ(Get("tv")->sku().state(), v1::SALE_STATE_NOT_YET);
  EXPECT_TRUE(Get("tv")->sku().has_open_time());
  clock_.AdvanceBy(absl::Milliseconds(500));
  EXPECT_EQ(Get("tv")->sku().state(), v1::SALE_STATE_OPEN);
  EXPECT_EQ(reads_, 1);
}

TEST_F(CatalogHandlerTest, APausedSaleSaysWhy) {
  Create("tv");
  EXPECT_EQ(Get("tv")->sku().pause_reason(), "");
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "a break", std::nullopt, "test").ok());
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(Get("tv")->sku().state(), v1::SALE_STATE_PAUSED);
  EXPECT_EQ(Get("tv")->sku().pause_reason(), "a break");
  EXPECT_EQ(Get("tv")->sku().availability(), v1::AVAILABILITY_PLENTY) << "there are units";
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(Get("tv")->sku().state(), v1::SALE_STATE_CLOSED);
  EXPECT_EQ(Get("tv")->sku().pause_reason(), "");
}

TEST_F(CatalogHandlerTest, AnUnknownSkuIsReadOnceASecondAndAMalformedIdNever) {
  for (int i = 0; i < 10; ++i) {
    const auto found = Get("boat");
    EXPECT_EQ(ReasonOf(found.status()), "SKU_NOT_FOUND");
    EXPECT_EQ(MetadataOf(found.status(), "sku_id"), "boat");
  }
  EXPECT_EQ(reads_, 1);
  Create("boat");
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_TRUE(Get("boat").ok());
  EXPECT_EQ(ReasonOf(Get("").status()), "SKU_ID_REQUIRED");
  EXPECT_EQ(ReasonOf(Get("a/b").status()), "SKU_ID_MALFORMED");
  EXPECT_EQ(reads_, 2);
}

TEST_F(CatalogHandlerTest, WithoutTheLedgerItTellsHowOldItsAnswerIsAndGivesUpAfterAMinute) {
  Create("tv");
  ASSERT_TRUE(Get("tv").ok());
  ASSERT_TRUE(List(0).ok());
  trouble_ = absl::UnavailableError("down");
  clock_.AdvanceBy(absl::Seconds(59));
  ASSERT_TRUE(Get("tv").ok()) << Get("tv").status();
  EXPECT_EQ(Get("tv")->age().seconds(), 59);
  EXPECT_EQ(List(0)->age().seconds(), 59);
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(ReasonOf(Get("tv").status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(ReasonOf(List(0).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(ReasonOf(Get("boat").status()), "LEDGER_UNAVAILABLE") << "it is not known whether there is one";
}

TEST_F(CatalogHandlerTest, PagesAreCutFromWhatIsRead) {
  EXPECT_THAT(All(0), IsEmpty());
  clock_.AdvanceBy(absl::Seconds(1));
  std::vector<std::string> ids;
  for (int i = 0; i < 101; ++i) ids.push_back(Create(absl::StrFormat("sku-%03d", i)).sku_id);
  EXPECT_EQ(All(0), ids) << "one more than a page";
  EXPECT_EQ(All(5000), ids) << "lowered";
  EXPECT_EQ(All(7), ids);
  reads_ = 0;
  EXPECT_EQ(All(7), ids);
  EXPECT_EQ(reads_, 0);
}

TEST_F(CatalogHandlerTest, ThePageAfterTheLastSkuIsEmpty) {
  Create("tv");
  const auto page = List(0, EncodePageToken("tv"));
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->skus_size(), 0);
  EXPECT_EQ(page->next_page_token(), "");
}

TEST_F(CatalogHandlerTest, OnlyOurOwnPageTokensAreKeptAsKeys) {
  EXPECT_EQ(ReasonOf(List(0, "x").status()), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(List(0, EncodePageToken(std::string(1000, 'a'))).status()), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(List(-1).status()), "FIELD_INVALID");
  EXPECT_EQ(reads_, 0);
}

}  // namespace
}  // namespace tranche::server
