#include "server/admission/door_rooms.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kRoomInterval = absl::Seconds(20);
const absl::Time kRoomsNow = absl::FromUnixSeconds(1'800'000'000);

OpenRoom RoomNamed(const std::string& sku_id, int64_t round = 1, absl::Duration poll_interval = kRoomInterval) {
  return {.sku_id = sku_id, .round = round, .poll_interval = poll_interval};
}

RoomBoard BoardSaying(const std::string& sku_id, int64_t round, uint64_t threshold) {
  RoomBoard board;
  board.sku_id = sku_id;
  board.round = round;
  board.threshold = threshold;
  board.computed_at = kRoomsNow;
  return board;
}

class DoorRoomsTest : public ::testing::Test {
 protected:
  void Set(const std::vector<OpenRoom>& rooms) { rooms_.SetRooms(rooms); }
  void Announce(const std::vector<RoomBoard>& boards) { rooms_.SetBoards(boards); }
  // So many wait at this node.
  uint64_t WaitingFor(const std::string& sku_id) const {
    for (const RoomTallied& room : rooms_.Tallied(kRoomsNow)) {
      if (room.sku_id == sku_id) return room.waiting.total();
    }
    return 0;
  }

  DoorRooms rooms_;
};

TEST_F(DoorRoomsTest, WithoutRoomsNothingIsKept) {
  EXPECT_TRUE(rooms_.empty());
  rooms_.Count("tv", 1, 5, kRoomsNow);
  Announce({BoardSaying("tv", 1, 77)});
  EXPECT_EQ(rooms_.Board("tv", 1), nullptr);
  EXPECT_TRUE(rooms_.Tallied(kRoomsNow).empty());
  EXPECT_TRUE(rooms_.empty());
}

TEST_F(DoorRoomsTest, TellsWhoWaitsByRoom) {
  Set({RoomNamed("tv"), RoomNamed("radio", 3), RoomNamed("car")});
  EXPECT_FALSE(rooms_.empty());
  rooms_.Count("tv", 1, 5, kRoomsNow);
  rooms_.Count("tv", 1, 6, kRoomsNow);
  rooms_.Count("radio", 3, 7, kRoomsNow);
  rooms_.Count("tv", 2, 8, kRoomsNow);
  rooms_.Count("lamp", 1, 9, kRoomsNow);
  const std::vector<RoomTallied> tallied = rooms_.Tallied(kRoomsNow);
  ASSERT_EQ(tallied.size(), 2u) << "nobody waits for the car";
  EXPECT_EQ(tallied[0].sku_id, "radio");
  EXPECT_EQ(tallied[0].round, 3);
  EXPECT_EQ(tallied[0].waiting.total(), 1u);
  EXPECT_EQ(tallied[1].sku_id, "tv");
  EXPECT_EQ(tallied[1].waiting.total(), 2u);
  EXPECT_TRUE(rooms_.Tallied(kRoomsNow + 2 * kRoomInterval).empty());
}

// A leader that finds no board goes on from what nodes know.
TEST_F(DoorRoomsTest, TellsThresholdsAlsoWhereNobodyWaits) {
  Set({RoomNamed("tv"), RoomNamed("radio", 3), RoomNamed("car")});
  rooms_.Count("radio", 3, 7, kRoomsNow);
  Announce({BoardSaying("tv", 1, 77), BoardSaying("car", 1, 0)});
  const std::vector<RoomTallied> tallied = rooms_.Tallied(kRoomsNow);
  ASSERT_EQ(tallied.size(), 2u) << "of the car nothing is to be told";
  EXPECT_EQ(tallied[0].sku_id, "radio");
  EXPECT_EQ(tallied[0].threshold, 0u) << "nothing is known";
  EXPECT_EQ(tallied[1].sku_id, "tv");
  EXPECT_EQ(tallied[1].threshold, 77u);
  EXPECT_EQ(tallied[1].waiting.total(), 0u);
  Announce({BoardSaying("tv", 1, 5)});
  EXPECT_EQ(rooms_.Tallied(kRoomsNow)[1].threshold, 77u) << "the highest";
}

TEST_F(DoorRoomsTest, NothingIsKnownBeforeTheFirstBoard) {
  Set({RoomNamed("tv")});
  EXPECT_EQ(rooms_.Board("tv", 1), nullptr);
  Announce({BoardSaying("tv", 1, 77)});
  ASSERT_NE(rooms_.Board("tv", 1), nullptr);
  EXPECT_EQ(rooms_.Board("tv", 1)->threshold, 77u);
  EXPECT_EQ(rooms_.Board("tv", 1)->computed_at, kRoomsNow);
  EXPECT_EQ(rooms_.Board("tv", 2), nullptr);
  EXPECT_EQ(rooms_.Board("radio", 1), nullptr);
}

TEST_F(DoorRoomsTest, AThresholdNeverFallsInItsRound) {
  Set({RoomNamed("tv")});
  Announce({BoardSaying("tv", 1, 77)});
  RoomBoard lower = BoardSaying("tv", 1, 5);
  lower.let_in_per_s = 3;
  Announce({lower});
  EXPECT_EQ(rooms_.Board("tv", 1)->threshold, 77u);
  EXPECT_EQ(rooms_.Board("tv", 1)->let_in_per_s, 3) << "the rest is what was announced last";
  Announce({});
  EXPECT_EQ(rooms_.Board("tv", 1)->threshold, 77u);
  Announce({BoardSaying("tv", 1, 78)});
  EXPECT_EQ(rooms_.Board("tv", 1)->threshold, 78u);
}

// Not even by a change of the policy.
TEST_F(DoorRoomsTest, AThresholdOutlivesAnotherInterval) {
  Set({RoomNamed("tv")});
  Announce({BoardSaying("tv", 1, 77)});
  Set({RoomNamed("tv", 1, absl::Seconds(5))});
  ASSERT_NE(rooms_.Board("tv", 1), nullptr);
  EXPECT_EQ(rooms_.Board("tv", 1)->threshold, 77u);
}

TEST_F(DoorRoomsTest, ABoardOfAnotherRoundIsIgnored) {
  Set({RoomNamed("tv", 2)});
  Announce({BoardSaying("tv", 1, 77), BoardSaying("tv", 3, 78), BoardSaying("radio", 2, 79)});
  EXPECT_EQ(rooms_.Board("tv", 2), nullptr);
  Announce({BoardSaying("tv", 2, 5)});
  EXPECT_EQ(rooms_.Board("tv", 2)->threshold, 5u);
}

TEST_F(DoorRoomsTest, ARoomThatGoesOnKeepsItsCounts) {
  Set({RoomNamed("tv"), RoomNamed("radio")});
  rooms_.Count("tv", 1, 5, kRoomsNow);
  rooms_.Count("radio", 1, 5, kRoomsNow);
  Set({RoomNamed("lamp"), RoomNamed("tv")});
  EXPECT_EQ(WaitingFor("tv"), 1u);
  EXPECT_EQ(WaitingFor("radio"), 0u);
  Set({RoomNamed("radio"), RoomNamed("tv")});
  EXPECT_EQ(WaitingFor("tv"), 1u);
  EXPECT_EQ(WaitingFor("radio"), 0u) << "it has begun anew";
}

TEST_F(DoorRoomsTest, ANewRoundBeginsAnew) {
  Set({RoomNamed("tv")});
  rooms_.Count("tv", 1, 5, kRoomsNow);
  Announce({BoardSaying("tv", 1, 77)});
  Set({RoomNamed("tv", 2)});
  EXPECT_EQ(WaitingFor("tv"), 0u);
  EXPECT_EQ(rooms_.Board("tv", 2), nullptr);
  rooms_.Count("tv", 1, 5, kRoomsNow);
  EXPECT_EQ(WaitingFor("tv"), 0u) << "of the round before";
}

// The window of the counts is the interval.
TEST_F(DoorRoomsTest, AnotherIntervalCountsAnew) {
  Set({RoomNamed("tv")});
  rooms_.Count("tv", 1, 5, kRoomsNow);
  Set({RoomNamed("tv", 1, absl::Seconds(5))});
  EXPECT_EQ(WaitingFor("tv"), 0u);
  rooms_.Count("tv", 1, 5, kRoomsNow);
  EXPECT_EQ(WaitingFor("tv"), 1u);
  EXPECT_TRUE(rooms_.Tallied(kRoomsNow + absl::Seconds(6)).empty());
}

TEST_F(DoorRoomsTest, OfTooManyTheFirstAreKept) {
  std::vector<OpenRoom> rooms;
  for (int i = 20; i > 0; --i) rooms.push_back(RoomNamed(absl::StrFormat("sku-%02d", i)));
  rooms.push_back(RoomNamed("sku-01"));
  Set(rooms);
  for (int i = 1; i <= 20; ++i) rooms_.Count(absl::StrFormat("sku-%02d", i), 1, 5, kRoomsNow);
  const std::vector<RoomTallied> tallied = rooms_.Tallied(kRoomsNow);
  ASSERT_EQ(tallied.size(), static_cast<size_t>(kMostRooms));
  EXPECT_EQ(tallied.front().sku_id, "sku-01");
  EXPECT_EQ(tallied.back().sku_id, "sku-16");
}

// Policies, boards, reports and buyers come by threads of their own.
TEST_F(DoorRoomsTest, ThreadsDoNotDisturbEachOther) {
  Set({RoomNamed("tv"), RoomNamed("radio")});
  std::atomic<bool> stop{false};
  std::thread policies([&] {
    for (int i = 0; !stop; ++i) Set({RoomNamed("tv"), RoomNamed("radio", 1 + i % 2)});
  });
  std::thread boards([&] {
    for (uint64_t i = 0; !stop; ++i) Announce({BoardSaying("tv", 1, i % 1'000)});
  });
  std::thread reports([&] {
    while (!stop) rooms_.Tallied(kRoomsNow);
  });
  std::vector<std::thread> buyers;
  for (int thread = 0; thread < 3; ++thread) {
    buyers.emplace_back([&] {
      uint64_t threshold = 0;
      for (int i = 0; i < 5'000; ++i) {
        rooms_.Count("tv", 1, 5, kRoomsNow);
        const std::shared_ptr<const RoomBoard> board = rooms_.Board("tv", 1);
        if (board == nullptr) continue;
        EXPECT_GE(board->threshold, threshold);
        threshold = board->threshold;
      }
    });
  }
  for (std::thread& buyer : buyers) buyer.join();
  stop = true;
  policies.join();
  boards.join();
  reports.join();
  EXPECT_EQ(WaitingFor("tv"), 15'000u);
}

}  // namespace
}  // namespace tranche::server
