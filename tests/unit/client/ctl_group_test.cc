// What `tranchectl group` shows, and what it refuses by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "client/ctl/group_hints.h"
#include "client/ctl/group_offer_view.h"
#include "client/ctl/group_view.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class GroupViewTest : public ::testing::Test {
 protected:
  static tranche::v1::Group GroupIn(tranche::v1::GroupState state) {
    tranche::v1::Group group;
    group.set_group_id("01890a5d-ac96-774b-bcce-b302099a8057");
    group.set_sku_id("tv-55-oled");
    group.set_offer_id("trio");
    group.set_seats(3);
    group.set_seats_taken(2);
    group.set_price_minor(39'900);
    group.set_currency("EUR");
    group.set_state(state);
    group.mutable_create_time()->set_seconds(1'800'000'000);
    group.mutable_deadline_time()->set_seconds(1'800'003'600);
    if (state == tranche::v1::GROUP_STATE_FORMING) {
      group.mutable_remaining()->set_seconds(754);
    } else {
      group.mutable_finish_time()->set_seconds(1'800'000'060);
    }
    return group;
  }
  static tranche::v1::GroupOffer Trio() {
    tranche::v1::GroupOffer offer;
    offer.set_sku_id("tv-55-oled");
    offer.set_offer_id("trio");
    offer.set_seats(3);
    offer.set_price_minor(39'900);
    offer.set_currency("EUR");
    offer.mutable_open_for()->set_seconds(86'400);
    offer.mutable_pay_within()->set_seconds(900);
    offer.set_on_timeout(tranche::v1::GROUP_TIMEOUT_REFUND);
    offer.mutable_create_time()->set_seconds(1'800'000'000);
    return offer;
  }

  // Keeps what is printed.
  template <typename PrintIt>
  void Prints(const std::string& format, PrintIt print) {
    std::ostringstream out, err;
    Session session(out, err);
    session.output = format;
    print(session);
    out_ = out.str();
    err_ = err.str();
    width_ = 0;
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) width_ = std::max(width_, line.size());
  }

  std::string out_;
  std::string err_;
  size_t width_ = 0;
};

TEST_F(GroupViewTest, GroupsFitATerminalAndWideTellsAll) {
  tranche::v1::ListGroupsResponse groups;
  *groups.add_groups() = GroupIn(tranche::v1::GROUP_STATE_FORMING);
  tranche::v1::Group& partial = *groups.add_groups() = GroupIn(tranche::v1::GROUP_STATE_FILLED);
  partial.set_partial(true);
  const auto print = [&](Session& session) { PrintGroups(session, groups); };
  Prints("table", print);
  EXPECT_LE(width_, 110u) << out_;
  EXPECT_THAT(out_, ContainsRegex("8057 +trio +FORMING +2 of 3 +399.00 EUR +12m34s"));
  EXPECT_THAT(out_, ContainsRegex("8057 +trio +FILLED, in part +2 of 3 +399.00 EUR +-"));
  EXPECT_THAT(out_, Not(HasSubstr("tv-55-oled"))) << "it was asked for";
  Prints("wide", print);
  EXPECT_THAT(out_, AllOf(HasSubstr("tv-55-oled"), HasSubstr("2027-01-15T09:00:00Z"), HasSubstr("DEADLINE")));
  Prints("json", print);
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["groups"][0]["state"], "GROUP_STATE_FORMING");
  EXPECT_EQ(json["groups"][0]["remaining"], "754s");
}

TEST_F(GroupViewTest, AGroupIsShownWithItsMembers) {
  tranche::v1::GetGroupResponse group;
  *group.mutable_group() = GroupIn(tranche::v1::GROUP_STATE_FORMING);
  tranche::v1::GroupMember& paid = *group.add_members();
  paid.set_reservation_id("11111111-1111-1111-1111-111111111111");
  paid.set_user_id("alice");
  paid.set_quantity(1);
  paid.set_reservation_state(tranche::v1::RESERVATION_STATE_PENDING);
  paid.mutable_join_time()->set_seconds(1'800'000'000);
  paid.set_seat(2);
  paid.mutable_pay_time()->set_seconds(1'800'000'030);
  tranche::v1::GroupMember& retired = *group.add_members();
  retired.set_reservation_id("22222222-2222-2222-2222-222222222222");
  retired.set_user_id("bob");
  retired.set_quantity(2);
  retired.mutable_join_time()->set_seconds(1'800'000'010);
  const auto print = [&](Session& session) { PrintGroup(session, group); };
  Prints("table", print);
  EXPECT_LE(width_, 110u) << out_;
  EXPECT_THAT(out_, AllOf(ContainsRegex("state +FORMING"), ContainsRegex("seats taken +2 of 3"),
                          ContainsRegex("time left +12m34s"), ContainsRegex("sku +tv-55-oled")));
  EXPECT_THAT(out_, ContainsRegex("2 +alice +1 +PENDING +2027-01-15T08:00:30Z +1111"));
  EXPECT_THAT(out_, ContainsRegex("- +bob +2 +- +- +2222")) << "not paid, and not kept";
  EXPECT_THAT(out_, Not(HasSubstr("JOINED")));
  Prints("wide", print);
  EXPECT_THAT(out_, AllOf(HasSubstr("JOINED"), HasSubstr("2027-01-15T08:00:10Z")));
  EXPECT_THAT(err_, IsEmpty());
  Prints("json", print);
  EXPECT_EQ(nlohmann::json::parse(out_)["members"][0]["seat"], 2);
}

TEST_F(GroupViewTest, ACancellationSaysWhatItMeans) {
  const tranche::v1::Group before = GroupIn(tranche::v1::GROUP_STATE_FORMING);
  tranche::v1::Group after = GroupIn(tranche::v1::GROUP_STATE_CANCELLED);
  after.set_cancel_reason("not delivered");
  Prints("table", [&](Session& session) { PrintCancelledGroup(session, before, after, /*preview=*/true); });
  EXPECT_THAT(out_, AllOf(ContainsRegex("state +FORMING -> CANCELLED"), ContainsRegex("seats taken +2 of 3"),
                          HasSubstr("not delivered"), Not(HasSubstr("price"))));
  EXPECT_THAT(err_, AllOf(HasSubstr("2 payments are refunded"), HasSubstr("--yes")));

  Prints("table", [&](Session& session) { PrintCancelledGroup(session, before, after, /*preview=*/false); });
  EXPECT_THAT(err_, IsEmpty());
  Prints("table", [&](Session& session) { PrintCancelledGroup(session, after, after, /*preview=*/true); });
  EXPECT_THAT(err_, AllOf(HasSubstr("nothing would change"), Not(HasSubstr("--yes"))));
  after.set_seats_taken(1);
  Prints("table", [&](Session& session) { PrintCancelledGroup(session, before, after, /*preview=*/true); });
  EXPECT_THAT(err_, HasSubstr("one payment is refunded"));
  after.set_seats_taken(0);
  Prints("json", [&](Session& session) { PrintCancelledGroup(session, before, after, /*preview=*/true); });
  EXPECT_THAT(err_, HasSubstr("nobody has paid"));
  EXPECT_EQ(nlohmann::json::parse(out_)["before"]["state"], "GROUP_STATE_FORMING");
}

TEST_F(GroupViewTest, OffersFitATerminalAndWideTellsAll) {
  tranche::v1::ListGroupOffersResponse offers;
  tranche::v1::GroupOffer& club = *offers.add_offers() = Trio();
  club.set_offer_id("club");
  club.set_seats(100);
  club.set_on_timeout(tranche::v1::GROUP_TIMEOUT_PARTIAL);
  club.set_min_members(10);
  club.mutable_close_time()->set_seconds(1'800'000'060);
  *offers.add_offers() = Trio();
  const auto print = [&](Session& session) { PrintGroupOffers(session, offers); };
  Prints("table", print);
  EXPECT_LE(width_, 80u) << out_;
  EXPECT_THAT(out_, ContainsRegex("club +100 +399.00 EUR +24h +15m +partial, from 10 +CLOSED"));
  EXPECT_THAT(out_, ContainsRegex("trio +3 +399.00 EUR +24h +15m +refund +OPEN"));
  Prints("wide", print);
  EXPECT_THAT(out_, AllOf(HasSubstr("tv-55-oled"), HasSubstr("2027-01-15T08:01:00Z")));
}

TEST_F(GroupViewTest, AChangeOfAnOfferIsShownAsOne) {
  GroupOfferChange change = {.after = Trio(), .preview = true, .warning = "It never changes."};
  const auto print = [&](Session& session) { PrintGroupOfferChange(session, change); };
  Prints("table", print);
  EXPECT_THAT(out_, AllOf(ContainsRegex("offer +trio"), ContainsRegex("seats +3"), ContainsRegex("closed +-")));
  EXPECT_THAT(err_, AllOf(HasSubstr("It never changes."), HasSubstr("--yes")));
  Prints("json", print);
  EXPECT_TRUE(nlohmann::json::parse(out_)["before"].is_null());

  change.before = Trio();
  Prints("table", print);
  EXPECT_THAT(err_, AllOf(HasSubstr("nothing would change"), Not(HasSubstr("It never changes."))));
  change.after.mutable_close_time()->set_seconds(1'800'000'060);
  Prints("table", print);
  EXPECT_THAT(out_, ContainsRegex("closed +- -> 2027-01-15T08:01:00Z"));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  change.preview = false;
  Prints("table", print);
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(GroupViewTest, AStateOfANewerVersionIsAQuestion) {
  EXPECT_EQ(GroupStateName(tranche::v1::GROUP_STATE_FAILED), "FAILED");
  EXPECT_EQ(GroupStateName(static_cast<tranche::v1::GroupState>(99)), "?");
}

TEST(GroupHintsTest, EveryReasonAboutGroupsHasANextStep) {
  for (const Reason reason : {Reason::kGroupNotFound, Reason::kGroupOver, Reason::kGroupFull, Reason::kAlreadyInGroup,
                              Reason::kOfferNotFound, Reason::kOfferClosed, Reason::kInGroup, Reason::kNotInGroup,
                              Reason::kTooManyGroups, Reason::kOfferExists, Reason::kTooManyOffers}) {
    EXPECT_THAT(NextStepForGroup(reason), Not(IsEmpty())) << ReasonName(reason);
  }
  EXPECT_THAT(NextStepForGroup(Reason::kSoldOut), IsEmpty());
}

class CtlGroupTest : public ::testing::Test, protected tranche::testing::TranchectlRunner {
 protected:
  // What the flags' own checks refuse asks no node.
  int Create(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"group",   "offer",  "create",     "tv", "trio",
                                          "--price", "399.00", "--open-for", "24h"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCtl(arguments);
  }
};

TEST_F(CtlGroupTest, WhatCannotBeMeantIsRefused) {
  EXPECT_EQ(Create({}), 1);
  EXPECT_THAT(err_, HasSubstr("--seats"));
  for (const char* seats : {"1", "101", "three"}) {
    EXPECT_EQ(Create({"--seats", seats}), 1) << seats;
    EXPECT_THAT(err_, HasSubstr("--seats"));
  }
  EXPECT_EQ(Create({"--seats", "3", "--on-timeout", "sell"}), 1);
  EXPECT_THAT(err_, HasSubstr("refund"));
  EXPECT_EQ(RunCtl({"group", "list"}), 1);
  EXPECT_EQ(RunCtl({"group", "list", "tv", "--state", "FULL"}), 1);
  EXPECT_EQ(RunCtl({"group", "show"}), 1);
  EXPECT_EQ(RunCtl({"group", "cancel"}), 1);
  EXPECT_EQ(RunCtl({"group"}), 1);
}

}  // namespace
}  // namespace tranche::ctl
