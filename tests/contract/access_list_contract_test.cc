// The front door's access list, on the fake and on PostgreSQL.

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/contract/front_ledger_contract.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

}  // namespace
}  // namespace tranche::storage
