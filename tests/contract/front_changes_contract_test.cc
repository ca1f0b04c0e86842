// How a node follows what changes at the front door, on the fake and on PostgreSQL.

#include <atomic>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/contract/front_ledger_contract.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

using testing::RunThreads;

class FrontRaceContract : public FrontLedgerContract {};
INSTANTIATE_TEST_SUITE_P(Both, FrontRaceContract, BothLedgers(), LedgerName);

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
TEST_P(FrontRaceContract, WhoReadsDuringChangesHasTheSameCopyInTheEnd) {
  constexpr int kWriters = 2, kRounds = 8;
  std::atomic<int> writing = kWriters;
  // One follows from the beginning; others read everything first, in the midst of it.
  std::vector<Reader> readers;
  RunThreads(kWriters + 1, [&](int thread) {
    if (thread < kWriters) {
      ChangeMuch(thread, kRounds);
      --writing;
      return;
    }
    do {
      if (readers.size() < 6) readers.emplace_back();
      for (Reader& reader : readers) Follow(&reader);
    } while (writing > 0);
  });
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

TEST_P(FrontRaceContract, ChangesAtOnceHaveVersionsOfTheirOwn) {
  constexpr int kThreads = 4, kChanges = 10;
  const int64_t before = Version().number;
  RunThreads(kThreads, [&](int thread) {
    for (int change = 0; change < kChanges; ++change) {
      if (thread % 2 == 0) {
        Set({.sku_id = absl::StrCat("sku-", thread, "-", change), .document = kDocument});
      } else {
        Add({Deny(User(absl::StrCat("u", thread, "-", change)))});
      }
    }
  });
  EXPECT_EQ(Version().number, before + kThreads * kChanges);
  std::set<int64_t> versions;
  for (const FrontPolicyRow& policy : Policies()) versions.insert(policy.version);
  EXPECT_THAT(versions, SizeIs(kThreads / 2 * kChanges));
  EXPECT_THAT(List().entries, SizeIs(kThreads / 2 * kChanges));
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
