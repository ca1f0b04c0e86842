#include "server/admission/challenge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/unit/server/admission/solved_challenge.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kChallengeMade = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kChallengeLifetime = absl::Minutes(5);

// Made and solved by altcha-lib 2.8.0 with the test's key, for "alice" and "tv", with 6 bits. Expires at 4,000,000,000.
constexpr char kSolvedByAltchaLib[] =
    R"({"challenge":{"parameters":{"algorithm":"PBKDF2/SHA-256","cost":80,)"
    R"("data":{"binding":"6b615f158d3bfc360e7089b930e17f68","bits":6,"key":7},)"
    R"("expiresAt":4000000000,"keyLength":32,"keyPrefix":"00",)"
    R"("nonce":"c604b327fb2ad0d2a9d1a72a6172cddf","salt":"5d7383729139290fb932bbb141b24652"},)"
    R"("signature":"f9d152b67383155fc36b5b4e801fc31a8124411cefa1cabd0221f921f443cc43"},)"
    R"("solution":{"counter":149,"derivedKey":"0035a84b25ed7ab3609680feb02bd58480edfa6e54f4444bd42c7f0d4678835a",)"
    R"("time":26.9}})";

class ChallengeTest : public ::testing::Test {
 protected:
  std::string Issue(int bits, const std::string& sku_id = "tv", const std::string& user_id = "alice") const {
    return IssueChallenge(keys_, sku_id, user_id, bits, kChallengeLifetime, kChallengeMade)->json;
  }
  std::string Problem(const std::string& solution, int bits, const std::string& sku_id = "tv",
                      const std::string& user_id = "alice", absl::Time now = kChallengeMade) const {
    return ChallengeProblem(keys_, solution, sku_id, user_id, bits, now);
  }
  static nlohmann::json ByAltchaLib() { return nlohmann::json::parse(kSolvedByAltchaLib); }

  FrontKeys keys_ = CurrentTestKey();
};

TEST_F(ChallengeTest, WhatAltchaLibMadeAndSolvedIsTaken) {
  EXPECT_EQ(Problem(absl::Base64Escape(kSolvedByAltchaLib), 6), "");
  EXPECT_EQ(Problem(absl::Base64Escape(kSolvedByAltchaLib), 5), "");
}

TEST_F(ChallengeTest, WhatIsIssuedCanBeSolvedWithAnyNumberOfBits) {
  for (int bits = kLeastChallengeBits; bits <= 9; ++bits) {
    EXPECT_EQ(Problem(EncodeSolution(SolveAsBrowser(Issue(bits))), bits), "") << bits;
  }
}

TEST_F(ChallengeTest, OneBitMoreIsTwiceTheWorkAndNoKeyCostsMoreThanTheMost) {
  for (int bits = kLeastChallengeBits; bits <= kMostChallengeBits; ++bits) {
    const nlohmann::json parameters = nlohmann::json::parse(Issue(bits))["parameters"];
    const auto digits = static_cast<double>(parameters["keyPrefix"].get<std::string>().size());
    const int cost = parameters["cost"].get<int>();
    EXPECT_EQ(std::pow(16, digits) * cost, std::pow(2, bits) * kChallengeIterations) << bits;
    EXPECT_LE(cost, kChallengeIterations) << bits;
  }
}

TEST_F(ChallengeTest, BitsOutsideOfTheLimitsCountAsTheLimit) {
  for (const auto& [asked, given] : std::vector<std::pair<int, int>>{{-1, 4}, {0, 4}, {3, 4}, {21, 20}, {1000, 20}}) {
    EXPECT_EQ(nlohmann::json::parse(Issue(asked))["parameters"]["data"]["bits"].get<int>(), given);
  }
  EXPECT_EQ(Problem(EncodeSolution(SolveAsBrowser(Issue(0))), 0), "");
}

TEST_F(ChallengeTest, ExpiresAtAWholeSecond) {
  const std::optional<IssuedChallenge> issued =
      IssueChallenge(keys_, "tv", "alice", 4, kChallengeLifetime, kChallengeMade + absl::Milliseconds(900));
  ASSERT_TRUE(issued.has_value());
  EXPECT_EQ(issued->expires_at, kChallengeMade + kChallengeLifetime);
  const std::string solution = EncodeSolution(SolveAsBrowser(issued->json));
  EXPECT_EQ(Problem(solution, 4, "tv", "alice", issued->expires_at - absl::Milliseconds(1)), "");
  EXPECT_EQ(Problem(solution, 4, "tv", "alice", issued->expires_at), "expired");
  EXPECT_EQ(Problem(solution, 4, "tv", "alice", absl::InfiniteFuture()), "expired");
}

TEST_F(ChallengeTest, ASolutionIsForItsBuyerAndSku) {
  const std::string solution = EncodeSolution(SolveAsBrowser(Issue(4)));
  EXPECT_EQ(Problem(solution, 4, "tv", "bob"), "not_for_this");
  EXPECT_EQ(Problem(solution, 4, "radio", "alice"), "not_for_this");
  EXPECT_EQ(Problem(solution, 4, "alice", "tv"), "not_for_this");
  EXPECT_EQ(Problem(EncodeSolution(SolveAsBrowser(Issue(4, "tv1", "alice"))), 4, "tv", "1alice"), "not_for_this");
}

TEST_F(ChallengeTest, OnlyOneThatStandsInEarnsWhereItMustStandIn) {
  const auto problem = [this](const std::string& solution, ChallengeRole role) {
    return ChallengeProblem(keys_, solution, "tv", "alice", 4, kChallengeMade, role);
  };
  const std::string plain = EncodeSolution(SolveAsBrowser(Issue(4)));
  EXPECT_EQ(problem(plain, ChallengeRole::kPlain), "");
  EXPECT_EQ(problem(plain, ChallengeRole::kStandsIn), "not_for_this");
  const std::string stands_in = EncodeSolution(SolveAsBrowser(
      IssueChallenge(keys_, "tv", "alice", 4, kChallengeLifetime, kChallengeMade, ChallengeRole::kStandsIn)->json));
  EXPECT_EQ(problem(stands_in, ChallengeRole::kStandsIn), "");
  EXPECT_EQ(problem(stands_in, ChallengeRole::kPlain), "") << "it was the same work";
  EXPECT_EQ(Problem(stands_in, 4, "tv", "bob"), "not_for_this");
  EXPECT_EQ(Problem(stands_in, 4, "radio", "alice"), "not_for_this");
}

TEST_F(ChallengeTest, TellsNeitherBuyerNorSku) {
  const std::string challenge = Issue(4, "a-telephone", "alice@example.com");
  EXPECT_THAT(challenge, Not(HasSubstr("telephone")));
  EXPECT_THAT(challenge, Not(HasSubstr("alice")));
}

TEST_F(ChallengeTest, ASolutionMayBeShownAgain) {
  const std::string solution = EncodeSolution(SolveAsBrowser(Issue(4)));
  EXPECT_EQ(Problem(solution, 4), "");
  EXPECT_EQ(Problem(solution, 4), "");
}

TEST_F(ChallengeTest, FewerBitsThanAreAskedNowAreTooEasy) {
  const std::string solution = EncodeSolution(ByAltchaLib());
  EXPECT_EQ(Problem(solution, 7), "too_easy");
  EXPECT_EQ(Problem(solution, 20), "too_easy");
}

// A solver cannot make it easier: what is signed decides.
TEST_F(ChallengeTest, ALowerCostOrAShorterPrefixIsNotBelieved) {
  nlohmann::json cheap = ByAltchaLib();
  nlohmann::json& parameters = cheap["challenge"]["parameters"];
  parameters["keyPrefix"] = "";
  cheap["solution"]["counter"] = 0;
  cheap["solution"]["derivedKey"] = DerivedKeyOf(parameters, 0);
  EXPECT_EQ(Problem(EncodeSolution(cheap), 6), "wrong") << "no prefix";

  nlohmann::json first = nlohmann::json::parse(Issue(8));
  first["parameters"]["cost"] = 1;
  EXPECT_EQ(Problem(EncodeSolution(SolveAsBrowser(first.dump())), 8), "wrong") << "one iteration";

  // A claimed key has the prefix, but is not the counter's.
  nlohmann::json claimed = ByAltchaLib();
  claimed["solution"]["derivedKey"] = std::string(64, '0');
  EXPECT_EQ(Problem(EncodeSolution(claimed), 6), "wrong") << "a key of zeros";
}

TEST_F(ChallengeTest, WhatIsNotReadDoesNotMatter) {
  nlohmann::json odd = ByAltchaLib();
  odd["challenge"]["parameters"]["algorithm"] = "NONE";
  odd["challenge"]["parameters"]["cost"] = 1;
  odd["challenge"]["parameters"]["data"]["more"] = "text";
  odd["solution"].erase("time");
  odd["took"] = 5;
  EXPECT_EQ(Problem(EncodeSolution(odd), 6), "");
}

TEST_F(ChallengeTest, AChangeOfWhatIsReadIsNoticed) {
  struct Change {
    const char* at;
    nlohmann::json value;
    const char* problem;
  };
  const std::vector<Change> changes = {
      {"/challenge/signature", "f9d152b67383155fc36b5b4e801fc31a8124411cefa1cabd0221f921f443cc44", "unreadable"},
      {"/challenge/parameters/nonce", "c604b327fb2ad0d2a9d1a72a6172cdde", "unreadable"},
      {"/challenge/parameters/salt", "5d7383729139290fb932bbb141b24653", "unreadable"},
      {"/challenge/parameters/expiresAt", 4000000001, "unreadable"},
      {"/challenge/parameters/data/binding", "6b615f158d3bfc360e7089b930e17f69", "unreadable"},
      {"/challenge/parameters/data/bits", 5, "unreadable"},
      {"/challenge/parameters/data/bits", 20, "unreadable"},
      {"/challenge/parameters/data/key", 6, "unreadable"},
      {"/challenge/parameters/data/key", 9, "unreadable"},
      {"/solution/counter", 150, "wrong"},
      {"/solution/counter", 149 + (int64_t{1} << 32), "unreadable"},
      {"/solution/derivedKey", "0035a84b25ed7ab3609680feb02bd58480edfa6e54f4444bd42c7f0d4678835b", "wrong"},
      {"/solution/derivedKey", "1035a84b25ed7ab3609680feb02bd58480edfa6e54f4444bd42c7f0d4678835a", "wrong"},
      {"/solution/derivedKey", "0035A84B25ED7AB3609680FEB02BD58480EDFA6E54F4444BD42C7F0D4678835A", "unreadable"},
  };
  keys_ = RotatedTestKeys(kTestKeyId);
  ASSERT_EQ(Problem(EncodeSolution(ByAltchaLib()), 4), "");
  for (const Change& change : changes) {
    nlohmann::json altered = ByAltchaLib();
    altered[nlohmann::json::json_pointer(change.at)] = change.value;
    EXPECT_EQ(Problem(EncodeSolution(altered), 4), change.problem) << change.at << " " << change.value;
  }
}

TEST_F(ChallengeTest, AMemberThatIsMissingOrOfAnotherKindIsUnreadable) {
  for (const char* at : {"/challenge", "/challenge/signature", "/challenge/parameters", "/challenge/parameters/nonce",
                         "/challenge/parameters/salt", "/challenge/parameters/expiresAt", "/challenge/parameters/data",
                         "/challenge/parameters/data/binding", "/challenge/parameters/data/bits",
                         "/challenge/parameters/data/key", "/solution", "/solution/counter", "/solution/derivedKey"}) {
    const nlohmann::json::json_pointer pointer(at);
    nlohmann::json without = ByAltchaLib();
    without[pointer.parent_pointer()].erase(pointer.back());
    EXPECT_EQ(Problem(EncodeSolution(without), 4), "unreadable") << at;
    for (const nlohmann::json& other :
         {nlohmann::json(), nlohmann::json("x"), nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json(true),
          nlohmann::json::array({1}), nlohmann::json::object(), nlohmann::json(UINT64_MAX)}) {
      nlohmann::json odd = ByAltchaLib();
      odd[pointer] = other;
      EXPECT_EQ(Problem(EncodeSolution(odd), 4), "unreadable") << at << " " << other;
    }
  }
}

TEST_F(ChallengeTest, GarbageIsUnreadable) {
  std::vector<std::string> texts = {"", "=", "====", "x", "AAAA", std::string(100, '\0'), kSolvedByAltchaLib};
  for (const std::string& json : {std::string("{}"), std::string("[]"), std::string("null"), std::string("\xff"),
                                  std::string(3000, '['), std::string("{\"challenge\":")}) {
    texts.push_back(absl::Base64Escape(json));
  }
  const std::string good = absl::Base64Escape(kSolvedByAltchaLib);
  texts.push_back(absl::StrCat(good, "="));
  texts.push_back(absl::StrCat(good, "\n"));
  texts.push_back(good.substr(0, good.size() - 4));
  for (const std::string& text : texts) EXPECT_EQ(Problem(text, 4), "unreadable") << text;
}

TEST_F(ChallengeTest, LongerThan4096BytesIsUnreadable) {
  std::string json = kSolvedByAltchaLib;
  json.append(kMaxSolutionBytes / 4 * 3 - json.size(), ' ');
  ASSERT_EQ(absl::Base64Escape(json).size(), kMaxSolutionBytes);
  EXPECT_EQ(Problem(absl::Base64Escape(json), 6), "");
  EXPECT_EQ(Problem(absl::Base64Escape(absl::StrCat(json, " ")), 6), "unreadable");
}

TEST_F(ChallengeTest, TheKeysBeforeAndAfterAreGoodAndOthersAreNot) {
  const std::string solution = EncodeSolution(ByAltchaLib());
  keys_ = RotatedTestKeys(kTestKeyId + 1);
  EXPECT_EQ(Problem(solution, 6), "") << "the previous key";
  EXPECT_EQ(nlohmann::json::parse(Issue(4))["parameters"]["data"]["key"].get<int64_t>(), kTestKeyId + 1);
  keys_ = RotatedTestKeys(kTestKeyId - 1);
  EXPECT_EQ(Problem(solution, 6), "") << "the next key, which another node already uses";
  keys_ = RotatedTestKeys(kTestKeyId + 2);
  EXPECT_EQ(Problem(solution, 6), "unreadable") << "a key that was dropped";
}

TEST_F(ChallengeTest, WithoutAKeyThereIsNone) {
  EXPECT_FALSE(IssueChallenge(FrontKeys(), "tv", "alice", 4, kChallengeLifetime, kChallengeMade).has_value());
}

TEST_F(ChallengeTest, EachHasANonceAndASaltOfItsOwn) {
  const nlohmann::json one = nlohmann::json::parse(Issue(4))["parameters"];
  const nlohmann::json other = nlohmann::json::parse(Issue(4))["parameters"];
  EXPECT_FALSE(one["nonce"] == other["nonce"]);
  EXPECT_FALSE(one["salt"] == other["salt"]);
  EXPECT_FALSE(one["nonce"] == one["salt"]);
}

}  // namespace
}  // namespace tranche::server
