#include "server/handlers/cart_handler.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/ledger/claim_refusal.h"
#include "tests/unit/server/error_matchers.h"
#include "tests/unit/server/happened.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

std::string LineId(int i) { return absl::StrCat("01890a5d-ac96-774b-bcce-b302000000", i % 10, i / 10); }

// A handler whose seller answers as told and remembers what it was asked.
class CartHandlerTest : public ::testing::Test {
 protected:
  CartHandlerTest() { handler_.StartServing(); }

  static v1::CreateReservationsRequest Cart(int lines = 2) {
    v1::CreateReservationsRequest request;
    request.set_user_id("alice");
    for (int i = 0; i < lines; ++i) {
      v1::CartLine* line = request.add_lines();
      line->set_reservation_id(LineId(i));
      line->set_sku_id(absl::StrCat("sku-", i));
      line->set_quantity(i + 1);
    }
    return request;
  }

  absl::StatusOr<v1::CreateReservationsResponse> Create(const v1::CreateReservationsRequest& request,
                                                        CartHandler& handler) {
    absl::StatusOr<v1::CreateReservationsResponse> result = absl::InternalError("not answered");
    handler.Create(request, clock_.Now() + absl::Seconds(2),
                   [&](absl::StatusOr<v1::CreateReservationsResponse> response) { result = std::move(response); });
    return result;
  }
  auto Create(const v1::CreateReservationsRequest& request) { return Create(request, handler_); }

  storage::FakeClock clock_;
  quota::CartSale answer_ = quota::CartSold{};
  std::optional<std::vector<storage::ReservationClaim>> lines_;
  std::vector<quota::Visitor> visitors_;
  bool may_exist_ = false;
  CartHandler handler_{[this](std::vector<storage::ReservationClaim> lines, absl::Time, bool may_exist,
                              quota::CartDone done, std::vector<quota::Visitor> visitors) {
                         lines_ = std::move(lines);
                         visitors_ = std::move(visitors);
                         may_exist_ = may_exist;
                         done(answer_);
                       },
                       &clock_};
};

TEST_F(CartHandlerTest, PassesAGoodCartOn) {
  quota::CartSold sold;
  sold.replayed = true;
  sold.reservations.resize(2);
  sold.reservations[1].sku_id = "sku-1";
  answer_ = sold;
  v1::CreateReservationsRequest request = Cart();
  request.set_may_exist(true);
  const auto response = Create(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->replayed());
  ASSERT_EQ(response->reservations_size(), 2);
  EXPECT_EQ(response->reservations(1).sku_id(), "sku-1");
  ASSERT_EQ(lines_->size(), 2u);
  EXPECT_EQ((*lines_)[1].reservation_id.ToString(), LineId(1));
  EXPECT_EQ((*lines_)[1].sku_id, "sku-1");
  EXPECT_EQ((*lines_)[1].user_id, "alice");
  EXPECT_EQ((*lines_)[1].quantity, 2);
  EXPECT_TRUE(may_exist_);
}

TEST_F(CartHandlerTest, ACartThatIsQueuedIsToldWithItsTicket) {
  v1::CreateReservationsRequest request = Cart();
  EXPECT_TRUE(Create(request).ok());
  EXPECT_TRUE(visitors_.empty());
  request.set_accept_queued(true);
  answer_ =
      quota::Queued{.ticket = "t", .ahead = 7, .poll_after = absl::Seconds(1), .decide_at = absl::FromUnixSeconds(5)};
  const auto response = Create(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(visitors_.size(), 2u);
  EXPECT_TRUE(visitors_[0].accept_queued && visitors_[1].accept_queued);
  EXPECT_EQ(response->reservations_size(), 0);
  EXPECT_EQ(response->queued().ticket(), "t");
  EXPECT_THAT(Happened(handler_.outcomes()), ElementsAre(Pair("created", 1), Pair("queued", 1)));
}

TEST_F(CartHandlerTest, ACartThatWasQueuedAndRefusedStaysRefused) {
  quota::CartSold sold{.reservations = {}, .replayed = true};
  sold.reservations.resize(2);
  for (storage::Reservation& line : sold.reservations) {
    line.state = storage::ReservationState::kCancelled;
    line.cancel_reason = storage::ToCancelReason(storage::Refusal::kSaleClosed);
  }
  answer_ = sold;
  EXPECT_EQ(ReasonOf(Create(Cart()).status()), "SALE_CLOSED");
}

TEST_F(CartHandlerTest, WhereTheBuyerIsAndEachLinesTokenGoToTheSeller) {
  v1::CreateReservationsRequest request = Cart();
  request.mutable_lines(1)->set_purchase_token("token-1");
  bool answered = false;
  handler_.Create(
      request, clock_.Now() + absl::Seconds(2),
      [&](absl::StatusOr<v1::CreateReservationsResponse> response) { answered = response.ok(); }, "203.0.113.7");
  EXPECT_TRUE(answered);
  ASSERT_EQ(visitors_.size(), 2u);
  EXPECT_EQ(visitors_[0].address, "203.0.113.7");
  EXPECT_EQ(visitors_[0].purchase_token, "");
  EXPECT_EQ(visitors_[1].address, "203.0.113.7");
  EXPECT_EQ(visitors_[1].purchase_token, "token-1");
  EXPECT_TRUE(Create(request).ok());
  ASSERT_EQ(visitors_.size(), 2u) << "a token alone is told, too";
  EXPECT_EQ(visitors_[1].purchase_token, "token-1");
  EXPECT_TRUE(Create(Cart()).ok());
  EXPECT_TRUE(visitors_.empty()) << "nothing is known of the buyer";
}

TEST_F(CartHandlerTest, EveryBadFieldIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::CreateReservationsRequest&);
  };
  const Case cases[] = {
      {"USER_ID_REQUIRED", "user_id", [](auto& r) { r.clear_user_id(); }},
      {"FIELD_INVALID", "lines", [](auto& r) { r.clear_lines(); }},
      {"FIELD_INVALID", "lines", [](auto& r) { r = Cart(33); }},
      {"RESERVATION_ID_REQUIRED", "lines[1].reservation_id",
       [](auto& r) { r.mutable_lines(1)->clear_reservation_id(); }},
      {"FIELD_INVALID", "lines[1].reservation_id", [](auto& r) { r.mutable_lines(1)->set_reservation_id(LineId(0)); }},
      {"SKU_ID_MALFORMED", "lines[0].sku_id", [](auto& r) { r.mutable_lines(0)->set_sku_id("a/b"); }},
      {"QUANTITY_INVALID", "lines[0].quantity", [](auto& r) { r.mutable_lines(0)->set_quantity(0); }},
      {"FIELD_INVALID", "lines[1].purchase_token",
       [](auto& r) { r.mutable_lines(1)->set_purchase_token(std::string(513, 't')); }},
      {"FIELD_INVALID", "buyer_address", [](auto& r) { r.set_buyer_address("203.0.113.0/24"); }},
      {"MESSAGE_TOO_LARGE", "request", [](auto& r) { r.set_user_id(std::string(20000, 'u')); }},
  };
  for (const Case& bad : cases) {
    v1::CreateReservationsRequest request = Cart();
    bad.spoil(request);
    const absl::Status error = Create(request).status();
    EXPECT_EQ(ReasonOf(error), bad.reason) << error;
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << error;
  }
  EXPECT_FALSE(lines_.has_value()) << "a bad request reached the seller";
  EXPECT_TRUE(Create(Cart(32)).ok()) << "the largest cart";
}

TEST_F(CartHandlerTest, RefusalsNameTheSku) {
  answer_ = quota::CartRefused{{.refusal = storage::Refusal::kSoldOut, .holds_may_lapse = true}, "sku-1"};
  const absl::Status error = Create(Cart()).status();
  EXPECT_EQ(ReasonOf(error), "SOLD_OUT");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "sku-1");
  EXPECT_EQ(MetadataOf(error, "holds_may_lapse"), "true");
  answer_ = quota::CartRefused{{.refusal = storage::Refusal::kExhaustedHere}, "sku-0"};
  EXPECT_EQ(RetryDelay(Create(Cart()).status()), absl::Milliseconds(50)) << "as without the name";
  answer_ = quota::CartRefused{{.refusal = storage::Refusal::kCommitUnknown}, ""};
  EXPECT_EQ(MetadataOf(Create(Cart()).status(), "sku_id"), "");
  answer_ =
      quota::CartRefused{{.refusal = storage::Refusal::kReservationIdReused}, "", *storage::Uuid::Parse(LineId(1))};
  EXPECT_EQ(MetadataOf(Create(Cart()).status(), "reservation_id"), LineId(1));
}

TEST_F(CartHandlerTest, EveryCartIsCountedByItsOutcome) {
  EXPECT_TRUE(Create(Cart()).ok());
  answer_ = quota::CartSold{.reservations = {}, .replayed = true};
  EXPECT_TRUE(Create(Cart()).ok());
  answer_ = quota::CartRefused{{.refusal = storage::Refusal::kSoldOut}, "sku-1"};
  EXPECT_FALSE(Create(Cart()).ok());
  EXPECT_FALSE(Create(Cart(33)).ok());
  EXPECT_THAT(Happened(handler_.outcomes()),
              ElementsAre(Pair("FIELD_INVALID", 1), Pair("SOLD_OUT", 1), Pair("created", 1), Pair("replayed", 1)));
}

TEST_F(CartHandlerTest, ANodeThatIsNotReadySendsCallersElsewhere) {
  CartHandler starting([](auto, auto, auto, auto, auto) { FAIL() << "sold before it was ready"; }, &clock_);
  EXPECT_EQ(ReasonOf(Create(Cart(), starting).status()), "EXHAUSTED_HERE");
}

}  // namespace
}  // namespace tranche::server
