// The admin calls about the policies, the keys and the service mode of the front door, on the fakes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/logged_lines.h"
#include "tests/unit/server/front_door_admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(FrontDoorAdminTest, APolicyIsSetListedAndRemoved) {
  const v1::SetFrontPolicyResponse set = MustSet(PolicyRequest("tv", Policy()));
  EXPECT_FALSE(set.has_before());
  EXPECT_THAT(set.warnings(), IsEmpty());
  EXPECT_EQ(set.policy().sku_id(), "tv");
  EXPECT_EQ(set.policy().policy().DebugString(), Policy().DebugString());
  EXPECT_EQ(set.policy().changed_by(), kActor);
  EXPECT_GT(set.policy().version(), 0);
  EXPECT_EQ(set.policy().round().round(), 1);
  EXPECT_EQ(set.policy().round().admitted_per_million(), 200'000);
  EXPECT_THAT(set.policy().round().commitment(), SizeIs(32));
  EXPECT_FALSE(set.policy().round().has_end_time());

  MustSet(PolicyRequest("*", LotteryOf(1)));
  const auto all = Policies();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].sku_id(), "*");
  EXPECT_EQ(all[1].DebugString(), set.policy().DebugString());
  ASSERT_THAT(Policies("tv"), SizeIs(1));
  EXPECT_THAT(Policies("radio"), IsEmpty());

  const v1::SetFrontPolicyResponse removed = MustSet(RemovalOf("tv"));
  EXPECT_FALSE(removed.has_policy());
  EXPECT_EQ(removed.before().DebugString(), set.policy().DebugString());
  EXPECT_THAT(Policies("tv"), IsEmpty());
  const int64_t version = Version();
  EXPECT_FALSE(MustSet(RemovalOf("tv")).has_before());
  EXPECT_EQ(Version(), version) << "there was nothing to remove";
}

TEST_F(FrontDoorAdminTest, RepeatingAPolicyChangesNothing) {
  const v1::SetFrontPolicyResponse first = MustSet(PolicyRequest("tv", Policy()), "alice");
  const v1::SetFrontPolicyResponse second = MustSet(PolicyRequest("tv", Policy()), "bob");
  EXPECT_EQ(second.policy().DebugString(), first.policy().DebugString());
  EXPECT_EQ(second.before().DebugString(), first.policy().DebugString());
}

TEST_F(FrontDoorAdminTest, EachChangeIsToldToTheNodes) {
  const auto expect_told = [this](const char* what) { EXPECT_EQ(Announced(), absl::StrCat(Version())) << what; };
  MustSet(PolicyRequest("tv", Policy()));
  expect_told("SetFrontPolicy");
  MustAdd({User("alice", v1::AccessEntry::VERDICT_ALLOW)});
  expect_told("AddAccessEntries");
  ASSERT_TRUE(access_.Remove(Removal({User("alice", v1::AccessEntry::VERDICT_UNSPECIFIED)}), kActor).ok());
  expect_told("RemoveAccessEntries");
  ASSERT_TRUE(keys_.Rotate(ReplaceAll(), kActor).ok());
  expect_told("RotateFrontKey");
}

TEST_F(FrontDoorAdminTest, TheAuditLogSaysWhoAndWhy) {
  const storage::Actor actor("alice", "bots");
  const auto expect_audited = [this](const absl::Status& done, const char* action) {
    EXPECT_TRUE(done.ok()) << done;
    const auto log = ledger_.ListAudit({.action = action}, 0, 10);
    ASSERT_THAT(*log, SizeIs(1)) << action;
    EXPECT_EQ(log->front().actor, "alice");
    EXPECT_EQ(log->front().reason, "bots");
  };
  expect_audited(policies_.Set(PolicyRequest("tv", Policy()), actor).status(), "set_front_policy");
  expect_audited(policies_.Set(RemovalOf("tv"), actor).status(), "remove_front_policy");
  const std::vector<v1::AccessEntry> entries = {User("mallory", v1::AccessEntry::VERDICT_DENY)};
  expect_audited(access_.Add(Addition(entries), actor).status(), "add_access_entries");
  expect_audited(access_.Remove(Removal(entries), actor).status(), "remove_access_entries");
  expect_audited(keys_.Rotate(ReplaceAll(), actor).status(), "replace_front_keys");
}

TEST_F(FrontDoorAdminTest, PreviewsChangeNothing) {
  MustSet(PolicyRequest("tv", Policy()));
  MustAdd({User("alice", v1::AccessEntry::VERDICT_ALLOW)});
  const int64_t version = Version();
  const std::string announced = Announced();
  const auto keys = KeyIds();

  v1::SetFrontPolicyRequest set = PolicyRequest("tv", LotteryOf(300'000));
  set.set_new_lottery_round(true);
  set.set_preview(true);
  const v1::SetFrontPolicyResponse previewed = MustSet(set);
  v1::AddAccessEntriesRequest add = Addition({User("bob", v1::AccessEntry::VERDICT_DENY)});
  add.set_preview(true);
  const auto added = access_.Add(add, kActor);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->added(), 1);
  EXPECT_EQ(added->entries(), 2);
  v1::RemoveAccessEntriesRequest remove = Removal({User("alice", v1::AccessEntry::VERDICT_UNSPECIFIED)});
  remove.set_preview(true);
  const auto removed = access_.Remove(remove, kActor);
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->removed(), 1);
  EXPECT_EQ(removed->entries(), 0);
  v1::RotateFrontKeyRequest rotate = ReplaceAll();
  rotate.set_preview(true);
  const auto rotated = keys_.Rotate(rotate, kActor);
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_TRUE(rotated->rotated());
  EXPECT_EQ(rotated->keys_size(), 3);

  EXPECT_EQ(Version(), version);
  EXPECT_EQ(Announced(), announced);
  EXPECT_EQ(KeyIds(), keys);
  EXPECT_THAT(Subjects(), ElementsAre("alice"));
  EXPECT_EQ(Policies("tv")[0].policy().lottery().admitted_per_million(), 200'000);

  set.set_preview(false);
  const v1::SetFrontPolicyResponse done = MustSet(set);
  EXPECT_EQ(done.policy().policy().DebugString(), previewed.policy().policy().DebugString());
  EXPECT_EQ(done.policy().round().round(), 2);
  EXPECT_EQ(previewed.policy().round().round(), 2);
  EXPECT_EQ(previewed.policy().round().admitted_per_million(), 300'000);
  EXPECT_EQ(done.before().DebugString(), previewed.before().DebugString());
}

TEST_F(FrontDoorAdminTest, AChangeThatTheNodesAreNotToldOfIsMade) {
  const auto session = std::exchange(sessions_.session, nullptr);
  const tranche::testing::LoggedLines logged;
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", Policy());
  request.set_preview(true);
  EXPECT_THAT(MustSet(request).warnings(), IsEmpty()) << "a preview tells nobody";
  request.set_preview(false);
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(kDoorNotAnnounced));
  EXPECT_THAT(Policies("tv"), SizeIs(1));
  EXPECT_THAT(logged.lines(), Contains(HasSubstr("not yet announced")));
  EXPECT_TRUE(access_.Add(Addition({User("alice", v1::AccessEntry::VERDICT_DENY)}), kActor).ok());
  EXPECT_TRUE(keys_.Rotate(ReplaceAll(), kActor).ok());

  sessions_.session = session;
  EXPECT_THAT(MustSet(request).warnings(), IsEmpty());
  EXPECT_EQ(Announced(), absl::StrCat(Version())) << "repeating the call tells what was missed";
  MustSet(RemovalOf("tv"));
  front_.version_fails = true;
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(kDoorNotAnnounced));
}

TEST_F(FrontDoorAdminTest, AnotherVersionThanTheExpectedOneIsRefused) {
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", Policy());
  request.set_expected_version(7);
  const absl::Status none = policies_.Set(request, kActor).status();
  EXPECT_EQ(ReasonOf(none), "POLICY_CHANGED");
  EXPECT_EQ(MetadataOf(none, "policy_version"), "0");
  EXPECT_EQ(MetadataOf(none, "changed_by"), "");
  request.set_expected_version(0);
  const int64_t version = MustSet(request, "bob").policy().version();

  request = PolicyRequest("tv", LotteryOf(300'000));
  for (const bool preview : {true, false}) {
    request.set_preview(preview);
    request.set_expected_version(0);
    const absl::Status refused = policies_.Set(request, kActor).status();
    EXPECT_EQ(ReasonOf(refused), "POLICY_CHANGED");
    EXPECT_EQ(MetadataOf(refused, "policy_version"), absl::StrCat(version));
    EXPECT_EQ(MetadataOf(refused, "changed_by"), "bob");
    EXPECT_THAT(MetadataOf(refused, "changed_at"), HasSubstr("T"));
  }
  EXPECT_EQ(Policies("tv")[0].version(), version);
  request.set_expected_version(version);
  EXPECT_GT(MustSet(request).policy().version(), version);
}

TEST_F(FrontDoorAdminTest, BeforeIsWhatAFasterChangeHasLeft) {
  MustSet(PolicyRequest("tv", Policy()), "alice");
  front_.before_next_change = [this] { MustSet(PolicyRequest("tv", LotteryOf(300'000)), "bob"); };
  const v1::SetFrontPolicyResponse set = MustSet(PolicyRequest("tv", LotteryOf(400'000)), "carol");
  EXPECT_EQ(set.before().changed_by(), "bob");
  EXPECT_EQ(set.before().policy().lottery().admitted_per_million(), 300'000);
  EXPECT_EQ(set.policy().policy().lottery().admitted_per_million(), 400'000);

  v1::SetFrontPolicyRequest insisting = PolicyRequest("tv", LotteryOf(600'000));
  insisting.set_expected_version(set.policy().version());
  front_.before_next_change = [this] { MustSet(PolicyRequest("tv", LotteryOf(500'000)), "bob"); };
  const absl::Status refused = policies_.Set(insisting, "carol").status();
  EXPECT_EQ(ReasonOf(refused), "POLICY_CHANGED");
  EXPECT_EQ(MetadataOf(refused, "changed_by"), "bob");
}

TEST_F(FrontDoorAdminTest, APolicyOfANewerVersionIsNotHalfShown) {
  StoreDocument("tv", R"({"limits":[],"ofTomorrow":{}})");
  const auto policies = Policies("tv");
  ASSERT_THAT(policies, SizeIs(1));
  EXPECT_NE(policies[0].unreadable(), "");
  EXPECT_FALSE(policies[0].has_policy());
  EXPECT_GT(policies[0].version(), 0);
  const v1::SetFrontPolicyResponse replaced = MustSet(PolicyRequest("tv", Policy()));
  EXPECT_THAT(replaced.warnings(), ElementsAre(HasSubstr("newer version")));
  EXPECT_EQ(Policies("tv")[0].unreadable(), "");
}

TEST_F(FrontDoorAdminTest, GarbageInAPolicyIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::SetFrontPolicyRequest&);
  };
  const Case cases[] = {
      {"SKU_ID_REQUIRED", "sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("t v"); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("**"); }},
      {"FIELD_INVALID", "expected_version", [](auto& r) { r.set_expected_version(-1); }},
      {"FIELD_INVALID", "policy.limits[0].tries", [](auto& r) { r.mutable_policy()->mutable_limits(0)->set_tries(0); }},
  };
  for (const Case& bad : cases) {
    v1::SetFrontPolicyRequest request = PolicyRequest("tv", Policy());
    bad.spoil(request);
    const absl::Status error = policies_.Set(request, kActor).status();
    EXPECT_EQ(ReasonOf(error), bad.reason);
    EXPECT_EQ(MetadataOf(error, "field"), bad.field);
  }
  EXPECT_THAT(Policies(), IsEmpty());
  v1::ListFrontPoliciesRequest list;
  list.set_sku_id("t v");
  EXPECT_EQ(ReasonOf(policies_.List(list).status()), "SKU_ID_MALFORMED");
}

// The ledger says the same of a busy server, where repeating helps.
TEST_F(FrontDoorAdminTest, TooManyPoliciesAreNoBusyLedger) {
  front_.policies_when_full = storage::kMaxFrontPolicies;
  EXPECT_EQ(MetadataOf(policies_.Set(PolicyRequest("tv", Policy()), kActor).status(), "field"), "sku_id");
  front_.policies_when_full = storage::kMaxFrontPolicies - 1;
  EXPECT_EQ(ReasonOf(policies_.Set(PolicyRequest("tv", Policy()), kActor).status()), "OVERLOADED");
}

TEST_F(FrontDoorAdminTest, KeysRotate) {
  ASSERT_TRUE(keys_.Rotate(ReplaceAll(), kActor).ok());
  const auto before = KeyIds();
  ASSERT_THAT(before, SizeIs(3));
  clock_.AdvanceBy(storage::kLeastKeyAge - absl::Minutes(1));
  const absl::Status early = keys_.Rotate(v1::RotateFrontKeyRequest(), kActor).status();
  EXPECT_EQ(ReasonOf(early), "KEY_ROTATED_RECENTLY");
  EXPECT_EQ(MetadataOf(early, "retry_after_ms"), "60000");
  EXPECT_EQ(KeyIds(), before);

  clock_.AdvanceBy(absl::Minutes(1));
  v1::RotateFrontKeyRequest request;
  request.set_expected_current_id(before.at(v1::FrontKey::USE_CURRENT));
  const auto rotated = keys_.Rotate(request, kActor);
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_TRUE(rotated->rotated());
  const auto after = KeyIds();
  EXPECT_EQ(after.at(v1::FrontKey::USE_CURRENT), before.at(v1::FrontKey::USE_NEXT));
  EXPECT_EQ(after.at(v1::FrontKey::USE_PREVIOUS), before.at(v1::FrontKey::USE_CURRENT));
  EXPECT_GT(after.at(v1::FrontKey::USE_NEXT), before.at(v1::FrontKey::USE_NEXT));

  ASSERT_TRUE(sessions_.session->Set(quota::kFrontDoorPath, "1", quota::kAnyVersion).ok());
  request.set_preview(true);
  ASSERT_TRUE(keys_.Rotate(request, kActor).ok());
  EXPECT_EQ(Announced(), "1") << "a preview tells nobody";
  request.set_preview(false);
  const auto repeated = keys_.Rotate(request, kActor);
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_FALSE(repeated->rotated());
  EXPECT_EQ(Announced(), absl::StrCat(Version())) << "the first time it may not have been told";
  EXPECT_EQ(repeated->keys_size(), 3);
  EXPECT_EQ(KeyIds(), after);

  ASSERT_TRUE(keys_.Rotate(ReplaceAll(), kActor).ok()) << "that does not wait";
  for (const auto& [use, id] : KeyIds()) EXPECT_GT(id, after.at(v1::FrontKey::USE_NEXT)) << use;
  request.set_expected_current_id(0);
  EXPECT_EQ(MetadataOf(keys_.Rotate(request, kActor).status(), "field"), "expected_current_id");
}

// Whoever has a key makes tokens, and whoever has a round's key knows who will be admitted.
TEST_F(FrontDoorAdminTest, NoAnswerAndNoLogHasASecret) {
  std::set<std::string> secrets;
  const auto collect = [&] {
    const auto keys = front_.ListFrontKeys();
    for (const storage::FrontKey& key : *keys) secrets.insert(key.secret);
    const auto rounds = front_.ListLotteryRounds("tv");
    for (const storage::LotteryRound& round : *rounds) secrets.insert(round.key);
  };
  std::string told;
  const tranche::testing::LoggedLines logged;
  const auto tell = [&](const auto& answer) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    told += answer->SerializeAsString();
    told += answer->DebugString();
    collect();
  };
  tell(policies_.Set(PolicyRequest("tv", Policy()), kActor));
  v1::SetFrontPolicyRequest next_round = PolicyRequest("tv", Policy());
  next_round.set_new_lottery_round(true);
  next_round.set_preview(true);
  tell(policies_.Set(next_round, kActor));
  next_round.set_preview(false);
  tell(policies_.Set(next_round, kActor));
  tell(policies_.List(v1::ListFrontPoliciesRequest()));
  tell(keys_.List(v1::ListFrontKeysRequest()));
  v1::RotateFrontKeyRequest rotate = ReplaceAll();
  rotate.set_preview(true);
  tell(keys_.Rotate(rotate, kActor));
  tell(keys_.Rotate(ReplaceAll(), kActor));
  rotate.Clear();
  rotate.set_expected_current_id(1);
  tell(keys_.Rotate(rotate, kActor));
  clock_.AdvanceBy(storage::kLeastKeyAge);
  tell(keys_.Rotate(v1::RotateFrontKeyRequest(), kActor));
  tell(policies_.Set(RemovalOf("tv"), kActor));
  door_.SetState(StateNow());
  tell(explanations_.Explain(Question("alice")));

  for (const std::string& line : logged.lines()) told += line;
  const auto audit = ledger_.ListAudit({}, 0, 1000);
  for (const storage::AuditEntry& entry : *audit) told += entry.before + entry.after;
  EXPECT_GE(secrets.size(), 9u) << "seven keys, and two rounds";
  for (const std::string& secret : secrets) {
    ASSERT_EQ(secret.size(), storage::kFrontKeyBytes);
    EXPECT_FALSE(absl::StrContains(told, secret));
    EXPECT_FALSE(absl::StrContains(told, absl::BytesToHexString(secret)));
    EXPECT_FALSE(absl::StrContains(told, absl::Base64Escape(secret)));
    EXPECT_FALSE(absl::StrContains(told, absl::CEscape(secret)));
  }
  EXPECT_THAT(logged.lines(), Contains(HasSubstr("keys are all replaced by tester")));
  EXPECT_THAT(logged.lines(), Contains(HasSubstr("keys are rotated by tester")));
}

TEST_F(FrontDoorAdminTest, TheServiceModeIsSetToldAndAnnounced) {
  EXPECT_EQ(modes_.Get({})->mode().mode(), v1::SERVICE_MODE_NORMAL);
  EXPECT_FALSE(modes_.Get({})->mode().has_change_time());
  v1::SetServiceModeRequest request;
  request.set_mode(v1::SERVICE_MODE_CHANGES_ONLY);
  request.set_reason("Back soon.");
  request.set_preview(true);
  const int64_t version = Version();
  const auto preview = modes_.Set(request, kActor);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->before().mode(), v1::SERVICE_MODE_NORMAL);
  EXPECT_EQ(preview->mode().mode(), v1::SERVICE_MODE_CHANGES_ONLY);
  EXPECT_EQ(Version(), version);
  request.set_preview(false);
  tranche::testing::LoggedLines logged;
  const auto set = modes_.Set(request, kActor);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->mode().reason(), "Back soon.");
  EXPECT_EQ(set->mode().changed_by(), kActor);
  EXPECT_EQ(Version(), version + 1);
  EXPECT_EQ(Announced(), absl::StrCat(Version()));
  EXPECT_THAT(logged.lines(), Contains(HasSubstr("set to CHANGES_ONLY by tester")));
  EXPECT_EQ(modes_.Get({})->mode().mode(), v1::SERVICE_MODE_CHANGES_ONLY);
  request.set_mode(v1::SERVICE_MODE_NORMAL);
  ASSERT_TRUE(modes_.Set(request, kActor).ok());
  EXPECT_EQ(modes_.Get({})->mode().reason(), "") << "ignored with NORMAL";
}

TEST_F(FrontDoorAdminTest, GarbageInAServiceModeIsNamed) {
  v1::SetServiceModeRequest request;
  EXPECT_EQ(MetadataOf(modes_.Set(request, kActor).status(), "field"), "mode");
  request.set_mode(static_cast<v1::ServiceMode>(99));
  EXPECT_EQ(MetadataOf(modes_.Set(request, kActor).status(), "field"), "mode");
  request.set_mode(v1::SERVICE_MODE_READ_ONLY);
  for (const std::string& reason : {std::string(201, 'x'), std::string("two\nlines"), std::string("\xff")}) {
    request.set_reason(reason);
    EXPECT_EQ(MetadataOf(modes_.Set(request, kActor).status(), "field"), "reason");
  }
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\xc3\xbc";
  request.set_reason(umlauts);
  EXPECT_TRUE(modes_.Set(request, kActor).ok()) << "characters, not bytes";
}

}  // namespace
}  // namespace tranche::server
