// Entering a sale, the token that goes with claims, and that what the front door refuses is not tried again.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "client/internal/stream_request.h"
#include "tests/unit/client/connection_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using absl::StatusCode;

constexpr char kClaimId[] = "01890000-0000-7000-8000-000000000001";

absl::Status RateLimited() {
  absl::Status status = NodeError(StatusCode::kResourceExhausted, "RATE_LIMITED", absl::Milliseconds(200));
  SetMetadata(status, "limit", "user");
  return status;
}

class ClientFrontDoorTest : public ConnectionFixture {
 protected:
  absl::StatusOr<SaleEntry> Enter() {
    return Run(&Connection::EnterSale, EnterSale{.sku = "tv", .user = "alice", .challenge_solution = "solved"});
  }
  absl::StatusOr<Reservation> Claim() {
    return Run(
        &Connection::Create,
        CreateReservation{.sku = "tv", .user = "alice", .reservation_id = kClaimId, .purchase_token = "a-token"});
  }
};

TEST_F(ClientFrontDoorTest, AnAdmittedBuyerGetsATokenAndTheirPlace) {
  Open(1);
  tranche::v1::EnterSaleResponse response;
  response.set_admitted(true);
  response.set_purchase_token("v4.local.x");
  response.mutable_token_expire_time()->set_seconds(1'800'000'120);
  response.mutable_lottery()->set_round(3);
  response.mutable_lottery()->set_commitment("a hash");
  response.mutable_lottery()->set_rank(uint64_t{1} << 63);
  response.mutable_lottery()->set_threshold(~uint64_t{0});
  script_.enter_sale.answers = {response};
  const auto entry = Enter();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_TRUE(entry->admitted);
  EXPECT_EQ(entry->purchase_token, "v4.local.x");
  EXPECT_EQ(entry->token_expire_time, absl::FromUnixSeconds(1'800'000'120));
  EXPECT_EQ(entry->challenge, "");
  EXPECT_EQ(entry->challenge_expire_time, absl::InfinitePast());
  EXPECT_EQ(entry->retry_after, absl::ZeroDuration());
  ASSERT_TRUE(entry->lottery.has_value());
  EXPECT_EQ(entry->lottery->round, 3);
  EXPECT_EQ(entry->lottery->commitment, "a hash");
  EXPECT_EQ(entry->lottery->rank, uint64_t{1} << 63);
  EXPECT_EQ(entry->lottery->threshold, ~uint64_t{0});
  ASSERT_EQ(script_.enter_sale.requests.size(), 1u);
  EXPECT_EQ(script_.enter_sale.requests[0].sku_id(), "tv");
  EXPECT_EQ(script_.enter_sale.requests[0].user_id(), "alice");
  EXPECT_EQ(script_.enter_sale.requests[0].challenge_solution(), "solved");
}

TEST_F(ClientFrontDoorTest, WhatTheShopKnowsOfABuyerIsSent) {
  Open(1);
  script_.enter_sale.answers = {tranche::v1::EnterSaleResponse(), tranche::v1::EnterSaleResponse()};
  EnterSale request{.sku = "tv", .user = "alice"};
  ASSERT_TRUE(Run(&Connection::EnterSale, request).ok());
  request.hints.risk_score = 0;
  request.hints.account_create_time = absl::FromUnixSeconds(-3) + absl::Milliseconds(250);
  request.hints.earlier_orders = 7;
  request.hints.labels = {"vip", "staff"};
  request.captcha_response = "clicked";
  request.without_scripts = true;
  request.delay_ticket = "a-delay";
  ASSERT_TRUE(Run(&Connection::EnterSale, request).ok());

  ASSERT_EQ(script_.enter_sale.requests.size(), 2u);
  EXPECT_FALSE(script_.enter_sale.requests[0].has_hints()) << "the shop said nothing";
  const tranche::v1::EnterSaleRequest& sent = script_.enter_sale.requests[1];
  ASSERT_TRUE(sent.has_hints());
  EXPECT_TRUE(sent.hints().has_risk_score()) << "0 is a score";
  EXPECT_EQ(sent.hints().risk_score(), 0);
  EXPECT_EQ(sent.hints().account_create_time().seconds(), -3);
  EXPECT_EQ(sent.hints().account_create_time().nanos(), 250'000'000);
  EXPECT_EQ(sent.hints().earlier_orders(), 7);
  EXPECT_EQ(std::vector<std::string>(sent.hints().labels().begin(), sent.hints().labels().end()),
            (std::vector<std::string>{"vip", "staff"}));
  EXPECT_EQ(sent.captcha_response(), "clicked");
  EXPECT_TRUE(sent.without_scripts());
  EXPECT_EQ(sent.delay_ticket(), "a-delay");
}

TEST_F(ClientFrontDoorTest, WhoHasToSolveACaptchaOrToWaitIsToldSo) {
  Open(1);
  tranche::v1::EnterSaleResponse captcha;
  captcha.set_admitted(true);
  captcha.mutable_captcha()->set_site_key("a-site");
  captcha.set_captcha_problem("refused");
  tranche::v1::EnterSaleResponse delay;
  delay.set_admitted(true);
  delay.mutable_delay()->set_ticket("a-delay");
  delay.mutable_delay()->mutable_ready_time()->set_seconds(1'800'000'060);
  delay.mutable_delay()->mutable_expire_time()->set_seconds(1'800'000'360);
  delay.mutable_retry_after()->set_seconds(60);
  script_.enter_sale.answers = {captcha, delay};
  const auto first = Enter();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->captcha_site_key, "a-site");
  EXPECT_EQ(first->captcha_problem, "refused");
  EXPECT_FALSE(first->delay.has_value());
  const auto second = Enter();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->captcha_site_key, "");
  ASSERT_TRUE(second->delay.has_value());
  EXPECT_EQ(second->delay->ticket, "a-delay");
  EXPECT_EQ(second->delay->ready_time, absl::FromUnixSeconds(1'800'000'060));
  EXPECT_EQ(second->delay->expire_time, absl::FromUnixSeconds(1'800'000'360));
  EXPECT_EQ(second->retry_after, absl::Seconds(60));
}

TEST_F(ClientFrontDoorTest, WhoHasToWaitOrToSolveAChallengeIsToldSoAndNotKept) {
  Open(2);
  tranche::v1::EnterSaleResponse response;
  response.mutable_retry_after()->set_seconds(20);
  response.mutable_retry_after()->set_nanos(500'000'000);
  response.mutable_challenge()->set_altcha("{}");
  response.mutable_challenge()->mutable_expire_time()->set_seconds(1'800'000'300);
  response.set_challenge_problem("expired");
  script_.enter_sale.answers = {response};
  const auto entry = Enter();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_FALSE(entry->admitted);
  EXPECT_EQ(entry->retry_after, absl::Milliseconds(20'500));
  EXPECT_EQ(entry->challenge, "{}");
  EXPECT_EQ(entry->challenge_expire_time, absl::FromUnixSeconds(1'800'000'300));
  EXPECT_EQ(entry->challenge_problem, "expired");
  EXPECT_EQ(entry->token_expire_time, absl::InfinitePast());
  EXPECT_FALSE(entry->lottery.has_value());
  EXPECT_EQ(script_.enter_sale.requests.size(), 1u);
  EXPECT_TRUE(scheduler_->waits().empty());
}

TEST_F(ClientFrontDoorTest, ANodeThatCannotReadThePolicySendsTheBuyerToAnother) {
  Open(2);
  script_.enter_sale.answers = {NodeError(StatusCode::kUnavailable, "EXHAUSTED_HERE", absl::Seconds(1))};
  EXPECT_TRUE(Enter().ok());
  ASSERT_EQ(script_.enter_sale.nodes.size(), 2u);
  EXPECT_NE(script_.enter_sale.nodes[0], script_.enter_sale.nodes[1]);
}

TEST_F(ClientFrontDoorTest, WhatIsRateLimitedIsReturnedAtOnceWithItsTime) {
  Open(3);
  script_.enter_sale.answers = {RateLimited()};
  const absl::Status entered = Enter().status();
  script_.create = {RateLimited()};
  const absl::Status claimed = Claim().status();
  script_.cart.answers = {RateLimited()};
  const absl::Status cart =
      Run(&Connection::CreateCart, tranche::CreateCart{.user = "alice", .lines = {{.sku = "tv"}}}).status();
  for (const absl::Status& status : {entered, claimed, cart}) {
    EXPECT_EQ(ReasonOf(status), Reason::kRateLimited) << status;
    EXPECT_EQ(RetryDelayOf(status), absl::Milliseconds(200));
    EXPECT_EQ(ErrorMetadata(status, "limit"), "user");
  }
  EXPECT_EQ(script_.enter_sale.requests.size(), 1u);
  EXPECT_EQ(script_.creates.size(), 1u);
  EXPECT_EQ(script_.cart.requests.size(), 1u);
  EXPECT_TRUE(scheduler_->waits().empty());
}

// The first try may have been committed, and the limit refuses the second.
TEST_F(ClientFrontDoorTest, AClaimInDoubtThatIsRateLimitedIsLookedUp) {
  Open(2);
  script_.create = {ConnectionLost(), RateLimited()};
  tranche::v1::Reservation committed;
  committed.set_reservation_id(kClaimId);
  committed.set_sku_id("tv");
  committed.set_user_id("alice");
  committed.set_quantity(1);
  script_.get = {committed};
  const auto reservation = Claim();
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_TRUE(reservation->replayed);
  EXPECT_EQ(script_.creates.size(), 2u);
}

TEST_F(ClientFrontDoorTest, EveryTryOfAClaimCarriesTheToken) {
  Open(2);
  script_.create = {Refused()};
  ASSERT_TRUE(Claim().ok());
  ASSERT_EQ(script_.creates.size(), 2u);
  for (const SeenCreate& seen : script_.creates) EXPECT_EQ(seen.request.purchase_token(), "a-token");
}

TEST_F(ClientFrontDoorTest, EachLineOfACartHasItsOwnToken) {
  Open(1);
  const auto cart =
      Run(&Connection::CreateCart,
          tranche::CreateCart{.user = "alice", .lines = {{.sku = "tv", .purchase_token = "of-tv"}, {.sku = "cable"}}});
  ASSERT_TRUE(cart.ok()) << cart.status();
  ASSERT_EQ(script_.cart.requests.size(), 1u);
  EXPECT_EQ(script_.cart.requests[0].lines(0).purchase_token(), "of-tv");
  EXPECT_EQ(script_.cart.requests[0].lines(1).purchase_token(), "");
}

TEST_F(ClientFrontDoorTest, WhereTheBuyerIsGoesAlong) {
  Open(1);
  ASSERT_TRUE(
      Run(&Connection::EnterSale, EnterSale{.sku = "tv", .user = "alice", .buyer_address = "203.0.113.7"}).ok());
  ASSERT_EQ(script_.enter_sale.requests.size(), 1u);
  EXPECT_EQ(script_.enter_sale.requests[0].buyer_address(), "203.0.113.7");
  ASSERT_TRUE(
      Run(&Connection::Create,
          CreateReservation{.sku = "tv", .user = "alice", .reservation_id = kClaimId, .buyer_address = "2001:db8::7"})
          .ok());
  ASSERT_EQ(script_.creates.size(), 1u);
  EXPECT_EQ(script_.creates[0].request.buyer_address(), "2001:db8::7");
  ASSERT_TRUE(Run(&Connection::CreateCart,
                  tranche::CreateCart{.user = "alice", .lines = {{.sku = "tv"}}, .buyer_address = "203.0.113.8"})
                  .ok());
  ASSERT_EQ(script_.cart.requests.size(), 1u);
  EXPECT_EQ(script_.cart.requests[0].buyer_address(), "203.0.113.8");
}

// Of a stream, which may break.
struct UncountedWindow final : StreamWindow {
  void OnAnswered(int room) override {}
  void OnDelivered(int count) override {}
};

TEST_F(ClientFrontDoorTest, StreamsCarryTheTokenAndSoDoTheCallsAfterThem) {
  Open(1);
  const absl::Time deadline = scheduler_->Now() + absl::Seconds(10);
  UncountedWindow window;
  CreateOnStream claim(deadline, deadline,
                       {.sku = "tv",
                        .user = "alice",
                        .reservation_id = kClaimId,
                        .purchase_token = "a-token",
                        .buyer_address = "203.0.113.7"},
                       [](const absl::StatusOr<Reservation>& answer) { EXPECT_TRUE(answer.ok()); });
  tranche::v1::StreamReservationsItem item;
  claim.Write(&item);
  EXPECT_EQ(item.create().purchase_token(), "a-token");
  EXPECT_EQ(item.create().buyer_address(), "203.0.113.7");
  claim.ContinueAsCall(*connection_, {.in_doubt = true}, &window);
  ASSERT_EQ(script_.creates.size(), 1u);
  EXPECT_EQ(script_.creates[0].request.purchase_token(), "a-token");
  EXPECT_EQ(script_.creates[0].request.buyer_address(), "203.0.113.7");

  CartOnStream cart(deadline, deadline,
                    {.user = "alice", .lines = {{.sku = "tv", .reservation_id = kClaimId, .purchase_token = "of-tv"}}},
                    [](const absl::StatusOr<tranche::Cart>& answer) { EXPECT_TRUE(answer.ok()); });
  cart.Write(&item);
  EXPECT_EQ(item.create_cart().lines(0).purchase_token(), "of-tv");
  cart.ContinueAsCall(*connection_, {.admitted = true}, &window);
  ASSERT_EQ(script_.cart.requests.size(), 1u);
  EXPECT_EQ(script_.cart.requests[0].lines(0).purchase_token(), "of-tv");
}

}  // namespace
}  // namespace tranche::internal
