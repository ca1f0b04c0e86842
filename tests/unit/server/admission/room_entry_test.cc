#include "server/admission/room_entry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/admission/room_rank.h"
#include "server/admission/waiting_ticket.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kEntryPoll = absl::Seconds(20);
// Each buyer's own interval is at most this.
constexpr absl::Duration kEntryLongest = absl::Seconds(22);
const absl::Time kEntryStart = absl::FromUnixSeconds(1'800'000'000);

class RoomEntryTest : public ::testing::Test {
 protected:
  RoomEntryTest() {
    policy_.sku_id = "tv";
    policy_.version = 1;
    policy_.token_lifetime = absl::Minutes(2);
    policy_.room = DoorRoom{.key = std::string(32, 'k'),
                            .commitment = "",
                            .round = 1,
                            .buyers_per_s = 10,
                            .ahead = 2,
                            .poll_interval = kEntryPoll};
    BeginRound(1);
  }
  void BeginRound(int64_t round) {
    policy_.room->round = round;
    rooms_.SetRooms(std::vector<OpenRoom>{{.sku_id = "tv", .round = round, .poll_interval = kEntryPoll}});
  }
  // That of round 1.
  void Announce(RoomBoard board) {
    board.sku_id = "tv";
    board.round = 1;
    board.computed_at = now_;
    rooms_.SetBoards(std::vector<RoomBoard>{board});
  }
  void LetInBelow(uint64_t threshold) {
    RoomBoard board;
    board.threshold = threshold;
    Announce(board);
  }
  RoomPlace Visit(const std::string& user_id, const std::string& ticket = "") {
    return EnterRoom(policy_, keys_, rooms_,
                     {.sku_id = "tv",
                      .user_id = user_id,
                      .ticket = ticket,
                      .opened = open_,
                      .may_enter = open_ && !held_,
                      .opens_in = open_ ? absl::ZeroDuration() : opens_in_},
                     now_, [this](absl::Duration interval) {
                       asked_with_ = interval;
                       return wait_to_count_;
                     });
  }
  // What the ticket says.
  WaitingTicket Read(const std::string& ticket, const std::string& user_id = "alice") const {
    return ReadWaitingTicket(keys_, ticket, "tv", user_id).value_or(WaitingTicket());
  }
  uint64_t Waiting() const {
    const std::vector<RoomTallied> tallied = rooms_.Tallied(now_);
    return tallied.empty() ? 0 : tallied.front().waiting.total();
  }
  uint64_t ShuffledRankOf(const std::string& user_id) const {
    return ShuffledRank(policy_.room->key, "tv", policy_.room->round, user_id);
  }

  DoorPolicy policy_;
  FrontKeys keys_ = CurrentTestKey();
  DoorRooms rooms_;
  absl::Time now_ = kEntryStart;
  bool open_ = true;
  bool held_ = false;  // after the opening
  absl::Duration opens_in_ = absl::InfiniteDuration();
  absl::Duration wait_to_count_ = absl::ZeroDuration();  // as the node says
  absl::Duration asked_with_ = absl::ZeroDuration();
};

TEST_F(RoomEntryTest, WhoComesBeforeTheOpeningIsShuffled) {
  open_ = false;
  const RoomPlace place = Visit("alice");
  EXPECT_FALSE(place.let_in);
  EXPECT_TRUE(place.shuffled);
  EXPECT_EQ(place.rank, ShuffledRankOf("alice"));
  EXPECT_EQ(Read(place.ticket).round, 1);
  EXPECT_EQ(Read(place.ticket).joined_at, now_);
  EXPECT_TRUE(Read(place.ticket).shuffled);
  EXPECT_EQ(Waiting(), 1u);
}

TEST_F(RoomEntryTest, WhoComesLaterIsInTheOrderOfComing) {
  const RoomPlace place = Visit("alice");
  EXPECT_FALSE(place.let_in);
  EXPECT_FALSE(place.shuffled);
  EXPECT_EQ(place.rank, LateRank(now_));
  now_ += absl::Microseconds(1);
  EXPECT_GT(Visit("bob").rank, place.rank);
  EXPECT_EQ(Waiting(), 2u);
}

TEST_F(RoomEntryTest, WhoJoinedEarlyKeepsTheirRankAfterTheOpening) {
  open_ = false;
  const RoomPlace before = Visit("alice");
  open_ = true;
  now_ += absl::Seconds(21);
  const RoomPlace after = Visit("alice", before.ticket);
  EXPECT_TRUE(after.shuffled);
  EXPECT_EQ(after.rank, before.rank);
  EXPECT_EQ(Read(after.ticket).joined_at, kEntryStart);
}

TEST_F(RoomEntryTest, ATicketOfTheRoundIsKept) {
  const RoomPlace late = Visit("alice");
  now_ += absl::Seconds(5);
  EXPECT_EQ(Visit("alice", late.ticket).rank, late.rank);
}

// Without their ticket they would be: nobody should gain by throwing one away.
TEST_F(RoomEntryTest, AfterAnOpeningThatWasPutOffThoseWhoCameLateAreShuffledToo) {
  const std::string late = Visit("alice").ticket;
  open_ = false;
  now_ += absl::Seconds(5);
  const RoomPlace place = Visit("alice", late);
  EXPECT_TRUE(place.shuffled);
  EXPECT_EQ(place.rank, ShuffledRankOf("alice"));
  open_ = true;
  EXPECT_EQ(Visit("alice", place.ticket).rank, place.rank) << "for good";
}

TEST_F(RoomEntryTest, WhileTheSaleIsHeldNobodyIsLetInAndAllAreCounted) {
  held_ = true;
  RoomBoard board;
  board.threshold = UINT64_MAX;
  board.let_in_per_s = 10;
  Announce(board);
  std::string ticket;
  for (int i = 0; i < 10; ++i) {
    const RoomPlace place = Visit("alice", ticket);
    ticket = place.ticket;
    EXPECT_FALSE(place.let_in);
    EXPECT_FALSE(place.shuffled) << "the sale has opened";
    EXPECT_EQ(place.expected_wait, std::nullopt);
    EXPECT_GE(place.retry_after, kEntryPoll) << "nobody knows when it goes on";
    EXPECT_EQ(Read(ticket).counted_at, now_);
    EXPECT_GE(Waiting(), 1u) << i;
    now_ += place.retry_after;
  }
  held_ = false;
  EXPECT_TRUE(Visit("alice", ticket).let_in);
}

TEST_F(RoomEntryTest, WhomTheNodeHasCountedLatelyIsNotCountedAgainWhateverTheirTicketSays) {
  const std::string old = Visit("alice").ticket;
  now_ += absl::Seconds(30);
  wait_to_count_ = absl::Seconds(7);
  for (const std::string& ticket : {old, std::string(), std::string("garbage")}) {
    const RoomPlace place = Visit("alice", ticket);
    EXPECT_EQ(Waiting(), 0u) << "30 s ago was too long ago";
    EXPECT_GE(asked_with_, kEntryPoll);
    EXPECT_LE(asked_with_, kEntryLongest);
    EXPECT_EQ(place.retry_after, absl::Seconds(7));
    EXPECT_EQ(Read(place.ticket).counted_at + asked_with_, now_ + absl::Seconds(7)) << "not put off by it";
  }
  wait_to_count_ = absl::ZeroDuration();
  Visit("alice", old);
  EXPECT_EQ(Waiting(), 1u);
}

TEST_F(RoomEntryTest, WhoseTicketSaysThatTheyWereCountedTakesNoTurnAtTheNode) {
  const std::string ticket = Visit("alice").ticket;
  asked_with_ = absl::ZeroDuration();
  now_ += absl::Seconds(5);
  Visit("alice", ticket);
  EXPECT_EQ(asked_with_, absl::ZeroDuration()) << "not asked";
}

TEST_F(RoomEntryTest, WithoutATicketARankIsNeverBetter) {
  open_ = false;
  const uint64_t early = Visit("alice").rank;
  now_ += absl::Seconds(1);
  EXPECT_EQ(Visit("alice").rank, early) << "nothing is lost before the opening";
  open_ = true;
  const uint64_t late = Visit("alice").rank;
  EXPECT_EQ(late, LateRank(now_));
  now_ += absl::Seconds(1);
  EXPECT_GT(Visit("alice").rank, late);
}

TEST_F(RoomEntryTest, WhatIsNoTicketOfTheRoundIsNone) {
  const std::string ticket = Visit("alice").ticket;
  now_ += absl::Seconds(1);
  EXPECT_EQ(Visit("bob", ticket).rank, LateRank(now_)) << "another's";
  EXPECT_EQ(Visit("alice", "garbage").rank, LateRank(now_));
  EXPECT_EQ(Visit("alice", ticket.substr(1)).rank, LateRank(now_));
  BeginRound(2);
  const RoomPlace place = Visit("alice", ticket);
  EXPECT_EQ(place.rank, LateRank(now_)) << "of the round before";
  EXPECT_EQ(Read(place.ticket).round, 2);
}

TEST_F(RoomEntryTest, EachRoundShufflesAnew) {
  open_ = false;
  const uint64_t rank = Visit("alice").rank;
  BeginRound(2);
  EXPECT_NE(Visit("alice").rank, rank);
  EXPECT_EQ(Visit("alice").rank, ShuffledRankOf("alice"));
}

TEST_F(RoomEntryTest, WhoseRankIsBelowTheThresholdIsLetIn) {
  const RoomPlace before = Visit("alice");
  LetInBelow(before.rank);
  EXPECT_FALSE(Visit("alice", before.ticket).let_in);
  LetInBelow(before.rank + 1);
  now_ += absl::Seconds(30);
  const RoomPlace place = Visit("alice", before.ticket);
  EXPECT_TRUE(place.let_in);
  EXPECT_EQ(place.threshold, before.rank + 1);
  EXPECT_EQ(place.retry_after, absl::ZeroDuration());
  EXPECT_EQ(place.ahead, 0);
  EXPECT_EQ(place.expected_wait, absl::ZeroDuration());
  EXPECT_FALSE(place.ticket.empty()) << "they may have to come again for the challenge";
  EXPECT_EQ(Waiting(), 0u) << "who is let in does not wait";
}

TEST_F(RoomEntryTest, BeforeTheOpeningNobodyIsLetIn) {
  open_ = false;
  RoomBoard board;
  board.threshold = kFirstLateRank;
  board.let_in_per_s = 10;
  Announce(board);
  const RoomPlace place = Visit("alice");
  EXPECT_FALSE(place.let_in);
  EXPECT_EQ(place.expected_wait, std::nullopt);
  EXPECT_GE(place.retry_after, kEntryPoll);
  EXPECT_EQ(Waiting(), 1u);
  open_ = true;
  EXPECT_TRUE(Visit("alice", place.ticket).let_in);
}

TEST_F(RoomEntryTest, WithoutABoardNobodyIsLetInAndNothingIsKnown) {
  const RoomPlace place = Visit("alice");
  EXPECT_FALSE(place.let_in);
  EXPECT_EQ(place.threshold, 0u);
  EXPECT_EQ(place.ahead, std::nullopt);
  EXPECT_EQ(place.expected_wait, std::nullopt);
  EXPECT_EQ(place.computed_at, absl::InfinitePast());
  EXPECT_GE(place.retry_after, kEntryPoll);
  EXPECT_LE(place.retry_after, kEntryLongest);
}

TEST_F(RoomEntryTest, WhoAsksThreeTimesASecondIsCountedOnceInAnInterval) {
  std::string ticket;
  std::vector<absl::Time> counted;
  for (int i = 0; i < 900; ++i, now_ += absl::Milliseconds(333)) {
    ticket = Visit("alice", ticket).ticket;
    if (counted.empty() || Read(ticket).counted_at != counted.back()) counted.push_back(Read(ticket).counted_at);
    // The window of the counts is up to a tenth longer than the interval.
    ASSERT_GE(Waiting(), i < 60 ? 1u : 0u);
    ASSERT_LE(Waiting(), i < 60 ? 1u : 2u);
  }
  ASSERT_GE(counted.size(), 13u);
  for (size_t i = 1; i < counted.size(); ++i) {
    EXPECT_GE(counted[i] - counted[i - 1], kEntryPoll);
    EXPECT_LE(counted[i] - counted[i - 1], kEntryLongest + absl::Milliseconds(333));
  }
}

// No try is in vain, and none comes too late to be counted.
TEST_F(RoomEntryTest, WhoComesBackAsToldIsCountedEachTime) {
  for (int buyer = 0; buyer < 50; ++buyer) {
    const std::string user_id = absl::StrCat("user-", buyer);
    std::string ticket;
    now_ = kEntryStart + buyer * absl::Microseconds(12'345'678);
    for (int i = 0; i < 20; ++i) {
      const RoomPlace place = Visit(user_id, ticket);
      ticket = place.ticket;
      EXPECT_EQ(Read(ticket, user_id).counted_at, now_);
      EXPECT_GE(place.retry_after, kEntryPoll);
      EXPECT_LE(place.retry_after, kEntryLongest);
      now_ += place.retry_after;
    }
  }
}

TEST_F(RoomEntryTest, WhoCameTogetherComeBackApart) {
  open_ = false;
  std::vector<absl::Duration> retries;
  for (int i = 0; i < 1'000; ++i) retries.push_back(Visit(absl::StrCat("user-", i)).retry_after);
  std::sort(retries.begin(), retries.end());
  EXPECT_GE(retries.front(), kEntryPoll);
  EXPECT_LE(retries.back(), kEntryLongest);
  EXPECT_NEAR(absl::ToDoubleSeconds(retries[100]), 20.2, 0.1);
  EXPECT_NEAR(absl::ToDoubleSeconds(retries[500]), 21.0, 0.1);
  EXPECT_NEAR(absl::ToDoubleSeconds(retries[900]), 21.8, 0.1);
}

TEST_F(RoomEntryTest, ARetryNeverPassesTheNextCountAndIsNeverInNoTime) {
  std::mt19937_64 random(9);
  std::string ticket;
  for (int i = 0; i < 5'000; ++i) {
    RoomBoard board;
    board.let_in_per_s = static_cast<double>(random() % 50);
    board.leaving_per_s = static_cast<double>(random() % 3) / 100;
    for (uint64_t waiting = random() % 500; waiting > 0; --waiting) board.waiting.Add(random() >> 1);
    Announce(board);
    const RoomPlace place = Visit("alice", ticket);
    ticket = place.ticket;
    ASSERT_GT(place.retry_after, absl::ZeroDuration());
    ASSERT_LE(now_ + place.retry_after, Read(ticket).counted_at + kEntryLongest);
    if (place.expected_wait.has_value()) {
      ASSERT_LE(place.retry_after, std::max(*place.expected_wait / 2, absl::Seconds(1)));
    }
    now_ += absl::Microseconds(static_cast<int64_t>(random() % 15'000'000));
  }
}

TEST_F(RoomEntryTest, WhoIsSoonLetInAsksSooner) {
  RoomBoard board;
  board.let_in_per_s = 10;
  board.waiting.Add(5, 100);
  Announce(board);
  const RoomPlace place = Visit("alice");
  EXPECT_EQ(place.ahead, 100);
  EXPECT_EQ(place.expected_wait, absl::Seconds(10));
  EXPECT_EQ(place.retry_after, absl::Seconds(5));
  board.let_in_per_s = 1'000;
  Announce(board);
  EXPECT_EQ(Visit("alice", place.ticket).retry_after, absl::Seconds(1));
}

// Otherwise those whose turn comes first after the opening would come an interval late, or pass others.
TEST_F(RoomEntryTest, BeforeTheOpeningWhoIsSoonDueAsksSooner) {
  open_ = false;
  RoomBoard board;
  board.waiting.Add(0, 100);
  Announce(board);
  opens_in_ = absl::Seconds(6);
  const RoomPlace place = Visit("alice");
  EXPECT_EQ(place.ahead, 100);
  EXPECT_EQ(place.expected_wait, std::nullopt) << "nothing is promised";
  EXPECT_EQ(place.retry_after, absl::Seconds(8)) << "half of six seconds and of 100 buyers at 10/s";
  opens_in_ = absl::ZeroDuration();
  policy_.room->buyers_per_s = 1'000;
  EXPECT_EQ(Visit("alice", place.ticket).retry_after, absl::Seconds(1));
  opens_in_ = absl::Hours(1);
  EXPECT_GE(Visit("alice", place.ticket).retry_after, kEntryPoll);
  opens_in_ = absl::InfiniteDuration();
  EXPECT_GE(Visit("alice", place.ticket).retry_after, kEntryPoll) << "not known";
  opens_in_ = absl::Seconds(6);
  policy_.room->buyers_per_s = 0;
  EXPECT_GE(Visit("alice", place.ticket).retry_after, kEntryPoll) << "nobody is let in then";
}

TEST_F(RoomEntryTest, WhileNothingIsMeasuredTheRateOfThePolicySaysWhenToAsk) {
  RoomBoard board;
  board.waiting.Add(0, 100);
  Announce(board);
  const RoomPlace place = Visit("alice");
  EXPECT_EQ(place.expected_wait, std::nullopt);
  EXPECT_EQ(place.retry_after, absl::Seconds(5));
}

TEST_F(RoomEntryTest, TellsHowManyComeBefore) {
  RoomBoard board;
  for (int second = 0; second < 100; ++second) board.waiting.Add(LateRank(kEntryStart + absl::Seconds(second)), 3);
  Announce(board);
  now_ += absl::Seconds(50);
  const RoomPlace place = Visit("alice");
  EXPECT_EQ(place.ahead, 150);
  EXPECT_EQ(place.computed_at, kEntryStart);
  board.threshold = LateRank(kEntryStart + absl::Seconds(10));
  Announce(board);
  EXPECT_EQ(Visit("alice", place.ticket).ahead, 120) << "the others are let in";
  EXPECT_EQ(Visit("alice", place.ticket).expected_wait, std::nullopt) << "nobody else is";
}

// Nobody renews it any more: perhaps nobody is let in.
TEST_F(RoomEntryTest, AnOldBoardSaysNothingOfTheWait) {
  RoomBoard board;
  board.let_in_per_s = 10;
  board.waiting.Add(5, 100);
  Announce(board);
  now_ += absl::Seconds(10);
  const RoomPlace place = Visit("alice");
  EXPECT_EQ(place.expected_wait, absl::Seconds(10));
  now_ += absl::Milliseconds(1);
  const RoomPlace later = Visit("alice", place.ticket);
  EXPECT_EQ(later.expected_wait, std::nullopt);
  EXPECT_EQ(later.ahead, 100);
  EXPECT_EQ(later.computed_at, kEntryStart);
  Announce(board);
  EXPECT_EQ(Visit("alice", place.ticket).expected_wait, absl::Seconds(10));
}

TEST_F(RoomEntryTest, WhoWaitsAloneHasNobodyAhead) {
  open_ = false;
  RoomBoard board;
  board.waiting.Add(ShuffledRankOf("alice"));
  Announce(board);
  EXPECT_EQ(Visit("alice").ahead, 0);
}

// Another node's clock was wrong when it made the ticket. Otherwise nobody would count the buyer for a day.
TEST_F(RoomEntryTest, ATicketFromAClockThatWasWrongIsCountedSoon) {
  const auto counted_at = [this](absl::Duration ahead) {
    const WaitingTicket ticket = {.round = 1, .joined_at = kEntryStart, .shuffled = false, .counted_at = now_ + ahead};
    return MakeWaitingTicket(keys_, "tv", "alice", ticket);
  };
  const RoomPlace place = Visit("alice", counted_at(absl::Hours(24)));
  EXPECT_EQ(Read(place.ticket).counted_at, now_);
  EXPECT_LE(place.retry_after, kEntryLongest);
  EXPECT_EQ(Waiting(), 1u);
  const RoomPlace near = Visit("alice", counted_at(absl::Seconds(1)));
  EXPECT_EQ(Read(near.ticket).counted_at, now_ + absl::Seconds(1)) << "clocks may be a second apart";
  EXPECT_LE(near.retry_after, kEntryLongest);
  EXPECT_EQ(Waiting(), 1u);
}

TEST_F(RoomEntryTest, RotationsOfTheKeyLoseNobodyWhoAsks) {
  const RoomPlace first = Visit("alice");
  std::string ticket = first.ticket;
  for (int64_t key = kTestKeyId + 1; key < kTestKeyId + 5; ++key) {
    keys_ = RotatedTestKeys(key);
    now_ += absl::Minutes(15);
    const RoomPlace place = Visit("alice", ticket);
    EXPECT_EQ(place.rank, first.rank) << key;
    ticket = place.ticket;
  }
}

TEST_F(RoomEntryTest, ABoardThatSaysNonsenseDoesNoHarm) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double rate : {std::nan(""), kInfinity, -kInfinity, -1.0, 1e-300, 1e300}) {
    for (const double leaving : {std::nan(""), kInfinity, -1.0, 1e-300, 1e300}) {
      RoomBoard board;
      board.let_in_per_s = rate;
      board.leaving_per_s = leaving;
      board.waiting.Add(5, UINT64_MAX);
      Announce(board);
      const RoomPlace place = Visit("alice");
      EXPECT_FALSE(place.let_in);
      EXPECT_GE(place.ahead.value(), 0);
      EXPECT_GE(place.retry_after, absl::Seconds(1));
      EXPECT_LE(place.retry_after, kEntryLongest);
      EXPECT_LE(place.expected_wait.value_or(absl::ZeroDuration()), absl::Hours(24 * 366));
    }
  }
}

TEST(ExpectedWaitTest, IsTheQuotientIfNobodyLeaves) {
  EXPECT_EQ(ExpectedWait(100, 10, 0), absl::Seconds(10));
  EXPECT_EQ(ExpectedWait(0, 10, 0.1), absl::ZeroDuration());
  EXPECT_EQ(ExpectedWait(-5, 10, 0.1), absl::ZeroDuration());
  const std::optional<absl::Duration> hardly = ExpectedWait(100, 10, 1e-12);
  ASSERT_TRUE(hardly.has_value());
  EXPECT_NEAR(absl::ToDoubleSeconds(*hardly), 10, 1e-6);
}

// Step by step, as the equation says.
double WaitBySteps(double ahead, double let_in_per_s, double leaving_per_s) {
  constexpr double kStepS = 0.001;
  double waited_s = 0;
  for (; ahead > 0; waited_s += kStepS) ahead -= (let_in_per_s + leaving_per_s * ahead) * kStepS;
  return waited_s;
}

TEST(ExpectedWaitTest, IsShorterWhenSomeLeave) {
  for (const double leaving : {0.0001, 0.001, 0.01, 0.1}) {
    for (const double ahead : {1.0, 100.0, 10'000.0}) {
      const double wait_s = absl::ToDoubleSeconds(ExpectedWait(ahead, 20, leaving).value());
      EXPECT_NEAR(wait_s, WaitBySteps(ahead, 20, leaving), 0.01 + wait_s / 1'000) << leaving << " " << ahead;
      EXPECT_LT(wait_s, ahead / 20);
    }
  }
}

TEST(ExpectedWaitTest, GrowsWithThoseWhoComeBefore) {
  for (const double leaving : {0.0, 1e-12, 1e-6, 0.001, 0.1}) {
    absl::Duration before = -absl::Nanoseconds(1);
    for (double ahead = 0; ahead < 1e6; ahead = ahead * 1.1 + 1) {
      const std::optional<absl::Duration> wait = ExpectedWait(ahead, 20, leaving);
      ASSERT_TRUE(wait.has_value());
      EXPECT_GT(*wait, before) << leaving << " " << ahead;
      before = *wait;
    }
  }
}

TEST(ExpectedWaitTest, IsNotKnownIfNobodyIsLetIn) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double rate : {0.0, -1.0, kInfinity, std::nan("")}) {
    EXPECT_EQ(ExpectedWait(100, rate, 0.1), std::nullopt) << rate;
  }
  EXPECT_EQ(ExpectedWait(std::nan(""), 10, 0.1), std::nullopt);
  EXPECT_EQ(ExpectedWait(kInfinity, 10, 0.1), std::nullopt);
  EXPECT_EQ(ExpectedWait(1e9, 1, 0), std::nullopt) << "more than a year";
}

}  // namespace
}  // namespace tranche::server
