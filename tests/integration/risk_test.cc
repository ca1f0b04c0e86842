// Risk tiers at a real node: the shop's scorer and the captcha's provider are servers within the test.
#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/integration/front_door_fixture.h"
#include "tests/integration/sale_fixture.h"
#include "tests/simulation/door/door_solver.h"
#include "tests/support/free_port.h"
#include "tests/support/http_get.h"
#include "tests/support/http_receiver.h"
#include "tests/support/scratch_dir.h"
#include "tranche/uuid.h"
#include "tranche/v1/front_door_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"
#include "tranche/v1/risk_scorer.grpc.pb.h"

namespace tranche::testing {
namespace {

using ::testing::PrintToString;

constexpr char kRiskSku[] = "tv";
constexpr char kRiskSiteKey[] = "site-key-of-this-test";
constexpr int kTierBits = 10;

// Scores buyers by the first word of their name.
class ShopsScorer : public v1::RiskScorerService::Service {
 public:
  explicit ShopsScorer(int port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
  }
  ~ShopsScorer() override {
    if (server_ != nullptr) server_->Shutdown();
  }

  grpc::Status ScoreBuyer(grpc::ServerContext*, const v1::ScoreBuyerRequest* buyer,
                          v1::ScoreBuyerResponse* response) override {
    static const auto& scores =
        *new std::map<std::string, int>{{"trusted", 5}, {"middle", 40}, {"odd", 60}, {"high", 90}};
    const auto found = scores.find(buyer->user_id().substr(0, buyer->user_id().find('-')));
    if (found == scores.end()) return {grpc::StatusCode::NOT_FOUND, "not known"};
    response->set_risk_score(found->second);
    return grpc::Status::OK;
  }

 private:
  std::unique_ptr<grpc::Server> server_;
};

HttpAnswer VerifyCaptcha(const HttpRequestSeen& request) {
  HttpAnswer answer;
  answer.headers = "Content-Type: application/json\r\n";
  const bool good =
      absl::StrContains(request.body, "response=good") && absl::StrContains(request.body, "secret=secret-of-this-test");
  answer.body = good ? R"({"success": true})" : R"({"success": false, "error-codes": ["invalid-input-response"]})";
  return answer;
}

v1::FrontPolicy PolicyByRisk() {
  v1::FrontPolicy policy = TokenPolicy();
  policy.mutable_challenge()->set_bits(6);
  policy.mutable_challenge()->mutable_delay()->set_seconds(5);
  v1::RiskRule* const risk = policy.mutable_risk();
  risk->set_ask_scorer(true);
  risk->set_unscored(40);
  risk->add_tiers()->set_challenge_bits(0);
  v1::RiskTier* tier = risk->add_tiers();
  tier->set_from_score(30);
  tier->set_challenge_bits(kTierBits);
  tier = risk->add_tiers();
  tier->set_from_score(50);
  tier->set_captcha(true);
  tier = risk->add_tiers();
  tier->set_from_score(80);
  tier->set_refuse(true);
  return policy;
}

class RiskTest : public SaleTest {
 protected:
  void SetUp() override {
    std::ofstream(scratch_.path() / "captcha.secret") << "secret-of-this-test\n";
    std::filesystem::permissions(scratch_.path() / "captcha.secret",
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    MiniClusterOptions options;
    options.nodes = 1;
    options.workers = 0;
    options.metrics = true;
    options.node_args = {"--risk-scorer",         absl::StrCat("127.0.0.1:", scorer_port_),
                         "--captcha-url",         provider_->url(),
                         "--captcha-site-key",    kRiskSiteKey,
                         "--captcha-secret-file", (scratch_.path() / "captcha.secret").string()};
    StartCluster(options);
    const auto channel = grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials());
    reservations_ = v1::ReservationService::NewStub(channel);
    door_ = v1::FrontDoorService::NewStub(channel);
    OpenSale(kRiskSku, 100);
    v1::SetFrontPolicyRequest request;
    request.set_sku_id(kRiskSku);
    *request.mutable_policy() = PolicyByRisk();
    v1::SetFrontPolicyResponse response;
    const grpc::Status set = Admin()->SetFrontPolicy(Context().get(), request, &response);
    ASSERT_TRUE(set.ok()) << set.error_message();
  }
  void TearDown() override {
    if (cluster_ != nullptr) CheckLedger();
  }

  static v1::EnterSaleRequest VisitOf(const std::string& user) {
    v1::EnterSaleRequest request;
    request.set_sku_id(kRiskSku);
    request.set_user_id(user);
    return request;
  }
  DoorAnswer Enter(const v1::EnterSaleRequest& request, v1::EnterSaleResponse* entered) {
    return DoorAnswerOf(door_->EnterSale(Context().get(), request, entered));
  }
  // Asks until it is so: a scorer may be late on a busy machine, and its tier is then another.
  v1::EnterSaleResponse AwaitEntered(const v1::EnterSaleRequest& request,
                                     const std::function<bool(const v1::EnterSaleResponse&)>& holds) {
    const absl::Time give_up = absl::Now() + kDoorPatience;
    v1::EnterSaleResponse entered;
    DoorAnswer answer;
    do {
      entered.Clear();
      answer = Enter(request, &entered);
      if (answer.ok() && holds(entered)) return entered;
      absl::SleepFor(absl::Milliseconds(5));
    } while (absl::Now() < give_up);
    ADD_FAILURE() << request.user_id() << ": " << PrintToString(answer) << " " << entered.ShortDebugString();
    return entered;
  }
  static bool HasToken(const v1::EnterSaleResponse& entered) { return !entered.purchase_token().empty(); }
  static bool HasCaptcha(const v1::EnterSaleResponse& entered) { return entered.has_captcha(); }
  static bool HasTierChallenge(const v1::EnterSaleResponse& entered) {
    return entered.has_challenge() && BitsOf(entered.challenge().altcha()) == kTierBits;
  }
  static int BitsOf(const std::string& altcha) {
    return nlohmann::json::parse(altcha)["parameters"]["data"]["bits"].get<int>();
  }
  DoorAnswer Claim(const std::string& user, const std::string& token) {
    v1::CreateReservationRequest request;
    request.set_reservation_id(MakeUuidV7());
    request.set_sku_id(kRiskSku);
    request.set_user_id(user);
    request.set_quantity(1);
    request.set_purchase_token(token);
    v1::CreateReservationResponse response;
    return DoorAnswerOf(reservations_->CreateReservation(Context().get(), request, &response));
  }
  std::map<std::string, double> Samples() {
    const absl::StatusOr<std::string> address = cluster_->MetricsAddress(cluster_->node(0));
    EXPECT_TRUE(address.ok()) << address.status();
    int port = 0;
    if (!address.ok() || !absl::SimpleAtoi(address->substr(address->rfind(':') + 1), &port)) return {};
    const absl::StatusOr<HttpReply> page = HttpGet(port, "/metrics");
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? SamplesOf(page->body) : std::map<std::string, double>();
  }

  const ScratchDir scratch_{"risk"};
  const int scorer_port_ = PickFreePort();
  std::unique_ptr<ShopsScorer> scorer_ = std::make_unique<ShopsScorer>(scorer_port_);
  std::unique_ptr<HttpReceiver> provider_ = std::make_unique<HttpReceiver>(VerifyCaptcha);
  std::unique_ptr<v1::ReservationService::Stub> reservations_;
  std::unique_ptr<v1::FrontDoorService::Stub> door_;
};

TEST_F(RiskTest, EachTierIsAskedForItsOwn) {
  const v1::EnterSaleResponse trusted = AwaitEntered(VisitOf("trusted-1"), [](const v1::EnterSaleResponse& entered) {
    return HasToken(entered) && !entered.has_challenge();
  });
  EXPECT_TRUE(Claim("trusted-1", trusted.purchase_token()).ok());
  EXPECT_EQ(Claim("middle-1", trusted.purchase_token()).reason, "PURCHASE_TOKEN_INVALID");

  v1::EnterSaleRequest middle = VisitOf("middle-1");
  const v1::EnterSaleResponse asked = AwaitEntered(middle, HasTierChallenge);
  EXPECT_FALSE(HasToken(asked));
  middle.set_challenge_solution(simulation::SolveDoorChallenge(asked.challenge().altcha()));
  const v1::EnterSaleResponse solved = AwaitEntered(middle, HasToken);
  EXPECT_TRUE(Claim("middle-1", solved.purchase_token()).ok());

  const absl::Time give_up = absl::Now() + kDoorPatience;
  DoorAnswer high;
  do {
    v1::EnterSaleResponse entered;
    high = Enter(VisitOf("high-1"), &entered);
  } while (high.ok() && absl::Now() < give_up);
  EXPECT_EQ(high.reason, "DENIED") << PrintToString(high);

  const auto samples = Samples();
  EXPECT_GE(samples.at("tranche_door_tier_total{tier=\"1\"}"), 1);
  EXPECT_GE(samples.at("tranche_door_tier_total{tier=\"2\"}"), 2);
  EXPECT_GE(samples.at("tranche_door_tier_total{tier=\"4\"}"), 1);
  EXPECT_GE(samples.at("tranche_door_hook_total{hook=\"scorer\",outcome=\"answered\"}"), 4);
  EXPECT_GE(samples.at("tranche_door_checks_total{check=\"risk\",verdict=\"refused\"}"), 1);
}

TEST_F(RiskTest, WithoutTheScorerEverybodyIsUnscoredUntilItIsBack) {
  AwaitEntered(VisitOf("trusted-1"), HasToken);
  scorer_.reset();
  AwaitEntered(VisitOf("trusted-1"), HasTierChallenge);
  const absl::Time give_up = absl::Now() + kDoorPatience;
  while (Samples()["tranche_door_hook_open{hook=\"scorer\"}"] != 1 && absl::Now() < give_up) {
    v1::EnterSaleResponse entered;
    EXPECT_TRUE(Enter(VisitOf("high-1"), &entered).ok()) << "nobody knows that they are";
  }
  EXPECT_EQ(Samples()["tranche_door_hook_open{hook=\"scorer\"}"], 1);
  scorer_ = std::make_unique<ShopsScorer>(scorer_port_);
  AwaitEntered(VisitOf("trusted-1"), HasToken);
  EXPECT_EQ(Samples()["tranche_door_hook_open{hook=\"scorer\"}"], 0);
}

TEST_F(RiskTest, ACaptchaEarnsTheTokenAndWithoutItsProviderAChallengeDoes) {
  v1::EnterSaleRequest odd = VisitOf("odd-1");
  EXPECT_EQ(AwaitEntered(odd, HasCaptcha).captcha().site_key(), kRiskSiteKey);
  odd.set_captcha_response("bad");
  AwaitEntered(odd, [](const v1::EnterSaleResponse& entered) {
    return entered.captcha_problem() == "refused" && entered.has_captcha() && !HasToken(entered);
  });
  odd.set_captcha_response("good");
  const v1::EnterSaleResponse solved = AwaitEntered(odd, HasToken);
  EXPECT_TRUE(Claim("odd-1", solved.purchase_token()).ok());
  EXPECT_GE(Samples().at("tranche_door_captchas_total{outcome=\"solved\"}"), 1);

  provider_.reset();
  odd = VisitOf("odd-2");
  odd.set_captcha_response("good");
  const v1::EnterSaleResponse instead = AwaitEntered(odd, [](const v1::EnterSaleResponse& entered) {
    return entered.captcha_problem() == "unknown" && entered.has_challenge() && !entered.has_captcha();
  });
  odd.set_challenge_solution(simulation::SolveDoorChallenge(instead.challenge().altcha()));
  AwaitEntered(odd, HasToken);
}

TEST_F(RiskTest, NoDelayStandsInForACaptchaWhoseProviderIsAway) {
  v1::EnterSaleRequest odd = VisitOf("odd-3");
  odd.set_without_scripts(true);
  EXPECT_FALSE(AwaitEntered(odd, HasCaptcha).has_delay());
  provider_.reset();
  odd.set_captcha_response("good");
  const v1::EnterSaleResponse instead = AwaitEntered(odd, [](const v1::EnterSaleResponse& entered) {
    return entered.captcha_problem() == "unknown" && entered.has_challenge();
  });
  EXPECT_FALSE(instead.has_captcha());
  EXPECT_FALSE(instead.has_delay());
  EXPECT_GE(Samples().at("tranche_door_captchas_total{outcome=\"replaced\"}"), 1);
}

TEST_F(RiskTest, WhoRunsNoScriptsWaitsAndIsLetIn) {
  v1::EnterSaleRequest visit = VisitOf("middle-1");
  visit.set_without_scripts(true);
  const v1::EnterSaleResponse told =
      AwaitEntered(visit, [](const v1::EnterSaleResponse& entered) { return entered.has_delay(); });
  EXPECT_FALSE(told.has_challenge());
  EXPECT_TRUE(told.has_retry_after());
  visit.set_delay_ticket(told.delay().ticket());
  const v1::EnterSaleResponse entered = AwaitEntered(visit, HasToken);
  EXPECT_GE(absl::ToUnixSeconds(absl::Now()), told.delay().ready_time().seconds());
  EXPECT_TRUE(Claim("middle-1", entered.purchase_token()).ok());
  EXPECT_GE(Samples().at("tranche_door_delays_total{outcome=\"waited\"}"), 1);
}

}  // namespace
}  // namespace tranche::testing
