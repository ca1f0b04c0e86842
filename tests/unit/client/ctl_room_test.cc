// What `tranchectl door` understands of waiting rooms, and shows of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "client/ctl/door_policy_arguments.h"
#include "client/ctl/door_view.h"
#include "client/ctl/room_arguments.h"
#include "client/ctl/room_view.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using tranche::v1::Room;

const absl::Time kRoomNow = absl::FromUnixSeconds(1'800'000'000);

tranche::v1::FrontPolicy RoomPolicyOf(const PolicyFlags& flags, const tranche::v1::FrontPolicy& before = {}) {
  const auto policy = ApplyPolicyFlags(before, flags);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.value_or(tranche::v1::FrontPolicy());
}

PolicyFlags RoomFlagsOfATest() {
  PolicyFlags flags;
  flags.limits = {"user=5/1s"};
  flags.token = kTokenOfAnyLifetime;
  flags.room = "200/s,ahead=150%,poll=10s";
  return flags;
}

TEST(RoomArgumentsTest, AreReadAndShownInTheSameWords) {
  for (const char* text :
       {"200/s", "0/s", "1000000/s,ahead=10%", "1/s,ahead=10000%,poll=1m", "5/s,poll=2s", "5/s,poll=2.5s"}) {
    const auto rule = ParseRoom(text);
    ASSERT_TRUE(rule.ok()) << text << ": " << rule.status();
    if (std::string(text).find("poll=1m") == std::string::npos) {
      EXPECT_EQ(FormatRoom(*rule), text);
    } else {
      EXPECT_EQ(rule->poll_interval().seconds(), 60);
    }
  }
  EXPECT_EQ(ParseRoom("200/1s")->buyers_per_second(), 200);
  EXPECT_EQ(DescribeRoom(*ParseRoom("200/s")), "200/s, ahead 200% (default), poll 20s (default)");
  EXPECT_EQ(DescribeRoom(*ParseRoom("0/s,ahead=90%,poll=5s")), "0/s,ahead=90%,poll=5s, held: nobody is let in");
}

TEST(RoomArgumentsTest, WhatTheClusterRefusesIsRefusedInWords) {
  const auto message = [](const char* text) { return std::string(ParseRoom(text).status().message()); };
  for (const char* text : {"", "200", "200/m", "200/10s", "x/s", "/s", "1.5/s"}) {
    EXPECT_THAT(message(text), HasSubstr("such as 200/s,ahead=200%,poll=20s")) << text;
  }
  for (const char* text : {"-1/s", "1000001/s"}) EXPECT_THAT(message(text), HasSubstr("0 to 1000000")) << text;
  for (const char* text : {"5/s,ahead=9%", "5/s,ahead=10001%", "5/s,ahead=200", "5/s,ahead=", "5/s,ahead=1.5%"}) {
    EXPECT_THAT(message(text), HasSubstr("10% to 10000%")) << text;
  }
  for (const char* text : {"5/s,poll=1s", "5/s,poll=61s", "5/s,poll=20", "5/s,poll="}) {
    EXPECT_THAT(message(text), HasSubstr("2s to 1m")) << text;
  }
  EXPECT_THAT(message("5/s,often"), HasSubstr("\"often\" is neither"));
  PolicyFlags flags = RoomFlagsOfATest();
  flags.room = "many";
  EXPECT_THAT(std::string(ApplyPolicyFlags({}, flags).status().message()), HasSubstr("--room: "));
}

TEST(RoomFlagsTest, ChangeWhatTheyNameAndKeepTheRest) {
  const tranche::v1::FrontPolicy first = RoomPolicyOf(RoomFlagsOfATest());
  EXPECT_EQ(FormatRoom(first.room()), "200/s,ahead=150%,poll=10s");

  PolicyFlags faster;
  faster.room = "300/s";
  EXPECT_TRUE(faster.Any());
  EXPECT_EQ(FormatRoom(RoomPolicyOf(faster, first).room()), "300/s,ahead=150%,poll=10s");

  PolicyFlags hold;
  hold.hold_room = true;
  EXPECT_TRUE(hold.Any());
  EXPECT_EQ(FormatRoom(RoomPolicyOf(hold, first).room()), "0/s,ahead=150%,poll=10s");
  EXPECT_THAT(std::string(ApplyPolicyFlags({}, hold).status().message()), HasSubstr("--hold-room: "));

  PolicyFlags without;
  without.no_room = true;
  EXPECT_TRUE(without.Any());
  EXPECT_FALSE(RoomPolicyOf(without, first).has_room());
}

TEST(RoomFlagsTest, WhatARoomNeedsIsNamedWithItsFlag) {
  const auto message = [](auto change) {
    PolicyFlags flags = RoomFlagsOfATest();
    change(flags);
    return std::string(ApplyPolicyFlags({}, flags).status().message());
  };
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.token.clear(); }), HasSubstr("add --token"));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.limits = {"sku=5/1s"}; }), HasSubstr("add --limit user="));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.lottery = "10%"; }), HasSubstr("--no-lottery"));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.draw = true; }), HasSubstr("--no-draw"));

  PolicyFlags no_token;
  no_token.no_token = true;
  EXPECT_FALSE(ApplyPolicyFlags(RoomPolicyOf(RoomFlagsOfATest()), no_token).ok());
}

// What is printed in this format.
template <typename PrintIt>
std::string RoomPrints(const std::string& format, PrintIt print) {
  std::ostringstream out, err;
  Session session(out, err);
  session.output = format;
  print(session);
  return out.str();
}

TEST(RoomViewTest, APolicyWithARoomSaysSo) {
  tranche::v1::ListFrontPoliciesResponse policies;
  tranche::v1::StoredFrontPolicy& stored = *policies.add_policies();
  stored.set_sku_id("tv");
  *stored.mutable_policy() = RoomPolicyOf(RoomFlagsOfATest());
  stored.mutable_round()->set_round(4);
  EXPECT_THAT(RoomPrints("table", [&](Session& s) { PrintPolicies(s, policies); }),
              ContainsRegex("tv +user=5/1s +room 200/s +2m"));
  EXPECT_THAT(RoomPrints("table", [&](Session& s) { PrintPolicy(s, stored); }),
              AllOf(ContainsRegex("room +200/s,ahead=150%,poll=10s\n"), ContainsRegex("round +4\n"),
                    ContainsRegex("lottery +none\n")));

  tranche::v1::SetFrontPolicyResponse change;
  *change.mutable_before() = stored;
  *change.mutable_policy() = stored;
  change.mutable_policy()->mutable_policy()->mutable_room()->set_buyers_per_second(300);
  EXPECT_THAT(
      RoomPrints("table", [&](Session& s) { PrintPolicyChange(s, "tv", change, /*preview=*/true); }),
      AllOf(ContainsRegex("room +200/s,ahead=150%,poll=10s -> 300/s,ahead=150%,poll=10s"), Not(HasSubstr("token"))));
}

Room WaitingRoom(Room::Held held) {
  Room room;
  room.set_sku_id("tv-55-oled");
  room.mutable_rule()->set_buyers_per_second(200);
  room.set_round(3);
  room.set_threshold(17);
  room.set_shuffled_waiting(12'000);
  room.set_late_waiting(340);
  room.set_let_in_per_second(198.04);
  room.set_leaving_per_second(0.004);
  room.set_conversion(0.5);
  room.set_under_way(300);
  room.set_unsold(75);
  room.set_held(held);
  room.mutable_compute_time()->set_seconds(absl::ToUnixSeconds(kRoomNow) - 41);
  return room;
}

std::string PrintedRoom(const std::string& format, const Room& room) {
  tranche::v1::ListRoomsResponse rooms;
  *rooms.add_rooms() = room;
  return RoomPrints(format, [&](Session& session) { PrintRooms(session, rooms, kRoomNow); });
}

TEST(RoomViewTest, ARoomFitsATerminalAndWideTellsAll) {
  const std::string narrow = PrintedRoom("table", WaitingRoom(Room::HELD_UNSPECIFIED));
  EXPECT_THAT(narrow, ContainsRegex("tv-55-oled +12000.340 +198.0 +200 +50% +300 +75 +open"));
  std::istringstream lines(narrow);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 82u) << line;
  EXPECT_THAT(narrow, Not(HasSubstr("held")));
  EXPECT_THAT(PrintedRoom("wide", WaitingRoom(Room::HELD_UNSPECIFIED)),
              AllOf(HasSubstr("THRESHOLD"), HasSubstr("0.40%"), HasSubstr("2027-01-15T07:59:19Z")));
}

TEST(RoomViewTest, WhereNobodyIsLetInTheNextStepIsSaid) {
  const auto state = [](Room::Held held) { return DescribeRoomState(WaitingRoom(held), kRoomNow); };
  EXPECT_EQ(state(Room::HELD_NO_BALANCER), "held: no balancer has computed it for 41s; see `tranchectl status`");
  EXPECT_THAT(state(Room::HELD_NOT_OPEN), HasSubstr("`tranchectl sku show tv-55-oled`"));
  EXPECT_THAT(state(Room::HELD_RATE_ZERO), HasSubstr("`tranchectl door set tv-55-oled --room"));
  EXPECT_THAT(state(Room::HELD_ENOUGH), HasSubstr("--room 200/s,ahead="));
  EXPECT_THAT(state(Room::HELD_LEDGER_SILENT), HasSubstr("`tranchectl status`"));
  EXPECT_THAT(state(Room::HELD_NOBODY_WAITS), HasSubstr("nobody waits"));
  EXPECT_THAT(state(Room::HELD_COUNTING), HasSubstr("being counted"));
  EXPECT_THAT(state(Room::HELD_NOT_OPEN), HasSubstr("`tranchectl door mode`"));
  EXPECT_THAT(state(static_cast<Room::Held>(77)), HasSubstr("newer tranchectl"));
  EXPECT_THAT(PrintedRoom("table", WaitingRoom(Room::HELD_NO_BALANCER)),
              HasSubstr("\ntv-55-oled: held: no balancer has computed it for 41s"));
}

TEST(RoomViewTest, WhyASaleIsNotOpenIsSaidWhereItIsKnown) {
  tranche::v1::Sku sku;
  const auto state = [&](tranche::v1::SkuState sale) {
    sku.set_state(sale);
    return DescribeRoomState(WaitingRoom(Room::HELD_NOT_OPEN), kRoomNow, &sku);
  };
  sku.mutable_open_time()->set_seconds(absl::ToUnixSeconds(kRoomNow) + 60);
  EXPECT_THAT(state(tranche::v1::SKU_STATE_NOT_YET), HasSubstr("has not opened yet; it opens at 2027-01-15T08:01:00Z"));
  EXPECT_THAT(state(tranche::v1::SKU_STATE_PAUSED), HasSubstr("`tranchectl sku resume tv-55-oled --yes`"));
  EXPECT_THAT(state(tranche::v1::SKU_STATE_CLOSED), HasSubstr("is closed"));
  EXPECT_THAT(state(tranche::v1::SKU_STATE_ENDED), HasSubstr("--no-room"));
  EXPECT_THAT(state(tranche::v1::SKU_STATE_OPEN), HasSubstr("not open, or paused")) << "it has changed since";
}

TEST(RoomViewTest, ALaterOpeningAfterBuyersWereLetInIsWarnedOf) {
  tranche::v1::ListRoomsResponse rooms;
  *rooms.add_rooms() = WaitingRoom(Room::HELD_UNSPECIFIED);
  tranche::v1::Sku before;
  before.set_sku_id("tv-55-oled");
  before.mutable_open_time()->set_seconds(1000);
  tranche::v1::Sku after = before;
  after.mutable_open_time()->set_seconds(2000);
  after.set_state(tranche::v1::SKU_STATE_NOT_YET);
  EXPECT_THAT(WarningOfLaterOpening(before, after, rooms), HasSubstr("`tranchectl door round tv-55-oled --yes`"));
  EXPECT_EQ(WarningOfLaterOpening(after, before, rooms), "") << "it is not later";
  after.set_state(tranche::v1::SKU_STATE_OPEN);
  EXPECT_EQ(WarningOfLaterOpening(before, after, rooms), "") << "it is open at that time already";
  after.set_state(tranche::v1::SKU_STATE_NOT_YET);
  rooms.mutable_rooms(0)->set_threshold(0);
  EXPECT_EQ(WarningOfLaterOpening(before, after, rooms), "") << "nobody was let in";
}

TEST(RoomViewTest, WhatNobodyHasComputedHasNoFigures) {
  Room room;
  room.set_sku_id("tv");
  room.mutable_rule()->set_buyers_per_second(200);
  room.set_held(Room::HELD_NO_BALANCER);
  EXPECT_THAT(PrintedRoom("table", room), AllOf(ContainsRegex("tv +\\? +\\? +200 +\\? +\\? +\\? +held"),
                                                HasSubstr("no balancer has computed it yet")));
}

}  // namespace
}  // namespace tranche::ctl
