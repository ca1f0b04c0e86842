// Lists of reservations, on the fake and on PostgreSQL.
#include <optional>

#include "absl/strings/str_cat.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ReservationListContract : public LifecycleContractTest {
 protected:
  // SKUs "radio" and "tv"; of each, by alice and bob, a confirmed, a cancelled and a pending one.
  void SetUp() override {
    for (const char* sku_id : {"radio", "tv"}) {
      Create(SkuOf(sku_id, 100, /*per_user_limit=*/10));
      const IncarnationId node = HolderOf(sku_id, 100);
      for (const char* user : {"alice", "bob"}) {
        Confirm(PaymentOf(Hold(node, sku_id, user)));
        Cancel(Hold(node, sku_id, user));
        Hold(node, sku_id, user, 2);
      }
    }
  }

  // "SKU user state" of each, in pages of `page`.
  std::vector<std::string> List(const ReservationFilter& filter, int page = 1000) {
    std::vector<std::string> listed;
    ReservationCursor after;
    for (int pages = 0; pages < 100; ++pages) {
      const auto result = lifecycle().ListReservations(filter, after, page);
      EXPECT_TRUE(result.ok()) << result.status();
      if (!result.ok()) return listed;
      EXPECT_LE(result->reservations.size(), static_cast<size_t>(page));
      for (const Reservation& row : result->reservations) {
        static constexpr const char* kStates[] = {"pending", "confirmed", "cancelled", "expired"};
        listed.push_back(absl::StrCat(row.sku_id, " ", row.user_id, " ", kStates[static_cast<int>(row.state)]));
        ExpectSame(row, Read(row.reservation_id));
      }
      if (!result->next.has_value()) return listed;
      after = *result->next;
    }
    ADD_FAILURE() << "pages without end";
    return listed;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, ReservationListContract, BothLedgers(), LedgerName);

TEST_P(ReservationListContract, OfASku) {
  EXPECT_THAT(List({.sku_id = "tv", .user_id = "", .states = {}}),
              ElementsAre("tv alice confirmed", "tv alice pending", "tv bob confirmed", "tv bob pending",
                          "tv alice cancelled", "tv bob cancelled"));
  EXPECT_THAT(List({.sku_id = "boat", .user_id = "", .states = {}}), IsEmpty());
}

TEST_P(ReservationListContract, OfABuyer) {
  EXPECT_THAT(List({.sku_id = "", .user_id = "bob", .states = {}}),
              ElementsAre("radio bob confirmed", "radio bob pending", "radio bob cancelled", "tv bob confirmed",
                          "tv bob pending", "tv bob cancelled"));
  EXPECT_THAT(List({.sku_id = "tv", .user_id = "alice", .states = {}}),
              ElementsAre("tv alice confirmed", "tv alice pending", "tv alice cancelled"));
  EXPECT_THAT(List({.sku_id = "", .user_id = "carol", .states = {}}), IsEmpty());
}

TEST_P(ReservationListContract, InStates) {
  EXPECT_THAT(List({.sku_id = "tv", .user_id = "", .states = {ReservationState::kPending}}),
              ElementsAre("tv alice pending", "tv bob pending"));
  EXPECT_THAT(
      List({.sku_id = "", .user_id = "alice", .states = {ReservationState::kCancelled, ReservationState::kConfirmed}}),
      ElementsAre("radio alice confirmed", "radio alice cancelled", "tv alice confirmed", "tv alice cancelled"));
  EXPECT_THAT(List({.sku_id = "tv", .user_id = "", .states = {ReservationState::kExpired}}), IsEmpty());
  LetPass(absl::Hours(1));
  ASSERT_EQ(Expire().expired, 4);
  EXPECT_THAT(List({.sku_id = "tv", .user_id = "", .states = {ReservationState::kExpired}}),
              ElementsAre("tv alice expired", "tv bob expired"));
}

// A buyer's list finds a hold and what is paid or has lapsed in different ways.
TEST_P(ReservationListContract, OfABuyerAmongSkusThatOthersBuy) {
  for (const char* sku_id : {"apple", "pear", "plum", "zebra"}) Create(SkuOf(sku_id, 10, /*per_user_limit=*/10));
  Hold(HolderOf("apple", 10), "apple", "bob");
  Hold(HolderOf("pear", 10), "pear", "alice");
  const IncarnationId node = HolderOf("zebra", 10);
  Hold(node, "zebra", "bob");
  Confirm(PaymentOf(Hold(node, "zebra", "alice")));

  const ReservationFilter all{.sku_id = "", .user_id = "alice", .states = {}};
  const std::vector<std::string> whole = List(all);
  EXPECT_THAT(whole,
              ElementsAre("pear alice pending", "radio alice confirmed", "radio alice pending", "radio alice cancelled",
                          "tv alice confirmed", "tv alice pending", "tv alice cancelled", "zebra alice confirmed"));
  for (int page = 1; page <= 7; ++page) EXPECT_EQ(List(all, page), whole) << "in pages of " << page;
  EXPECT_THAT(List({.sku_id = "", .user_id = "alice", .states = {ReservationState::kPending}}),
              ElementsAre("pear alice pending", "radio alice pending", "tv alice pending"));
  EXPECT_THAT(List({.sku_id = "", .user_id = "alice", .states = {ReservationState::kConfirmed}}),
              ElementsAre("radio alice confirmed", "tv alice confirmed", "zebra alice confirmed"));
}

TEST_P(ReservationListContract, InPagesOfAnySize) {
  for (const ReservationFilter& filter : {ReservationFilter{.sku_id = "tv", .user_id = "", .states = {}},
                                          ReservationFilter{.sku_id = "", .user_id = "alice", .states = {}},
                                          ReservationFilter{.sku_id = "radio", .user_id = "bob", .states = {}}}) {
    const std::vector<std::string> whole = List(filter);
    for (int page = 1; page <= 7; ++page) EXPECT_EQ(List(filter, page), whole) << "in pages of " << page;
  }
}

}  // namespace
}  // namespace tranche::storage
