// Policies of lotteries, draws and waiting rooms, and the rounds that they begin and end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "server/admission/door_rooms.h"
#include "tests/unit/server/front_door_admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

}  // namespace
}  // namespace tranche::server
