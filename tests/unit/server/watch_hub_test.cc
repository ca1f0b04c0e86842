#include "server/handlers/watch_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/handlers/group_reads.h"
#include "tests/unit/server/error_matchers.h"
#include "tests/unit/server/group_fixture.h"

namespace tranche::server {
namespace {

using storage::Reservation;
using storage::ReservationState;
using storage::Uuid;

Uuid WatchedId(int number) {
  Uuid id;
  id.bytes[14] = static_cast<uint8_t>(number >> 8);
  id.bytes[15] = static_cast<uint8_t>(number);
  return id;
}

// What one watcher was told.
class Ear : public ReservationWatcher {
 public:
  void OnChange(const Reservation& reservation) override {
    EXPECT_FALSE(end.has_value()) << "told after its end";
    revisions.push_back(reservation.revision);
    last = reservation;
  }
  void OnMissing() override {
    EXPECT_FALSE(end.has_value()) << "told after its end";
    ++missing;
  }
  void OnEnd(const absl::Status& status) override {
    EXPECT_FALSE(end.has_value()) << "ended twice";
    end = status;
    ended.Notify();
  }
  void OnRecheck() override { ++rechecked; }
  std::vector<int32_t> revisions;
  int missing = 0;  // how often it was told so
  int rechecked = 0;
  std::optional<Reservation> last;
  std::optional<absl::Status> end;
  absl::Notification ended;
};

// A hub without a thread over a ledger of a few lines.
class WatchHubTest : public ::testing::Test {
 protected:
  void Put(int number, int32_t revision, ReservationState state = ReservationState::kPending) {
    Reservation reservation;
    reservation.reservation_id = WatchedId(number);
    reservation.revision = revision;
    reservation.state = state;
    absl::MutexLock lock(&mutex_);
    rows_[WatchedId(number)] = reservation;
  }

  storage::PartialRead Read(absl::Span<const Uuid> ids) {
    during_read_();
    absl::MutexLock lock(&mutex_);
    reads_.push_back(ids.size());
    if (!error_.ok()) return {{}, error_, /*none_answered=*/true};
    storage::PartialRead read;
    for (const Uuid& id : ids) {
      if (id == at_silent_shard_) {
        read.rest = absl::UnavailableError("a shard does not answer");
      } else if (const auto row = rows_.find(id); row != rows_.end()) {
        read.found.push_back(row->second);
      }
    }
    return read;
  }

  std::shared_ptr<Ear> Watch(int number, const std::string& caller = "a", IfMissing if_missing = IfMissing::kEnd) {
    auto ear = std::make_shared<Ear>();
    EXPECT_TRUE(hub_.Add(WatchedId(number), ear, caller, if_missing).ok());
    return ear;
  }

  absl::Mutex mutex_;
  std::map<Uuid, Reservation> rows_;
  absl::Status error_;
  std::optional<Uuid> at_silent_shard_;
  std::vector<size_t> reads_;
  std::function<void()> during_read_ = [] {};
  storage::FakeClock clock_;
  WatchHub hub_{[this](absl::Span<const Uuid> ids) { return Read(ids); }, &clock_,
                WatchHubOptions{.max_watches = 3000, .poll_interval = absl::ZeroDuration()}};
};

TEST_F(WatchHubTest, TellsTheStateAndThenEveryChangeOnce) {
  Put(1, 1);
  const auto ear = Watch(1);
  hub_.Poll();
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1}));
  Put(1, 2);
  hub_.Poll();
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1, 2}));
  EXPECT_FALSE(ear->end.has_value());
}

// An idle stream would be ended by proxies.
TEST_F(WatchHubTest, SaysTheStateAgainWhenNothingHasChangedForLong) {
  Put(1, 1);
  const auto ear = Watch(1);
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(19));
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1}));
  clock_.AdvanceBy(absl::Seconds(1));
  hub_.Poll();
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1, 1}));
  clock_.AdvanceBy(absl::Seconds(10));
  Put(1, 2);
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(19));
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1, 1, 2})) << "a change breaks the silence, too";
  clock_.AdvanceBy(absl::Seconds(1));
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1, 1, 2, 2}));
}

// Whoever stops it destroys the ledger next.
TEST_F(WatchHubTest, ARecheckReachesEveryWatcherOnce) {
  Put(1, 1);
  const auto told = Watch(1);
  hub_.Poll();
  const auto fresh = Watch(1);
  const auto other = Watch(2);
  hub_.Recheck();
  for (const auto& ear : {told, fresh, other}) EXPECT_EQ(ear->rechecked, 1);
  hub_.Remove(WatchedId(1), told.get());
  hub_.Recheck();
  EXPECT_EQ(told->rechecked, 1);
  EXPECT_EQ(fresh->rechecked, 2);
}

TEST_F(WatchHubTest, AfterStopNothingMoreIsRead) {
  for (int number = 0; number < 2 * static_cast<int>(storage::kMaxBatch); ++number) Watch(number);
  during_read_ = [this] { hub_.Stop(); };
  hub_.Poll();
  EXPECT_EQ(reads_.size(), 1u) << "the batch that it was at";
  hub_.Poll();
  EXPECT_EQ(reads_.size(), 1u);
}

TEST_F(WatchHubTest, EndsAfterAFinalState) {
  Put(1, 1);
  const auto ear = Watch(1);
  hub_.Poll();
  Put(1, 3, ReservationState::kExpired);
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(ear->last->state, ReservationState::kExpired);
  ASSERT_TRUE(ear->end.has_value());
  EXPECT_TRUE(ear->end->ok());
  EXPECT_EQ(hub_.watches(), 0u);

  const auto late = Watch(1);
  hub_.Poll();
  EXPECT_EQ(late->revisions, (std::vector<int32_t>{3})) << "what is final already is told, too";
  EXPECT_TRUE(late->end.has_value());
}

TEST_F(WatchHubTest, WhatDoesNotExistEndsTheWatch) {
  const auto ear = Watch(7);
  hub_.Poll();
  ASSERT_TRUE(ear->end.has_value());
  EXPECT_EQ(ReasonOf(*ear->end), "RESERVATION_NOT_FOUND");
  EXPECT_TRUE(ear->revisions.empty());
}

TEST_F(WatchHubTest, WhoWaitsForAReservationIsToldThatItIsMissingAndEndsWhenItComes) {
  const auto ear = Watch(7, "a", IfMissing::kWait);
  const auto other = Watch(7);
  hub_.Poll();
  hub_.Poll();
  EXPECT_EQ(ear->missing, 1);
  EXPECT_TRUE(other->end.has_value());
  clock_.AdvanceBy(absl::Seconds(60));
  hub_.Poll();
  EXPECT_EQ(ear->missing, 2) << "its stream must not be idle";
  EXPECT_FALSE(ear->end.has_value()) << "however long it takes";
  Put(7, 1);
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1}));
  ASSERT_TRUE(ear->end.has_value());
  EXPECT_TRUE(ear->end->ok());
  EXPECT_EQ(ear->missing, 2);
  EXPECT_EQ(hub_.watches(), 0u);
}

TEST_F(WatchHubTest, WhoWaitsForAReservationBearsASilentLedgerOnceItHasAnswered) {
  const auto seen = Watch(7, "a", IfMissing::kWait);
  hub_.Poll();
  error_ = absl::UnavailableError("down");
  const auto unseen = Watch(8, "a", IfMissing::kWait);
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(20));
  hub_.Poll();
  EXPECT_EQ(seen->missing, 2);
  EXPECT_FALSE(seen->end.has_value());
  ASSERT_TRUE(unseen->end.has_value());
  EXPECT_EQ(ReasonOf(*unseen->end), "LEDGER_UNAVAILABLE");
}

TEST_F(WatchHubTest, WhatWasSeenOnceMayVanishForAMoment) {
  Put(1, 1);
  const auto ear = Watch(1);
  hub_.Poll();
  rows_.clear();  // on its way to another shard
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(29));
  hub_.Poll();
  EXPECT_FALSE(ear->end.has_value());
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1, 1})) << "its stream must not be idle meanwhile";
  Put(1, 2);
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1, 1, 2}));
  rows_.clear();
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(29));
  hub_.Poll();
  EXPECT_FALSE(ear->end.has_value()) << "missing for half a minute only if both times are added up";
  EXPECT_EQ(ear->last->revision, 2);
}

// A restored ledger does not know it any more.
TEST_F(WatchHubTest, WhatStaysMissingEndsItsWatches) {
  Put(1, 1);
  Put(2, 1);
  const auto ear = Watch(1), second = Watch(1), other = Watch(2);
  hub_.Poll();
  rows_.erase(WatchedId(1));
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(30));
  hub_.Poll();
  for (const auto& lost : {ear, second}) {
    ASSERT_TRUE(lost->end.has_value());
    EXPECT_EQ(ReasonOf(*lost->end), "RESERVATION_NOT_FOUND");
  }
  EXPECT_FALSE(other->end.has_value());
  EXPECT_EQ(hub_.watches(), 1u);
}

TEST_F(WatchHubTest, AClockThatWasSetBackOnlyProlongsTheWaitForWhatIsMissing) {
  Put(1, 1);
  const auto ear = Watch(1);
  hub_.Poll();
  rows_.clear();
  hub_.Poll();
  clock_.AdvanceBy(-absl::Hours(1));
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(29));
  hub_.Poll();
  EXPECT_FALSE(ear->end.has_value());
  clock_.AdvanceBy(absl::Seconds(1));
  hub_.Poll();
  EXPECT_TRUE(ear->end.has_value());
}

// A restored ledger has lost extensions, and uses their revisions again.
TEST_F(WatchHubTest, AFinalStateIsToldAlsoWithARevisionThatWasToldBefore) {
  Put(1, 3);
  const auto falling = Watch(1);
  Put(2, 2);
  const auto same = Watch(2);
  hub_.Poll();
  Put(1, 2, ReservationState::kConfirmed);
  Put(2, 2, ReservationState::kExpired);
  hub_.Poll();
  EXPECT_EQ(falling->revisions, (std::vector<int32_t>{3, 2}));
  EXPECT_EQ(falling->last->state, ReservationState::kConfirmed);
  EXPECT_EQ(same->revisions, (std::vector<int32_t>{2, 2}));
  EXPECT_EQ(same->last->state, ReservationState::kExpired);
  EXPECT_TRUE(same->end.has_value());
}

TEST_F(WatchHubTest, AnOutageOfTheLedgerIsWaitedOut) {
  Put(1, 1);
  const auto ear = Watch(1);
  error_ = absl::UnavailableError("down");
  hub_.Poll();
  hub_.Poll();
  EXPECT_FALSE(ear->end.has_value());
  error_ = absl::OkStatus();
  hub_.Poll();
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1}));
}

// Otherwise proxies would end the streams of a whole outage, one after another.
TEST_F(WatchHubTest, WhatWasSeenLastIsRepeatedDuringAnOutageOfTheLedger) {
  for (int number = 0; number < 2000; ++number) Put(number, 1);
  const auto first = Watch(0), last = Watch(1999);
  for (int number = 1; number < 1999; ++number) Watch(number);
  hub_.Poll();
  error_ = absl::UnavailableError("down");
  const auto untold = Watch(2000);
  clock_.AdvanceBy(absl::Seconds(19));
  hub_.Poll();
  EXPECT_EQ(first->revisions, (std::vector<int32_t>{1}));
  clock_.AdvanceBy(absl::Seconds(1));
  hub_.Poll();
  hub_.Poll();
  EXPECT_EQ(first->revisions, (std::vector<int32_t>{1, 1}));
  EXPECT_EQ(last->revisions, (std::vector<int32_t>{1, 1})) << "also those after the batch that failed";
  EXPECT_THAT(untold->revisions, ::testing::IsEmpty()) << "nothing is known of it";
}

TEST_F(WatchHubTest, AWatchThatTheLedgerNeverAnsweredEnds) {
  Put(1, 1);
  error_ = absl::UnavailableError("down");
  const auto ear = Watch(1);
  hub_.Poll();
  clock_.AdvanceBy(absl::Seconds(4));
  hub_.Poll();
  EXPECT_FALSE(ear->end.has_value());
  clock_.AdvanceBy(absl::Seconds(1));
  hub_.Poll();
  ASSERT_TRUE(ear->end.has_value());
  EXPECT_EQ(ReasonOf(*ear->end), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(hub_.watches(), 0U);
}

TEST_F(WatchHubTest, AShardThatIsSilentDelaysTheNewsOfNoOther) {
  for (int number = 0; number < 2000; ++number) Put(number, 1);
  const auto seen = Watch(0), first = Watch(1), last = Watch(1999);
  for (int number = 2; number < 1999; ++number) Watch(number);
  hub_.Poll();
  const auto unseen = Watch(2000);
  rows_.erase(WatchedId(0));
  at_silent_shard_ = WatchedId(0);
  Put(1, 2);
  Put(1999, 2);
  Put(2000, 1);
  hub_.Poll();
  EXPECT_EQ(first->revisions, (std::vector<int32_t>{1, 2})) << "in the same batch";
  EXPECT_EQ(last->revisions, (std::vector<int32_t>{1, 2})) << "in a later batch";
  EXPECT_EQ(unseen->revisions, (std::vector<int32_t>{1}));
  clock_.AdvanceBy(absl::Minutes(1));
  hub_.Poll();
  EXPECT_EQ(seen->revisions, (std::vector<int32_t>{1, 1})) << "it may still be there";
  EXPECT_FALSE(seen->end.has_value());
}

TEST_F(WatchHubTest, ManyWatchersOfOneReservationAreOneRead) {
  Put(1, 1);
  std::vector<std::shared_ptr<Ear>> ears;
  for (int i = 0; i < 50; ++i) ears.push_back(Watch(1));
  hub_.Poll();
  EXPECT_EQ(reads_, (std::vector<size_t>{1}));
  for (const auto& ear : ears) EXPECT_EQ(ear->revisions.size(), 1u);
}

TEST_F(WatchHubTest, ReadsInBatches) {
  std::vector<std::shared_ptr<Ear>> ears;
  for (int i = 0; i < 2500; ++i) {
    Put(i, 1);
    ears.push_back(Watch(i));
  }
  hub_.Poll();
  EXPECT_EQ(reads_, (std::vector<size_t>{1024, 1024, 452}));
  for (const auto& ear : ears) EXPECT_EQ(ear->revisions.size(), 1u);
}

TEST_F(WatchHubTest, ALookThatTakesTooLongGoesOnTheNextTime) {
  WatchHub hub([this](absl::Span<const Uuid> ids) { return Read(ids); }, &clock_,
               WatchHubOptions{.max_read = 2, .look_for = absl::Seconds(1), .poll_interval = absl::ZeroDuration()});
  std::vector<std::shared_ptr<Ear>> ears;
  for (int i = 1; i <= 6; ++i) {
    Put(i, 1);
    ears.push_back(std::make_shared<Ear>());
    ASSERT_TRUE(hub.Add(WatchedId(i), ears.back(), "a").ok());
  }
  const auto told = [&ears] {
    std::string numbers;
    for (size_t i = 0; i < ears.size(); ++i) numbers += ears[i]->revisions.empty() ? "" : std::to_string(i + 1);
    return numbers;
  };
  during_read_ = [this] { clock_.AdvanceBy(absl::Milliseconds(500)); };
  hub.Poll();
  EXPECT_EQ(reads_, (std::vector<size_t>{2, 2}));
  EXPECT_EQ(told(), "1234");
  Put(1, 2);
  hub.Poll();
  EXPECT_EQ(told(), "123456");
  EXPECT_EQ(ears[0]->revisions, (std::vector<int32_t>{1, 2})) << "and then from the start";
  EXPECT_EQ(reads_, (std::vector<size_t>{2, 2, 2, 2}));
  during_read_ = [] {};
  hub.Poll();
  EXPECT_EQ(reads_.size(), 7u) << "all of them, when it goes fast";
}

// The read itself may end early.
TEST_F(WatchHubTest, WhatAReadHasNotAskedForIsAskedForNext) {
  std::vector<size_t> asked;
  WatchHub hub(
      [&](absl::Span<const Uuid> ids) {
        asked.push_back(ids.size());
        storage::PartialRead read = Read(ids.subspan(0, 1));
        read.left = ids.size() - 1;
        return read;
      },
      &clock_, WatchHubOptions{.poll_interval = absl::ZeroDuration()});
  std::vector<std::shared_ptr<Ear>> ears;
  for (int i = 1; i <= 3; ++i) {
    Put(i, 1);
    ears.push_back(std::make_shared<Ear>());
    ASSERT_TRUE(hub.Add(WatchedId(i), ears.back(), "a").ok());
  }
  hub.Poll();
  EXPECT_EQ(asked, (std::vector<size_t>{3, 2, 1}));
  for (const auto& ear : ears) EXPECT_EQ(ear->revisions, (std::vector<int32_t>{1}));
}

TEST_F(WatchHubTest, WatchesAreBounded) {
  for (int i = 0; i < 3000; ++i) Watch(i);
  const absl::Status refused = hub_.Add(WatchedId(1), std::make_shared<Ear>(), "a");
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY_WATCHES");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(WatchHubTest, OneCallerCannotTakeThemAll) {
  WatchHub hub([this](absl::Span<const Uuid> ids) { return Read(ids); }, &clock_,
               {.max_watches = 10, .max_watches_per_caller = 4, .poll_interval = absl::ZeroDuration()});
  Put(1, 1);
  const auto ear = std::make_shared<Ear>();
  ASSERT_TRUE(hub.Add(WatchedId(1), ear, "greedy").ok());
  for (int number = 2; number <= 4; ++number) {
    Put(number, 1);
    ASSERT_TRUE(hub.Add(WatchedId(number), std::make_shared<Ear>(), "greedy").ok());
  }
  const auto refused = [&](const std::string& caller) {
    return ReasonOf(hub.Add(WatchedId(9), std::make_shared<Ear>(), caller));
  };
  EXPECT_EQ(refused("greedy"), "TOO_MANY_WATCHES");
  EXPECT_TRUE(hub.Add(WatchedId(1), std::make_shared<Ear>(), "modest").ok());
  hub.Remove(WatchedId(1), ear.get());
  Put(2, 2, ReservationState::kExpired);
  hub.Poll();  // ends the second one
  Put(5, 1);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(hub.Add(WatchedId(5), std::make_shared<Ear>(), "greedy").ok()) << i;
  EXPECT_EQ(refused("greedy"), "TOO_MANY_WATCHES") << "two have ended, two have begun";
  EXPECT_EQ(hub.watches(), 5u);
}

TEST_F(WatchHubTest, WhoIsRemovedHearsNoMoreAndMakesRoom) {
  Put(1, 1);
  const auto ear = Watch(1);
  const auto other = Watch(1);
  hub_.Remove(WatchedId(1), ear.get());
  hub_.Remove(WatchedId(1), ear.get());
  EXPECT_EQ(hub_.watches(), 1u);
  hub_.Poll();
  EXPECT_TRUE(ear->revisions.empty());
  EXPECT_EQ(other->revisions.size(), 1u);
  EXPECT_EQ(ear.use_count(), 1) << "the hub keeps nothing of it";
}

TEST_F(WatchHubTest, DrainingEndsEveryWatchAndEveryLaterOne) {
  Put(1, 1);
  const auto ear = Watch(1);
  hub_.SetAccepting(false);
  ASSERT_TRUE(ear->end.has_value());
  EXPECT_EQ(ReasonOf(*ear->end), "DRAINING");
  EXPECT_EQ(ReasonOf(hub_.Add(WatchedId(1), std::make_shared<Ear>(), "a")), "DRAINING");
  hub_.SetAccepting(true);
  Watch(1);
  EXPECT_EQ(hub_.watches(), 1u);
}

// The read began before the reservation existed: its answer says nothing about it.
TEST_F(WatchHubTest, WhoComesDuringAReadIsToldByTheNextOne) {
  Put(1, 1);
  const auto first = Watch(1);
  std::shared_ptr<Ear> second;
  during_read_ = [&] {
    if (second == nullptr) second = Watch(1);
    rows_.clear();
  };
  hub_.Poll();
  during_read_ = [] {};
  EXPECT_TRUE(first->end.has_value());
  EXPECT_FALSE(second->end.has_value());
  Put(1, 1);
  hub_.Poll();
  EXPECT_EQ(second->revisions, (std::vector<int32_t>{1}));
}

// With its thread, and an interval that does not pass within the test.
TEST_F(WatchHubTest, ANewWatchIsLookedAtAtOnce) {
  Put(1, 2, ReservationState::kConfirmed);
  WatchHub hub([this](absl::Span<const Uuid> ids) { return Read(ids); }, &clock_,
               WatchHubOptions{.max_watches = 10, .poll_interval = absl::Hours(1)});
  auto ear = std::make_shared<Ear>();
  ASSERT_TRUE(hub.Add(WatchedId(1), ear, "a").ok());
  ASSERT_TRUE(ear->ended.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_EQ(ear->revisions, (std::vector<int32_t>{2}));
}

TEST_F(WatchHubTest, TheThreadSeesChanges) {
  Put(1, 1);
  WatchHub hub([this](absl::Span<const Uuid> ids) { return Read(ids); }, &clock_,
               WatchHubOptions{.max_watches = 10, .poll_interval = absl::Milliseconds(1)});
  auto ear = std::make_shared<Ear>();
  ASSERT_TRUE(hub.Add(WatchedId(1), ear, "a").ok());
  Put(1, 2, ReservationState::kCancelled);
  ASSERT_TRUE(ear->ended.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_EQ(ear->last->revision, 2);
}

// A group, as the hub tells it.
class GroupEar : public Watcher<storage::Group> {
 public:
  void OnChange(const storage::Group& group) override { seats.push_back(group.seats_taken); }
  void OnEnd(const absl::Status& status) override { end = status; }
  std::vector<int32_t> seats;
  std::optional<absl::Status> end;
};

class GroupWatchHubTest : public ::testing::Test {
 protected:
  void Put(int number, int32_t seats_taken, storage::GroupState state = storage::GroupState::kForming) {
    storage::Group group = FormingGroup(number, clock_.Now());
    group.seats_taken = seats_taken;
    group.state = state;
    group.revision = 1 + seats_taken;
    groups_.Put(group);
  }
  std::shared_ptr<GroupEar> Watch(int number, const std::string& sku_id = "") {
    auto ear = std::make_shared<GroupEar>();
    EXPECT_TRUE(hub_.Add({GroupIdOf(number), sku_id}, ear, "a").ok());
    return ear;
  }

  storage::FakeClock clock_;
  GroupsOfTest groups_;
  GroupWatchHub hub_{[this](absl::Span<const WatchedGroup> watched) { return ReadWatchedGroups(groups_, watched); },
                     &clock_,
                     WatchHubOptions{.max_watches = 5, .max_watched = 2, .poll_interval = absl::ZeroDuration()}};
};

TEST_F(GroupWatchHubTest, AGroupIsToldUntilItDoesNotFormAnyMore) {
  Put(1, 1);
  const auto first = Watch(1), second = Watch(1);
  hub_.Poll();
  hub_.Poll();
  EXPECT_EQ(groups_.reads().size(), 2u) << "one read for both";
  Put(1, 2);
  hub_.Poll();
  EXPECT_FALSE(first->end.has_value());
  Put(1, 3, storage::GroupState::kFilled);
  hub_.Poll();
  for (const auto& ear : {first, second}) {
    EXPECT_EQ(ear->seats, (std::vector<int32_t>{1, 2, 3}));
    ASSERT_TRUE(ear->end.has_value());
    EXPECT_TRUE(ear->end->ok()) << *ear->end;
  }
  EXPECT_EQ(hub_.watches(), 0u);
}

TEST_F(GroupWatchHubTest, AGroupThatDoesNotExistEndsTheWatch) {
  const auto ear = Watch(7);
  hub_.Poll();
  ASSERT_TRUE(ear->end.has_value());
  EXPECT_EQ(ReasonOf(*ear->end), "GROUP_NOT_FOUND");
  EXPECT_EQ(MetadataOf(*ear->end, "group_id"), GroupIdOf(7).ToString());
}

// Two shards may have a group of one id.
TEST_F(GroupWatchHubTest, AGroupIsWatchedWithItsSkuAndWithout) {
  Put(1, 1);
  storage::Group radio = FormingGroup(1, clock_.Now());
  radio.sku_id = "radio";
  radio.seats_taken = 2;
  groups_.Put(radio);
  GroupWatchHub hub([this](absl::Span<const WatchedGroup> watched) { return ReadWatchedGroups(groups_, watched); },
                    &clock_, WatchHubOptions{.poll_interval = absl::ZeroDuration()});
  const auto of_any = std::make_shared<GroupEar>(), of_tv = std::make_shared<GroupEar>(),
             of_radio = std::make_shared<GroupEar>(), of_sofa = std::make_shared<GroupEar>();
  ASSERT_TRUE(hub.Add({GroupIdOf(1)}, of_any, "a").ok());
  ASSERT_TRUE(hub.Add({GroupIdOf(1), "tv"}, of_tv, "a").ok());
  ASSERT_TRUE(hub.Add({GroupIdOf(1), "radio"}, of_radio, "a").ok());
  ASSERT_TRUE(hub.Add({GroupIdOf(1), "sofa"}, of_sofa, "a").ok());
  hub.Poll();
  EXPECT_EQ(of_any->seats.size(), 1u);
  EXPECT_EQ(of_tv->seats, (std::vector<int32_t>{1}));
  EXPECT_EQ(of_radio->seats, (std::vector<int32_t>{2}));
  ASSERT_TRUE(of_sofa->end.has_value());
  EXPECT_EQ(ReasonOf(*of_sofa->end), "GROUP_NOT_FOUND");
  hub.Remove({GroupIdOf(1), "tv"}, of_tv.get());
  EXPECT_EQ(hub.watches(), 2u);
}

// They are read one after the other.
TEST_F(GroupWatchHubTest, GroupsThatAreWatchedAreBounded) {
  Put(1, 1);
  const auto first = Watch(1), other = Watch(2);
  const absl::Status refused = hub_.Add({GroupIdOf(3)}, std::make_shared<GroupEar>(), "a");
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY_WATCHES");
  EXPECT_NE(refused.message().find("GetGroup"), absl::string_view::npos) << refused;
  Watch(1);
  hub_.Poll();
  ASSERT_TRUE(other->end.has_value()) << "there is no such group";
  Watch(3);
}

}  // namespace
}  // namespace tranche::server
