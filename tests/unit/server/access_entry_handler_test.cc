// The admin calls about the access list of the front door, on the fakes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/handlers/field_checks.h"
#include "server/proto_time.h"
#include "tests/unit/server/front_door_admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(FrontDoorAdminTest, EntriesAreKeptInTheirOneForm) {
  v1::AccessEntry denied = Denied("203.0.113.7");
  denied.set_reason("a bot");
  *denied.mutable_expire_time() = ToTimestamp(clock_.Now() + absl::Hours(1) + absl::Nanoseconds(1500));
  const std::vector<v1::AccessEntry> both = {User("alice", v1::AccessEntry::VERDICT_ALLOW), denied};
  const v1::AddAccessEntriesResponse added = MustAdd(both);
  EXPECT_EQ(added.added(), 2);
  EXPECT_EQ(added.entries(), 2);

  v1::ListAccessEntriesRequest of_address;
  of_address.set_address("203.0.113.7");
  const auto listed = access_.List(of_address);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->entries_size(), 1);
  EXPECT_EQ(listed->entries(0).address(), "203.0.113.7/32");
  EXPECT_EQ(listed->entries(0).verdict(), v1::AccessEntry::VERDICT_DENY);
  EXPECT_EQ(listed->entries(0).reason(), "a bot");
  EXPECT_EQ(listed->entries(0).changed_by(), kActor);
  EXPECT_EQ(listed->entries(0).expire_time().nanos(), 1000) << "the ledger keeps microseconds";

  const int64_t version = Version();
  const v1::AddAccessEntriesResponse again = MustAdd(both);
  EXPECT_EQ(again.unchanged(), 2);
  EXPECT_EQ(Version(), version);
  const v1::AddAccessEntriesResponse other = MustAdd({User("alice", v1::AccessEntry::VERDICT_DENY)});
  EXPECT_EQ(other.replaced(), 1);
  EXPECT_EQ(other.entries(), 2);

  const auto removed =
      access_.Remove(Removal({Denied("203.0.113.7/32"), User("nobody", v1::AccessEntry::VERDICT_DENY)}), kActor);
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->removed(), 1) << "a subject without an entry is no error";
  EXPECT_EQ(removed->entries(), 1);
  EXPECT_THAT(Subjects(), ElementsAre("alice"));
}

TEST_F(FrontDoorAdminTest, ListsPageWithoutLossOrRepetition) {
  std::set<std::string> expected;
  std::vector<v1::AccessEntry> entries;
  for (int i = 1; i <= 5; ++i) {
    entries.push_back(User(absl::StrCat("user:", i), v1::AccessEntry::VERDICT_ALLOW));
    entries.push_back(Denied(absl::StrCat("2001:db8:", i, "::/48")));
  }
  for (const v1::AccessEntry& entry : entries) {
    expected.insert(entry.has_user_id() ? entry.user_id() : entry.address());
  }
  MustAdd(entries);
  for (const int page_size : {1, 3, 10, 0}) {
    v1::ListAccessEntriesRequest request;
    request.set_page_size(page_size);
    const std::vector<std::string> seen = Subjects(request);
    EXPECT_THAT(seen, SizeIs(expected.size())) << page_size;
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()), expected) << page_size;
  }
  v1::ListAccessEntriesRequest request;
  request.set_verdict(v1::AccessEntry::VERDICT_DENY);
  request.set_page_size(2);
  EXPECT_THAT(Subjects(request), SizeIs(5));
  request.set_user_id("user:1");
  EXPECT_THAT(Subjects(request), IsEmpty()) << "she is let in";
  request.clear_verdict();
  EXPECT_THAT(Subjects(request), ElementsAre("user:1"));
}

TEST_F(FrontDoorAdminTest, OnlyOurPageTokensAreTaken) {
  MustAdd({User("alice", v1::AccessEntry::VERDICT_ALLOW), User("bob", v1::AccessEntry::VERDICT_ALLOW)});
  v1::ListAccessEntriesRequest request;
  request.set_page_size(1);
  request.set_page_token(access_.List(request)->next_page_token());
  ASSERT_NE(request.page_token(), "");
  EXPECT_EQ(access_.List(request)->entries_size(), 1);
  const std::string others[] = {"x",
                                "alice",
                                EncodePageToken("alice"),
                                EncodePageToken("user:"),
                                EncodePageToken("group:alice"),
                                EncodePageToken("address:203.0.113.7"),
                                EncodePageToken("address:203.0.113.7/24"),
                                EncodePageToken(absl::StrCat("user:", std::string(129, 'x')))};
  for (const std::string& token : others) {
    request.set_page_token(token);
    const absl::Status error = access_.List(request).status();
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID") << token;
    EXPECT_EQ(MetadataOf(error, "field"), "page_token") << token;
  }
}

TEST_F(FrontDoorAdminTest, GarbageInAnEntryIsNamed) {
  struct Case {
    const char* field;
    std::function<void(v1::AccessEntry&)> spoil;
  };
  const Case cases[] = {
      {"entries[1].verdict", [](auto& e) { e.clear_verdict(); }},
      {"entries[1].verdict", [](auto& e) { e.set_verdict(static_cast<v1::AccessEntry::Verdict>(9)); }},
      {"entries[1].subject", [](auto& e) { e.clear_subject(); }},
      {"entries[1].user_id", [](auto& e) { e.set_user_id(""); }},
      {"entries[1].user_id", [](auto& e) { e.set_user_id("two\nlines"); }},
      {"entries[1].user_id", [](auto& e) { e.set_user_id(std::string(129, 'x')); }},
      {"entries[1].user_id", [](auto& e) { e.set_user_id("alice"); }},
      {"entries[1].address", [](auto& e) { e.set_address("203.0.113.7/24"); }},
      {"entries[1].address", [](auto& e) { e.set_address("203.0.113.7:80"); }},
      {"entries[1].expire_time", [this](auto& e) { *e.mutable_expire_time() = ToTimestamp(clock_.Now()); }},
      {"entries[1].expire_time", [](auto& e) { e.mutable_expire_time()->set_nanos(-1); }},
      {"entries[1].reason", [](auto& e) { e.set_reason(std::string(201, 'x')); }},
      {"entries[1].reason", [](auto& e) { e.set_reason("two\nlines"); }},
  };
  for (const Case& bad : cases) {
    v1::AccessEntry entry = User("bob", v1::AccessEntry::VERDICT_DENY);
    bad.spoil(entry);
    const absl::Status error =
        access_.Add(Addition({User("alice", v1::AccessEntry::VERDICT_ALLOW), entry}), kActor).status();
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID") << entry.DebugString();
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << entry.DebugString();
  }
  EXPECT_THAT(Subjects(), IsEmpty()) << "all or none of a call's";

  const absl::Status same = access_.Remove(Removal({Denied("203.0.113.7"), Denied("203.0.113.7/32")}), kActor).status();
  EXPECT_EQ(MetadataOf(same, "field"), "entries[1].address");
  EXPECT_THAT(std::string(same.message()), HasSubstr("entries[0]"));
  EXPECT_EQ(MustAdd({User("203.0.113.7/32", v1::AccessEntry::VERDICT_DENY), Denied("203.0.113.7")}).added(), 2);
}

TEST_F(FrontDoorAdminTest, ACallHasABoundedNumberOfEntries) {
  std::vector<v1::AccessEntry> entries;
  for (int i = 0; i <= storage::kMaxAccessBatch; ++i) {
    entries.push_back(User(absl::StrCat(i), v1::AccessEntry::VERDICT_DENY));
  }
  EXPECT_EQ(MetadataOf(access_.Add(Addition(entries), kActor).status(), "field"), "entries");
  EXPECT_EQ(MetadataOf(access_.Remove(Removal(entries), kActor).status(), "field"), "entries");
  EXPECT_EQ(MetadataOf(access_.Add(Addition({}), kActor).status(), "field"), "entries");
  EXPECT_EQ(MetadataOf(access_.Remove(Removal({}), kActor).status(), "field"), "entries");
  entries.pop_back();
  EXPECT_EQ(MustAdd(entries).added(), storage::kMaxAccessBatch);
}

TEST_F(FrontDoorAdminTest, GarbageInAListsFilterIsNamed) {
  struct Case {
    const char* field;
    void (*spoil)(v1::ListAccessEntriesRequest&);
  };
  const Case cases[] = {
      {"page_size", [](auto& r) { r.set_page_size(-1); }},
      {"verdict", [](auto& r) { r.set_verdict(static_cast<v1::AccessEntry::Verdict>(9)); }},
      {"user_id", [](auto& r) { r.set_user_id("two\nlines"); }},
      {"address", [](auto& r) { r.set_address("somewhere"); }},
      {"address",
       [](auto& r) {
         r.set_user_id("alice");
         r.set_address("203.0.113.7");
       }},
  };
  for (const Case& bad : cases) {
    v1::ListAccessEntriesRequest request;
    bad.spoil(request);
    EXPECT_EQ(MetadataOf(access_.List(request).status(), "field"), bad.field) << request.DebugString();
  }
}

TEST_F(FrontDoorAdminTest, AFullAccessListIsNoBusyLedger) {
  front_.entries_when_full = storage::kMaxAccessEntries;
  const v1::AddAccessEntriesRequest request = Addition({User("alice", v1::AccessEntry::VERDICT_DENY)});
  const absl::Status full = access_.Add(request, kActor).status();
  EXPECT_EQ(ReasonOf(full), "ACCESS_LIST_FULL");
  EXPECT_EQ(MetadataOf(full, "entries"), "200000");
  front_.entries_when_full = storage::kMaxAccessEntries - 1;
  EXPECT_EQ(ReasonOf(access_.Add(request, kActor).status()), "OVERLOADED");
}

}  // namespace
}  // namespace tranche::server
