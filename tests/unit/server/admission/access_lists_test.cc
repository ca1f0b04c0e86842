#include "server/admission/access_lists.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace tranche::server {
namespace {

using storage::AccessEntry;
using storage::AccessSubject;

const absl::Time kListNow = absl::FromUnixSeconds(1'800'000'000);

AccessEntry UserEntry(const std::string& user_id, bool allow) {
  return {.subject = {AccessSubject::Kind::kUser, user_id}, .allow = allow};
}
AccessEntry PrefixEntry(const std::string& prefix, bool allow) {
  return {.subject = {AccessSubject::Kind::kAddress, prefix}, .allow = allow};
}
AccessEntry Until(AccessEntry entry, absl::Time time) {
  entry.expires_at = time;
  return entry;
}
AccessEntry Removed(AccessEntry entry) {
  entry.removed = true;
  return entry;
}
AccessLists ListsOf(const std::vector<AccessEntry>& entries) {
  AccessLists lists;
  lists.Apply(entries);
  return lists;
}

TEST(CanonicalPrefixTest, EachPrefixHasOneForm) {
  const std::vector<std::pair<const char*, const char*>> forms = {{"203.0.113.7", "203.0.113.7/32"},
                                                                  {"203.0.113.7/32", "203.0.113.7/32"},
                                                                  {"203.0.113.0/24", "203.0.113.0/24"},
                                                                  {"0.0.0.0/0", "0.0.0.0/0"},
                                                                  {"::ffff:203.0.113.7", "203.0.113.7/32"},
                                                                  {"::ffff:203.0.113.0/120", "203.0.113.0/24"},
                                                                  {"::ffff:0:0/96", "0.0.0.0/0"},
                                                                  {"2001:DB8:0::/48", "2001:db8::/48"},
                                                                  {"2001:db8::7", "2001:db8::7/128"},
                                                                  {"::/0", "::/0"},
                                                                  {"8000::/1", "8000::/1"}};
  for (const auto& [text, form] : forms) {
    const absl::StatusOr<std::string> prefix = CanonicalPrefix(text);
    ASSERT_TRUE(prefix.ok()) << text << ": " << prefix.status();
    EXPECT_EQ(*prefix, form) << text;
    EXPECT_EQ(*CanonicalPrefix(*prefix), form);
  }
}

TEST(CanonicalPrefixTest, WhatIsNoPrefixIsRefused) {
  for (const char* text :
       {"", "/", "/24", "alice", "203.0.113.0/", "203.0.113.0/33", "203.0.113.0/-1", "203.0.113.0/+8",
        "203.0.113.0/ 24", "203.0.113.0/024", "203.0.113.0/24/24", "203.0.113.0/255.255.255.0", "2001:db8::/129",
        "2001:db8::/x", "203.0.113.0 /24", "[2001:db8::]/48"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CanonicalPrefix(text).status())) << text;
  }
}

// Probably a mistake: the operator means one address, or another length.
TEST(CanonicalPrefixTest, BitsBehindThePrefixAreRefusedWithWhatItShouldBe) {
  const absl::Status four = CanonicalPrefix("203.0.113.7/24").status();
  EXPECT_TRUE(absl::IsInvalidArgument(four));
  EXPECT_NE(four.message().find("203.0.113.0/24"), absl::string_view::npos) << four;
  const absl::Status six = CanonicalPrefix("2001:db8::7/48").status();
  EXPECT_TRUE(absl::IsInvalidArgument(six));
  EXPECT_NE(six.message().find("2001:db8::/48"), absl::string_view::npos) << six;
  const absl::Status mapped = CanonicalPrefix("::ffff:203.0.113.7/120").status();
  EXPECT_NE(mapped.message().find("203.0.113.0/24"), absl::string_view::npos) << mapped;
  EXPECT_FALSE(CanonicalPrefix("128.0.0.0/0").ok());
  // It is not all of IPv4: that is ::ffff:0:0/96.
  EXPECT_FALSE(CanonicalPrefix("::ffff:0:0/95").ok());
}

TEST(AccessListsTest, WithoutEntriesNobodyIsNamed) {
  const AccessLists lists;
  EXPECT_TRUE(lists.empty());
  EXPECT_EQ(lists.Find("alice", "203.0.113.7", kListNow), AccessVerdict::kNone);
  EXPECT_EQ(lists.Find("", "", kListNow), AccessVerdict::kNone);
}

TEST(AccessListsTest, ABuyersOwnEntryDecidesBeforeTheirAddress) {
  const AccessLists lists = ListsOf({UserEntry("alice", true), UserEntry("mallory", false),
                                     PrefixEntry("203.0.113.0/24", false), PrefixEntry("198.51.100.0/24", true)});
  EXPECT_EQ(lists.size(), 4u);
  EXPECT_EQ(lists.Find("alice", "203.0.113.7", kListNow), AccessVerdict::kAllow);
  EXPECT_EQ(lists.Find("mallory", "198.51.100.7", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("bob", "203.0.113.7", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("bob", "198.51.100.7", kListNow), AccessVerdict::kAllow);
  EXPECT_EQ(lists.Find("bob", "192.0.2.1", kListNow), AccessVerdict::kNone);
  EXPECT_EQ(lists.Find("mallory", "", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("bob", "", kListNow), AccessVerdict::kNone);
}

TEST(AccessListsTest, TheLongestPrefixDecides) {
  const AccessLists lists = ListsOf({PrefixEntry("203.0.0.0/16", false), PrefixEntry("203.0.113.0/24", true),
                                     PrefixEntry("203.0.113.7/32", false), PrefixEntry("2001:db8::/32", false),
                                     PrefixEntry("2001:db8:1::/48", true)});
  EXPECT_EQ(lists.Find("", "203.0.1.1", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("", "203.0.113.8", kListNow), AccessVerdict::kAllow);
  EXPECT_EQ(lists.Find("", "203.0.113.7", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("", "::ffff:203.0.113.7", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("", "2001:db8:2::1", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("", "2001:db8:1::1", kListNow), AccessVerdict::kAllow);
  EXPECT_EQ(lists.Find("", "2001:db9::1", kListNow), AccessVerdict::kNone);
}

TEST(AccessListsTest, AllOfOneFamilyIsNotAllOfTheOther) {
  const AccessLists all_of_six = ListsOf({PrefixEntry("::/0", false)});
  EXPECT_EQ(all_of_six.Find("", "2001:db8::1", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(all_of_six.Find("", "203.0.113.7", kListNow), AccessVerdict::kNone);
  const AccessLists all_of_four = ListsOf({PrefixEntry("0.0.0.0/0", false)});
  EXPECT_EQ(all_of_four.Find("", "203.0.113.7", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(all_of_four.Find("", "2001:db8::1", kListNow), AccessVerdict::kNone);
  EXPECT_EQ(all_of_four.Find("", "::1", kListNow), AccessVerdict::kNone);
}

TEST(AccessListsTest, AnEntryWhoseTimeIsOverIsAsIfItWereNotThere) {
  const AccessLists lists = ListsOf({Until(UserEntry("alice", true), kListNow), PrefixEntry("203.0.0.0/16", false),
                                     Until(PrefixEntry("203.0.113.0/24", true), kListNow + absl::Seconds(1))});
  EXPECT_EQ(lists.Find("alice", "", kListNow - absl::Seconds(1)), AccessVerdict::kAllow);
  EXPECT_EQ(lists.Find("alice", "", kListNow), AccessVerdict::kNone);
  // Then a shorter prefix decides, and the address of a buyer.
  EXPECT_EQ(lists.Find("alice", "203.0.113.7", kListNow), AccessVerdict::kAllow);
  EXPECT_EQ(lists.Find("alice", "203.0.113.7", kListNow + absl::Seconds(1)), AccessVerdict::kDeny);
}

TEST(AccessListsTest, ChangesReplaceAndRemove) {
  AccessLists lists = ListsOf({UserEntry("alice", false), PrefixEntry("203.0.113.0/24", false)});
  const AccessLists before = lists;
  lists.Apply({UserEntry("alice", true), PrefixEntry("203.0.113.0/24", true)});
  EXPECT_EQ(lists.size(), 2u);
  EXPECT_EQ(lists.Find("alice", "", kListNow), AccessVerdict::kAllow);
  EXPECT_EQ(lists.Find("bob", "203.0.113.7", kListNow), AccessVerdict::kAllow);
  lists.Apply({Removed(UserEntry("alice", true)), Removed(PrefixEntry("203.0.113.0/24", true)),
               Removed(PrefixEntry("192.0.2.0/24", true)), Removed(UserEntry("nobody", true))});
  EXPECT_TRUE(lists.empty());
  EXPECT_EQ(lists.Find("alice", "203.0.113.7", kListNow), AccessVerdict::kNone);
  // The copy is one of its own.
  EXPECT_EQ(before.Find("alice", "", kListNow), AccessVerdict::kDeny);
}

TEST(AccessListsTest, WhatCannotBeReadIsSkippedAndCounted) {
  AccessLists lists = ListsOf({PrefixEntry("somewhere", false), PrefixEntry("somewhere", true), UserEntry("", false),
                               UserEntry("mallory", false)});
  EXPECT_EQ(lists.unreadable(), 2u);
  const std::vector<std::string> named = lists.SomeUnreadable(5);
  EXPECT_EQ(std::set<std::string>(named.begin(), named.end()), (std::set<std::string>{"", "somewhere"}));
  EXPECT_EQ(lists.SomeUnreadable(1).size(), 1u);
  EXPECT_EQ(lists.size(), 1u);
  EXPECT_EQ(lists.Find("mallory", "", kListNow), AccessVerdict::kDeny);
  EXPECT_EQ(lists.Find("", "", kListNow), AccessVerdict::kNone);
  lists.Apply({Removed(PrefixEntry("somewhere", true)), Removed(UserEntry("", false))});
  EXPECT_EQ(lists.unreadable(), 0u);
}

TEST(AccessListsTest, ManyEntriesAreFoundAndTheirNeighboursAreNot) {
  std::vector<AccessEntry> entries;
  for (int i = 0; i < 2'000; ++i) {
    entries.push_back(UserEntry(absl::StrCat("bot-", i), false));
    entries.push_back(PrefixEntry(absl::StrCat("10.", i / 200, ".", i % 200, ".0/24"), false));
  }
  const AccessLists lists = ListsOf(entries);
  EXPECT_EQ(lists.size(), 4'000u);
  for (int i = 0; i < 2'000; ++i) {
    EXPECT_EQ(lists.Find(absl::StrCat("bot-", i), "", kListNow), AccessVerdict::kDeny);
    EXPECT_EQ(lists.Find("", absl::StrCat("10.", i / 200, ".", i % 200, ".9"), kListNow), AccessVerdict::kDeny);
    EXPECT_EQ(lists.Find(absl::StrCat("bot-", i + 2'000), absl::StrCat("11.", i / 200, ".", i % 200, ".9"), kListNow),
              AccessVerdict::kNone);
  }
}

}  // namespace
}  // namespace tranche::server
