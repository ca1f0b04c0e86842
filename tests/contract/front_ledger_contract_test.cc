// The front door's ledger, on the fake and on PostgreSQL.
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "tests/contract/ledger_fixture.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Kind = AccessSubject::Kind;

constexpr char kDocument[] = R"({"limits": []})";
constexpr char kOther[] = R"({"limits": [1]})";
// More than are kept.
constexpr int64_t kManyChanges = 1'001;

AccessSubject User(const std::string& id) { return {Kind::kUser, id}; }
AccessSubject Network(const std::string& prefix) { return {Kind::kAddress, prefix}; }
AccessEntry Deny(AccessSubject subject) { return {.subject = std::move(subject), .reason = "a bot"}; }
AccessEntry Allow(AccessSubject subject) { return {.subject = std::move(subject), .allow = true}; }

class FrontLedgerContract : public LedgerContractTest {
 protected:
  // What a node does: it keeps a copy, and reads what has changed.
  struct Reader {
    FrontVersion version;
    std::map<std::string, std::string> policies;  // documents
    std::map<std::string, AccessEntry> entries;   // by subject
    bool complete = false;                        // of the last read
    int pages = 0;
  };
  void Follow(Reader* reader) {
    std::optional<AccessSubject> after;
    FrontVersion told;
    reader->pages = 0;
    do {
      const auto changes = front().ReadFrontChanges(reader->version, after);
      ASSERT_TRUE(changes.ok()) << changes.status();
      if (reader->pages++ == 0) {
        told = changes->version;
        reader->complete = changes->complete;
        if (changes->complete) {
          reader->policies.clear();
          reader->entries.clear();
        }
        EXPECT_THAT(changes->keys, SizeIs(3));
      }
      EXPECT_EQ(changes->complete, reader->complete);
      for (const FrontPolicyRow& policy : changes->policies) reader->policies[policy.sku_id] = policy.document;
      for (const AccessEntry& entry : changes->entries) {
        EXPECT_TRUE(reader->entries.count(Name(entry.subject)) == 0 || !reader->complete) << "told twice";
        reader->entries[Name(entry.subject)] = entry;
      }
      after = changes->next;
    } while (after.has_value());
    reader->version = told;
  }
  static std::string Name(const AccessSubject& subject) {
    return absl::StrCat(subject.kind == Kind::kUser ? "user " : "address ", subject.value);
  }

  // "user u1 denied", ...: without what is removed.
  static std::vector<std::string> CopyOf(const Reader& reader) {
    std::vector<std::string> copy;
    for (const auto& [sku_id, document] : reader.policies) {
      if (!document.empty()) copy.push_back(absl::StrCat(sku_id, " ", document));
    }
    for (const auto& [name, entry] : reader.entries) {
      if (!entry.removed) copy.push_back(absl::StrCat(name, entry.allow ? " allowed" : " denied"));
    }
    return copy;
  }
  // Batches of changes of what `writer` alone changes: policies, and its entries of users, of whom half are there in
  // the end.
  void ChangeMuch(int writer, int rounds) {
    constexpr int kUsers = 1000;
    for (int round = 0; round < rounds; ++round) {
      Set({.sku_id = absl::StrCat("sku-", writer, "-", round % 3), .document = round % 2 == 0 ? kDocument : ""});
      std::vector<AccessEntry> entries;
      std::vector<AccessSubject> subjects;
      for (int i = 0; i < kUsers; ++i) {
        const AccessSubject user = User(absl::StrCat("u", writer, "-", i));
        entries.push_back(round % 2 == 0 ? Deny(user) : Allow(user));
        if (i % 2 == round % 2) subjects.push_back(user);
      }
      Add(entries);
      Remove(subjects);
    }
  }

  FrontVersion Version() {
    const auto version = front().ReadFrontVersion();
    EXPECT_TRUE(version.ok()) << version.status();
    return version.value_or(FrontVersion{});
  }
  FrontPolicyRow Set(const FrontPolicyChange& change, bool preview = false, const Actor& actor = "alice") {
    const auto policy = front().SetFrontPolicy(change, preview, actor);
    EXPECT_TRUE(policy.ok()) << policy.status();
    return policy.value_or(FrontPolicyRow{});
  }
  std::vector<FrontPolicyRow> Policies(const std::string& sku_id = "") {
    const auto policies = front().ListFrontPolicies(sku_id);
    EXPECT_TRUE(policies.ok()) << policies.status();
    return policies.value_or(std::vector<FrontPolicyRow>());
  }
  std::vector<LotteryRound> Rounds(const std::string& sku_id) {
    const auto rounds = front().ListLotteryRounds(sku_id);
    EXPECT_TRUE(rounds.ok()) << rounds.status();
    return rounds.value_or(std::vector<LotteryRound>());
  }
  std::vector<FrontKey> Keys() {
    const auto keys = front().ListFrontKeys();
    EXPECT_TRUE(keys.ok()) << keys.status();
    return keys.value_or(std::vector<FrontKey>());
  }
  static FrontKey KeyOf(const std::vector<FrontKey>& keys, FrontKey::Use use) {
    for (const FrontKey& key : keys) {
      if (key.use == use) return key;
    }
    ADD_FAILURE() << "no such key";
    return {};
  }
  std::vector<FrontKey> Rotate(const KeyRotation& rotation, bool preview = false) {
    const auto keys = front().RotateFrontKeys(rotation, preview, "alice");
    EXPECT_TRUE(keys.ok()) << keys.status();
    return keys.value_or(std::vector<FrontKey>());
  }
  AccessCounts Add(const std::vector<AccessEntry>& entries, bool preview = false) {
    const auto counts = front().AddAccessEntries(entries, preview, "alice");
    EXPECT_TRUE(counts.ok()) << counts.status();
    return counts.value_or(AccessCounts{});
  }
  AccessCounts Remove(const std::vector<AccessSubject>& subjects, bool preview = false) {
    const auto counts = front().RemoveAccessEntries(subjects, preview, "bob");
    EXPECT_TRUE(counts.ok()) << counts.status();
    return counts.value_or(AccessCounts{});
  }
  AccessPage List(const AccessFilter& filter = {}, const std::optional<AccessSubject>& after = std::nullopt,
                  int limit = 1000) {
    const auto page = front().ListAccessEntries(filter, after, limit);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or(AccessPage{});
  }
  static std::vector<std::string> Names(const AccessPage& page) {
    std::vector<std::string> names;
    for (const AccessEntry& entry : page.entries) names.push_back(Name(entry.subject));
    return names;
  }
  ServiceMode Mode() {
    const auto mode = front().ReadServiceMode();
    EXPECT_TRUE(mode.ok()) << mode.status();
    return mode.value_or(ServiceMode{});
  }
  ServiceModeChanged SetMode(ServiceMode::Kind kind, const std::string& reason, bool preview = false,
                             const Actor& actor = "alice") {
    const auto changed = front().SetServiceMode({.kind = kind, .reason = reason}, preview, actor);
    EXPECT_TRUE(changed.ok()) << changed.status();
    return changed.value_or(ServiceModeChanged{});
  }
  // "actor action before after", the newest first.
  std::vector<std::string> Audit() {
    const auto entries = stock().ListAudit({}, 0, 100);
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::vector<std::string> audit;
    for (const AuditEntry& entry : entries.value_or(std::vector<AuditEntry>())) {
      audit.push_back(absl::StrCat(entry.actor, " ", entry.action, " ", entry.sku_id, entry.sku_id.empty() ? "" : " ",
                                   entry.before, " ", entry.after));
    }
    return audit;
  }
};
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

TEST_P(FrontLedgerContract, EntriesAreAddedAndReplaced) {
  const AccessCounts added = Add({Deny(User("u1")), Deny(Network("203.0.113.0/24")), Allow(User("u2"))});
  EXPECT_EQ(added.added, 3);
  EXPECT_EQ(added.entries, 3);
  const FrontVersion version = Version();
  EXPECT_EQ(Add({Deny(User("u1"))}).unchanged, 1);
  EXPECT_EQ(Version(), version) << "nothing has changed";
  const AccessCounts mixed = Add({Allow(User("u1")), Allow(User("u2")), Deny(User("u3"))});
  EXPECT_EQ(mixed.replaced, 1);
  EXPECT_EQ(mixed.unchanged, 1);
  EXPECT_EQ(mixed.added, 1);
  EXPECT_EQ(mixed.entries, 4);
  const AccessEntry entry = List({.subject = User("u3")}).entries.at(0);
  EXPECT_FALSE(entry.allow);
  EXPECT_EQ(entry.reason, "a bot");
  EXPECT_EQ(entry.changed_by, "alice");
  EXPECT_FALSE(entry.removed);
  EXPECT_FALSE(entry.expires_at.has_value());
  EXPECT_LT(absl::AbsDuration(absl::Now() - entry.changed_at), absl::Minutes(1));
  EXPECT_TRUE(List({.subject = User("u1")}).entries.at(0).allow);
  EXPECT_THAT(Audit(),
              ElementsAre(R"(alice add_access_entries {"entries": 3} {"added": 1, "entries": 4, "replaced": 1, )"
                          R"("subjects": ["allow user u1", "deny user u3"]})",
                          R"(alice add_access_entries {"entries": 0} {"added": 3, "entries": 3, "replaced": 0, )"
                          R"("subjects": ["deny user u1", "deny address 203.0.113.0/24", "allow user u2"]})"));
}

TEST_P(FrontLedgerContract, ABatchHasABound) {
  std::vector<AccessEntry> batch;
  for (int i = 0; i <= kMaxAccessBatch; ++i) batch.push_back(Deny(User(absl::StrCat("u", i))));
  EXPECT_FALSE(front().AddAccessEntries(batch, false, "alice").ok());
  batch.pop_back();
  EXPECT_EQ(Add(batch).added, kMaxAccessBatch);
  EXPECT_FALSE(front().AddAccessEntries(std::vector{Deny(User("u")), Allow(User("u"))}, false, "alice").ok())
      << "which one?";
  EXPECT_EQ(List({.subject = User("u")}).entries.size(), 0u);
  std::string last;
  for (const std::string& entry : Audit()) last = entry;
  EXPECT_THAT(last, HasSubstr("deny user u9\"]")) << "the first ten";
}

TEST_P(FrontLedgerContract, TheListHasABound) {
  FillAccessList();
  EXPECT_TRUE(absl::IsResourceExhausted(front().AddAccessEntries({Deny(User("one more"))}, false, "alice").status()));
  EXPECT_TRUE(absl::IsResourceExhausted(front().AddAccessEntries({Deny(User("one more"))}, true, "alice").status()));
  EXPECT_THAT(List({.subject = User("one more")}).entries, IsEmpty());
  EXPECT_EQ(Add({Allow(User("u1"))}).replaced, 1) << "there are no more than before";
  EXPECT_EQ(Remove({User("u1")}).entries, kMaxAccessEntries - 1);
  EXPECT_EQ(Add({Deny(User("one more"))}).entries, kMaxAccessEntries);
}

TEST_P(FrontLedgerContract, EntriesAreRemoved) {
  Add({Deny(User("u1")), Deny(Network("u1")), Deny(User("u2"))});
  const FrontVersion version = Version();
  EXPECT_EQ(Remove({User("none")}).removed, 0);
  EXPECT_EQ(Version(), version);
  const AccessCounts removed = Remove({User("u1"), User("none")});
  EXPECT_EQ(removed.removed, 1);
  EXPECT_EQ(removed.entries, 2);
  EXPECT_THAT(Names(List()), ElementsAre("user u2", "address u1"));
  EXPECT_EQ(Audit().at(0),
            R"(bob remove_access_entries {"entries": 3} {"entries": 2, "removed": 1, "subjects": ["user u1"]})");
  EXPECT_EQ(Add({Deny(User("u1"))}).added, 1) << "again";
  EXPECT_THAT(List().entries, SizeIs(3));
}

TEST_P(FrontLedgerContract, APreviewOfTheListChangesNothing) {
  Add({Deny(User("u1"))});
  const FrontVersion version = Version();
  const AccessCounts seen = Add({Allow(User("u1")), Deny(User("u2"))}, /*preview=*/true);
  EXPECT_EQ(seen.added, 1);
  EXPECT_EQ(seen.replaced, 1);
  EXPECT_EQ(seen.entries, 2);
  EXPECT_EQ(Remove({User("u1")}, /*preview=*/true).entries, 0);
  EXPECT_EQ(Version(), version);
  EXPECT_THAT(Names(List()), ElementsAre("user u1"));
  EXPECT_FALSE(List().entries[0].allow);
  EXPECT_THAT(Audit(), SizeIs(1));
}

TEST_P(FrontLedgerContract, WhatIsOverIsNotThere) {
  AccessEntry brief = Deny(User("brief"));
  brief.expires_at = absl::FromUnixMicros(absl::ToUnixMicros(absl::Now() + absl::Minutes(10)));
  Add({brief, Deny(User("stays"))});
  EXPECT_EQ(List({.subject = User("brief")}).entries.at(0).expires_at, brief.expires_at);
  EXPECT_EQ(Add({brief}).unchanged, 1);
  Reader reader;
  Follow(&reader);
  EXPECT_EQ(reader.entries.count("user brief"), 1u);
  LetPass(absl::Minutes(11));
  EXPECT_THAT(Names(List()), ElementsAre("user stays"));
  Reader late;
  Follow(&late);
  EXPECT_EQ(late.entries.count("user brief"), 0u);
  EXPECT_EQ(Remove({User("brief")}).removed, 0);
  EXPECT_EQ(Add({Deny(User("other"))}).entries, 2);
  Follow(&reader);
  EXPECT_FALSE(reader.complete);
  EXPECT_TRUE(reader.entries["user brief"].removed) << "so that nobody keeps it for ever";
  EXPECT_EQ(Add({Deny(User("brief"))}).added, 1);
  EXPECT_THAT(Names(List()), ElementsAre("user brief", "user other", "user stays"));
}

TEST_P(FrontLedgerContract, PagesGoOnWhereTheLastEnded) {
  Add({Deny(User("b")), Allow(User("a")), Deny(Network("192.0.2.0/24")), Deny(User("c")),
       Allow(Network("10.0.0.0/8"))});
  const AccessPage first = List({}, std::nullopt, 2);
  EXPECT_THAT(Names(first), ElementsAre("user a", "user b"));
  const AccessPage second = List({}, first.next, 2);
  EXPECT_THAT(Names(second), ElementsAre("user c", "address 10.0.0.0/8"));
  const AccessPage third = List({}, second.next, 2);
  EXPECT_THAT(Names(third), ElementsAre("address 192.0.2.0/24"));
  EXPECT_FALSE(third.next.has_value());
  EXPECT_FALSE(List({}, second.next, 1).next.has_value()) << "a full page may be the last";
  EXPECT_THAT(Names(List({.allow = true})), ElementsAre("user a", "address 10.0.0.0/8"));
  EXPECT_THAT(Names(List({.allow = false}, std::nullopt, 1)), ElementsAre("user b"));
  EXPECT_THAT(Names(List({.allow = true, .subject = User("b")})), IsEmpty());
  EXPECT_THAT(Names(List({.subject = Network("10.0.0.0/8")})), ElementsAre("address 10.0.0.0/8"));
}

TEST_P(FrontLedgerContract, ReadersAreToldWhatHasChanged) {
  Set({.sku_id = "tv", .document = kDocument});
  Set({.sku_id = "radio", .document = kDocument, .admitted_per_million = 5});
  Add({Deny(User("u1")), Deny(User("u2"))});
  Reader first, second;
  Follow(&first);
  EXPECT_TRUE(first.complete) << "it knew nothing";
  EXPECT_EQ(first.version, Version());
  EXPECT_THAT(first.policies, SizeIs(2));
  EXPECT_THAT(first.entries, SizeIs(2));

  Set({.sku_id = "tv", .document = ""});
  Remove({User("u1")});
  const auto changes = front().ReadFrontChanges(first.version, std::nullopt);
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_FALSE(changes->complete);
  EXPECT_THAT(changes->policies, SizeIs(1)) << "only what has changed";
  EXPECT_THAT(changes->entries, SizeIs(1));
  Follow(&first);
  EXPECT_EQ(first.policies["tv"], "") << "it is removed";
  EXPECT_TRUE(first.entries["user u1"].removed);
  Follow(&second);
  EXPECT_TRUE(second.complete);
  EXPECT_EQ(second.policies.count("tv"), 0u) << "who knew nothing is not told of it";
  EXPECT_EQ(second.entries.count("user u1"), 0u);
  EXPECT_EQ(first.version, second.version);

  Set({.sku_id = "radio", .document = kDocument, .admitted_per_million = 6});
  const auto grown = front().ReadFrontChanges(second.version, std::nullopt);
  ASSERT_TRUE(grown.ok()) << grown.status();
  ASSERT_THAT(grown->policies, SizeIs(1));
  ASSERT_TRUE(grown->policies[0].round.has_value()) << "with its round, which it needs";
  EXPECT_EQ(grown->policies[0].round->admitted_per_million, 6);
  EXPECT_EQ(grown->policies[0].round->key.size(), kFrontKeyBytes);
}

TEST_P(FrontLedgerContract, ALongListIsReadInPages) {
  for (int batch = 0; batch < 2; ++batch) {
    std::vector<AccessEntry> entries;
    for (int i = 0; i < 700; ++i) entries.push_back(Deny(User(absl::StrCat("u", batch, "-", i))));
    Add(entries);
  }
  Reader reader;
  Follow(&reader);
  EXPECT_EQ(reader.pages, 2);
  EXPECT_THAT(reader.entries, SizeIs(1400));
  const FrontVersion between = reader.version;
  std::vector<AccessSubject> subjects;
  for (int i = 0; i < 700; ++i) subjects.push_back(User(absl::StrCat("u0-", i)));
  Remove(subjects);
  std::vector<AccessEntry> entries;
  for (int i = 0; i < 700; ++i) entries.push_back(Allow(User(absl::StrCat("u1-", i))));
  Add(entries);
  Follow(&reader);
  EXPECT_EQ(reader.pages, 2) << "what has changed, too";
  EXPECT_FALSE(reader.complete);
  EXPECT_NE(reader.version, between);
  EXPECT_TRUE(reader.entries["user u0-699"].removed);
  EXPECT_TRUE(reader.entries["user u1-699"].allow);
}

// After a restore, the ledger has made other changes with the numbers that a reader knows.
TEST_P(FrontLedgerContract, AReaderOfAnotherHistoryIsToldEverything) {
  Set({.sku_id = "tv", .document = kDocument});
  Add({Deny(User("u1"))});
  Reader reader;
  reader.policies["gone"] = kDocument;
  reader.entries["user gone"] = Deny(User("gone"));
  reader.version = {.number = Version().number, .stamp = "00000000-0000-4000-8000-000000000000"};
  Follow(&reader);
  EXPECT_TRUE(reader.complete);
  EXPECT_THAT(reader.policies, SizeIs(1));
  EXPECT_EQ(reader.entries.count("user gone"), 0u);
  EXPECT_EQ(reader.version, Version());
  reader.version.number += 5;
  Follow(&reader);
  EXPECT_TRUE(reader.complete) << "of a version that is not there yet";
}

TEST_P(FrontLedgerContract, WhoHasNotReadForLongIsToldEverything) {
  Set({.sku_id = "tv", .document = kDocument});
  Add({Deny(User("u1")), Deny(User("u2"))});
  Reader reader;
  Follow(&reader);
  Set({.sku_id = "tv", .document = ""});
  Remove({User("u1")});
  CountFrontChanges(kManyChanges);
  Set({.sku_id = "radio", .document = kDocument});
  Set({.sku_id = "radio", .document = kOther});
  // Otherwise it would keep what was removed: the ledger has forgotten that.
  Follow(&reader);
  EXPECT_TRUE(reader.complete);
  EXPECT_EQ(reader.policies.count("tv"), 0u);
  EXPECT_EQ(reader.entries.count("user u1"), 0u);
  EXPECT_EQ(reader.entries.count("user u2"), 1u);
  // Few enough.
  CountFrontChanges(100);
  Follow(&reader);
  EXPECT_FALSE(reader.complete);
  EXPECT_THAT(Names(List()), ElementsAre("user u2"));
}

// Many changes are read as everything, which is in its order already.
TEST_P(FrontLedgerContract, WhoHasMissedManyEntriesIsToldEverything) {
  const FrontVersion known = Version();
  const auto add = [this](int first, int count) {
    std::vector<AccessEntry> entries;
    for (int i = first; i < first + count; ++i) entries.push_back(Deny(User(absl::StrCat("u", i))));
    Add(entries);
  };
  for (int first = 0; first < kMaxEntriesTold; first += kMaxAccessBatch) add(first, kMaxAccessBatch);
  const auto as_many = front().ReadFrontChanges(known, std::nullopt);
  ASSERT_TRUE(as_many.ok()) << as_many.status();
  EXPECT_FALSE(as_many->complete);
  add(kMaxEntriesTold, 1);
  const auto more = front().ReadFrontChanges(known, std::nullopt);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_TRUE(more->complete);
  Reader reader;
  reader.version = known;
  reader.entries["user gone"] = Deny(User("gone"));
  Follow(&reader);
  EXPECT_THAT(reader.entries, SizeIs(kMaxEntriesTold + 1));
  add(kMaxEntriesTold + 1, 1);
  Follow(&reader);
  EXPECT_FALSE(reader.complete) << "few enough";
  EXPECT_THAT(reader.entries, SizeIs(kMaxEntriesTold + 2));
}

// Otherwise a list that changes every day would only grow.
TEST_P(FrontLedgerContract, WhatWasRemovedIsForgottenWhenNobodyNeedsToBeTold) {
  Set({.sku_id = "tv", .document = kDocument});
  Add({Deny(User("u1")), Deny(User("u2"))});
  Set({.sku_id = "tv", .document = ""});
  Remove({User("u1")});
  EXPECT_EQ(StoredFrontRows(), 3) << "readers have to be told";
  CountFrontChanges(kManyChanges);
  Set({.sku_id = "radio", .document = kDocument});
  EXPECT_EQ(StoredFrontRows(), 2);
  EXPECT_THAT(Policies(), SizeIs(1));
  EXPECT_THAT(Names(List()), ElementsAre("user u2"));
}

// In pages, while others change what the next pages tell.
TEST_P(FrontLedgerContract, WhoReadsDuringChangesHasTheSameCopyInTheEnd) {
  constexpr int kWriters = 2, kRounds = 8;
  std::atomic<int> writing = kWriters;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([this, writer, &writing] {
      ChangeMuch(writer, kRounds);
      --writing;
    });
  }
  // One follows from the beginning; others read everything first, in the midst of it.
  std::vector<Reader> readers;
  do {
    if (readers.size() < 6) readers.emplace_back();
    for (Reader& reader : readers) Follow(&reader);
  } while (writing > 0);
  for (std::thread& writer : writers) writer.join();
  Reader fresh;
  Follow(&fresh);
  const std::vector<std::string> expected = CopyOf(fresh);
  ASSERT_GE(expected.size(), 1000u);
  for (Reader& reader : readers) {
    Follow(&reader);
    EXPECT_EQ(reader.version, fresh.version);
    EXPECT_EQ(CopyOf(reader), expected);
  }
}

TEST_P(FrontLedgerContract, ChangesAtOnceHaveVersionsOfTheirOwn) {
  constexpr int kThreads = 4, kChanges = 10;
  const int64_t before = Version().number;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i] {
      for (int change = 0; change < kChanges; ++change) {
        if (i % 2 == 0) {
          Set({.sku_id = absl::StrCat("sku-", i, "-", change), .document = kDocument});
        } else {
          Add({Deny(User(absl::StrCat("u", i, "-", change)))});
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Version().number, before + kThreads * kChanges);
  std::set<int64_t> versions;
  for (const FrontPolicyRow& policy : Policies()) versions.insert(policy.version);
  EXPECT_THAT(versions, SizeIs(kThreads / 2 * kChanges));
  EXPECT_THAT(List().entries, SizeIs(kThreads / 2 * kChanges));
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

TEST_P(FrontLedgerContract, ReadersAreToldTheModeOnTheirFirstPage) {
  SetMode(ServiceMode::Kind::kReadOnly, "why");
  const auto all = front().ReadFrontChanges({}, std::nullopt);
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_TRUE(all->mode.has_value());
  EXPECT_EQ(all->mode->kind, ServiceMode::Kind::kReadOnly);
  EXPECT_EQ(all->mode->reason, "why");
  SetMode(ServiceMode::Kind::kNormal, "");
  const auto changed = front().ReadFrontChanges(all->version, std::nullopt);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_FALSE(changed->complete);
  ASSERT_TRUE(changed->mode.has_value());
  EXPECT_EQ(changed->mode->kind, ServiceMode::Kind::kNormal);
  const auto second = front().ReadFrontChanges(all->version, User("u"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(second->mode.has_value());
}

}  // namespace
}  // namespace tranche::storage
