// Shared by the suites about the front door's ledger.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/contract/ledger_fixture.h"

namespace tranche::storage {

class FrontLedgerContract : public LedgerContractTest {
 protected:
  using Kind = AccessSubject::Kind;

  static constexpr char kDocument[] = R"({"limits": []})";
  static constexpr char kOther[] = R"({"limits": [1]})";
  // More than are kept.
  static constexpr int64_t kManyChanges = 1'001;

  static AccessSubject User(const std::string& id) { return {Kind::kUser, id}; }
  static AccessSubject Network(const std::string& prefix) { return {Kind::kAddress, prefix}; }
  static AccessEntry Deny(AccessSubject subject) { return {.subject = std::move(subject), .reason = "a bot"}; }
  static AccessEntry Allow(AccessSubject subject) { return {.subject = std::move(subject), .allow = true}; }

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
        EXPECT_THAT(changes->keys, ::testing::SizeIs(3));
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

}  // namespace tranche::storage
