// The admin calls about the front door, on the fakes: policies, the access list, keys, and what a buyer would be told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/admission/access_lists.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_door.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"
#include "server/admission/purchase_token.h"
#include "server/admission/turn_queue.h"
#include "server/handlers/access_entry_handler.h"
#include "server/handlers/explain_admission_handler.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/front_announcer.h"
#include "server/handlers/front_key_handler.h"
#include "server/handlers/front_policy_handler.h"
#include "server/handlers/service_mode_handler.h"
#include "server/proto_time.h"
#include "storage/fake/fake_front_ledger.h"
#include "tests/support/logged_lines.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A ledger in which somebody else is faster, or that is full, busy or silent.
class MeddledFrontLedger : public storage::FakeFrontLedger {
 public:
  using FakeFrontLedger::FakeFrontLedger;

  absl::StatusOr<storage::FrontVersion> ReadFrontVersion() override {
    if (version_fails) return absl::UnavailableError("no version now");
    return FakeFrontLedger::ReadFrontVersion();
  }
  absl::StatusOr<std::vector<storage::FrontPolicyRow>> ListFrontPolicies(const std::string& sku_id) override {
    if (sku_id.empty() && policies_when_full.has_value()) {
      return std::vector<storage::FrontPolicyRow>(*policies_when_full);
    }
    return FakeFrontLedger::ListFrontPolicies(sku_id);
  }
  absl::StatusOr<storage::FrontPolicyRow> SetFrontPolicy(const storage::FrontPolicyChange& change, bool preview,
                                                         const storage::Actor& actor) override {
    if (before_next_change) std::exchange(before_next_change, nullptr)();
    if (policies_when_full.has_value()) return absl::ResourceExhaustedError("full, or busy");
    return FakeFrontLedger::SetFrontPolicy(change, preview, actor);
  }
  absl::StatusOr<storage::AccessCounts> AddAccessEntries(absl::Span<const storage::AccessEntry> entries, bool preview,
                                                         const storage::Actor& actor) override {
    if (entries_when_full.has_value()) return absl::ResourceExhaustedError("full, or busy");
    return FakeFrontLedger::AddAccessEntries(entries, preview, actor);
  }
  absl::StatusOr<storage::AccessCounts> RemoveAccessEntries(absl::Span<const storage::AccessSubject> subjects,
                                                            bool preview, const storage::Actor& actor) override {
    absl::StatusOr<storage::AccessCounts> counts = FakeFrontLedger::RemoveAccessEntries(subjects, preview, actor);
    if (counts.ok() && entries_when_full.has_value()) counts->entries = *entries_when_full;
    return counts;
  }

  std::function<void()> before_next_change;
  bool version_fails = false;
  // Set: additions find no room, and there are so many.
  std::optional<int> policies_when_full;
  std::optional<int32_t> entries_when_full;
};

class FrontDoorAdminTest : public AdminHandlersTest {
 protected:
  // Without anything to warn of.
  static v1::FrontPolicy Policy() {
    v1::FrontPolicy policy;
    v1::RateLimit* const limit = policy.add_limits();
    limit->set_key(v1::RateLimit::KEY_USER);
    limit->set_tries(5);
    limit->mutable_per()->set_seconds(1);
    limit->set_burst(3);
    policy.mutable_lottery()->set_admitted_per_million(200'000);
    return policy;
  }
  // Its first time is worth a warning.
  static v1::FrontPolicy WithToken(v1::FrontPolicy policy) {
    policy.mutable_purchase_token()->mutable_lifetime()->set_seconds(60);
    return policy;
  }
  static v1::FrontPolicy LotteryOf(int32_t admitted_per_million) {
    v1::FrontPolicy policy = Policy();
    policy.mutable_lottery()->set_admitted_per_million(admitted_per_million);
    return policy;
  }
  static v1::FrontPolicy WithRoom(int32_t buyers_per_second = 100) {
    v1::FrontPolicy policy = WithToken(Policy());
    policy.clear_lottery();
    policy.mutable_room()->set_buyers_per_second(buyers_per_second);
    return policy;
  }
  // "tv" is sold from then on.
  void OpenIn(absl::Duration time) {
    storage::Sku sku = *ledger_.GetSku("tv");
    sku.opens_at = clock_.Now() + time;
    const auto updated = ledger_.UpdateSku(sku, kActor);
    ASSERT_TRUE(updated.ok()) << updated.status();
  }
  static v1::SetFrontPolicyRequest PolicyRequest(const std::string& sku_id, const v1::FrontPolicy& policy) {
    v1::SetFrontPolicyRequest request;
    request.set_sku_id(sku_id);
    *request.mutable_policy() = policy;
    return request;
  }
  static v1::SetFrontPolicyRequest RemovalOf(const std::string& sku_id) {
    v1::SetFrontPolicyRequest request;
    request.set_sku_id(sku_id);
    return request;
  }
  v1::SetFrontPolicyResponse MustSet(const v1::SetFrontPolicyRequest& request, const storage::Actor& actor = kActor) {
    const auto response = policies_.Set(request, actor);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::SetFrontPolicyResponse());
  }
  std::vector<v1::StoredFrontPolicy> Policies(const std::string& sku_id = "") {
    v1::ListFrontPoliciesRequest request;
    request.set_sku_id(sku_id);
    const auto response = policies_.List(request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    return {response->policies().begin(), response->policies().end()};
  }
  // As a newer version may do it.
  void StoreDocument(const std::string& sku_id, const std::string& document) {
    storage::FrontPolicyChange change;
    change.sku_id = sku_id;
    change.document = document;
    ASSERT_TRUE(front_.SetFrontPolicy(change, /*preview=*/false, "newer").ok());
  }

  static v1::AccessEntry User(const std::string& user_id, v1::AccessEntry::Verdict verdict) {
    v1::AccessEntry entry;
    entry.set_verdict(verdict);
    entry.set_user_id(user_id);
    return entry;
  }
  static v1::AccessEntry Denied(const std::string& address) {
    v1::AccessEntry entry;
    entry.set_verdict(v1::AccessEntry::VERDICT_DENY);
    entry.set_address(address);
    return entry;
  }
  static v1::AddAccessEntriesRequest Addition(const std::vector<v1::AccessEntry>& entries) {
    v1::AddAccessEntriesRequest request;
    for (const v1::AccessEntry& entry : entries) *request.add_entries() = entry;
    return request;
  }
  static v1::RemoveAccessEntriesRequest Removal(const std::vector<v1::AccessEntry>& entries) {
    v1::RemoveAccessEntriesRequest request;
    for (const v1::AccessEntry& entry : entries) *request.add_entries() = entry;
    return request;
  }
  v1::AddAccessEntriesResponse MustAdd(const std::vector<v1::AccessEntry>& entries) {
    const auto response = access_.Add(Addition(entries), kActor);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::AddAccessEntriesResponse());
  }
  // The subjects of all pages, those that come twice, twice.
  std::vector<std::string> Subjects(v1::ListAccessEntriesRequest request = v1::ListAccessEntriesRequest()) {
    std::vector<std::string> subjects;
    do {
      const auto page = access_.List(request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->entries_size(), request.page_size() == 0 ? 100 : request.page_size());
      for (const v1::AccessEntry& entry : page->entries()) {
        subjects.push_back(entry.has_user_id() ? entry.user_id() : entry.address());
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return subjects;
  }

  std::map<v1::FrontKey::Use, int64_t> KeyIds() {
    const auto response = keys_.List(v1::ListFrontKeysRequest());
    EXPECT_TRUE(response.ok()) << response.status();
    std::map<v1::FrontKey::Use, int64_t> ids;
    for (const v1::FrontKey& key : response->keys()) ids[key.use()] = key.key_id();
    return ids;
  }
  v1::RotateFrontKeyRequest ReplaceAll() {
    v1::RotateFrontKeyRequest request;
    request.set_replace_all(true);
    return request;
  }

  int64_t Version() { return front_.ReadFrontVersion()->number; }
  // What the nodes were told last.
  std::string Announced() {
    const auto znode = sessions_.session->Get(quota::kFrontDoorPath, quota::Watch::kNo);
    EXPECT_TRUE(znode.ok()) << znode.status();
    return znode.ok() ? znode->data : "";
  }

  // What a node would know now.
  std::shared_ptr<const DoorState> StateNow() {
    auto state = std::make_shared<DoorState>();
    auto lists = std::make_shared<AccessLists>();
    lists->Apply(front_.ListAccessEntries({}, std::nullopt, 1000)->entries);
    state->access = std::move(lists);
    state->keys = std::make_shared<const FrontKeys>(*front_.ListFrontKeys());
    state->mode = *front_.ReadServiceMode();
    const auto policies = front_.ListFrontPolicies("");
    for (const storage::FrontPolicyRow& row : *policies) {
      state->policies[row.sku_id] = std::make_shared<const DoorPolicy>(CompilePolicy(row));
    }
    return state;
  }
  static v1::ExplainAdmissionRequest Question(const std::string& user_id) {
    v1::ExplainAdmissionRequest request;
    request.set_sku_id("tv");
    request.set_user_id(user_id);
    return request;
  }
  v1::ExplainAdmissionResponse MustExplain(const v1::ExplainAdmissionRequest& request) {
    const auto response = explanations_.Explain(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::ExplainAdmissionResponse());
  }
  static v1::AdmissionCheck CheckIn(const v1::ExplainAdmissionResponse& response, const std::string& name) {
    for (const v1::AdmissionCheck& check : response.checks()) {
      if (check.check() == name) return check;
    }
    ADD_FAILURE() << "no check " << name;
    return v1::AdmissionCheck();
  }

  MeddledFrontLedger front_{&clock_, &ledger_};
  FrontAnnouncer front_announcer_{&front_, &sessions_};
  FrontPolicyHandler policies_{&front_, &ledger_, &front_announcer_, /*trusted_proxies=*/1, &clock_};
  AccessEntryHandler access_{&front_, &front_announcer_, &clock_};
  FrontKeyHandler keys_{&front_, &front_announcer_};
  ServiceModeHandler modes_{&front_, &front_announcer_};
  TurnQueue turns_{&clock_, 10, [] { return size_t{0}; }};
  FrontDoor door_{1 << 20, &turns_};
  absl::Duration door_age_ = absl::Seconds(2);
  std::function<void()> on_catch_up_ = [] {};
  ExplainAdmissionHandler explanations_{
      {.door = &door_, .age = [this] { return door_age_; }, .catch_up = [this](absl::Duration) { on_catch_up_(); }},
      [] { return std::string("node1"); },
      &clock_};
};

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

TEST_F(FrontDoorAdminTest, ALotteryShrinksOnlyInANewRound) {
  MustSet(PolicyRequest("tv", Policy()));
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", LotteryOf(100'000));
  const absl::Status refused = policies_.Set(request, kActor).status();
  EXPECT_EQ(ReasonOf(refused), "LOTTERY_CANNOT_SHRINK");
  EXPECT_EQ(MetadataOf(refused, "admitted_per_million"), "200000");
  const v1::LotteryRound grown = MustSet(PolicyRequest("tv", LotteryOf(250'000))).policy().round();
  EXPECT_EQ(grown.round(), 1);
  EXPECT_EQ(grown.admitted_per_million(), 250'000);
  request.set_new_lottery_round(true);
  const v1::LotteryRound next = MustSet(request).policy().round();
  EXPECT_EQ(next.round(), 2);
  EXPECT_EQ(next.admitted_per_million(), 100'000);
  EXPECT_NE(next.commitment(), grown.commitment());
}

TEST_F(FrontDoorAdminTest, OperatorsAreWarned) {
  v1::SetFrontPolicyRequest unknown = PolicyRequest("radio", Policy());
  EXPECT_THAT(MustSet(unknown).warnings(), ElementsAre(HasSubstr("no SKU radio")));
  EXPECT_THAT(MustSet(RemovalOf("radio")).warnings(), IsEmpty());

  MustSet(PolicyRequest("*", Policy()));
  EXPECT_THAT(MustSet(PolicyRequest("tv", Policy())).warnings(), ElementsAre(HasSubstr("replaces it wholly")));
  EXPECT_THAT(MustSet(PolicyRequest("tv", LotteryOf(300'000))).warnings(), IsEmpty()) << "that is so already";
  EXPECT_THAT(MustSet(RemovalOf("tv")).warnings(), ElementsAre(HasSubstr("without its own")));
  MustSet(RemovalOf("*"));

  v1::SetFrontPolicyRequest request = PolicyRequest("tv", WithToken(Policy()));
  request.mutable_policy()->mutable_limits(0)->set_key(v1::RateLimit::KEY_SKU);
  request.set_preview(true);
  EXPECT_THAT(MustSet(request).warnings(),
              ElementsAre(HasSubstr("token: claims without a token are refused from now on"),
                          HasSubstr("token: there is no limit by user")));
  request.set_preview(false);
  MustSet(request);
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(HasSubstr("token: there is no limit by user")))
      << "it is not new";
  request = PolicyRequest("tv", Policy());
  request.mutable_policy()->clear_lottery();
  request.set_new_lottery_round(true);
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(HasSubstr("new_lottery_round")));
}

TEST_F(FrontDoorAdminTest, ADrawIsOfOneSku) {
  v1::FrontPolicy policy = Policy();
  policy.clear_lottery();
  policy.mutable_draw();
  EXPECT_EQ(MetadataOf(policies_.Set(PolicyRequest("*", policy), kActor).status(), "field"), "policy.draw");
  EXPECT_THAT(Policies(), IsEmpty());
  EXPECT_THAT(MustSet(PolicyRequest("tv", policy)).warnings(), ElementsAre(HasSubstr("draw: claims of this SKU")));
  EXPECT_TRUE(Policies("tv")[0].policy().has_draw());
  EXPECT_THAT(MustSet(PolicyRequest("tv", policy)).warnings(), IsEmpty()) << "it is not new";
  door_.SetState(StateNow());
  EXPECT_EQ(CheckIn(MustExplain(Question("alice")), "draw").reason(), "DRAW_DECIDES");
}

TEST_F(FrontDoorAdminTest, ARoomIsOfOneSkuAndHasARound) {
  EXPECT_EQ(MetadataOf(policies_.Set(PolicyRequest("*", WithRoom()), kActor).status(), "field"), "policy.room");
  EXPECT_THAT(Policies(), IsEmpty());
  OpenIn(absl::Hours(1));
  const v1::SetFrontPolicyResponse set = MustSet(PolicyRequest("tv", WithRoom()));
  EXPECT_THAT(set.warnings(), ElementsAre(HasSubstr("token: claims without a token are refused from now on")));
  EXPECT_EQ(set.policy().policy().room().buyers_per_second(), 100);
  EXPECT_EQ(set.policy().round().round(), 1);
  EXPECT_THAT(set.policy().round().commitment(), SizeIs(32));
  EXPECT_EQ(set.policy().round().admitted_per_million(), storage::kEverybody);
  const v1::SetFrontPolicyResponse slower = MustSet(PolicyRequest("tv", WithRoom(7)));
  EXPECT_THAT(slower.warnings(), IsEmpty());
  EXPECT_EQ(slower.policy().round().round(), 1) << "places go on";
  EXPECT_EQ(slower.policy().round().commitment(), set.policy().round().commitment());
  door_.SetState(StateNow());
  EXPECT_EQ(CheckIn(MustExplain(Question("alice")), "room").verdict(), v1::AdmissionCheck::VERDICT_WAIT);
}

TEST_F(FrontDoorAdminTest, ANewRoundOfARoomEndsItsPlaces) {
  OpenIn(absl::Hours(1));
  MustSet(PolicyRequest("tv", WithRoom()));
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", WithRoom());
  request.set_new_lottery_round(true);
  const v1::SetFrontPolicyResponse set = MustSet(request);
  EXPECT_EQ(set.policy().round().round(), 2);
  EXPECT_THAT(set.warnings(), ElementsAre(HasSubstr("a new round ends all places")));
  clock_.AdvanceBy(absl::Hours(1));
  EXPECT_THAT(MustSet(request).warnings(),
              ElementsAre(HasSubstr("nobody is shuffled"), HasSubstr("a new round ends all places")));
}

TEST_F(FrontDoorAdminTest, ALotteryAfterARoomNeedsANewRoundOrAdmitsEverybody) {
  OpenIn(absl::Hours(1));
  MustSet(PolicyRequest("tv", WithRoom()));
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", WithToken(LotteryOf(100'000)));
  const absl::Status refused = policies_.Set(request, kActor).status();
  EXPECT_EQ(ReasonOf(refused), "LOTTERY_CANNOT_SHRINK");
  EXPECT_EQ(MetadataOf(refused, "admitted_per_million"), "1000000");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("has a waiting room"));
  request.set_new_lottery_round(true);
  const v1::SetFrontPolicyResponse drawn = MustSet(request);
  EXPECT_EQ(drawn.policy().round().round(), 2);
  EXPECT_EQ(drawn.policy().round().admitted_per_million(), 100'000);
  EXPECT_THAT(drawn.warnings(), ElementsAre(HasSubstr("nobody waits in a room from now on")));

  const v1::SetFrontPolicyResponse back = MustSet(PolicyRequest("tv", WithRoom()));
  EXPECT_EQ(back.policy().round().round(), 3);
  EXPECT_EQ(back.policy().round().admitted_per_million(), storage::kEverybody);
  EXPECT_THAT(back.warnings(), ElementsAre(HasSubstr("a new round begins with the room")));
  EXPECT_EQ(MustSet(PolicyRequest("tv", WithToken(LotteryOf(1'000'000)))).policy().round().round(), 3);
}

// Buyers know their ranks in the lottery's round.
TEST_F(FrontDoorAdminTest, ARoomThatComesBeginsARoundByItself) {
  OpenIn(absl::Hours(1));
  MustSet(PolicyRequest("tv", WithToken(LotteryOf(1'000'000))));
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", WithRoom());
  request.set_preview(true);
  const v1::SetFrontPolicyResponse preview = MustSet(request);
  EXPECT_EQ(preview.policy().round().round(), 2);
  EXPECT_THAT(preview.warnings(), ElementsAre(HasSubstr("a new round begins with the room")));
  request.set_preview(false);
  EXPECT_EQ(MustSet(request).policy().round().round(), 2);
  EXPECT_EQ(MustSet(request).policy().round().round(), 2) << "once, also if the call is repeated";
  const auto rounds = front_.ListLotteryRounds("tv");
  ASSERT_TRUE(rounds.ok() && rounds->size() == 2);
  EXPECT_TRUE(rounds->back().ended_at.has_value() || rounds->front().ended_at.has_value());
}

TEST_F(FrontDoorAdminTest, TheRoundOfARoomEndsWithIt) {
  OpenIn(absl::Hours(1));
  MustSet(PolicyRequest("tv", WithRoom()));
  EXPECT_THAT(MustSet(RemovalOf("tv")).warnings(), ElementsAre(HasSubstr("nobody waits in a room from now on")));
  const auto rounds = front_.ListLotteryRounds("tv");
  ASSERT_TRUE(rounds.ok() && rounds->size() == 1);
  EXPECT_TRUE(rounds->front().ended_at.has_value());
  EXPECT_EQ(MustSet(PolicyRequest("tv", WithRoom())).policy().round().round(), 2);
}

TEST_F(FrontDoorAdminTest, OperatorsAreWarnedOfARoomThatLetsNobodyIn) {
  EXPECT_THAT(MustSet(PolicyRequest("tv", WithRoom())).warnings(), Contains(HasSubstr("nobody is shuffled")))
      << "it is sold already";
  EXPECT_THAT(MustSet(PolicyRequest("tv", WithRoom(0))).warnings(), ElementsAre(HasSubstr("room: 0 buyers a second")));
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", WithRoom());
  v1::RateLimit& by_user = *request.mutable_policy()->mutable_limits(0);
  by_user.mutable_per()->set_seconds(101);
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(HasSubstr("user: one try every 21s is less than who waits")));
  by_user.mutable_per()->set_seconds(100);
  EXPECT_THAT(MustSet(request).warnings(),
              ElementsAre(HasSubstr("user: one try every 20s is less than who waits in the "
                                    "room needs near their turn")));
  by_user.mutable_per()->set_seconds(0);
  by_user.mutable_per()->set_nanos(100'000'000);
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(HasSubstr("user: this is far more than who waits")));
  by_user.set_tries(10);
  by_user.mutable_per()->set_nanos(0);
  by_user.mutable_per()->set_seconds(10);
  EXPECT_THAT(MustSet(request).warnings(), IsEmpty()) << "once a second";
  request.mutable_policy()->mutable_room()->mutable_poll_interval()->set_seconds(60);
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(HasSubstr("for 1m6s nobody new is let in")));
  EXPECT_THAT(MustSet(PolicyRequest("radio", WithRoom())).warnings(), Contains(HasSubstr("no SKU radio")));
}

TEST_F(FrontDoorAdminTest, SoManySkusMayHaveARoomAndNoMore) {
  StoreDocument("newer", R"({"room":{"of_tomorrow":1}})");
  for (int i = 0; i < kMostRooms; ++i) MustSet(PolicyRequest(absl::StrCat("sku", i), WithRoom()));
  v1::SetFrontPolicyRequest another = PolicyRequest("tv", WithRoom());
  for (const bool preview : {true, false}) {
    another.set_preview(preview);
    const absl::Status refused = policies_.Set(another, kActor).status();
    EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID");
    EXPECT_EQ(MetadataOf(refused, "field"), "policy.room");
  }
  MustSet(PolicyRequest("tv", Policy()));
  MustSet(PolicyRequest("sku0", WithRoom(7)));
  v1::FrontPolicy without = WithRoom();
  without.clear_room();
  MustSet(PolicyRequest("sku0", without));
  MustSet(another);
}

TEST_F(FrontDoorAdminTest, OperatorsAreWarnedWhenADrawIsTakenAway) {
  v1::FrontPolicy with = Policy();
  with.clear_lottery();
  v1::FrontPolicy without = with;
  with.mutable_draw();
  MustSet(PolicyRequest("tv", with));
  v1::SetFrontPolicyRequest removed = RemovalOf("tv");
  removed.set_preview(true);
  EXPECT_THAT(MustSet(removed).warnings(), ElementsAre(HasSubstr("draw: units of this SKU are sold to whoever")));
  EXPECT_THAT(MustSet(PolicyRequest("tv", without)).warnings(), ElementsAre(HasSubstr("draw: units of this SKU")));
  EXPECT_THAT(MustSet(PolicyRequest("tv", without)).warnings(), IsEmpty()) << "it is gone already";
}

TEST_F(FrontDoorAdminTest, OperatorsAreWarnedOfALimitThatAnHonestBuyerMeets) {
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", Policy());
  v1::RateLimit& limit = *request.mutable_policy()->mutable_limits(0);
  limit.mutable_per()->set_seconds(10);
  limit.clear_burst();
  EXPECT_THAT(MustSet(request).warnings(), IsEmpty()) << "five at once";
  limit.set_burst(2);
  EXPECT_THAT(MustSet(request).warnings(), IsEmpty());
  limit.set_burst(1);
  EXPECT_THAT(MustSet(request).warnings(),
              ElementsAre("user: one try every 2s, never two at once; burst=3 lets a buyer try three times in a row."));

  *request.mutable_policy() = WithToken(request.policy());
  MustSet(request);
  v1::RateLimit& with_token = *request.mutable_policy()->mutable_limits(0);
  with_token.set_burst(2);
  EXPECT_THAT(MustSet(request).warnings(),
              ElementsAre("user: one try every 2s, never more than 2 at once; burst=3 lets a buyer enter, claim, and "
                          "try once more at once."));
  with_token.set_burst(3);
  v1::RateLimit& by_token = *request.mutable_policy()->add_limits();
  by_token = with_token;
  by_token.set_key(v1::RateLimit::KEY_TOKEN);
  by_token.set_burst(2);
  EXPECT_THAT(MustSet(request).warnings(), IsEmpty()) << "entering takes no try from a token";
  by_token.set_burst(1);
  EXPECT_THAT(MustSet(request).warnings(), ElementsAre(HasSubstr("token: one try every 2s, never two at once")));
}

// Limits of many buyers are not for one of them.
TEST_F(FrontDoorAdminTest, OnlyLimitsByUserAndTokenAreWarnedOfForTheirBurst) {
  for (const v1::RateLimit::Key key : {v1::RateLimit::KEY_ADDRESS, v1::RateLimit::KEY_SKU}) {
    v1::SetFrontPolicyRequest request = PolicyRequest("tv", Policy());
    request.mutable_policy()->mutable_limits(0)->set_key(key);
    request.mutable_policy()->mutable_limits(0)->set_burst(1);
    EXPECT_THAT(MustSet(request).warnings(), IsEmpty()) << key;
  }
}

TEST_F(FrontDoorAdminTest, OperatorsAreWarnedOfALimitByAddressWhereAShopHasOne) {
  FrontPolicyHandler trusting_nobody(&front_, &ledger_, &front_announcer_, /*trusted_proxies=*/0);
  v1::SetFrontPolicyRequest request = PolicyRequest("tv", Policy());
  const auto unwarned = trusting_nobody.Set(request, kActor);
  ASSERT_TRUE(unwarned.ok()) << unwarned.status();
  EXPECT_THAT(unwarned->warnings(), IsEmpty());
  request.mutable_policy()->mutable_limits(0)->set_key(v1::RateLimit::KEY_ADDRESS);
  const auto warned = trusting_nobody.Set(request, kActor);
  ASSERT_TRUE(warned.ok()) << warned.status();
  EXPECT_THAT(warned->warnings(), ElementsAre(HasSubstr("address: a shop that calls for its buyers has one address")));
}

TEST_F(FrontDoorAdminTest, OperatorsAreWarnedOfRefusalsByAddressWhereAShopHasOne) {
  FrontPolicyHandler trusting_nobody(&front_, &ledger_, &front_announcer_, /*trusted_proxies=*/0);
  v1::FrontPolicy policy = Policy();
  policy.mutable_purchase_token();
  policy.mutable_risk()->add_tiers();
  v1::RiskPoints& points = *policy.mutable_risk()->add_points();
  points.set_points(20);
  points.set_without_scripts(true);
  const auto unwarned = trusting_nobody.Set(PolicyRequest("tv", policy), kActor);
  ASSERT_TRUE(unwarned.ok()) << unwarned.status();
  EXPECT_THAT(unwarned->warnings(), Not(Contains(HasSubstr("risk:"))));
  points.set_address_refusals(20);
  const auto warned = trusting_nobody.Set(PolicyRequest("tv", policy), kActor);
  ASSERT_TRUE(warned.ok()) << warned.status();
  EXPECT_THAT(warned->warnings(), Contains(HasSubstr("risk: a shop that calls for its buyers has one address")));
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

TEST_F(FrontDoorAdminTest, AServiceModeIsTheFirstThatIsExplained) {
  v1::SetServiceModeRequest request;
  request.set_mode(v1::SERVICE_MODE_READ_ONLY);
  ASSERT_TRUE(modes_.Set(request, kActor).ok());
  door_.SetState(StateNow());
  const v1::ExplainAdmissionResponse response = MustExplain(Question("alice"));
  ASSERT_EQ(response.checks_size(), kDoorChecks + 1);
  EXPECT_EQ(response.checks(0).check(), "service_mode");
  EXPECT_EQ(response.checks(0).verdict(), v1::AdmissionCheck::VERDICT_REFUSE);
  EXPECT_EQ(response.checks(0).reason(), "SERVICE_LIMITED");
}

TEST_F(FrontDoorAdminTest, AnExplanationKnowsWhatWasSetBefore) {
  MustSet(PolicyRequest("tv", Policy()));
  EXPECT_EQ(MustExplain(Question("alice")).policy_sku_id(), "") << "the door has not looked";
  on_catch_up_ = [this] { door_.SetState(StateNow()); };
  EXPECT_EQ(MustExplain(Question("alice")).policy_sku_id(), "tv");
}

TEST_F(FrontDoorAdminTest, AnOpenDoorHasNoPolicy) {
  door_.SetState(StateNow());
  const v1::ExplainAdmissionResponse response = MustExplain(Question("alice"));
  EXPECT_EQ(response.policy_sku_id(), "");
  EXPECT_EQ(response.node(), "node1");
  EXPECT_EQ(response.door_age().seconds(), 2);
  for (const v1::AdmissionCheck& check : response.checks()) {
    EXPECT_NE(check.verdict(), v1::AdmissionCheck::VERDICT_REFUSE) << check.DebugString();
    EXPECT_EQ(check.reason(), "");
  }
  door_age_ = absl::InfiniteDuration();
  EXPECT_FALSE(MustExplain(Question("alice")).has_door_age());
}

TEST_F(FrontDoorAdminTest, EachCheckIsExplained) {
  MustSet(PolicyRequest("*", LotteryOf(1'000'000)));
  v1::FrontPolicy policy = WithToken(LotteryOf(1'000'000));
  policy.mutable_limits(0)->mutable_per()->set_seconds(3600);
  const int64_t version = MustSet(PolicyRequest("tv", policy)).policy().version();
  MustAdd({User("mallory", v1::AccessEntry::VERDICT_DENY), Denied("203.0.113.0/24")});
  door_.SetState(StateNow());

  for (int i = 0; i < 20; ++i) {
    const v1::ExplainAdmissionResponse response = MustExplain(Question("alice"));
    EXPECT_EQ(response.policy_sku_id(), "tv");
    EXPECT_EQ(response.policy_version(), version);
    ASSERT_EQ(response.checks_size(), kDoorChecks);
    EXPECT_EQ(response.checks(0).check(), "access_list");
    EXPECT_EQ(CheckIn(response, "limit_user").verdict(), v1::AdmissionCheck::VERDICT_PASS) << "no try is counted";
    EXPECT_EQ(CheckIn(response, "limit_sku").verdict(), v1::AdmissionCheck::VERDICT_SKIP);
    EXPECT_EQ(CheckIn(response, "lottery").verdict(), v1::AdmissionCheck::VERDICT_PASS);
    EXPECT_EQ(CheckIn(response, "purchase_token").verdict(), v1::AdmissionCheck::VERDICT_REFUSE);
    EXPECT_EQ(CheckIn(response, "purchase_token").reason(), "PURCHASE_TOKEN_REQUIRED");
  }
  const v1::AdmissionCheck denied = CheckIn(MustExplain(Question("mallory")), "access_list");
  EXPECT_EQ(denied.verdict(), v1::AdmissionCheck::VERDICT_REFUSE);
  EXPECT_EQ(denied.reason(), "DENIED");
  v1::ExplainAdmissionRequest mapped = Question("alice");
  mapped.set_address("::ffff:203.0.113.9");
  EXPECT_EQ(CheckIn(MustExplain(mapped), "access_list").reason(), "DENIED");

  const FrontKeys keys(*front_.ListFrontKeys());
  v1::ExplainAdmissionRequest with_token = Question("alice");
  with_token.set_purchase_token(MakePurchaseToken(keys, "tv", "alice", absl::Minutes(1), clock_.Now()).text);
  EXPECT_EQ(CheckIn(MustExplain(with_token), "purchase_token").verdict(), v1::AdmissionCheck::VERDICT_PASS);
  with_token.set_user_id("bob");
  EXPECT_EQ(CheckIn(MustExplain(with_token), "purchase_token").reason(), "PURCHASE_TOKEN_INVALID");

  v1::ExplainAdmissionRequest other = Question("alice");
  other.set_sku_id("radio");
  EXPECT_EQ(MustExplain(other).policy_sku_id(), "*");
}

TEST_F(FrontDoorAdminTest, GarbageInAQuestionIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::ExplainAdmissionRequest&);
  };
  const Case cases[] = {
      {"SKU_ID_REQUIRED", "sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("*"); }},
      {"USER_ID_REQUIRED", "user_id", [](auto& r) { r.clear_user_id(); }},
      {"USER_ID_MALFORMED", "user_id", [](auto& r) { r.set_user_id("two\nlines"); }},
      {"FIELD_INVALID", "address", [](auto& r) { r.set_address("203.0.113.7:80"); }},
      {"FIELD_INVALID", "address", [](auto& r) { r.set_address("203.0.113.0/24"); }},
      {"FIELD_INVALID", "purchase_token",
       [](auto& r) { r.set_purchase_token(std::string(kMaxPurchaseTokenBytes + 1, 'x')); }},
      {"FIELD_INVALID", "hints.risk_score", [](auto& r) { r.mutable_hints()->set_risk_score(101); }},
  };
  for (const Case& bad : cases) {
    v1::ExplainAdmissionRequest request = Question("alice");
    bad.spoil(request);
    const absl::Status error = explanations_.Explain(request).status();
    EXPECT_EQ(ReasonOf(error), bad.reason);
    EXPECT_EQ(MetadataOf(error, "field"), bad.field);
  }
}

}  // namespace
}  // namespace tranche::server
