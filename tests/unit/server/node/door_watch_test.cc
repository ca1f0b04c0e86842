// How a node's front door follows the ledger.
#include "server/node/door_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/fake/fake_coordination.h"
#include "storage/fake/fake_front_ledger.h"
#include "tests/support/logged_lines.h"
#include "tests/support/sessions.h"
#include "tests/unit/server/door_fixture.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

using storage::AccessSubject;
using storage::FrontChanges;
using storage::FrontVersion;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOperator[] = "test";

// Another ledger's answers to a node, or none; it counts the node's questions.
class WatchedLedger : public storage::FrontLedger {
 public:
  explicit WatchedLedger(storage::FrontLedger* ledger) : ledger_(ledger) {}

  void Fail(bool fails) { fails_ = fails; }
  // The page after so many.
  void FailAfterPages(int pages) { pages_left_ = pages; }
  // Called when a look begins, on its thread.
  void OnLook(std::function<void()> look) { on_look_ = std::move(look); }
  // Called before this page, the first being 1.
  void BeforePage(int page, std::function<void()> what) {
    before_page_ = reads_ + page;
    before_ = std::move(what);
  }
  int reads() const { return reads_; }

  absl::StatusOr<FrontVersion> ReadFrontVersion() override {
    if (on_look_) on_look_();
    if (fails_) return absl::UnavailableError("down");
    return ledger_->ReadFrontVersion();
  }
  absl::StatusOr<FrontChanges> ReadFrontChanges(const FrontVersion& known,
                                                const std::optional<AccessSubject>& after) override {
    if (++reads_ == before_page_) before_();
    if (fails_ || (pages_left_.has_value() && (*pages_left_)-- <= 0)) return absl::UnavailableError("down");
    return ledger_->ReadFrontChanges(known, after);
  }

  absl::StatusOr<std::vector<storage::FrontPolicyRow>> ListFrontPolicies(const std::string&) override { return No(); }
  absl::StatusOr<storage::FrontPolicyRow> SetFrontPolicy(const storage::FrontPolicyChange&, bool,
                                                         const storage::Actor&) override {
    return No();
  }
  absl::StatusOr<std::vector<storage::LotteryRound>> ListLotteryRounds(const std::string&) override { return No(); }
  absl::StatusOr<std::vector<storage::FrontKey>> ListFrontKeys() override { return No(); }
  absl::StatusOr<std::vector<storage::FrontKey>> RotateFrontKeys(const storage::KeyRotation&, bool,
                                                                 const storage::Actor&) override {
    return No();
  }
  absl::StatusOr<storage::AccessCounts> AddAccessEntries(absl::Span<const storage::AccessEntry>, bool,
                                                         const storage::Actor&) override {
    return No();
  }
  absl::StatusOr<storage::AccessCounts> RemoveAccessEntries(absl::Span<const AccessSubject>, bool,
                                                            const storage::Actor&) override {
    return No();
  }
  absl::StatusOr<storage::AccessPage> ListAccessEntries(const storage::AccessFilter&,
                                                        const std::optional<AccessSubject>&, int) override {
    return No();
  }
  absl::StatusOr<storage::ServiceMode> ReadServiceMode() override { return No(); }
  absl::StatusOr<storage::ServiceModeChanged> SetServiceMode(const storage::ServiceModeChange&, bool,
                                                             const storage::Actor&) override {
    return No();
  }

 private:
  static absl::Status No() { return absl::UnimplementedError("a node asks no such thing"); }

  storage::FrontLedger* const ledger_;
  bool fails_ = false;
  std::optional<int> pages_left_;
  std::function<void()> on_look_, before_;
  int before_page_ = 0;
  int reads_ = 0;
};

class DoorWatchTest : public ::testing::Test {
 protected:
  // "" removes it.
  void SetDocument(const std::string& sku_id, const std::string& document) {
    storage::FrontPolicyChange change;
    change.sku_id = sku_id;
    change.document = document;
    const auto set = ledger_.SetFrontPolicy(change, /*preview=*/false, kOperator);
    ASSERT_TRUE(set.ok()) << set.status();
  }
  void SetPolicy(const std::string& sku_id, const v1::FrontPolicy& policy) { SetDocument(sku_id, ToDocument(policy)); }
  void Deny(int first, int count) {
    std::vector<storage::AccessEntry> entries;
    for (int i = first; i < first + count; ++i) entries.push_back(DenyUser(absl::StrCat("user-", i)));
    const auto added = ledger_.AddAccessEntries(entries, /*preview=*/false, kOperator);
    ASSERT_TRUE(added.ok()) << added.status();
  }
  AccessVerdict VerdictOn(const std::string& user_id) {
    return door_.door().state()->access->Find(user_id, "", clock_.Now());
  }
  void Begin() {
    const absl::Status begun = watch_.Begin();
    ASSERT_TRUE(begun.ok()) << begun;
  }
  // By user.
  void SetLimitOfThree() { SetPolicy("tv", LimitByUser(3, absl::Hours(1))); }
  void RegisterFourNodes() {
    sessions_.session = *connector_.Connect(&observer_);
    self_ = 1;
    for (const char* node : {"/nodes/1", "/nodes/2", "/nodes/3", "/nodes/4"}) {
      ASSERT_TRUE(sessions_.session->Create(node, "", quota::CreateMode::kEphemeral).ok());
    }
  }
  // Of 64 buyers who try three times at once, how many may: all at their home, two tries each elsewhere.
  int ServedThrice() {
    int served = 0;
    for (int i = 0; i < 64; ++i) {
      const std::string user = absl::StrCat("buyer-", ++buyers_);
      const auto enter = [&] {
        return door_.door().Enter({.sku_id = "tv", .user_id = user}, clock_.Now(), absl::InfiniteFuture());
      };
      (void)enter();
      (void)enter();
      served += enter().refused.has_value() ? 0 : 1;
    }
    return served;
  }
  size_t policies() { return door_.door().state()->policies.size(); }

  storage::FakeClock clock_;
  storage::FakeFrontLedger ledger_{&clock_};
  WatchedLedger watched_{&ledger_};
  DoorOfTest door_{&clock_};
  quota::FakeZookeeper zookeeper_;
  quota::FakeConnector connector_{&zookeeper_};
  tranche::testing::DeafObserver observer_;
  tranche::testing::FixedSession sessions_;
  storage::IncarnationId self_ = storage::kPool;
  int buyers_ = 0;
  DoorWatch watch_{&watched_, &door_.door(), &sessions_, [this] { return self_; }, &clock_};
};

TEST_F(DoorWatchTest, EverythingIsReadBeforeAnybodyIsAsked) {
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  for (int first : {0, 1000, 2000}) Deny(first, first == 2000 ? 500 : 1000);
  EXPECT_FALSE(door_.door().closed_to_some());
  Begin();
  EXPECT_TRUE(door_.door().closed_to_some());
  EXPECT_EQ(policies(), 1u);
  EXPECT_EQ(door_.door().state()->access->size(), 2500u) << "of all pages";
  EXPECT_EQ(VerdictOn("user-2499"), AccessVerdict::kDeny);
  EXPECT_NE(door_.door().state()->keys->current(), nullptr);
}

TEST_F(DoorWatchTest, WithoutTheLedgerNothingBegins) {
  watched_.Fail(true);
  EXPECT_TRUE(absl::IsUnavailable(watch_.Begin()));
}

TEST_F(DoorWatchTest, ChangesAreSeenAtTheNextLook) {
  Begin();
  EXPECT_FALSE(door_.door().closed_to_some());
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  SetPolicy("*", LimitByUser(1, absl::Seconds(1)));
  watch_.Look();
  EXPECT_EQ(policies(), 2u);
  SetDocument("tv", "");
  watch_.Look();
  EXPECT_EQ(policies(), 1u);
  EXPECT_EQ(door_.door().state()->policies.count("*"), 1u) << "the other one stays";
  SetDocument("*", "");
  watch_.Look();
  EXPECT_FALSE(door_.door().closed_to_some());
}

TEST_F(DoorWatchTest, TheServiceModeIsFollowedAndKeptAcrossOtherChanges) {
  using Kind = storage::ServiceMode::Kind;
  const auto set = [this](Kind kind) {
    ASSERT_TRUE(ledger_.SetServiceMode({.kind = kind, .reason = "why"}, /*preview=*/false, kOperator).ok());
  };
  set(Kind::kReadOnly);
  Begin();
  EXPECT_EQ(door_.door().state()->mode.kind, Kind::kReadOnly) << "a node that starts obeys";
  EXPECT_TRUE(door_.door().closed_to_some());
  Deny(0, 1000);
  Deny(1000, 1000);
  watch_.Look();
  EXPECT_EQ(door_.door().state()->mode.kind, Kind::kReadOnly);
  EXPECT_EQ(door_.door().state()->mode.reason, "why");
  set(Kind::kNormal);
  watched_.Fail(true);
  watch_.Look();
  EXPECT_EQ(door_.door().state()->mode.kind, Kind::kReadOnly) << "what was known holds";
  watched_.Fail(false);
  watch_.Look();
  EXPECT_EQ(door_.door().state()->mode.kind, Kind::kNormal);
}

TEST_F(DoorWatchTest, EntriesComeAndGo) {
  Deny(0, 3);
  Begin();
  Deny(3, 1);
  const std::vector<AccessSubject> removed = {{AccessSubject::Kind::kUser, "user-1"}};
  ASSERT_TRUE(ledger_.RemoveAccessEntries(removed, /*preview=*/false, kOperator).ok());
  watch_.Look();
  EXPECT_EQ(door_.door().state()->access->size(), 3u);
  EXPECT_EQ(VerdictOn("user-0"), AccessVerdict::kDeny) << "what did not change";
  EXPECT_EQ(VerdictOn("user-1"), AccessVerdict::kNone);
  EXPECT_EQ(VerdictOn("user-3"), AccessVerdict::kDeny);
}

TEST_F(DoorWatchTest, ALookThatFindsNoOtherVersionReadsNothingMore) {
  Begin();
  const int reads = watched_.reads();
  for (int i = 0; i < 3; ++i) watch_.Look();
  EXPECT_EQ(watched_.reads(), reads);
}

TEST_F(DoorWatchTest, WhileTheLedgerIsAwayTheLastStateHolds) {
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  Begin();
  watched_.Fail(true);
  clock_.AdvanceBy(absl::Seconds(90));
  watch_.Look();
  EXPECT_EQ(policies(), 1u);
  EXPECT_EQ(watch_.age(), absl::Seconds(90));
  EXPECT_EQ(watch_.failures(), 1u);
  watched_.Fail(false);
  watch_.Look();
  EXPECT_EQ(watch_.age(), absl::ZeroDuration());
  EXPECT_EQ(watch_.failures(), 1u);
}

TEST_F(DoorWatchTest, PagesThatAreNotAllReadChangeNothing) {
  Begin();
  Deny(0, 1000);
  Deny(1000, 1000);
  watched_.FailAfterPages(1);
  watch_.Look();
  EXPECT_EQ(door_.door().state()->access->size(), 0u) << "half a list would let in whom the other half denies";
  EXPECT_EQ(watch_.failures(), 1u);
  watched_.FailAfterPages(1000);
  watch_.Look();
  EXPECT_EQ(door_.door().state()->access->size(), 2000u);
}

TEST_F(DoorWatchTest, ALedgerThatWasRestoredIsReadAnew) {
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  const auto backup = ledger_.Save();
  Deny(0, 10);
  Begin();
  ledger_.Restore(*backup);
  // The same number of changes as the node knows, and another one.
  SetPolicy("lamp", LimitByUser(1, absl::Seconds(1)));
  watch_.Look();
  EXPECT_EQ(policies(), 2u);
  EXPECT_EQ(door_.door().state()->access->size(), 0u) << "entries that the ledger does not have any more";
}

TEST_F(DoorWatchTest, APolicyThatCannotBeReadIsKnownToBeThere) {
  SetDocument("tv", R"({"aNewerPart": {}})");
  Begin();
  EXPECT_TRUE(door_.door().closed_to_some());
  ASSERT_EQ(policies(), 1u);
  EXPECT_NE(door_.door().state()->PolicyOf("tv")->unreadable, "");
}

TEST_F(DoorWatchTest, EntriesThatCannotBeReadAreNamedInTheLog) {
  const tranche::testing::LoggedLines logged;
  Begin();
  watch_.Look();
  EXPECT_THAT(logged.lines(), Not(Contains(HasSubstr("access list"))));
  const std::vector<storage::AccessEntry> odd = {DenyAddress("some\nwhere"), DenyUser("mallory")};
  ASSERT_TRUE(ledger_.AddAccessEntries(odd, /*preview=*/false, kOperator).ok());
  for (int i = 0; i < 3; ++i) watch_.Look();
  EXPECT_EQ(door_.door().state()->access->unreadable(), 1u);
  const auto names_it = HasSubstr("for nobody here: 1, such as 'some\\nwhere'");
  EXPECT_EQ(std::count_if(logged.lines().begin(), logged.lines().end(),
                          [&](const std::string& line) { return ::testing::Value(line, names_it); }),
            1)
      << "at most once a minute";
}

TEST_F(DoorWatchTest, AnotherVersionThatIsAnnouncedIsAReasonToLook) {
  Begin();
  EXPECT_FALSE(watch_.look_wanted());
  watch_.NoteAnnounced(7);
  EXPECT_TRUE(watch_.look_wanted());
  watch_.Look();
  EXPECT_FALSE(watch_.look_wanted());
  watch_.NoteAnnounced(7);
  EXPECT_FALSE(watch_.look_wanted()) << "the agent tells it again and again";
  watch_.NoteAnnounced(6);
  EXPECT_TRUE(watch_.look_wanted()) << "as after a restore";
}

TEST_F(DoorWatchTest, ItsThreadLooksWhenSomethingIsAnnounced) {
  Begin();
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  absl::Notification looked;
  watched_.OnLook([&] {
    if (!looked.HasBeenNotified()) looked.Notify();
  });
  watch_.StartThread();
  watch_.NoteAnnounced(1);
  // Sooner than it would look by itself.
  EXPECT_TRUE(
      looked.WaitForNotificationWithTimeout(DoorWatch::kLookEvery * DoorWatch::kLeastPause - absl::Milliseconds(500)));
  watch_.StopThread();
  EXPECT_TRUE(door_.door().closed_to_some()) << "the look that had begun was finished";
}

TEST_F(DoorWatchTest, WhatWasSetIsKnownAfterAnAwaitedLook) {
  Begin();
  watch_.StartThread();
  for (int sold = 1; sold <= 3; ++sold) {
    SetPolicy(absl::StrCat("sku-", sold), LimitByUser(5, absl::Seconds(1)));
    clock_.AdvanceBy(DoorWatch::kRestAfterChange);
    watch_.AwaitLook(absl::Seconds(60));
    EXPECT_EQ(door_.door().state()->policies.size(), static_cast<size_t>(sold));
  }
}

TEST_F(DoorWatchTest, NobodyAwaitsALookForLong) {
  Begin();
  const absl::Time start = absl::Now();
  watch_.AwaitLook(absl::Milliseconds(20));  // nobody looks
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(20));
  watch_.StopThread();
  watch_.AwaitLook(absl::InfiniteDuration());
}

TEST_F(DoorWatchTest, AfterALookThatFoundAChangeItRests) {
  Begin();
  watch_.Look();
  EXPECT_EQ(watch_.rest(), absl::ZeroDuration()) << "it found nothing";
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  watch_.Look();
  EXPECT_EQ(watch_.rest(), DoorWatch::kRestAfterChange);
  clock_.AdvanceBy(DoorWatch::kRestAfterChange - absl::Milliseconds(1));
  EXPECT_EQ(watch_.rest(), absl::Milliseconds(1));
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(watch_.rest(), absl::ZeroDuration());
  SetPolicy("tv", LimitByUser(6, absl::Seconds(1)));
  watched_.Fail(true);
  watch_.Look();
  EXPECT_EQ(watch_.rest(), absl::ZeroDuration()) << "it has read nothing";
}

// As while a list is imported: each change is announced.
TEST_F(DoorWatchTest, ItsThreadDoesNotLookForEachOfManyChanges) {
  Begin();
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  std::vector<absl::Time> looks;
  absl::Notification twice;
  watched_.OnLook([&] {
    looks.push_back(absl::Now());
    if (looks.size() == 1) watch_.NoteAnnounced(2);
    if (looks.size() == 2) twice.Notify();
  });
  watch_.NoteAnnounced(1);
  const absl::Time began_at = absl::Now();
  watch_.StartThread();
  ASSERT_TRUE(twice.WaitForNotificationWithTimeout(absl::Seconds(60)));
  watch_.StopThread();
  EXPECT_LT(looks[0] - began_at, DoorWatch::kLookEvery * DoorWatch::kLeastPause) << "the first one at once";
  EXPECT_GE(looks[1] - looks[0], DoorWatch::kRestAfterChange - absl::Milliseconds(10));
}

// The ledger tells everything instead of so many changes, from the second page on.
TEST_F(DoorWatchTest, PagesThatDoNotBelongTogetherAreReadAnew) {
  SetPolicy("tv", LimitByUser(5, absl::Seconds(1)));
  Begin();
  SetDocument("tv", "");
  Deny(0, 1000);
  Deny(1000, 1000);
  watched_.BeforePage(2, [this] {
    ledger_.CountChanges(1'001);
    SetPolicy("lamp", LimitByUser(1, absl::Seconds(1)));
  });
  watch_.Look();
  EXPECT_EQ(watch_.failures(), 0u);
  EXPECT_EQ(door_.door().state()->access->size(), 2000u);
  EXPECT_EQ(door_.door().state()->policies.count("lamp"), 1u);
  EXPECT_EQ(door_.door().state()->policies.count("tv"), 0u);
}

TEST_F(DoorWatchTest, LimitsAreSharedWithTheNodesThatLive) {
  SetLimitOfThree();
  Begin();
  watch_.Look();
  EXPECT_EQ(ServedThrice(), 64) << "as long as it knows no others";
  RegisterFourNodes();
  watch_.Look();
  const int at_home = ServedThrice();
  EXPECT_GT(at_home, 0);
  EXPECT_LT(at_home, 64);
  zookeeper_.SetDown(true);
  watch_.Look();
  EXPECT_LT(ServedThrice(), 64) << "while ZooKeeper is away, the last list holds";
  zookeeper_.SetDown(false);
  for (const char* node : {"/nodes/2", "/nodes/3", "/nodes/4"}) {
    ASSERT_TRUE(sessions_.session->Delete(node, quota::kAnyVersion).ok());
  }
  watch_.Look();
  EXPECT_EQ(ServedThrice(), 64) << "it is alone again";
}

TEST_F(DoorWatchTest, NodesThatAreDrainedKeepNoKeys) {
  SetLimitOfThree();
  Begin();
  RegisterFourNodes();
  for (const storage::IncarnationId node : {2, 3, 4}) {
    ASSERT_TRUE(sessions_.session->Create(quota::DrainPath(node), "", quota::CreateMode::kPersistent).ok());
  }
  watch_.Look();
  EXPECT_EQ(ServedThrice(), 64) << "nobody else lets anybody in";
  for (const storage::IncarnationId node : {2, 3}) {
    ASSERT_TRUE(sessions_.session->Delete(quota::DrainPath(node), quota::kAnyVersion).ok());
  }
  watch_.Look();
  EXPECT_LT(ServedThrice(), 64);
}

TEST_F(DoorWatchTest, ConsumersOfQueuesKeepNoKeys) {
  SetLimitOfThree();
  Begin();
  RegisterFourNodes();
  internal::v1::NodeRegistration registration;
  registration.set_consumer(true);
  for (const storage::IncarnationId node : {2, 3, 4}) {
    ASSERT_TRUE(
        sessions_.session->Set(quota::NodePath(node), registration.SerializeAsString(), quota::kAnyVersion).ok());
  }
  watch_.Look();
  EXPECT_EQ(ServedThrice(), 64) << "they let nobody in";
  for (const storage::IncarnationId node : {5, 6}) {
    ASSERT_TRUE(sessions_.session->Create(quota::NodePath(node), "", quota::CreateMode::kEphemeral).ok());
  }
  watch_.Look();
  EXPECT_LT(ServedThrice(), 64) << "those do";
}

TEST_F(DoorWatchTest, TheNodesAreFoundWithoutALook) {
  SetLimitOfThree();
  Begin();
  RegisterFourNodes();
  watch_.FindHomes();
  EXPECT_LT(ServedThrice(), 64);
}

TEST_F(DoorWatchTest, TheNodesAreKnownBeforeThereIsAPolicy) {
  Begin();
  RegisterFourNodes();
  for (int i = 0; i < DoorWatch::kLooksForHomes; ++i) watch_.Look();
  zookeeper_.SetDown(true);
  SetLimitOfThree();
  watch_.Look();
  EXPECT_LT(ServedThrice(), 64);
}

// Notes whether the door had a policy when the nodes were asked for.
class AskedSessions : public quota::SessionSource {
 public:
  explicit AskedSessions(const FrontDoor* door) : door_(door) {}
  std::shared_ptr<quota::Coordination> Session() override {
    had_policy.push_back(!door_->state()->policies.empty());
    return nullptr;
  }

  std::vector<bool> had_policy;

 private:
  const FrontDoor* const door_;
};

TEST_F(DoorWatchTest, TheFirstPolicyCountsOnceTheNodesAreFound) {
  AskedSessions asked(&door_.door());
  DoorWatch watch(
      &watched_, &door_.door(), &asked, [] { return storage::IncarnationId{1}; }, &clock_);
  ASSERT_TRUE(watch.Begin().ok());
  watch.Look();
  asked.had_policy.clear();
  SetLimitOfThree();
  watch.Look();
  EXPECT_EQ(asked.had_policy, (std::vector<bool>{false, true})) << "just before the policy, and as at each look";
}

}  // namespace
}  // namespace tranche::server
