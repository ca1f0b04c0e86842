// What the front door tells operators about a buyer.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/admission/purchase_token.h"
#include "tests/unit/server/admission/front_door_fixture.h"

namespace tranche::server {
namespace {

TEST_F(FrontDoorTest, AnExplanationHasAllChecksInTheirOrderAndCountsNothing) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  std::vector<DoorOpinion> opinions;
  for (int i = 0; i < 3; ++i) opinions = Opinions(TokenFor("alice"));
  ASSERT_EQ(opinions.size(), static_cast<size_t>(kDoorChecks));
  for (int i = 0; i < kDoorChecks; ++i) EXPECT_EQ(opinions[i].check, static_cast<DoorCheck>(i));
  using Verdict = DoorOpinion::Verdict;
  EXPECT_EQ(opinions[0].verdict, Verdict::kPass);
  EXPECT_EQ(opinions[1].verdict, Verdict::kPass);
  EXPECT_EQ(opinions[3].verdict, Verdict::kSkip) << "no risk rules";
  EXPECT_EQ(opinions[4].verdict, Verdict::kPass) << opinions[4].detail;
  EXPECT_EQ(opinions[5].verdict, Verdict::kSkip);
  EXPECT_EQ(opinions[7].verdict, Verdict::kSkip) << "the token is good";
  EXPECT_EQ(opinions[8].verdict, Verdict::kSkip) << "no room";
  EXPECT_EQ(opinions[9].verdict, Verdict::kPass);
  EXPECT_EQ(opinions[10].check, DoorCheck::kLimitSku);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone) << "no try was used up";
}

TEST_F(FrontDoorTest, AnExplanationGoesOnAfterARefusal) {
  SetPolicy("tv",
            R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],)"
            R"("lottery":{"admitted_per_million":1},"purchase_token":{}})",
            1'000'000);
  ASSERT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
  const std::vector<DoorOpinion> opinions = Opinions("nonsense");
  using Verdict = DoorOpinion::Verdict;
  EXPECT_EQ(opinions[4].verdict, Verdict::kRefuse);
  EXPECT_EQ(opinions[4].refused->refusal, Refusal::kRateLimited);
  EXPECT_EQ(opinions[7].verdict, Verdict::kPass) << opinions[7].detail;
  EXPECT_EQ(opinions[9].verdict, Verdict::kRefuse);
  EXPECT_EQ(opinions[9].refused->about, "unreadable");
  EXPECT_EQ(RefusedBy(DoorCheck::kLimitUser) + RefusedBy(DoorCheck::kPurchaseToken), 0u) << "nobody was refused";
}

TEST_F(FrontDoorTest, AnExplanationWithoutAPolicyOrWithOneThatCannotBeRead) {
  for (const DoorOpinion& opinion : Opinions("")) {
    if (opinion.check == DoorCheck::kAccessList) continue;
    EXPECT_EQ(opinion.verdict, DoorOpinion::Verdict::kSkip) << DoorCheckName(opinion.check);
  }
  SetPolicy("tv", R"({"turnstile":{}})");
  const std::vector<DoorOpinion> opinions = Opinions("");
  EXPECT_EQ(opinions[1].verdict, DoorOpinion::Verdict::kRefuse);
  EXPECT_NE(opinions[1].detail, "");
}

TEST_F(FrontDoorTest, AnExplanationSaysThatADrawDecidesAndGoesOn) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"draw":{}})");
  const std::vector<DoorOpinion> opinions = Opinions("");
  EXPECT_EQ(opinions[2].check, DoorCheck::kDraw);
  EXPECT_EQ(opinions[2].verdict, DoorOpinion::Verdict::kRefuse);
  EXPECT_EQ(opinions[2].refused->refusal, Refusal::kDrawDecides);
  EXPECT_EQ(opinions[4].check, DoorCheck::kLimitUser);
  EXPECT_EQ(opinions[4].verdict, DoorOpinion::Verdict::kPass);
}

// As it is, and in what bytes are usually written in.
bool Tells(absl::string_view text, absl::string_view secret) {
  for (const std::string& form : {std::string(secret), absl::BytesToHexString(secret), absl::Base64Escape(secret),
                                  absl::WebSafeBase64Escape(secret)}) {
    if (absl::StrContains(text, form)) return true;
  }
  return false;
}

TEST_F(FrontDoorTest, SecretsAreInNoExplanation) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"},)"
                  R"({"key":"KEY_TOKEN","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  const std::string good = TokenFor("alice");
  const std::string id = ReadPurchaseToken(*keys_, good, "tv", "alice", now_).id;
  ASSERT_EQ(id.size(), 16u);
  const FrontKeys::Key& key = *keys_->current();
  const std::vector<std::string> secrets = {round_key_, std::string(storage::kFrontKeyBytes, 's'), key.token_key,
                                            key.challenge_key, id};
  std::vector<DoorOpinion> opinions = Opinions(TokenFor("bob"));
  for (DoorOpinion& opinion : Opinions(good)) opinions.push_back(std::move(opinion));
  ASSERT_EQ(opinions.size(), 2u * kDoorChecks);
  for (const DoorOpinion& opinion : opinions) {
    EXPECT_EQ(opinion.detail.find("v4.local"), std::string::npos);
    for (const std::string& secret : secrets) {
      const std::string about = opinion.refused.has_value() ? opinion.refused->about : "";
      EXPECT_FALSE(Tells(opinion.detail, secret) || Tells(about, secret)) << opinion.detail;
    }
  }
}

}  // namespace
}  // namespace tranche::server
