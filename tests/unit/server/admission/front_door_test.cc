#include "server/admission/front_door.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/admission/door_refusals.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"

namespace tranche::server {
namespace {

using quota::GateVerdict;
using storage::Refusal;

constexpr char kOneTryAnHour[] = R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}]})";
constexpr char kTokenAsked[] = R"({"purchase_token":{}})";
constexpr char kLotteryAsked[] = R"({"lottery":{"admitted_per_million":1}})";
constexpr char kAtHome[] = "203.0.113.7";

// As the widget does it: tries counters until the derived key has the prefix.
std::string SolutionOf(const std::string& challenge) {
  nlohmann::json solved;
  solved["challenge"] = nlohmann::json::parse(challenge);
  const nlohmann::json parameters = solved["challenge"]["parameters"];
  const std::string salt = absl::HexStringToBytes(parameters["salt"].get<std::string>());
  const std::string nonce = absl::HexStringToBytes(parameters["nonce"].get<std::string>());
  for (uint32_t counter = 0;; ++counter) {
    std::string password = nonce;
    for (int shift = 24; shift >= 0; shift -= 8) password.push_back(static_cast<char>(counter >> shift));
    std::array<unsigned char, 32> key;
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                      parameters["cost"].get<int>(), EVP_sha256(), static_cast<int>(key.size()), key.data());
    const std::string hex = absl::BytesToHexString({reinterpret_cast<const char*>(key.data()), key.size()});
    if (!absl::StartsWith(hex, parameters["keyPrefix"].get<std::string>())) continue;
    solved["solution"] = {{"counter", counter}, {"derivedKey", hex}};
    return absl::Base64Escape(solved.dump());
  }
}

// A door, and what the ledger would say.
class FrontDoorTest : public ::testing::Test {
 protected:
  FrontDoorTest() {
    storage::FrontKey key;
    key.id = 1;
    key.secret = std::string(storage::kFrontKeyBytes, 's');
    key.use = storage::FrontKey::Use::kCurrent;
    keys_ = std::make_shared<const FrontKeys>(std::vector<storage::FrontKey>{key});
  }

  void SetPolicy(const std::string& sku_id, const std::string& document, int32_t admitted_per_million = 1) {
    storage::FrontPolicyRow row;
    row.sku_id = sku_id;
    row.document = document;
    row.version = ++version_;
    storage::LotteryRound round;
    round.number = 1;
    round.key = round_key_;
    round.commitment = Commitment(round_key_);
    round.admitted_per_million = admitted_per_million;
    row.round = round;
    policies_[sku_id] = std::make_shared<const DoorPolicy>(CompilePolicy(row));
    Publish();
  }
  void List(bool allow, storage::AccessSubject::Kind kind, const std::string& value) {
    storage::AccessEntry entry;
    entry.subject = {kind, value};
    entry.allow = allow;
    entries_.push_back(entry);
    Publish();
  }
  void AllowUser(const std::string& user) { List(true, storage::AccessSubject::Kind::kUser, user); }
  void DenyUser(const std::string& user) { List(false, storage::AccessSubject::Kind::kUser, user); }
  void Publish() {
    auto state = std::make_shared<DoorState>();
    AccessLists lists;
    lists.Apply(entries_);
    state->access = std::make_shared<const AccessLists>(lists);
    state->keys = keys_;
    state->policies = policies_;
    state->mode = mode_;
    door_.SetState(state);
  }
  void SetMode(storage::ServiceMode::Kind kind, const std::string& reason = "") {
    mode_.kind = kind;
    mode_.reason = reason;
    Publish();
  }

  struct Line {
    std::string sku_id;
    std::string token = "";
  };
  GateVerdict TryCart(const std::string& user, const std::vector<Line>& cart, const std::string& address = kAtHome) {
    std::deque<storage::ReservationClaim> claims;
    std::deque<quota::Visitor> visitors;
    std::vector<quota::GateLine> lines;
    for (const Line& line : cart) {
      claims.push_back({.reservation_id = {}, .sku_id = line.sku_id, .user_id = user, .quantity = 1});
      visitors.push_back({address, line.token});
      lines.push_back({&claims.back(), &visitors.back()});
    }
    return door_.Check(lines, now_, now_ + time_);
  }
  GateVerdict Try(const std::string& user, const std::string& sku_id = "tv", const std::string& address = kAtHome,
                  const std::string& token = "") {
    return TryCart(user, {{sku_id, token}}, address);
  }
  // kNone: let in.
  static Refusal RefusalOf(const GateVerdict& verdict) {
    return verdict.refused.has_value() ? verdict.refused->refusal : Refusal::kNone;
  }
  static std::string AboutOf(const GateVerdict& verdict) {
    return verdict.refused.has_value() ? verdict.refused->about : "";
  }
  std::string TokenFor(const std::string& user, const std::string& sku_id = "tv") {
    return MakePurchaseToken(*keys_, sku_id, user, absl::Minutes(2), now_).text;
  }
  DoorEntry Enter(const std::string& user, const std::string& solution = "") {
    return door_.Enter({.sku_id = "tv", .user_id = user, .address = kAtHome, .challenge_solution = solution}, now_,
                       now_ + time_);
  }
  GateVerdict EnterDraw(const std::string& user, const std::string& token) {
    return door_.CheckDrawEntry("tv", user, {.address = kAtHome, .purchase_token = token}, now_, now_ + time_);
  }
  std::vector<DoorOpinion> Opinions(const std::string& token) {
    const DoorQuestion question = {.sku_id = "tv", .user_id = "alice", .address = kAtHome, .purchase_token = token};
    return door_.Explain(question, now_).opinions;
  }
  uint64_t RefusedBy(DoorCheck check) const { return door_.counts().refused[static_cast<size_t>(check)].load(); }
  uint64_t WaitedAt(DoorCheck check) const { return door_.counts().waited[static_cast<size_t>(check)].load(); }

  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  storage::FakeClock clock_{now_};
  TurnQueue turns_{&clock_, 1, [] { return size_t{0}; }};
  FrontDoor door_{1 << 20, &turns_, &clock_};
  absl::Duration time_ = absl::Minutes(1);  // from a call to its deadline
  std::shared_ptr<const FrontKeys> keys_;
  const std::string round_key_ = std::string(storage::kFrontKeyBytes, 'r');
  int64_t version_ = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const DoorPolicy>> policies_;
  storage::ServiceMode mode_;
  std::vector<storage::AccessEntry> entries_;
};

TEST_F(FrontDoorTest, ADoorOfWhichNothingIsKnownIsOpen) {
  EXPECT_FALSE(door_.closed_to_some());
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  EXPECT_EQ(door_.table(), nullptr);
  EXPECT_EQ(door_.counts().admitted.load(), 0u) << "by no policy";
  Publish();
  EXPECT_FALSE(door_.closed_to_some());
}

TEST_F(FrontDoorTest, ItOpensAgainWithItsLastPolicy) {
  SetPolicy("tv", kOneTryAnHour);
  EXPECT_TRUE(door_.closed_to_some());
  policies_.clear();
  Publish();
  EXPECT_FALSE(door_.closed_to_some());
  DenyUser("mallory");
  EXPECT_TRUE(door_.closed_to_some()) << "a list alone closes it, too";
}

TEST_F(FrontDoorTest, WhoIsDeniedIsDeniedWithoutAnyPolicy) {
  DenyUser("mallory");
  List(false, storage::AccessSubject::Kind::kAddress, "198.51.100.0/24");
  EXPECT_EQ(RefusalOf(Try("mallory")), Refusal::kDenied);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "198.51.100.9")), Refusal::kDenied);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  EXPECT_EQ(RefusedBy(DoorCheck::kAccessList), 2u);
  AllowUser("alice");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "198.51.100.9")), Refusal::kNone) << "their own entry decides first";
}

TEST_F(FrontDoorTest, ASkusOwnPolicyReplacesThatOfAllWholly) {
  SetPolicy("*", kOneTryAnHour);
  SetPolicy("tv", "{}");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice", "tv")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("alice", "cable")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("alice", "radio")), Refusal::kRateLimited) << "one try over all SKUs with that policy";
}

TEST_F(FrontDoorTest, ALimitSaysWhichItIsAndWhenToComeAgain) {
  SetPolicy("tv", kOneTryAnHour);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  const GateVerdict verdict = Try("alice");
  EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
  EXPECT_EQ(AboutOf(verdict), "user");
  EXPECT_EQ(verdict.refused->retry_after, absl::Hours(1));
  EXPECT_EQ(RefusedBy(DoorCheck::kLimitUser), 1u);
  EXPECT_EQ(door_.counts().admitted.load(), 1u);
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kNone);
  now_ += verdict.refused->retry_after;
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone) << "what it said is true";
}

TEST_F(FrontDoorTest, ATryThatALaterLimitRefusesIsGivenBack) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_ADDRESS","tries":1,"per":"3600s","burst":1},)"
                  R"({"key":"KEY_USER","tries":2,"per":"3600s","burst":2}]})");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "203.0.113.7")), Refusal::kNone);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(AboutOf(Try("alice", "tv", "203.0.113.8")), "address") << "the same network";
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "198.51.100.1")), Refusal::kNone) << "the limit by user has one left";
  EXPECT_EQ(AboutOf(Try("alice", "tv", "192.0.2.1")), "user") << "the first of the limits that refuse";
}

// Limits by user, address and token are against floods, also of tries that nothing would come of.
TEST_F(FrontDoorTest, ATryThatTheLotteryRefusesStaysCounted) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2}],)"
                  R"("lottery":{"admitted_per_million":1}})");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNotAdmitted);
  EXPECT_EQ(AboutOf(Try("alice")), "user");
}

TEST_F(FrontDoorTest, ATryThatTheTokenRefusesStaysCounted) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{}})");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), "user");
}

// Otherwise whoever has neither could keep out all who have.
TEST_F(FrontDoorTest, WithoutLuckOrATokenNobodyUsesUpTheTriesOfASku) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_SKU","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  SetPolicy("cable", R"({"limits":[{"key":"KEY_SKU","tries":1,"per":"3600s"}],"purchase_token":{}})");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(RefusalOf(Try("mallory")), Refusal::kNotAdmitted);
    EXPECT_EQ(RefusalOf(Try("mallory", "cable")), Refusal::kPurchaseTokenRequired);
    EXPECT_EQ(RefusalOf(Try("mallory", "cable", kAtHome, "nonsense")), Refusal::kPurchaseTokenInvalid);
  }
  for (const char* sku : {"tv", "cable"}) {
    EXPECT_EQ(RefusalOf(Try("alice", sku, kAtHome, TokenFor("alice", sku))), Refusal::kNone);
    EXPECT_EQ(AboutOf(Try("bob", sku, kAtHome, TokenFor("bob", sku))), "sku");
  }
}

TEST_F(FrontDoorTest, ATryThatTheLimitBySkuRefusesIsGivenBackToTheOthers) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2},)"
                  R"({"key":"KEY_SKU","tries":1,"per":"2s"}]})");
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kNone);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(AboutOf(Try("alice")), "sku");
  for (int i = 0; i < 2; ++i) {
    now_ += absl::Seconds(2);
    EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  }
  now_ += absl::Seconds(2);
  EXPECT_EQ(AboutOf(Try("alice")), "user");
}

TEST_F(FrontDoorTest, AnAddressThatIsNotKnownIsNotCounted) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_ADDRESS","tries":1,"per":"3600s"}]})");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice", "tv", "")), Refusal::kNone);
}

TEST_F(FrontDoorTest, ALimitBySkuCountsEverybody) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_SKU","tries":2,"per":"3600s","burst":2}]})");
  EXPECT_EQ(RefusalOf(Try("a", "tv", "192.0.2.1")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("b", "tv", "198.51.100.1")), Refusal::kNone);
  EXPECT_EQ(AboutOf(Try("c")), "sku");
}

TEST_F(FrontDoorTest, ALimitByTokenCountsTheTokenNotTheBuyer) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":9,"per":"3600s","burst":9},)"
                  R"({"key":"KEY_TOKEN","tries":1,"per":"3600s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, token)), "token");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
}

TEST_F(FrontDoorTest, WhoMayWaitIsTakenAndToldHowLong) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"2s"},)"
                  R"({"key":"KEY_SKU","tries":1,"per":"1s","max_wait":"3s"}]})");
  EXPECT_EQ(Try("alice").wait, absl::ZeroDuration());
  const GateVerdict verdict = Try("alice");
  EXPECT_EQ(RefusalOf(verdict), Refusal::kNone);
  EXPECT_EQ(verdict.wait, absl::Seconds(2)) << "the longest of all";
  EXPECT_EQ(WaitedAt(DoorCheck::kLimitUser), 1u);
  EXPECT_EQ(WaitedAt(DoorCheck::kLimitSku), 1u);
  EXPECT_EQ(AboutOf(Try("alice")), "user") << "four seconds are too long";
}

TEST_F(FrontDoorTest, TheLotteryAdmitsByRankAndTellsWhenToAskAgain) {
  SetPolicy("tv", kLotteryAsked, 300'000);
  int admitted = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string user = "user-" + std::to_string(i);
    const GateVerdict verdict = Try(user);
    const bool in = Rank(round_key_, "tv", 1, user) < Threshold(300'000);
    ASSERT_EQ(RefusalOf(verdict), in ? Refusal::kNone : Refusal::kNotAdmitted) << user;
    ASSERT_EQ(RefusalOf(Try(user)), RefusalOf(verdict)) << "the same at each try";
    if (in) {
      ++admitted;
      continue;
    }
    EXPECT_GE(verdict.refused->retry_after, absl::Seconds(16));
    EXPECT_LE(verdict.refused->retry_after, absl::Seconds(24));
  }
  EXPECT_NEAR(admitted, 300, 60);
}

TEST_F(FrontDoorTest, ATokenIsAskedForAndReadForItsBuyerAndSku) {
  SetPolicy("tv", kTokenAsked);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
  for (const std::string& token : {TokenFor("bob"), TokenFor("alice", "cable")}) {
    const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
    EXPECT_EQ(RefusalOf(verdict), Refusal::kPurchaseTokenInvalid);
    EXPECT_EQ(AboutOf(verdict), "not_for_this");
  }
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, "nonsense")), "unreadable");
  const std::string token = TokenFor("alice");
  now_ += absl::Minutes(3);
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, token)), "expired");
}

TEST_F(FrontDoorTest, AGoodTokenSkipsTheLotteryAndABadOneDoesNot) {
  SetPolicy("tv", R"({"lottery":{"admitted_per_million":1},"purchase_token":{}})");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("bob"))), Refusal::kNotAdmitted);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNotAdmitted) << "before the token is asked for";
}

TEST_F(FrontDoorTest, ATokenSaysNothingWhereNoneIsAskedFor) {
  SetPolicy("tv", kLotteryAsked);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNotAdmitted);
}

TEST_F(FrontDoorTest, WhoIsAllowedSkipsLimitsAndLotteryButNotTheToken) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  AllowUser("alice");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kPurchaseTokenRequired);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kNotAdmitted);
}

TEST_F(FrontDoorTest, APolicyThatCannotBeReadSendsBuyersElsewhere) {
  SetPolicy("*", R"({"turnstile":{}})");
  AllowUser("alice");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kExhaustedHere) << "also those on the list";
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kExhaustedHere);
  EXPECT_EQ(RefusedBy(DoorCheck::kPolicy), 2u);
  EXPECT_EQ(Enter("bob").refused->refusal, Refusal::kExhaustedHere);
}

TEST_F(FrontDoorTest, ACartIsOneTryForEachPolicy) {
  SetPolicy("*", kOneTryAnHour);
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2}]})");
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"cable"}, {"radio"}, {"tv"}, {"cable"}})), Refusal::kNone);
  EXPECT_EQ(door_.counts().admitted.load(), 1u);
  const GateVerdict verdict = TryCart("alice", {{"tv"}, {"radio"}});
  EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
  EXPECT_EQ(verdict.line, 1u) << "the first line of the policy that refuses";
  EXPECT_EQ(RefusalOf(Try("alice", "tv")), Refusal::kNone) << "the try of the other policy was given back";
  EXPECT_EQ(RefusalOf(Try("alice", "tv")), Refusal::kRateLimited);
}

TEST_F(FrontDoorTest, ACartNeedsAGoodTokenForEachLineThatAsksForOne) {
  SetPolicy("tv", kTokenAsked);
  SetPolicy("cable", kTokenAsked);
  const std::string tv = TokenFor("alice", "tv"), cable = TokenFor("alice", "cable");
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"radio"}, {"tv", tv}, {"cable", cable}})), Refusal::kNone);
  const GateVerdict missing = TryCart("alice", {{"radio"}, {"tv", tv}, {"cable"}});
  EXPECT_EQ(RefusalOf(missing), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(missing.line, 2u);
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"tv", tv}, {"cable", tv}})), Refusal::kPurchaseTokenInvalid);
}

TEST_F(FrontDoorTest, ATokenOfTwoLinesIsCountedOnce) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":9,"per":"3600s","burst":9},)"
                  R"({"key":"KEY_TOKEN","tries":1,"per":"3600s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"tv", token}, {"tv", token}})), Refusal::kNone);
  EXPECT_EQ(AboutOf(TryCart("alice", {{"tv", token}, {"tv", TokenFor("alice")}})), "token");
}

TEST_F(FrontDoorTest, CountsOutliveAChangeOfThePolicy) {
  SetPolicy("tv", kOneTryAnHour);
  const RateTable* const table = door_.table();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  SetPolicy("cable", kOneTryAnHour);
  SetPolicy("tv", kOneTryAnHour);
  EXPECT_EQ(door_.table(), table);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kRateLimited);
}

TEST_F(FrontDoorTest, AwayFromTheirHomeABuyerHasAShareOfTheLimit) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":5,"per":"3600s","burst":5}]})");
  const storage::IncarnationId self = 1;
  const auto homes = std::make_shared<const Homes>(self, std::vector<storage::IncarnationId>{self, 2, 3, 4});
  door_.SetHomes(homes);
  for (const bool home : {true, false}) {
    std::string user = "user";
    while (homes->IsHome(RateKeyKind::kUser, "tv", user) != home) user += "+";
    int taken = 0;
    for (int i = 0; i < 10; ++i) taken += RefusalOf(Try(user)) == Refusal::kNone ? 1 : 0;
    EXPECT_EQ(taken, home ? 5 : 2) << user;
  }
}

// As they will do it: enter, claim, look again.
TEST_F(FrontDoorTest, ABuyerHasAllTheirTriesAtOnceUnlessThePolicySaysOtherwise) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":5,"per":"10s"}]})");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone) << i;
  const GateVerdict verdict = Try("alice");
  EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
  EXPECT_EQ(verdict.refused->retry_after, absl::Seconds(2));
}

TEST_F(FrontDoorTest, WaitsAreTheTurnQueues) {
  bool called = false;
  EXPECT_TRUE(door_.Park(absl::Milliseconds(500), [&] { called = true; }));
  clock_.AdvanceBy(absl::Milliseconds(499));
  turns_.CallDue();
  EXPECT_FALSE(called);
  clock_.AdvanceBy(absl::Milliseconds(1));
  turns_.CallDue();
  EXPECT_TRUE(called);
  turns_.End();
  EXPECT_FALSE(door_.Park(absl::Milliseconds(500), [] { FAIL() << "it was not taken"; }));
}

TEST_F(FrontDoorTest, WithoutAPolicyThereIsNothingToDoBeforeAClaim) {
  const DoorEntry entry = Enter("alice", "a solution that nobody asked for");
  EXPECT_FALSE(entry.refused.has_value());
  EXPECT_TRUE(entry.admitted);
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(entry.challenge, "");
  EXPECT_EQ(entry.challenge_problem, "");
}

TEST_F(FrontDoorTest, WhatEntersIsGoodForAClaim) {
  SetPolicy("tv", R"({"purchase_token":{"lifetime":"60s"}})");
  const DoorEntry entry = Enter("alice", "a solution that nobody asked for");
  EXPECT_TRUE(entry.admitted);
  EXPECT_EQ(entry.challenge_problem, "");
  EXPECT_EQ(entry.token_expires_at, now_ + absl::Minutes(1));
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, entry.purchase_token)), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("bob", "tv", kAtHome, entry.purchase_token)), Refusal::kPurchaseTokenInvalid);
  EXPECT_EQ(door_.counts().tokens_issued.load(), 1u);
}

TEST_F(FrontDoorTest, WhoIsNotAdmittedGetsTheirPlaceAndNoToken) {
  SetPolicy("tv", R"({"lottery":{"admitted_per_million":1},"purchase_token":{},"challenge":{"bits":8}})");
  const DoorEntry entry = Enter("alice");
  EXPECT_FALSE(entry.refused.has_value()) << "that is no error";
  EXPECT_FALSE(entry.admitted);
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(entry.challenge, "") << "work that would earn nothing";
  EXPECT_GE(entry.retry_after, absl::Seconds(16));
  ASSERT_TRUE(entry.lottery.has_value());
  EXPECT_EQ(entry.lottery->key, "") << "it is told when the round has ended";
  EXPECT_EQ(entry.lottery->commitment, Commitment(round_key_));
  EXPECT_EQ(entry.rank, Rank(round_key_, "tv", 1, "alice"));
  SetPolicy("tv", R"({"lottery":{"admitted_per_million":1000000},"purchase_token":{}})", 1'000'000);
  EXPECT_NE(Enter("alice").purchase_token, "");
}

TEST_F(FrontDoorTest, AChallengeComesBeforeTheToken) {
  SetPolicy("tv", R"({"purchase_token":{},"challenge":{"bits":8,"lifetime":"60s"}})");
  const DoorEntry first = Enter("alice");
  EXPECT_TRUE(first.admitted);
  EXPECT_EQ(first.purchase_token, "");
  EXPECT_NE(first.challenge, "");
  EXPECT_EQ(first.challenge_problem, "");
  EXPECT_EQ(first.challenge_expires_at, now_ + absl::Minutes(1));
  const DoorEntry wrong = Enter("alice", "nonsense");
  EXPECT_EQ(wrong.purchase_token, "");
  EXPECT_EQ(wrong.challenge_problem, "unreadable");
  EXPECT_NE(wrong.challenge, "") << "another one";
  EXPECT_EQ(door_.counts().challenges_issued.load(), 2u);
  EXPECT_EQ(door_.counts().challenges_refused.load(), 1u);
  EXPECT_EQ(door_.counts().challenges_solved.load(), 0u);
  AllowUser("alice");
  EXPECT_NE(Enter("alice").purchase_token, "") << "who is on the list need not solve it";
}

TEST_F(FrontDoorTest, ASolvedChallengeEarnsATokenForItsBuyerAlone) {
  SetPolicy("tv", R"({"purchase_token":{},"challenge":{"bits":4}})");
  const std::string solution = SolutionOf(Enter("alice").challenge);
  const DoorEntry entry = Enter("alice", solution);
  EXPECT_EQ(entry.challenge_problem, "");
  EXPECT_EQ(entry.challenge, "");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, entry.purchase_token)), Refusal::kNone);
  EXPECT_EQ(door_.counts().challenges_solved.load(), 1u);
  const DoorEntry bobs = Enter("bob", solution);
  EXPECT_EQ(bobs.challenge_problem, "not_for_this");
  EXPECT_EQ(bobs.purchase_token, "");
}

TEST_F(FrontDoorTest, EnteringIsATryLikeAClaim) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2}],"purchase_token":{}})");
  const std::string token = Enter("alice").purchase_token;
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
  const DoorEntry entry = Enter("alice");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, Refusal::kRateLimited);
  EXPECT_EQ(entry.refused->about, "user");
  EXPECT_EQ(entry.purchase_token, "");
}

TEST_F(FrontDoorTest, WhoEntersTooEarlyMayWait) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"1s","max_wait":"1s"}],"purchase_token":{}})");
  EXPECT_EQ(Enter("alice").wait, absl::ZeroDuration());
  const DoorEntry entry = Enter("alice");
  EXPECT_EQ(entry.wait, absl::Seconds(1));
  EXPECT_NE(entry.purchase_token, "");
}

// Otherwise each try would put off the next one, and the buyer would never be let in.
TEST_F(FrontDoorTest, WhoHasNoTimeToWaitIsLetInWhenTheyComeAsTheyAreTold) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"3s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  time_ = absl::Seconds(1);
  EXPECT_FALSE(Enter("alice").refused.has_value());
  for (int i = 0; i < 5; ++i) {
    const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
    EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
    EXPECT_EQ(AboutOf(verdict), "user");
    ASSERT_EQ(verdict.refused->retry_after, absl::Seconds(2)) << "no try has been counted";
  }
  const DoorEntry entry = Enter("alice");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, Refusal::kRateLimited);
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(door_.counts().tokens_issued.load(), 1u) << "only that of the first time";
  now_ += entry.refused->retry_after;
  const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
  EXPECT_EQ(RefusalOf(verdict), Refusal::kNone);
  EXPECT_EQ(verdict.wait, absl::ZeroDuration());
  EXPECT_EQ(WaitedAt(DoorCheck::kLimitUser), 0u);
}

TEST_F(FrontDoorTest, AWaitEndsBeforeTheDeadline) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"2s"}]})");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  time_ = absl::Seconds(2);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kRateLimited) << "nobody hears an answer at the deadline";
  time_ = absl::Milliseconds(2001);
  EXPECT_EQ(Try("alice").wait, absl::Seconds(2));
}

TEST_F(FrontDoorTest, WhoFindsTooManyWaitingHasLostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"2s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
  ASSERT_TRUE(door_.Park(absl::Hours(1), [] {})) << "the only place";
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kRateLimited);
    EXPECT_EQ(Enter("alice").refused->retry_after, absl::Seconds(2));
  }
  EXPECT_EQ(door_.counts().parked_full.load(), 10u);
  EXPECT_EQ(RefusedBy(DoorCheck::kLimitUser), 10u);
  EXPECT_EQ(door_.counts().tokens_issued.load(), 0u);
  EXPECT_EQ(RefusalOf(Try("bob", "tv", kAtHome, TokenFor("bob"))), Refusal::kNone)
      << "who need not wait needs no place";
  turns_.End();
  now_ += absl::Seconds(2);
  const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
  EXPECT_EQ(RefusalOf(verdict), Refusal::kNone);
  EXPECT_EQ(verdict.wait, absl::ZeroDuration());
}

TEST_F(FrontDoorTest, WhoIsDeniedDoesNotEnter) {
  SetPolicy("tv", kTokenAsked);
  DenyUser("mallory");
  const DoorEntry entry = Enter("mallory");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, Refusal::kDenied);
  EXPECT_EQ(entry.purchase_token, "");
}

TEST_F(FrontDoorTest, WhoEntersWithoutLuckOrASolutionUsesUpNoTryOfTheSku) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_SKU","tries":1,"per":"3600s"}],)"
                  R"("purchase_token":{},"challenge":{"bits":4}})");
  const std::string alices = Enter("alice").challenge;
  const std::string bobs = Enter("bob").challenge;
  ASSERT_NE(bobs, "") << "alice has not used up the try";
  EXPECT_EQ(Enter("bob", "nonsense").challenge_problem, "unreadable");
  EXPECT_NE(Enter("alice", SolutionOf(alices)).purchase_token, "");
  const DoorEntry entry = Enter("bob", SolutionOf(bobs));
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->about, "sku");
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(door_.counts().tokens_issued.load(), 1u);

  const std::string drawn = R"({"limits":[{"key":"KEY_SKU","tries":2,"per":"3600s"}],)"
                            R"("lottery":{"admitted_per_million":1}})";
  now_ += absl::Hours(2);
  SetPolicy("tv", drawn);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Enter("alice").admitted);
  SetPolicy("tv", drawn, 1'000'000);
  EXPECT_FALSE(Enter("alice").refused.has_value());
}

TEST_F(FrontDoorTest, WithoutAKeyBuyersAreSentElsewhereAndHaveLostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{}})");
  const auto keys = std::exchange(keys_, std::make_shared<const FrontKeys>());
  Publish();
  EXPECT_EQ(Enter("alice").refused->refusal, Refusal::kExhaustedHere);
  keys_ = keys;
  Publish();
  EXPECT_NE(Enter("alice").purchase_token, "");
}

// Its token would look like a bad one here, and they would be told to get another one, or that they are not admitted.
TEST_F(FrontDoorTest, WithoutAKeyClaimsAreSentElsewhereAndHaveLostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  const auto keys = std::exchange(keys_, std::make_shared<const FrontKeys>());
  Publish();
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kExhaustedHere);
  EXPECT_EQ(TryCart("alice", {{"radio"}, {"tv", token}}).line, 1u);
  EXPECT_EQ(RefusedBy(DoorCheck::kPurchaseToken), 2u);
  for (const DoorOpinion& opinion : Opinions(token)) {
    if (opinion.check != DoorCheck::kPurchaseToken) continue;
    ASSERT_TRUE(opinion.refused.has_value());
    EXPECT_EQ(opinion.refused->refusal, Refusal::kExhaustedHere);
  }
  keys_ = keys;
  Publish();
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
}

// It is large: it should end on the thread that changes the state, not on a claim's.
TEST_F(FrontDoorTest, AStateIsKeptWhileTheNextOneCounts) {
  SetPolicy("tv", kOneTryAnHour);
  const std::weak_ptr<const DoorState> first = door_.state();
  Publish();
  door_.SetHomes(std::make_shared<const Homes>());
  EXPECT_FALSE(first.expired()) << "a claim may still go by it";
  Publish();
  EXPECT_TRUE(first.expired());
}

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

TEST_F(FrontDoorTest, AServiceModeRefusesWhatIsNewWhoeverComes) {
  EXPECT_FALSE(door_.closed_to_some());
  SetMode(storage::ServiceMode::Kind::kChangesOnly, "Back soon.");
  EXPECT_TRUE(door_.closed_to_some()) << "also without a policy";
  AllowUser("vip");
  for (const char* user : {"alice", "vip"}) {
    const GateVerdict verdict = Try(user);
    ASSERT_EQ(RefusalOf(verdict), Refusal::kServiceLimited) << user;
    EXPECT_EQ(AboutOf(verdict), "CHANGES_ONLY");
    EXPECT_EQ(verdict.refused->pause_reason, "Back soon.");
    const DoorEntry entry = Enter(user);
    ASSERT_TRUE(entry.refused.has_value());
    EXPECT_EQ(entry.refused->refusal, Refusal::kServiceLimited);
  }
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"radio"}, {"tv"}})), Refusal::kServiceLimited);
  SetPolicy("tv", R"({"draw":{}})");
  const quota::Visitor visitor;
  EXPECT_EQ(RefusalOf(door_.CheckDrawEntry("tv", "alice", visitor, now_, now_ + time_)), Refusal::kServiceLimited);
  SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_EQ(RefusalOf(Try("alice", "radio")), Refusal::kNone);
}

TEST_F(FrontDoorTest, AServiceModeCountsNoTry) {
  SetPolicy("tv", kOneTryAnHour);
  SetMode(storage::ServiceMode::Kind::kReadOnly);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kServiceLimited);
  SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
}

TEST_F(FrontDoorTest, OnlyReadOnlyRefusesChanges) {
  EXPECT_FALSE(door_.RefusesChanges().has_value());
  SetMode(storage::ServiceMode::Kind::kChangesOnly);
  EXPECT_FALSE(door_.RefusesChanges().has_value());
  SetMode(storage::ServiceMode::Kind::kReadOnly, "why");
  ASSERT_TRUE(door_.RefusesChanges().has_value());
  EXPECT_EQ(door_.RefusesChanges()->about, "READ_ONLY");
  EXPECT_EQ(door_.RefusesChanges()->pause_reason, "why");
  SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_FALSE(door_.RefusesChanges().has_value());
  EXPECT_FALSE(door_.closed_to_some());
}

TEST_F(FrontDoorTest, WhereADrawDecidesClaimsAreRefusedAndCostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{},"draw":{}})");
  AllowUser("vip");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kDrawDecides);
  EXPECT_EQ(RefusalOf(Try("vip")), Refusal::kDrawDecides) << "the list does not help";
  const GateVerdict cart = TryCart("alice", {{"radio"}, {"tv"}});
  EXPECT_EQ(RefusalOf(cart), Refusal::kDrawDecides);
  EXPECT_EQ(cart.line, 1u);
  EXPECT_EQ(RefusedBy(DoorCheck::kDraw), 5u);
  EXPECT_EQ(RefusedBy(DoorCheck::kLimitUser), 0u);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", TokenFor("alice"))), Refusal::kNone) << "no try was used up";
  EXPECT_EQ(RefusalOf(Try("alice", "radio")), Refusal::kNone);
}

TEST_F(FrontDoorTest, AnEntryIntoADrawPassesTheOtherChecks) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{},"draw":{}})");
  DenyUser("mallory");
  AllowUser("vip");
  EXPECT_EQ(RefusalOf(EnterDraw("mallory", TokenFor("mallory"))), Refusal::kDenied);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", "")), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", TokenFor("alice"))), Refusal::kRateLimited) << "that was a try";
  EXPECT_EQ(RefusalOf(EnterDraw("bob", TokenFor("alice"))), Refusal::kPurchaseTokenInvalid);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(EnterDraw("vip", TokenFor("vip"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(EnterDraw("vip", "")), Refusal::kPurchaseTokenRequired);
}

TEST_F(FrontDoorTest, WithoutADrawInThePolicyNobodyEntersOne) {
  EXPECT_EQ(RefusalOf(EnterDraw("alice", "")), Refusal::kDrawNotOpen) << "no policy";
  SetPolicy("tv", kOneTryAnHour);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(EnterDraw("alice", "")), Refusal::kDrawNotOpen);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone) << "no try was used up";
  EXPECT_EQ(RefusedBy(DoorCheck::kDraw), 4u);
}

TEST_F(FrontDoorTest, AnEntryIntoADrawMayWaitForItsTurn) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"1s","max_wait":"2s"}],"draw":{}})");
  EXPECT_EQ(EnterDraw("alice", "").wait, absl::ZeroDuration());
  const GateVerdict second = EnterDraw("alice", "");
  EXPECT_EQ(RefusalOf(second), Refusal::kNone);
  EXPECT_EQ(second.wait, absl::Seconds(1));
}

TEST_F(FrontDoorTest, ADrawIsDecidedWithoutAKeyAndATokenIsGivenForIt) {
  SetPolicy("tv", R"({"purchase_token":{},"draw":{}})");
  const DoorEntry entered = Enter("alice");
  EXPECT_TRUE(entered.admitted);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", entered.purchase_token)), Refusal::kNone);
  keys_ = std::make_shared<const FrontKeys>();
  Publish();
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kDrawDecides) << "every node says so";
  EXPECT_EQ(RefusalOf(EnterDraw("alice", entered.purchase_token)), Refusal::kExhaustedHere);
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

TEST(DoorRefusals, WaitsAreRoundedUpAndNeverDown) {
  for (int64_t us = 1; us < 200'000'000; us += us / 7 + 1) {
    const absl::Duration wait = absl::Microseconds(us);
    EXPECT_GE(RoundedUp(wait), wait);
    EXPECT_LE(RoundedUp(wait), wait + std::max(absl::Milliseconds(1), 0.1 * wait));
  }
}

// The state changes while claims are checked: each goes by one state, and none gets more than the limit.
TEST_F(FrontDoorTest, ClaimsAreCheckedWhileTheStateChanges) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":100,"per":"86400s","burst":100}]})");
  std::atomic<int> taken{0};
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    while (!stop) {
      Publish();
      door_.SetHomes(std::make_shared<const Homes>());
    }
  });
  std::vector<std::thread> buyers;
  for (int i = 0; i < 3; ++i) {
    buyers.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) taken += RefusalOf(Try("alice")) == Refusal::kNone ? 1 : 0;
    });
  }
  for (std::thread& buyer : buyers) buyer.join();
  stop = true;
  changer.join();
  EXPECT_EQ(taken.load(), 100);
}

}  // namespace
}  // namespace tranche::server
