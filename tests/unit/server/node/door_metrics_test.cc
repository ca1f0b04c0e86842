// What a node shows of its front door.
#include "server/node/door_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/unit/server/door_fixture.h"
#include "tests/unit/server/metrics/metric_values.h"

namespace tranche::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::Optional;

class DoorMetricsTest : public ::testing::Test, private MetricSource {
 protected:
  MetricValues Shown() { return MetricValues(*this); }
  void Enter(const std::string& user) {
    (void)door_.door().Enter({.sku_id = "tv", .user_id = user}, clock_.Now(), absl::InfiniteFuture());
  }

  storage::FakeClock clock_;
  DoorOfTest door_{&clock_};
  const HookCounts* scorer_ = nullptr;

 private:
  void Collect(MetricSet* metrics) override {
    AddDoorMetrics({.door = &door_.door(), .age = absl::Seconds(3), .failed_looks = 2, .waiting = 4, .scorer = scorer_},
                   clock_.Now(), metrics);
  }
};

TEST_F(DoorMetricsTest, WithoutAPolicyThereAreOnlyTheAgeAndTheMode) {
  EXPECT_THAT(Shown().Names(), ElementsAre("tranche_door_state_age_seconds", "tranche_service_mode"));
  EXPECT_THAT(Shown().Of("tranche_door_state_age_seconds", {}), Optional(3));
}

TEST_F(DoorMetricsTest, TheModeIsTold) {
  EXPECT_THAT(Shown().Of("tranche_service_mode", {{"mode", "NORMAL"}}), Optional(1));
  EXPECT_THAT(Shown().Of("tranche_service_mode", {{"mode", "READ_ONLY"}}), Optional(0));
  door_.SetMode(storage::ServiceMode::Kind::kReadOnly);
  EXPECT_THAT(Shown().Of("tranche_service_mode", {{"mode", "NORMAL"}}), Optional(0));
  EXPECT_THAT(Shown().Of("tranche_service_mode", {{"mode", "CHANGES_ONLY"}}), Optional(0));
  EXPECT_THAT(Shown().Of("tranche_service_mode", {{"mode", "READ_ONLY"}}), Optional(1));
}

TEST_F(DoorMetricsTest, ChecksAreCountedByWhatTheySay) {
  door_.Set("tv", LimitByUser(1, absl::Hours(1)));
  door_.SetAccess({DenyUser("mallory")});
  for (const char* user : {"mallory", "alice", "alice", "alice"}) Enter(user);
  const MetricValues shown = Shown();
  const std::string name = "tranche_door_checks_total";
  EXPECT_THAT(shown.Of(name, {{"check", "limit_user"}, {"verdict", "refused"}}), Optional(2));
  EXPECT_THAT(shown.Of(name, {{"check", "limit_user"}, {"verdict", "waited"}}), Optional(0));
  EXPECT_THAT(shown.Of(name, {{"check", "access_list"}, {"verdict", "refused"}}), Optional(1));
  EXPECT_EQ(shown.Of(name, {{"check", "access_list"}, {"verdict", "waited"}}), std::nullopt) << "it never does";
  EXPECT_THAT(shown.Of("tranche_door_policies", {}), Optional(1));
  EXPECT_THAT(shown.Of("tranche_door_access_entries", {}), Optional(1));
  EXPECT_THAT(shown.Of("tranche_door_failed_looks_total", {}), Optional(2));
  EXPECT_THAT(shown.Of("tranche_door_waiting", {}), Optional(4));
  EXPECT_THAT(shown.Names(), Contains("tranche_door_table_slots"));
}

TEST_F(DoorMetricsTest, TokensAndChallengesAreCounted) {
  v1::FrontPolicy policy;
  policy.mutable_purchase_token();
  door_.Set("tv", policy);
  Enter("alice");
  EXPECT_THAT(Shown().Of("tranche_door_tokens_issued_total", {}), Optional(1));
  EXPECT_THAT(Shown().Names(), Not(Contains("tranche_door_table_slots"))) << "no limit, no table";
  policy.mutable_challenge()->set_bits(8);
  door_.Set("tv", policy);
  Enter("alice");
  EXPECT_THAT(Shown().Of("tranche_door_challenges_total", {{"outcome", "issued"}}), Optional(1));
  EXPECT_THAT(Shown().Of("tranche_door_challenges_total", {{"outcome", "solved"}}), Optional(0));
}

TEST_F(DoorMetricsTest, WhatIsAskedOutsideIsShownAlsoWithoutAPolicy) {
  HookCounts counts;
  counts.answered = 7;
  counts.skipped = 2;
  counts.open = [] { return true; };
  scorer_ = &counts;
  const MetricValues shown = Shown();
  const std::string name = "tranche_door_hook_total";
  EXPECT_THAT(shown.Of(name, {{"hook", "scorer"}, {"outcome", "answered"}}), Optional(7));
  EXPECT_THAT(shown.Of(name, {{"hook", "scorer"}, {"outcome", "late"}}), Optional(0));
  EXPECT_THAT(shown.Of(name, {{"hook", "scorer"}, {"outcome", "skipped"}}), Optional(2));
  EXPECT_EQ(shown.Of(name, {{"hook", "captcha"}, {"outcome", "answered"}}), std::nullopt) << "there is none";
  EXPECT_THAT(shown.Of("tranche_door_hook_open", {{"hook", "scorer"}}), Optional(1));
}

TEST_F(DoorMetricsTest, BuyersAreCountedByTier) {
  v1::FrontPolicy policy;
  policy.mutable_purchase_token();
  policy.mutable_risk()->add_tiers();
  door_.Set("tv", policy);
  Enter("alice");
  EXPECT_THAT(Shown().Of("tranche_door_tier_total", {{"tier", "1"}}), Optional(1));
  EXPECT_THAT(Shown().Of("tranche_door_tier_total", {{"tier", "2"}}), Optional(0));
  for (const char* outcome : {"asked", "solved", "refused", "expired", "replaced"}) {
    EXPECT_THAT(Shown().Of("tranche_door_captchas_total", {{"outcome", outcome}}), Optional(0)) << outcome;
  }
  EXPECT_THAT(Shown().Of("tranche_door_delays_total", {{"outcome", "given"}}), Optional(0));
}

TEST_F(DoorMetricsTest, WhatCannotBeReadIsShown) {
  door_.Set("radio", LimitByUser(1, absl::Hours(1)));
  EXPECT_THAT(Shown().Of("tranche_door_unreadable", {{"kind", "policy"}}), Optional(0));
  DoorPolicy newer;
  newer.sku_id = "tv";
  newer.unreadable = "it has an unknown part";
  door_.SetCompiled(newer);
  EXPECT_THAT(Shown().Of("tranche_door_unreadable", {{"kind", "policy"}}), Optional(1));
  EXPECT_THAT(Shown().Of("tranche_door_policies", {}), Optional(2));
  door_.SetAccess({DenyAddress("not an address")});
  EXPECT_THAT(Shown().Of("tranche_door_unreadable", {{"kind", "access_entry"}}), Optional(1));
}

}  // namespace
}  // namespace tranche::server
