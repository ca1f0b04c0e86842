// Waiting for a sale: what a buyer is told of their place, and how they are entered again until they are let in.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/internal/connection.h"
#include "client/internal/entry_wait.h"
#include "tests/unit/client/connection_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using absl::StatusCode;

tranche::v1::EnterSaleResponse StillWaits(const std::string& ticket, int64_t retry_after_s) {
  tranche::v1::EnterSaleResponse response;
  response.mutable_place()->set_ticket(ticket);
  if (retry_after_s > 0) response.mutable_retry_after()->set_seconds(retry_after_s);
  return response;
}

tranche::v1::EnterSaleResponse LetIn() {
  tranche::v1::EnterSaleResponse response;
  response.set_admitted(true);
  response.set_purchase_token("v4.local.x");
  return response;
}

// The lottery or the room would let them in, but they have to wait first.
tranche::v1::EnterSaleResponse Delayed(const std::string& ticket, int64_t retry_after_s) {
  tranche::v1::EnterSaleResponse response;
  response.set_admitted(true);
  response.mutable_delay()->set_ticket(ticket);
  response.mutable_retry_after()->set_seconds(retry_after_s);
  return response;
}

class ClientWaitingRoomTest : public ConnectionFixture {
 protected:
  void Begin(absl::Duration timeout, EntryWait::OnPlace on_place = nullptr) {
    EntryWait::Start(*connection_, scheduler_->Now() + timeout,
                     {.sku = "tv", .user = "alice", .challenge_solution = "solved", .buyer_address = "203.0.113.7"},
                     std::move(on_place), [this](absl::StatusOr<SaleEntry> answer) {
                       EXPECT_FALSE(result_.has_value()) << "answered twice";
                       result_ = std::move(answer);
                     });
  }
  // Begins, and waits for the end.
  absl::StatusOr<SaleEntry> Wait(absl::Duration timeout, EntryWait::OnPlace on_place = nullptr) {
    Begin(timeout, std::move(on_place));
    while (!result_.has_value()) {
      if (!scheduler_->RunNext()) return absl::InternalError("it has neither ended nor set a timer");
    }
    return *result_;
  }
  std::vector<std::string> TicketsSent() {
    std::vector<std::string> tickets;
    for (const auto& request : script_.enter_sale.requests) tickets.push_back(request.waiting_ticket());
    return tickets;
  }

  std::optional<absl::StatusOr<SaleEntry>> result_;
};

TEST_F(ClientWaitingRoomTest, ABuyerIsToldTheirPlace) {
  Open(1);
  tranche::v1::EnterSaleResponse response = StillWaits("a-ticket", 20);
  tranche::v1::WaitingPlace& told = *response.mutable_place();
  told.set_ahead(1'200);
  told.mutable_expected_wait()->set_seconds(90);
  told.mutable_as_of()->set_seconds(1'800'000'000);
  told.set_round(3);
  told.set_commitment("a hash");
  told.set_rank(uint64_t{1} << 63);
  told.set_threshold(7);
  told.set_shuffled(true);
  told.set_sale_refusal("SALE_PAUSED");
  told.set_sale_refusal_text("back at nine");
  script_.enter_sale.answers = {response};
  const auto entry =
      Run(&Connection::EnterSale, EnterSale{.sku = "tv", .user = "alice", .waiting_ticket = "the-last-one"});
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(TicketsSent(), std::vector<std::string>{"the-last-one"});
  ASSERT_TRUE(entry->place.has_value());
  EXPECT_EQ(entry->place->ticket, "a-ticket");
  EXPECT_EQ(entry->place->ahead, 1'200);
  EXPECT_EQ(entry->place->expected_wait, absl::Seconds(90));
  EXPECT_EQ(entry->place->as_of, absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(entry->place->round, 3);
  EXPECT_EQ(entry->place->commitment, "a hash");
  EXPECT_EQ(entry->place->rank, uint64_t{1} << 63);
  EXPECT_EQ(entry->place->threshold, 7u);
  EXPECT_TRUE(entry->place->shuffled);
  EXPECT_EQ(entry->place->sale_refusal, "SALE_PAUSED");
  EXPECT_EQ(entry->place->sale_refusal_text, "back at nine");
}

TEST_F(ClientWaitingRoomTest, WhatIsNotKnownOfAPlaceIsNotMadeUp) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("a-ticket", 20), LetIn()};
  const auto early = Run(&Connection::EnterSale, EnterSale{.sku = "tv", .user = "alice"});
  ASSERT_TRUE(early.ok() && early->place.has_value());
  EXPECT_FALSE(early->place->ahead.has_value());
  EXPECT_FALSE(early->place->expected_wait.has_value());
  EXPECT_EQ(early->place->as_of, absl::InfinitePast());
  EXPECT_EQ(early->place->sale_refusal, "");
  const auto without = Run(&Connection::EnterSale, EnterSale{.sku = "tv", .user = "alice"});
  ASSERT_TRUE(without.ok());
  EXPECT_FALSE(without->place.has_value()) << "this SKU has no room";
}

TEST_F(ClientWaitingRoomTest, EachTryHasTheTicketOfTheAnswerBefore) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20), StillWaits("second", 5), LetIn()};
  std::vector<std::string> shown;
  const auto entry = Wait(absl::Minutes(10), [&](const SaleEntry& answer) {
    shown.push_back(answer.place->ticket);
    return true;
  });
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->purchase_token, "v4.local.x");
  EXPECT_EQ(TicketsSent(), (std::vector<std::string>{"", "first", "second"}));
  EXPECT_EQ(shown, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(scheduler_->waits(), (std::vector<absl::Duration>{absl::Seconds(20), absl::Seconds(5)}));
  EXPECT_EQ(script_.enter_sale.requests[0].challenge_solution(), "solved");
  EXPECT_EQ(script_.enter_sale.requests[1].challenge_solution(), "") << "it was for the first try";
  EXPECT_EQ(script_.enter_sale.requests[2].buyer_address(), "203.0.113.7");
}

TEST_F(ClientWaitingRoomTest, ItIsNoBusyWaitAlsoIfTheAnswerHasNoTime) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 0), LetIn()};
  ASSERT_TRUE(Wait(absl::Minutes(10)).ok());
  EXPECT_EQ(scheduler_->waits(), std::vector<absl::Duration>{EntryWait::kLeastWait});
}

TEST_F(ClientWaitingRoomTest, AChallengeIsForTheBuyer) {
  Open(1);
  tranche::v1::EnterSaleResponse challenged = StillWaits("second", 0);
  challenged.mutable_challenge()->set_altcha("{}");
  script_.enter_sale.answers = {StillWaits("first", 2), challenged};
  const auto entry = Wait(absl::Minutes(10));
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->challenge, "{}");
  EXPECT_EQ(entry->place->ticket, "second");
  EXPECT_EQ(script_.enter_sale.requests.size(), 2u);
}

TEST_F(ClientWaitingRoomTest, ACaptchaIsForTheBuyer) {
  Open(1);
  tranche::v1::EnterSaleResponse asked = LetIn();
  asked.clear_purchase_token();
  asked.mutable_place()->set_ticket("second");
  asked.mutable_captcha()->set_site_key("a-site");
  script_.enter_sale.answers = {StillWaits("first", 2), asked};
  const auto entry = Wait(absl::Minutes(10));
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->captcha_site_key, "a-site");
  EXPECT_EQ(entry->place->ticket, "second");
  EXPECT_EQ(script_.enter_sale.requests.size(), 2u);
}

TEST_F(ClientWaitingRoomTest, WhoRunsNoScriptsWaitsForTheDelayAndGoesOnWithItsTicket) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20), Delayed("a-delay", 60), Delayed("a-delay", 1), LetIn()};
  std::vector<std::string> shown;
  const auto entry = Wait(absl::Minutes(10), [&](const SaleEntry& answer) {
    shown.push_back(answer.delay.has_value() ? answer.delay->ticket : "");
    return true;
  });
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->purchase_token, "v4.local.x");
  EXPECT_FALSE(entry->delay.has_value());
  EXPECT_EQ(shown, (std::vector<std::string>{"", "a-delay", "a-delay"}));
  EXPECT_EQ(scheduler_->waits(), (std::vector<absl::Duration>{absl::Seconds(20), absl::Seconds(60), absl::Seconds(1)}));
  std::vector<std::string> sent;
  for (const auto& request : script_.enter_sale.requests) sent.push_back(request.delay_ticket());
  EXPECT_EQ(sent, (std::vector<std::string>{"", "", "a-delay", "a-delay"}));
  EXPECT_EQ(TicketsSent(), (std::vector<std::string>{"", "first", "first", "first"}));
}

TEST_F(ClientWaitingRoomTest, ADelayThatEndsTooLateIsTheCallersToGoOnFrom) {
  Open(1);
  script_.enter_sale.answers = {Delayed("a-delay", 60)};
  const auto entry = Wait(absl::Seconds(30));
  ASSERT_TRUE(entry.ok()) << entry.status();
  ASSERT_TRUE(entry->delay.has_value());
  EXPECT_EQ(entry->delay->ticket, "a-delay");
  EXPECT_EQ(entry->purchase_token, "");
  EXPECT_TRUE(scheduler_->waits().empty()) << "it does not wait in vain";
}

TEST_F(ClientWaitingRoomTest, ACaptchasAnswerIsForOneTry) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20), LetIn()};
  EntryWait::Start(*connection_, scheduler_->Now() + absl::Minutes(10),
                   {.sku = "tv", .user = "alice", .captcha_response = "clicked", .without_scripts = true}, nullptr,
                   [this](absl::StatusOr<SaleEntry> answer) { result_ = std::move(answer); });
  while (!result_.has_value()) ASSERT_TRUE(scheduler_->RunNext());
  ASSERT_EQ(script_.enter_sale.requests.size(), 2u);
  EXPECT_EQ(script_.enter_sale.requests[0].captcha_response(), "clicked");
  EXPECT_EQ(script_.enter_sale.requests[1].captcha_response(), "");
  EXPECT_TRUE(script_.enter_sale.requests[1].without_scripts());
}

TEST_F(ClientWaitingRoomTest, ACaptchaAfterADelayIsForTheBuyerAlsoWithoutScripts) {
  Open(1);
  tranche::v1::EnterSaleResponse asked = LetIn();
  asked.clear_purchase_token();
  asked.mutable_captcha()->set_site_key("a-site");
  script_.enter_sale.answers = {Delayed("a-delay", 60), asked};
  EntryWait::Start(*connection_, scheduler_->Now() + absl::Minutes(10),
                   {.sku = "tv", .user = "alice", .without_scripts = true}, nullptr,
                   [this](absl::StatusOr<SaleEntry> answer) { result_ = std::move(answer); });
  while (!result_.has_value()) ASSERT_TRUE(scheduler_->RunNext());
  ASSERT_TRUE(result_->ok()) << result_->status();
  EXPECT_EQ((*result_)->captcha_site_key, "a-site");
  EXPECT_FALSE((*result_)->delay.has_value());
  EXPECT_EQ(script_.enter_sale.requests.size(), 2u);
}

TEST_F(ClientWaitingRoomTest, WhoIsNotLetInInTimeKeepsTheirPlace) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20), StillWaits("second", 20)};
  const auto entry = Wait(absl::Seconds(30));
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_FALSE(entry->admitted);
  EXPECT_EQ(entry->place->ticket, "second");
  EXPECT_EQ(scheduler_->waits(), std::vector<absl::Duration>{absl::Seconds(20)}) << "it does not wait in vain";
}

TEST_F(ClientWaitingRoomTest, TheCallerEndsItByTheirAnswer) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20), StillWaits("second", 20)};
  int answers = 0;
  const auto entry = Wait(absl::Hours(1), [&](const SaleEntry&) { return ++answers < 2; });
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_FALSE(entry->admitted);
  EXPECT_EQ(entry->place->ticket, "second");
  EXPECT_EQ(script_.enter_sale.requests.size(), 2u);
}

TEST_F(ClientWaitingRoomTest, WhoIsTooFastWaitsAsToldAndGoesOn) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20),
                                NodeError(StatusCode::kResourceExhausted, "RATE_LIMITED", absl::Seconds(3)), LetIn()};
  ASSERT_TRUE(Wait(absl::Minutes(10)).ok());
  EXPECT_EQ(scheduler_->waits(), (std::vector<absl::Duration>{absl::Seconds(20), absl::Seconds(3)}));
  EXPECT_EQ(TicketsSent(), (std::vector<std::string>{"", "first", "first"}));
}

TEST_F(ClientWaitingRoomTest, ItGoesOnWhileNothingIsSold) {
  Open(1);
  tranche::v1::EnterSaleResponse paused = StillWaits("second", 20);
  paused.mutable_place()->set_sale_refusal("SALE_PAUSED");
  script_.enter_sale.answers = {StillWaits("first", 20), paused, LetIn()};
  std::vector<std::string> told;
  const auto entry = Wait(absl::Minutes(10), [&](const SaleEntry& answer) {
    told.push_back(answer.place->sale_refusal);
    return true;
  });
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_TRUE(entry->admitted);
  EXPECT_EQ(told, (std::vector<std::string>{"", "SALE_PAUSED"}));
  EXPECT_EQ(TicketsSent(), (std::vector<std::string>{"", "first", "second"}));
}

TEST_F(ClientWaitingRoomTest, ARefusalEndsIt) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20),
                                NodeError(StatusCode::kResourceExhausted, "SOLD_OUT", absl::ZeroDuration())};
  EXPECT_EQ(ReasonOf(Wait(absl::Minutes(10)).status()), Reason::kSoldOut);
}

TEST_F(ClientWaitingRoomTest, NodesThatDoNotAnswerForAWhileCostNoPlace) {
  options_.retry.max_attempts = 1;
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20), Refused(), LetIn()};
  ASSERT_TRUE(Wait(absl::Minutes(10)).ok());
  EXPECT_EQ(TicketsSent(), (std::vector<std::string>{"", "first", "first"}));
  ASSERT_EQ(scheduler_->waits().size(), 2u);
  EXPECT_GE(scheduler_->waits()[1], EntryWait::kWaitAfterError / 2);
  EXPECT_LE(scheduler_->waits()[1], EntryWait::kWaitAfterError);
}

TEST_F(ClientWaitingRoomTest, WithoutAnyAnswerTheErrorIsTold) {
  options_.retry.max_attempts = 1;
  Open(1);
  for (int i = 0; i < 10; ++i) script_.enter_sale.answers.push_back(Refused());
  EXPECT_TRUE(absl::IsUnavailable(Wait(absl::Seconds(10)).status()));
  EXPECT_GE(script_.enter_sale.requests.size(), 3u);
}

TEST_F(ClientWaitingRoomTest, TheEndOfTheClientEndsIt) {
  Open(1);
  script_.enter_sale.answers = {StillWaits("first", 20)};
  Begin(absl::Hours(1));
  EXPECT_FALSE(result_.has_value());
  connection_.reset();
  ASSERT_TRUE(result_.has_value());
  ASSERT_TRUE(result_->ok()) << result_->status();
  EXPECT_EQ((*result_)->place->ticket, "first");
  EXPECT_EQ(script_.enter_sale.requests.size(), 1u);
}

}  // namespace
}  // namespace tranche::internal
