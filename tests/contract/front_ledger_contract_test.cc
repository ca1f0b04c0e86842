// The front door's policies, keys and service mode, on the fake and on PostgreSQL.

#include "tests/contract/front_ledger_contract.h"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

INSTANTIATE_TEST_SUITE_P(Both, FrontLedgerContract, BothLedgers(), LedgerName);

TEST_P(FrontLedgerContract, AnEmptyOneHasKeysAndAVersion) {
  EXPECT_GT(Version().number, 0);
  EXPECT_NE(Version().stamp, "");
  EXPECT_THAT(Policies(), IsEmpty());
  EXPECT_THAT(List().entries, IsEmpty());
  const std::vector<FrontKey> keys = Keys();
  ASSERT_THAT(keys, SizeIs(3));
  std::set<std::string> secrets;
  for (const FrontKey& key : keys) {
    EXPECT_EQ(key.secret.size(), kFrontKeyBytes);
    EXPECT_GE(key.id, 1);
    secrets.insert(key.secret);
  }
  EXPECT_THAT(secrets, SizeIs(3));
  EXPECT_GT(KeyOf(keys, FrontKey::Use::kNext).id, KeyOf(keys, FrontKey::Use::kCurrent).id);
}

TEST_P(FrontLedgerContract, APolicyComesBackAsItWasSet) {
  const FrontVersion before = Version();
  const FrontPolicyRow set = Set({.sku_id = "tv", .document = kDocument}, false, Actor("alice", "a launch"));
  EXPECT_EQ(set.version, before.number + 1);
  EXPECT_EQ(Version().number, set.version);
  EXPECT_NE(Version().stamp, before.stamp);
  Set({.sku_id = kEverySku, .document = kOther});
  Set({.sku_id = "Radio", .document = kOther});
  const std::vector<FrontPolicyRow> policies = Policies();
  ASSERT_THAT(policies, SizeIs(3));
  EXPECT_EQ(policies[0].sku_id, kEverySku);
  EXPECT_EQ(policies[1].sku_id, "Radio") << "by bytes";
  EXPECT_EQ(policies[2].sku_id, "tv");
  EXPECT_EQ(policies[2].document, kDocument);
  EXPECT_EQ(policies[2].version, set.version);
  EXPECT_EQ(policies[2].changed_by, "alice");
  EXPECT_LT(absl::AbsDuration(absl::Now() - policies[2].changed_at), absl::Minutes(1));
  EXPECT_FALSE(policies[2].round.has_value());
  ASSERT_THAT(Policies("tv"), SizeIs(1));
  EXPECT_THAT(Policies("none"), IsEmpty());
  EXPECT_THAT(Audit(), ElementsAre(R"(alice set_front_policy Radio {} {"policy": {"limits": [1]}})",
                                   R"(alice set_front_policy * {} {"policy": {"limits": [1]}})",
                                   R"(alice set_front_policy tv {} {"policy": {"limits": []}})"));
}

TEST_P(FrontLedgerContract, WhatIsStoredAlreadyChangesNothing) {
  const FrontPolicyRow set = Set({.sku_id = "tv", .document = kDocument});
  const FrontVersion version = Version();
  const FrontPolicyRow again = Set({.sku_id = "tv", .document = kDocument, .expected_version = 0});
  EXPECT_EQ(again.version, set.version) << "a repeat after a lost answer is no other change";
  EXPECT_EQ(Version(), version);
  const FrontPolicyRow none = Set({.sku_id = "radio", .document = ""});
  EXPECT_EQ(none.sku_id, "radio");
  EXPECT_EQ(none.document, "");
  EXPECT_EQ(Version(), version);
  EXPECT_THAT(Audit(), SizeIs(1));
}

TEST_P(FrontLedgerContract, AnotherVersionThanExpectedStopsAChange) {
  const auto code = [&](const std::string& document, int64_t expected) {
    return front()
        .SetFrontPolicy({.sku_id = "tv", .document = document, .expected_version = expected}, false, "alice")
        .status()
        .code();
  };
  EXPECT_EQ(code(kDocument, 7), absl::StatusCode::kAborted) << "there is none";
  EXPECT_EQ(code(kDocument, 0), absl::StatusCode::kOk);
  const int64_t version = Policies("tv").at(0).version;
  EXPECT_EQ(code(kOther, version - 1), absl::StatusCode::kAborted);
  EXPECT_EQ(code("", 0), absl::StatusCode::kAborted);
  EXPECT_EQ(Policies("tv").at(0).document, kDocument);
  EXPECT_EQ(Version().number, version);
  EXPECT_EQ(code(kOther, version), absl::StatusCode::kOk);
  EXPECT_EQ(code("", version + 1), absl::StatusCode::kOk);
  EXPECT_EQ(code(kOther, version + 2), absl::StatusCode::kAborted) << "a removed one counts as none";
  EXPECT_EQ(code(kOther, 0), absl::StatusCode::kOk);
}

TEST_P(FrontLedgerContract, ALotteryHasARound) {
  const FrontPolicyRow set = Set({.sku_id = "tv", .document = kDocument, .admitted_per_million = 100'000});
  ASSERT_TRUE(set.round.has_value());
  EXPECT_EQ(set.round->policy_sku_id, "tv");
  EXPECT_EQ(set.round->number, 1);
  EXPECT_EQ(set.round->admitted_per_million, 100'000);
  EXPECT_EQ(set.round->key.size(), kFrontKeyBytes);
  EXPECT_EQ(set.round->commitment.size(), kFrontKeyBytes);
  EXPECT_NE(set.round->commitment, set.round->key);
  EXPECT_FALSE(set.round->ended_at.has_value());

  const FrontPolicyRow more = Set({.sku_id = "tv", .document = kOther, .admitted_per_million = 200'000});
  EXPECT_EQ(more.round->number, 1) << "who was admitted stays so";
  EXPECT_EQ(more.round->key, set.round->key);
  EXPECT_EQ(more.round->admitted_per_million, 200'000);
  const auto less =
      front().SetFrontPolicy({.sku_id = "tv", .document = kOther, .admitted_per_million = 199'999}, false, "alice");
  EXPECT_EQ(LotteryShrinksTo(less.status()), 200'000) << less.status();
  EXPECT_EQ(Policies("tv").at(0).round->admitted_per_million, 200'000);

  const FrontPolicyRow next =
      Set({.sku_id = "tv", .document = kOther, .admitted_per_million = 1000, .new_round = true});
  EXPECT_EQ(next.round->number, 2);
  EXPECT_NE(next.round->key, set.round->key);
  const std::vector<LotteryRound> rounds = Rounds("tv");
  ASSERT_THAT(rounds, SizeIs(2));
  EXPECT_EQ(rounds[0].number, 2);
  EXPECT_FALSE(rounds[0].ended_at.has_value());
  EXPECT_EQ(rounds[1].key, set.round->key);
  EXPECT_EQ(rounds[1].commitment, set.round->commitment);
  EXPECT_EQ(rounds[1].policy_sku_id, "tv");
  EXPECT_EQ(rounds[1].admitted_per_million, 200'000);
  ASSERT_TRUE(rounds[1].ended_at.has_value());
  EXPECT_GE(*rounds[1].ended_at, rounds[1].started_at);
  EXPECT_THAT(Rounds("radio"), IsEmpty());
}

TEST_P(FrontLedgerContract, NumbersOfRoundsGoOnAfterARemoval) {
  Set({.sku_id = "tv", .document = kDocument, .admitted_per_million = 1});
  const FrontPolicyRow removed = Set({.sku_id = "tv", .document = "", .admitted_per_million = 1});
  EXPECT_EQ(removed.document, "");
  EXPECT_FALSE(removed.round.has_value());
  EXPECT_TRUE(Rounds("tv").at(0).ended_at.has_value());
  EXPECT_EQ(Set({.sku_id = "tv", .document = kDocument, .admitted_per_million = 1}).round->number, 2);
  EXPECT_FALSE(Set({.sku_id = "tv", .document = kDocument}).round.has_value()) << "without a lottery";
  EXPECT_FALSE(Set({.sku_id = "tv", .document = kDocument, .new_round = true}).round.has_value());
  EXPECT_THAT(Rounds("tv"), SizeIs(2));
}

TEST_P(FrontLedgerContract, TheAuditLogHasEachRoundAndNoKey) {
  const FrontPolicyRow first = Set({.sku_id = "tv", .document = kDocument, .admitted_per_million = 5});
  const FrontPolicyRow second =
      Set({.sku_id = "tv", .document = kDocument, .admitted_per_million = 5, .new_round = true});
  Set({.sku_id = "tv", .document = ""});
  const auto told = [](const LotteryRound& round) {
    return absl::StrCat(R"({"round": )", round.number, R"(, "commitment": ")", absl::BytesToHexString(round.commitment),
                        R"(", "admitted_per_million": 5})");
  };
  const std::vector<std::string> audit = Audit();
  ASSERT_THAT(audit, SizeIs(4));
  EXPECT_EQ(audit[0], R"(alice remove_front_policy tv {"policy": {"limits": []}} {})");
  EXPECT_EQ(audit[1], absl::StrCat("alice begin_lottery_round tv ", told(*first.round), " ", told(*second.round)));
  EXPECT_THAT(audit, ::testing::Contains(absl::StrCat("alice begin_lottery_round tv {} ", told(*first.round))));
  for (const std::string& entry : audit) {
    EXPECT_THAT(entry, Not(HasSubstr(absl::BytesToHexString(first.round->key))));
    EXPECT_THAT(entry, Not(HasSubstr(absl::BytesToHexString(second.round->key))));
  }
}

TEST_P(FrontLedgerContract, APreviewOfAPolicyChangesNothing) {
  Set({.sku_id = "tv", .document = kDocument, .admitted_per_million = 5});
  const FrontPolicyRow stored = Policies("tv").at(0);
  const FrontVersion version = Version();
  const FrontPolicyRow seen =
      Set({.sku_id = "tv", .document = kOther, .admitted_per_million = 1, .new_round = true}, /*preview=*/true, "bob");
  EXPECT_EQ(seen.document, kOther);
  EXPECT_EQ(seen.version, version.number + 1);
  EXPECT_EQ(seen.changed_by, "bob");
  EXPECT_EQ(seen.round->number, 2);
  EXPECT_EQ(seen.round->admitted_per_million, 1);
  EXPECT_EQ(seen.round->key, "") << "it would be another one";
  EXPECT_EQ(seen.round->commitment, "");
  EXPECT_EQ(Version(), version);
  EXPECT_EQ(Policies("tv").at(0).document, kDocument);
  EXPECT_EQ(Policies("tv").at(0).round->key, stored.round->key);
  EXPECT_THAT(Rounds("tv"), SizeIs(1));
  EXPECT_THAT(Audit(), SizeIs(2)) << "of the first change";
  const auto less =
      front().SetFrontPolicy({.sku_id = "tv", .document = kOther, .admitted_per_million = 4}, true, "bob");
  EXPECT_EQ(LotteryShrinksTo(less.status()), 5);
}

TEST_P(FrontLedgerContract, KeysRotateWhenTheyAreOldEnough) {
  const std::vector<FrontKey> first = Keys();
  const int64_t current = KeyOf(first, FrontKey::Use::kCurrent).id;
  const auto refused = front().RotateFrontKeys({}, false, "alice");
  const auto wait = KeyRotatedRecently(refused.status());
  ASSERT_TRUE(wait.has_value()) << refused.status();
  EXPECT_GT(*wait, absl::ZeroDuration());
  EXPECT_LE(*wait, kLeastKeyAge);

  LetPass(kLeastKeyAge);
  const FrontVersion version = Version();
  const std::vector<FrontKey> rotated = Rotate({.expected_current_id = current});
  ASSERT_THAT(rotated, SizeIs(3));
  EXPECT_EQ(KeyOf(rotated, FrontKey::Use::kPrevious).secret, KeyOf(first, FrontKey::Use::kCurrent).secret);
  EXPECT_EQ(KeyOf(rotated, FrontKey::Use::kPrevious).id, current);
  EXPECT_EQ(KeyOf(rotated, FrontKey::Use::kCurrent).secret, KeyOf(first, FrontKey::Use::kNext).secret);
  EXPECT_GT(KeyOf(rotated, FrontKey::Use::kNext).id, KeyOf(first, FrontKey::Use::kNext).id);
  EXPECT_EQ(KeyOf(Keys(), FrontKey::Use::kNext).secret, KeyOf(rotated, FrontKey::Use::kNext).secret);
  EXPECT_EQ(Version().number, version.number + 1);
  EXPECT_TRUE(KeyRotatedRecently(front().RotateFrontKeys({}, false, "alice").status()).has_value());
  EXPECT_THAT(Audit(),
              ElementsAre(absl::StrCat(R"(alice rotate_front_keys {"current": )", current, R"(} {"next": )",
                                       KeyOf(rotated, FrontKey::Use::kNext).id, R"(, "current": )",
                                       KeyOf(rotated, FrontKey::Use::kCurrent).id, R"(, "previous": )", current, "}")));
}

TEST_P(FrontLedgerContract, KeysThatOthersKnowAreReplacedAtOnce) {
  const std::vector<FrontKey> first = Keys();
  const int64_t current = KeyOf(first, FrontKey::Use::kCurrent).id;
  EXPECT_TRUE(absl::IsAborted(
      front().RotateFrontKeys({.replace_all = true, .expected_current_id = current + 1}, false, "alice").status()));
  const std::vector<FrontKey> replaced = Rotate({.replace_all = true, .expected_current_id = current});
  ASSERT_THAT(replaced, SizeIs(3));
  for (const FrontKey& key : replaced) {
    for (const FrontKey& old : first) {
      EXPECT_NE(key.secret, old.secret);
      EXPECT_GT(key.id, old.id) << "an id names one key";
    }
  }
  ASSERT_THAT(Audit(), SizeIs(1));
  EXPECT_THAT(Audit().at(0), HasSubstr("alice replace_front_keys"));
  for (const FrontKey& key : replaced) {
    EXPECT_THAT(Audit().at(0), Not(HasSubstr(absl::BytesToHexString(key.secret))));
  }
}

TEST_P(FrontLedgerContract, APreviewOfARotationChangesNothing) {
  const std::vector<FrontKey> first = Keys();
  LetPass(kLeastKeyAge);
  const FrontVersion version = Version();
  const std::vector<FrontKey> seen = Rotate({}, /*preview=*/true);
  ASSERT_THAT(seen, SizeIs(3));
  EXPECT_EQ(KeyOf(seen, FrontKey::Use::kCurrent).id, KeyOf(first, FrontKey::Use::kNext).id);
  EXPECT_EQ(KeyOf(seen, FrontKey::Use::kNext).secret, "") << "it would be another one";
  EXPECT_EQ(Version(), version);
  EXPECT_EQ(KeyOf(Keys(), FrontKey::Use::kCurrent).id, KeyOf(first, FrontKey::Use::kCurrent).id);
  EXPECT_THAT(Audit(), IsEmpty());
}

TEST_P(FrontLedgerContract, EverythingIsServedUntilSomebodyLimitsIt) {
  EXPECT_EQ(Mode().kind, ServiceMode::Kind::kNormal);
  EXPECT_EQ(Mode().reason, "");
  EXPECT_FALSE(Mode().changed_at.has_value());
  const FrontVersion before = Version();
  const ServiceModeChanged set =
      SetMode(ServiceMode::Kind::kChangesOnly, "Back soon.", false, Actor("alice", "the provider fails"));
  EXPECT_EQ(set.before.kind, ServiceMode::Kind::kNormal);
  EXPECT_EQ(set.after.kind, ServiceMode::Kind::kChangesOnly);
  EXPECT_EQ(set.after.changed_by, "alice");
  EXPECT_EQ(Version().number, before.number + 1) << "nodes hear of it as of a policy";
  EXPECT_EQ(Mode().kind, ServiceMode::Kind::kChangesOnly);
  EXPECT_EQ(Mode().reason, "Back soon.");
  ASSERT_TRUE(Mode().changed_at.has_value());
  EXPECT_LT(absl::AbsDuration(absl::Now() - *Mode().changed_at), absl::Minutes(1));
  const ServiceModeChanged normal = SetMode(ServiceMode::Kind::kNormal, "not for buyers", false, "bob");
  EXPECT_EQ(normal.before.reason, "Back soon.");
  EXPECT_EQ(normal.after.reason, "");
  EXPECT_EQ(Mode().kind, ServiceMode::Kind::kNormal);
  EXPECT_EQ(Mode().changed_by, "bob");
  EXPECT_THAT(Audit(),
              ElementsAre("bob set_service_mode "
                          R"({"mode": "CHANGES_ONLY", "reason": "Back soon."} {"mode": "NORMAL", "reason": ""})",
                          "alice set_service_mode "
                          R"({"mode": "NORMAL", "reason": ""} {"mode": "CHANGES_ONLY", "reason": "Back soon."})"));
}

TEST_P(FrontLedgerContract, TheModeThatIsSetAlreadyChangesNothing) {
  SetMode(ServiceMode::Kind::kNormal, "");
  EXPECT_FALSE(Mode().changed_at.has_value());
  SetMode(ServiceMode::Kind::kReadOnly, "a");
  const FrontVersion version = Version();
  const ServiceModeChanged again = SetMode(ServiceMode::Kind::kReadOnly, "a", false, "bob");
  EXPECT_EQ(again.before.changed_by, "alice");
  EXPECT_EQ(again.after.changed_by, "alice");
  EXPECT_EQ(Version(), version);
  EXPECT_THAT(Audit(), SizeIs(1));
  SetMode(ServiceMode::Kind::kReadOnly, "b", false, "bob");
  EXPECT_EQ(Version().number, version.number + 1) << "another reason is another change";
}

TEST_P(FrontLedgerContract, APreviewOfTheModeChangesNothing) {
  const FrontVersion version = Version();
  const ServiceModeChanged seen = SetMode(ServiceMode::Kind::kReadOnly, "why", /*preview=*/true);
  EXPECT_EQ(seen.before.kind, ServiceMode::Kind::kNormal);
  EXPECT_EQ(seen.after.kind, ServiceMode::Kind::kReadOnly);
  EXPECT_EQ(seen.after.reason, "why");
  EXPECT_EQ(Mode().kind, ServiceMode::Kind::kNormal);
  EXPECT_EQ(Version(), version);
  EXPECT_THAT(Audit(), IsEmpty());
}

}  // namespace
}  // namespace tranche::storage
