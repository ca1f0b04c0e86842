// Whom EnterSale asks outside before the door, and what becomes of their answers.
#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "server/admission/delay_ticket.h"
#include "server/admission/outside_checks.h"
#include "server/handlers/enter_sale_handler.h"
#include "server/proto_time.h"
#include "tests/unit/server/door_fixture.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kSiteKey[] = "the-site-key";

// Answers at once with `answer`, or keeps the question until the test answers it.
class ScorerOfTest : public RiskScorer {
 public:
  void Score(const v1::ScoreBuyerRequest& buyer, absl::AnyInvocable<void(std::optional<int>)> scored) override {
    asked.push_back(buyer);
    if (keep) {
      kept = std::move(scored);
    } else {
      scored(answer);
    }
  }

  std::optional<int> answer;
  bool keep = false;
  absl::AnyInvocable<void(std::optional<int>)> kept;
  std::vector<v1::ScoreBuyerRequest> asked;
};

class CaptchaOfTest : public CaptchaVerifier {
 public:
  const std::string& site_key() const override { return site_key_; }
  bool available() const override { return is_available; }
  void Verify(absl::string_view response, absl::string_view address,
              absl::AnyInvocable<void(CaptchaVerdict)> verified) override {
    asked.push_back(std::string(response) + " from " + std::string(address));
    if (keep) {
      kept = std::move(verified);
    } else {
      verified(verdict);
    }
  }

  CaptchaVerdict verdict = CaptchaVerdict::kSolved;
  bool is_available = true;
  bool keep = false;
  absl::AnyInvocable<void(CaptchaVerdict)> kept;
  std::vector<std::string> asked;

 private:
  const std::string site_key_ = kSiteKey;
};

// Below 50: a token at once. From there: a captcha. From 80: refused. Nobody knows: 60.
v1::FrontPolicy PolicyWithTiers() {
  v1::FrontPolicy policy;
  policy.mutable_purchase_token();
  policy.mutable_challenge()->set_bits(8);
  v1::RiskRule* const risk = policy.mutable_risk();
  risk->set_ask_scorer(true);
  risk->set_unscored(60);
  risk->add_tiers()->set_challenge_bits(0);
  v1::RiskTier* const middle = risk->add_tiers();
  middle->set_from_score(50);
  middle->set_captcha(true);
  v1::RiskTier* const high = risk->add_tiers();
  high->set_from_score(80);
  high->set_refuse(true);
  return policy;
}

class RiskVisitTest : public ::testing::Test {
 protected:
  RiskVisitTest() {
    handler_.StartServing();
    door_.Set("tv", PolicyWithTiers());
  }

  using Answer = std::optional<absl::StatusOr<v1::EnterSaleResponse>>;

  static v1::EnterSaleRequest VisitOf(const std::string& captcha_response = "") {
    v1::EnterSaleRequest request;
    request.set_sku_id("tv");
    request.set_user_id("alice");
    request.set_captcha_response(captcha_response);
    return request;
  }
  std::shared_ptr<Answer> BeginAt(EnterSaleHandler& handler, const v1::EnterSaleRequest& request) {
    auto answer = std::make_shared<Answer>();
    handler.Enter(request, clock_.Now() + absl::Seconds(2), "192.0.2.1",
                  [answer](absl::StatusOr<v1::EnterSaleResponse> response) {
                    EXPECT_FALSE(answer->has_value()) << "answered twice";
                    *answer = std::move(response);
                  });
    return answer;
  }
  std::shared_ptr<Answer> Begin(const v1::EnterSaleRequest& request) { return BeginAt(handler_, request); }
  absl::StatusOr<v1::EnterSaleResponse> Enter(const v1::EnterSaleRequest& request) {
    return Begin(request)->value_or(absl::InternalError("not answered"));
  }

  storage::FakeClock clock_;
  DoorOfTest door_{&clock_};
  ScorerOfTest scorer_;
  CaptchaOfTest captcha_;
  std::optional<quota::Refused> sale_says_;
  EnterSaleHandler handler_{[this](const std::string&, quota::EntryChecked done) { done(sale_says_); }, &door_.door(),
                            &clock_, &scorer_, &captcha_};
};

TEST_F(RiskVisitTest, WhatIsTooLongOrMalformedIsNamedAndNobodyIsAsked) {
  struct Case {
    const char* field;
    void (*spoil)(v1::EnterSaleRequest&);
  };
  const Case cases[] = {
      {"captcha_response", [](auto& r) { r.set_captcha_response(std::string(4097, 'c')); }},
      {"captcha_response", [](auto& r) { r.set_captcha_response("two words"); }},
      {"captcha_response", [](auto& r) { r.set_captcha_response("line\n"); }},
      {"captcha_response", [](auto& r) { r.set_captcha_response("\x7f"); }},
      {"captcha_response", [](auto& r) { r.set_captcha_response("\xc3\xa9"); }},
      {"delay_ticket", [](auto& r) { r.set_delay_ticket(std::string(kMaxDelayTicketBytes + 1, 'd')); }},
      {"hints.risk_score", [](auto& r) { r.mutable_hints()->set_risk_score(101); }},
  };
  for (const Case& bad : cases) {
    v1::EnterSaleRequest request = VisitOf();
    bad.spoil(request);
    const absl::Status error = Enter(request).status();
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID") << error;
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << error;
  }
  EXPECT_THAT(scorer_.asked, IsEmpty());
  v1::EnterSaleRequest longest = VisitOf(std::string(4096, 'c'));
  longest.set_delay_ticket(std::string(kMaxDelayTicketBytes, 'd'));
  EXPECT_TRUE(Enter(longest).ok());
  EXPECT_TRUE(Enter(VisitOf("!~aA0-._")).ok());
}

TEST_F(RiskVisitTest, TheScorerHearsWhatIsKnownAndItsScoreCounts) {
  v1::EnterSaleRequest request = VisitOf();
  request.mutable_hints()->set_earlier_orders(3);
  request.set_without_scripts(true);
  scorer_.answer = 10;
  const auto trusted = Enter(request);
  ASSERT_TRUE(trusted.ok()) << trusted.status();
  EXPECT_NE(trusted->purchase_token(), "");
  ASSERT_EQ(scorer_.asked.size(), 1u);
  EXPECT_EQ(scorer_.asked[0].sku_id(), "tv");
  EXPECT_EQ(scorer_.asked[0].user_id(), "alice");
  EXPECT_EQ(scorer_.asked[0].buyer_address(), "192.0.2.1");
  EXPECT_EQ(scorer_.asked[0].hints().earlier_orders(), 3);
  EXPECT_TRUE(scorer_.asked[0].without_scripts());
  scorer_.answer = 90;
  EXPECT_EQ(ReasonOf(Enter(VisitOf()).status()), "DENIED");
}

TEST_F(RiskVisitTest, WithoutAnAnswerThePolicyDecides) {
  scorer_.answer.reset();
  const auto unknown = Enter(VisitOf());
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_EQ(unknown->purchase_token(), "");
  EXPECT_EQ(unknown->captcha().site_key(), kSiteKey);
  EXPECT_FALSE(unknown->has_challenge());
}

TEST_F(RiskVisitTest, WhomTheShopScoresTheScorerIsNotAskedAbout) {
  v1::EnterSaleRequest request = VisitOf();
  request.mutable_hints()->set_risk_score(5);
  const auto entered = Enter(request);
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_NE(entered->purchase_token(), "");
  EXPECT_THAT(scorer_.asked, IsEmpty());
}

TEST_F(RiskVisitTest, NobodyIsAskedWhereThePolicyDoesNotOrTheSaleRefuses) {
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  EXPECT_EQ(ReasonOf(Enter(VisitOf("solved")).status()), "SOLD_OUT");
  sale_says_.reset();
  v1::FrontPolicy policy = PolicyWithTiers();
  policy.clear_risk();
  door_.Set("tv", policy);
  EXPECT_TRUE(Enter(VisitOf("solved")).ok());
  door_.Remove("tv");
  EXPECT_TRUE(Enter(VisitOf("solved"))->admitted());
  EXPECT_THAT(scorer_.asked, IsEmpty());
  EXPECT_THAT(captcha_.asked, IsEmpty());
}

TEST_F(RiskVisitTest, TheCaptchaIsVerifiedOnlyWhereTheTierAsksForOne) {
  scorer_.answer = 10;
  EXPECT_NE(Enter(VisitOf("solved"))->purchase_token(), "");
  EXPECT_THAT(captcha_.asked, IsEmpty()) << "they need none";
  scorer_.answer = 60;
  EXPECT_NE(Enter(VisitOf("solved"))->purchase_token(), "");
  EXPECT_THAT(captcha_.asked, ElementsAre("solved from 192.0.2.1"));
  (void)Enter(VisitOf());
  EXPECT_EQ(captcha_.asked.size(), 1u) << "there was nothing to verify";
}

TEST_F(RiskVisitTest, ACaptchaThatIsRefusedIsAskedForAgain) {
  captcha_.verdict = CaptchaVerdict::kRefused;
  const auto refused = Enter(VisitOf("guessed"));
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->purchase_token(), "");
  EXPECT_EQ(refused->captcha_problem(), "refused");
  EXPECT_EQ(refused->captcha().site_key(), kSiteKey);
}

TEST_F(RiskVisitTest, WhereTheProviderDoesNotAnswerAChallengeIsAskedFor) {
  captcha_.verdict = CaptchaVerdict::kUnknown;
  captcha_.is_available = false;
  const auto unknown = Enter(VisitOf("solved"));
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_EQ(unknown->captcha_problem(), "unknown");
  EXPECT_FALSE(unknown->has_captcha());
  EXPECT_TRUE(unknown->has_challenge());
}

TEST_F(RiskVisitTest, ANodeThatCanAskNobodyGoesByThePolicyAlone) {
  EnterSaleHandler alone([](const std::string&, quota::EntryChecked done) { done(std::nullopt); }, &door_.door(),
                         &clock_);
  alone.StartServing();
  const auto answer = BeginAt(alone, VisitOf("solved"));
  ASSERT_TRUE(answer->has_value());
  ASSERT_TRUE((*answer)->ok()) << (*answer)->status();
  EXPECT_EQ((**answer)->captcha_problem(), "unknown");
  EXPECT_TRUE((**answer)->has_challenge());
  EXPECT_FALSE((**answer)->has_captcha());
}

TEST_F(RiskVisitTest, AnswersMayComeLaterOnAnotherThread) {
  scorer_.keep = captcha_.keep = true;
  const auto answer = Begin(VisitOf("solved"));
  EXPECT_THAT(captcha_.asked, IsEmpty()) << "first the score";
  EXPECT_FALSE(answer->has_value());
  std::thread([&] { scorer_.kept(55); }).join();
  EXPECT_FALSE(answer->has_value());
  ASSERT_EQ(captcha_.asked.size(), 1u);
  std::thread([&] { captcha_.kept(CaptchaVerdict::kSolved); }).join();
  ASSERT_TRUE(answer->has_value());
  EXPECT_NE((**answer)->purchase_token(), "");
  EXPECT_EQ(scorer_.asked.size(), 1u);
}

TEST_F(RiskVisitTest, OneVisitOfAUserIsAskedAboutAtATime) {
  scorer_.keep = captcha_.keep = true;
  const auto first = Begin(VisitOf("solved"));
  ASSERT_EQ(scorer_.asked.size(), 1u);
  const absl::Status second = Enter(VisitOf("solved")).status();
  EXPECT_EQ(ReasonOf(second), "RATE_LIMITED") << second;
  EXPECT_EQ(MetadataOf(second, "limit"), "user") << second;
  EXPECT_EQ(scorer_.asked.size(), 1u);
  EXPECT_EQ(door_.door().counts().refused[static_cast<size_t>(DoorCheck::kLimitUser)].load(), 1u);
  scorer_.kept(60);
  ASSERT_EQ(captcha_.asked.size(), 1u);
  EXPECT_EQ(ReasonOf(Enter(VisitOf()).status()), "RATE_LIMITED") << "the provider is being asked";
  v1::EnterSaleRequest bob = VisitOf();
  bob.set_user_id("bob");
  const auto other = Begin(bob);
  EXPECT_EQ(scorer_.asked.size(), 2u) << "others are asked about";
  scorer_.kept(10);
  ASSERT_TRUE(other->has_value());
  captcha_.kept(CaptchaVerdict::kSolved);
  ASSERT_TRUE(first->has_value());
  EXPECT_NE((**first)->purchase_token(), "");
  scorer_.keep = captcha_.keep = false;
  scorer_.answer = 10;
  EXPECT_NE(Enter(VisitOf())->purchase_token(), "") << "the answers have come";
}

TEST_F(RiskVisitTest, WhoHearsAnAnswerMayComeAgainAtOnce) {
  scorer_.answer = 10;
  Answer again;
  handler_.Enter(VisitOf(), clock_.Now() + absl::Seconds(2), "192.0.2.1",
                 [&](const absl::StatusOr<v1::EnterSaleResponse>&) { again = Enter(VisitOf()); });
  ASSERT_TRUE(again.has_value());
  ASSERT_TRUE(again->ok()) << again->status();
  EXPECT_NE((*again)->purchase_token(), "");
}

TEST_F(RiskVisitTest, WhereTheProviderIsAskedAboutTooManyNoChallengeStandsIn) {
  captcha_.verdict = CaptchaVerdict::kBusy;
  for (const bool available : {true, false}) {
    captcha_.is_available = available;
    const absl::Status busy = Enter(VisitOf("solved")).status();
    EXPECT_EQ(ReasonOf(busy), "RATE_LIMITED") << busy;
    EXPECT_EQ(MetadataOf(busy, "limit"), "user") << busy;
  }
  EXPECT_EQ(door_.door().counts().refused[static_cast<size_t>(DoorCheck::kLimitUser)].load(), 2u);
  captcha_.verdict = CaptchaVerdict::kSolved;
  EXPECT_NE(Enter(VisitOf("solved"))->purchase_token(), "") << "they may come again";
}

// It is later each time that somebody looks.
class TickingClock : public storage::Clock {
 public:
  TickingClock(absl::Time first, absl::Duration tick) : next_(first), tick_(tick) {}
  absl::Time Now() const override { return std::exchange(next_, next_ + tick_); }

 private:
  mutable absl::Time next_;
  const absl::Duration tick_;
};

TEST_F(RiskVisitTest, WhetherToAskAndWhatToAnswerGoByOneTime) {
  v1::FrontPolicy policy = PolicyWithTiers();
  *policy.add_limits() = LimitByUser(1, absl::Minutes(1)).limits(0);
  door_.Set("tv", policy);
  scorer_.answer = 10;
  EXPECT_NE(Enter(VisitOf())->purchase_token(), "");
  // Their next try is due in 10 ms: too early to be asked about, and so to be judged.
  TickingClock clock(clock_.Now() + absl::Minutes(1) - absl::Milliseconds(10), absl::Seconds(1));
  EnterSaleHandler handler([](const std::string&, quota::EntryChecked done) { done(std::nullopt); }, &door_.door(),
                           &clock, &scorer_, &captcha_);
  handler.StartServing();
  const auto answer = BeginAt(handler, VisitOf());
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(ReasonOf((*answer)->status()), "RATE_LIMITED") << (*answer)->status();
  EXPECT_EQ(scorer_.asked.size(), 1u);
  EXPECT_EQ(captcha_.asked.size(), 0u);
  EXPECT_EQ(clock.Now(), clock_.Now() + absl::Minutes(1) - absl::Milliseconds(10) + absl::Seconds(1))
      << "it was looked once";
}

TEST_F(RiskVisitTest, WhoIsAskedAboutWhenTheNodeEndsIsSentElsewhere) {
  scorer_.keep = true;
  auto answer = Begin(VisitOf());
  handler_.SetAccepting(false);
  scorer_.kept(10);
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(ReasonOf((*answer)->status()), "DRAINING");
  handler_.SetAccepting(true);
  scorer_.keep = false;
  captcha_.keep = true;
  answer = Begin(VisitOf("solved"));
  EXPECT_FALSE(answer->has_value());
  handler_.SetAccepting(false);
  captcha_.kept(CaptchaVerdict::kSolved);
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(ReasonOf((*answer)->status()), "DRAINING");
}

TEST_F(RiskVisitTest, WhoRunsNoScriptsIsAskedForTheCaptchaAllTheSame) {
  v1::FrontPolicy policy = PolicyWithTiers();
  policy.mutable_challenge()->mutable_delay()->set_seconds(30);
  door_.Set("tv", policy);
  v1::EnterSaleRequest request = VisitOf();
  request.set_without_scripts(true);
  const auto asked = Enter(request);
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(asked->captcha().site_key(), kSiteKey);
  EXPECT_FALSE(asked->has_delay());
  EXPECT_FALSE(asked->has_challenge());
  request.set_captcha_response("solved");
  captcha_.verdict = CaptchaVerdict::kUnknown;
  const auto unknown = Enter(request);
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_EQ(unknown->captcha_problem(), "unknown");
  EXPECT_FALSE(unknown->has_delay());
  EXPECT_FALSE(unknown->has_challenge());
  EXPECT_TRUE(unknown->has_captcha()) << "one late answer changes nothing";
  captcha_.verdict = CaptchaVerdict::kSolved;
  const auto solved = Enter(request);
  ASSERT_TRUE(solved.ok()) << solved.status();
  EXPECT_NE(solved->purchase_token(), "");
  EXPECT_THAT(captcha_.asked, ElementsAre("solved from 192.0.2.1", "solved from 192.0.2.1"));
}

TEST_F(RiskVisitTest, WhoRunsNoScriptsWaitsInsteadOfSolvingAChallenge) {
  v1::FrontPolicy policy = PolicyWithTiers();
  policy.mutable_challenge()->mutable_delay()->set_seconds(30);
  policy.mutable_risk()->mutable_tiers(1)->clear_captcha();
  door_.Set("tv", policy);
  v1::EnterSaleRequest request = VisitOf();
  request.set_without_scripts(true);
  const auto first = Enter(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->purchase_token(), "");
  EXPECT_FALSE(first->has_challenge());
  EXPECT_FALSE(first->has_captcha());
  ASSERT_TRUE(first->has_delay());
  EXPECT_EQ(*FromDuration(first->retry_after()), absl::Seconds(30));
  EXPECT_EQ(*FromTimestamp(first->delay().ready_time()), clock_.Now() + absl::Seconds(30));
  EXPECT_GT(*FromTimestamp(first->delay().expire_time()), *FromTimestamp(first->delay().ready_time()));
  request.set_delay_ticket(first->delay().ticket());
  clock_.AdvanceBy(absl::Seconds(10));
  const auto early = Enter(request);
  ASSERT_TRUE(early.ok()) << early.status();
  EXPECT_EQ(early->delay().ticket(), first->delay().ticket());
  EXPECT_EQ(*FromDuration(early->retry_after()), absl::Seconds(20));
  clock_.AdvanceBy(absl::Seconds(20));
  EXPECT_NE(Enter(request)->purchase_token(), "");
}

}  // namespace
}  // namespace tranche::server
