// What operators are warned of when they set a policy of the front door.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/front_door_admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

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

}  // namespace
}  // namespace tranche::server
