// What the front door would say to a buyer, as operators are told, on the fakes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/admission/purchase_token.h"
#include "tests/unit/server/front_door_admin_fixture.h"

namespace tranche::server {
namespace {

TEST_F(FrontDoorAdminTest, AServiceModeIsTheFirstThatIsExplained) {
  v1::SetServiceModeRequest request;
  request.set_mode(v1::SERVICE_MODE_READ_ONLY);
  ASSERT_TRUE(modes_.Set(request, kActor).ok());
  door_.SetState(StateNow());
  const v1::ExplainAdmissionResponse response = MustExplain(Question("alice"));
  ASSERT_EQ(response.checks_size(), kDoorChecks + 1);
  EXPECT_EQ(response.checks(0).check(), "service_mode");
  EXPECT_EQ(response.checks(0).verdict(), v1::AdmissionCheck::VERDICT_REFUSE);
  EXPECT_EQ(response.checks(0).reason(), "SERVICE_LIMITED");
}

TEST_F(FrontDoorAdminTest, AnExplanationKnowsWhatWasSetBefore) {
  MustSet(PolicyRequest("tv", Policy()));
  EXPECT_EQ(MustExplain(Question("alice")).policy_sku_id(), "") << "the door has not looked";
  on_catch_up_ = [this] { door_.SetState(StateNow()); };
  EXPECT_EQ(MustExplain(Question("alice")).policy_sku_id(), "tv");
}

TEST_F(FrontDoorAdminTest, AnOpenDoorHasNoPolicy) {
  door_.SetState(StateNow());
  const v1::ExplainAdmissionResponse response = MustExplain(Question("alice"));
  EXPECT_EQ(response.policy_sku_id(), "");
  EXPECT_EQ(response.node(), "node1");
  EXPECT_EQ(response.door_age().seconds(), 2);
  for (const v1::AdmissionCheck& check : response.checks()) {
    EXPECT_NE(check.verdict(), v1::AdmissionCheck::VERDICT_REFUSE) << check.DebugString();
    EXPECT_EQ(check.reason(), "");
  }
  door_age_ = absl::InfiniteDuration();
  EXPECT_FALSE(MustExplain(Question("alice")).has_door_age());
}

TEST_F(FrontDoorAdminTest, EachCheckIsExplained) {
  MustSet(PolicyRequest("*", LotteryOf(1'000'000)));
  v1::FrontPolicy policy = WithToken(LotteryOf(1'000'000));
  policy.mutable_limits(0)->mutable_per()->set_seconds(3600);
  const int64_t version = MustSet(PolicyRequest("tv", policy)).policy().version();
  MustAdd({User("mallory", v1::AccessEntry::VERDICT_DENY), Denied("203.0.113.0/24")});
  door_.SetState(StateNow());

  for (int i = 0; i < 20; ++i) {
    const v1::ExplainAdmissionResponse response = MustExplain(Question("alice"));
    EXPECT_EQ(response.policy_sku_id(), "tv");
    EXPECT_EQ(response.policy_version(), version);
    ASSERT_EQ(response.checks_size(), kDoorChecks);
    EXPECT_EQ(response.checks(0).check(), "access_list");
    EXPECT_EQ(CheckIn(response, "limit_user").verdict(), v1::AdmissionCheck::VERDICT_PASS) << "no try is counted";
    EXPECT_EQ(CheckIn(response, "limit_sku").verdict(), v1::AdmissionCheck::VERDICT_SKIP);
    EXPECT_EQ(CheckIn(response, "lottery").verdict(), v1::AdmissionCheck::VERDICT_PASS);
    EXPECT_EQ(CheckIn(response, "purchase_token").verdict(), v1::AdmissionCheck::VERDICT_REFUSE);
    EXPECT_EQ(CheckIn(response, "purchase_token").reason(), "PURCHASE_TOKEN_REQUIRED");
  }
  const v1::AdmissionCheck denied = CheckIn(MustExplain(Question("mallory")), "access_list");
  EXPECT_EQ(denied.verdict(), v1::AdmissionCheck::VERDICT_REFUSE);
  EXPECT_EQ(denied.reason(), "DENIED");
  v1::ExplainAdmissionRequest mapped = Question("alice");
  mapped.set_address("::ffff:203.0.113.9");
  EXPECT_EQ(CheckIn(MustExplain(mapped), "access_list").reason(), "DENIED");

  const FrontKeys keys(*front_.ListFrontKeys());
  v1::ExplainAdmissionRequest with_token = Question("alice");
  with_token.set_purchase_token(MakePurchaseToken(keys, "tv", "alice", absl::Minutes(1), clock_.Now()).text);
  EXPECT_EQ(CheckIn(MustExplain(with_token), "purchase_token").verdict(), v1::AdmissionCheck::VERDICT_PASS);
  with_token.set_user_id("bob");
  EXPECT_EQ(CheckIn(MustExplain(with_token), "purchase_token").reason(), "PURCHASE_TOKEN_INVALID");

  v1::ExplainAdmissionRequest other = Question("alice");
  other.set_sku_id("radio");
  EXPECT_EQ(MustExplain(other).policy_sku_id(), "*");
}

TEST_F(FrontDoorAdminTest, GarbageInAQuestionIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::ExplainAdmissionRequest&);
  };
  const Case cases[] = {
      {"SKU_ID_REQUIRED", "sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("*"); }},
      {"USER_ID_REQUIRED", "user_id", [](auto& r) { r.clear_user_id(); }},
      {"USER_ID_MALFORMED", "user_id", [](auto& r) { r.set_user_id("two\nlines"); }},
      {"FIELD_INVALID", "address", [](auto& r) { r.set_address("203.0.113.7:80"); }},
      {"FIELD_INVALID", "address", [](auto& r) { r.set_address("203.0.113.0/24"); }},
      {"FIELD_INVALID", "purchase_token",
       [](auto& r) { r.set_purchase_token(std::string(kMaxPurchaseTokenBytes + 1, 'x')); }},
      {"FIELD_INVALID", "hints.risk_score", [](auto& r) { r.mutable_hints()->set_risk_score(101); }},
  };
  for (const Case& bad : cases) {
    v1::ExplainAdmissionRequest request = Question("alice");
    bad.spoil(request);
    const absl::Status error = explanations_.Explain(request).status();
    EXPECT_EQ(ReasonOf(error), bad.reason);
    EXPECT_EQ(MetadataOf(error, "field"), bad.field);
  }
}

}  // namespace
}  // namespace tranche::server
