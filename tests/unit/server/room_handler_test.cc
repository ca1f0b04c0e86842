// How far waiting rooms are, as operators are told.
#include "server/handlers/room_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/room_announcements.h"
#include "server/admission/front_policy.h"
#include "server/admission/room_counts.h"
#include "server/admission/room_rank.h"
#include "server/errors.h"
#include "server/proto_time.h"
#include "storage/fake/fake_front_ledger.h"
#include "tests/support/inline_executor.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class RoomHandlerTest : public AdminHandlersTest {
 protected:
  // A room that lets in 200 a second.
  static v1::FrontPolicy RoomPolicy() {
    v1::FrontPolicy policy;
    v1::RateLimit* const limit = policy.add_limits();
    limit->set_key(v1::RateLimit::KEY_USER);
    limit->set_tries(5);
    limit->mutable_per()->set_seconds(1);
    policy.mutable_purchase_token();
    policy.mutable_room()->set_buyers_per_second(200);
    return policy;
  }

  void Store(const std::string& sku_id, const v1::FrontPolicy& policy, bool new_round = false) {
    storage::FrontPolicyChange change;
    change.sku_id = sku_id;
    change.document = ToDocument(policy);
    if (policy.has_room()) change.admitted_per_million = storage::kEverybody;
    change.new_round = new_round;
    ASSERT_TRUE(front_.SetFrontPolicy(change, /*preview=*/false, kActor).ok());
  }

  // Of round 1 of "tv": three wait who are shuffled, and one who came later.
  internal::v1::RoomBoards::Room Board() {
    RoomCounts counts;
    counts.Add(0);
    counts.Add(kFirstLateRank / 2, 2);
    counts.Add(kFirstLateRank - 1);
    counts.Add(LateRank(clock_.Now()));
    internal::v1::RoomBoards::Room board;
    board.set_sku_id("tv");
    board.set_round(1);
    // The whole first bucket was let in.
    board.set_threshold(uint64_t{1} << 55);
    *board.mutable_waiting() = counts.ToMessage();
    board.set_let_in_per_s(199.5);
    board.set_leaving_per_s(0.25);
    board.set_conversion(0.5);
    board.set_under_way(30);
    board.set_unsold(70);
    board.set_computed_at_us(absl::ToUnixMicros(clock_.Now()));
    return board;
  }

  void Announce(const internal::v1::RoomBoards::Room& board) {
    internal::v1::RoomBoards boards;
    *boards.add_rooms() = board;
    ASSERT_TRUE(quota::WriteRoomBoards(*sessions_.session, boards).ok());
  }

  std::vector<v1::Room> Rooms(const std::string& sku_id = "") {
    v1::ListRoomsRequest request;
    request.set_sku_id(sku_id);
    const auto response = rooms_.List(request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    return {response->rooms().begin(), response->rooms().end()};
  }

  storage::FakeFrontLedger front_{&clock_};
  testing::InlineExecutor executor_;
  RoomHandler rooms_{&front_, &sessions_, &executor_, &clock_};
};

TEST_F(RoomHandlerTest, OnlyPoliciesWithARoomAreListed) {
  EXPECT_THAT(Rooms(), IsEmpty());
  Store("tv", RoomPolicy());
  Store("radio", RoomPolicy());
  v1::FrontPolicy plain = RoomPolicy();
  plain.clear_room();
  Store("sofa", plain);
  const auto rooms = Rooms();
  ASSERT_THAT(rooms, SizeIs(2));
  EXPECT_EQ(rooms[0].sku_id(), "radio");
  EXPECT_EQ(rooms[1].sku_id(), "tv");
  EXPECT_EQ(rooms[1].rule().buyers_per_second(), 200);
  EXPECT_EQ(rooms[1].round(), 1);
  EXPECT_THAT(Rooms("tv"), SizeIs(1));
  EXPECT_THAT(Rooms("sofa"), IsEmpty());
  EXPECT_THAT(Rooms("nothing"), IsEmpty());
}

TEST_F(RoomHandlerTest, TellsWhatTheBalancerHasComputed) {
  Store("tv", RoomPolicy());
  Announce(Board());
  const auto rooms = Rooms();
  ASSERT_THAT(rooms, SizeIs(1));
  const v1::Room& room = rooms[0];
  EXPECT_EQ(room.threshold(), uint64_t{1} << 55);
  EXPECT_EQ(room.shuffled_waiting(), 3) << "who was let in already does not wait";
  EXPECT_EQ(room.late_waiting(), 1);
  EXPECT_EQ(room.let_in_per_second(), 199.5);
  EXPECT_EQ(room.leaving_per_second(), 0.25);
  EXPECT_EQ(room.conversion(), 0.5);
  EXPECT_EQ(room.under_way(), 30);
  EXPECT_EQ(room.unsold(), 70);
  EXPECT_EQ(room.held(), v1::Room::HELD_UNSPECIFIED);
  EXPECT_EQ(FromTimestamp(room.compute_time()), clock_.Now());
}

TEST_F(RoomHandlerTest, TellsWhyNobodyIsLetIn) {
  Store("tv", RoomPolicy());
  internal::v1::RoomBoards::Room board = Board();
  for (int held = internal::v1::RoomBoards::HELD_NOT_OPEN; held <= internal::v1::RoomBoards::HELD_COUNTING; ++held) {
    board.set_held(static_cast<internal::v1::RoomBoards::Held>(held));
    Announce(board);
    EXPECT_EQ(v1::Room::Held_Name(Rooms().at(0).held()), internal::v1::RoomBoards::Held_Name(board.held()));
  }
}

TEST_F(RoomHandlerTest, WhatNobodyComputesAnyMoreIsHeld) {
  Store("tv", RoomPolicy());
  EXPECT_EQ(Rooms().at(0).held(), v1::Room::HELD_NO_BALANCER) << "nobody ever did";
  EXPECT_FALSE(Rooms().at(0).has_compute_time());
  Announce(Board());
  clock_.AdvanceBy(RoomHandler::kFresh);
  EXPECT_EQ(Rooms().at(0).held(), v1::Room::HELD_UNSPECIFIED);
  clock_.AdvanceBy(absl::Milliseconds(1));
  const v1::Room room = Rooms().at(0);
  EXPECT_EQ(room.held(), v1::Room::HELD_NO_BALANCER);
  EXPECT_EQ(room.shuffled_waiting(), 3) << "the last that is known";
  EXPECT_TRUE(room.has_compute_time());
}

TEST_F(RoomHandlerTest, ABoardOfAnotherRoundSaysNothing) {
  Store("tv", RoomPolicy());
  Announce(Board());
  Store("tv", RoomPolicy(), /*new_round=*/true);
  const v1::Room room = Rooms().at(0);
  EXPECT_EQ(room.round(), 2);
  EXPECT_EQ(room.held(), v1::Room::HELD_NO_BALANCER);
  EXPECT_EQ(room.threshold(), 0u);
}

TEST_F(RoomHandlerTest, WithoutZooKeeperTheRoomsAreListedAllTheSame) {
  Store("tv", RoomPolicy());
  Announce(Board());
  zookeeper_.SetDown(true);
  EXPECT_EQ(Rooms().at(0).held(), v1::Room::HELD_NO_BALANCER);
  zookeeper_.SetDown(false);
  EXPECT_EQ(Rooms().at(0).held(), v1::Room::HELD_UNSPECIFIED);
  sessions_.session = nullptr;
  EXPECT_EQ(Rooms().at(0).held(), v1::Room::HELD_NO_BALANCER);
  executor_.full = true;
  EXPECT_EQ(Rooms().at(0).held(), v1::Room::HELD_NO_BALANCER);
}

TEST_F(RoomHandlerTest, FiguresThatCannotBeAreNotTold) {
  Store("tv", RoomPolicy());
  internal::v1::RoomBoards::Room board = Board();
  board.mutable_waiting()->set_late_width_s(3);
  board.set_let_in_per_s(std::numeric_limits<double>::quiet_NaN());
  board.set_leaving_per_s(-1);
  board.set_conversion(std::numeric_limits<double>::infinity());
  board.set_under_way(-5);
  board.set_computed_at_us(std::numeric_limits<int64_t>::max());
  Announce(board);
  const v1::Room room = Rooms().at(0);
  EXPECT_EQ(room.shuffled_waiting(), 0);
  EXPECT_EQ(room.late_waiting(), 0);
  EXPECT_EQ(room.let_in_per_second(), 0);
  EXPECT_EQ(room.leaving_per_second(), 0);
  EXPECT_EQ(room.conversion(), 0);
  EXPECT_EQ(room.under_way(), 0);
  EXPECT_FALSE(room.has_compute_time());
  Write(quota::kRoomsPath, "no boards");
  EXPECT_EQ(Rooms().at(0).held(), v1::Room::HELD_NO_BALANCER);
}

TEST_F(RoomHandlerTest, RefusesWhatNamesNoSku) {
  v1::ListRoomsRequest request;
  request.set_sku_id("*");
  EXPECT_TRUE(absl::IsInvalidArgument(rooms_.List(request).status())) << "each room is of one SKU";
  front_.FailNext(1);
  EXPECT_EQ(ReasonOfError(rooms_.List({}).status()), v1::ERROR_REASON_LEDGER_UNAVAILABLE);
}

}  // namespace
}  // namespace tranche::server
