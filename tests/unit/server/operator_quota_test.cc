// Operators who move, rebalance and freeze quota, and what they are shown.
#include <gmock/gmock.h>

#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class OperatorQuotaTest : public AdminHandlersTest {
 protected:
  static v1::MoveQuotaRequest MoveRequest(const std::string& from, const std::string& to, int64_t units,
                                          bool preview = false) {
    v1::MoveQuotaRequest request;
    request.set_sku_id("tv");
    request.set_from(from);
    request.set_to(to);
    request.set_units(units);
    request.set_preview(preview);
    return request;
  }
  static v1::RebalanceQuotaRequest RebalanceRequest(v1::RebalancePolicy policy) {
    v1::RebalanceQuotaRequest request;
    request.set_sku_id("tv");
    request.set_policy(policy);
    return request;
  }
  static void AddWeight(v1::RebalanceQuotaRequest& request, const std::string& node, int64_t weight) {
    request.add_weights()->set_node(node);
    request.mutable_weights(request.weights_size() - 1)->set_weight(weight);
  }
  v1::SetQuotaFrozenResponse Freeze(bool frozen, bool preview = false) {
    v1::SetQuotaFrozenRequest request;
    request.set_sku_id("tv");
    request.set_frozen(frozen);
    request.set_preview(preview);
    const auto response = quota_.SetFrozen(request, kActor);
    EXPECT_TRUE(response.ok());
    return *response;
  }
  void Drain(const std::string& node) {
    v1::DrainNodeRequest drain;
    drain.set_node(node);
    ASSERT_TRUE(node_.Drain(drain, kActor).ok());
  }
};

TEST_F(OperatorQuotaTest, MovesBetweenPoolAndNodes) {
  const auto preview = quota_.Move(MoveRequest("pool", "a", 60, /*preview=*/true), kActor);
  ASSERT_TRUE(preview.ok());
  EXPECT_EQ(Remaining(Quota(), a_), 0) << "a preview changes nothing";
  const auto moved = quota_.Move(MoveRequest("pool", "a", 60), kActor);
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(WithoutAnnouncements(moved->after()), WithoutAnnouncements(preview->after()));
  EXPECT_EQ(moved->units_moved(), 60);
  EXPECT_EQ(moved->warnings_size(), 0);
  EXPECT_EQ(SliceIn(moved->after(), a_).announced_version(), SliceIn(moved->after(), a_).version());

  ASSERT_TRUE(quota_.Move(MoveRequest("a", std::to_string(b_), 25), kActor).ok());
  EXPECT_EQ(Remaining(Quota(), a_), 35);
  EXPECT_EQ(Remaining(Quota(), b_), 25);
  EXPECT_EQ(Remaining(Quota(), storage::kPool), 40);
  EXPECT_EQ((*ledger_.ListAudit({.sku_id = "tv"}, 0, 1))[0].actor, kActor);
}

TEST_F(OperatorQuotaTest, AMoveIntoThePoolWarnsUnlessFrozen) {
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 60), kActor).ok());
  const auto thawed = quota_.Move(MoveRequest("a", "pool", 10, /*preview=*/true), kActor);
  ASSERT_EQ(thawed->warnings_size(), 1);
  EXPECT_THAT(thawed->warnings(0), HasSubstr("quota freeze tv"));
  Freeze(true);
  const auto frozen = quota_.Move(MoveRequest("a", "pool", 10), kActor);
  ASSERT_TRUE(frozen.ok()) << "operators move what is frozen";
  EXPECT_EQ(frozen->warnings_size(), 0);
  EXPECT_TRUE(frozen->after().quota_frozen());
  EXPECT_EQ(Remaining(frozen->after(), storage::kPool), 50);
}

TEST_F(OperatorQuotaTest, NeverMovesMoreThanRemains) {
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 60), kActor).ok());
  Sell(a_, 20);
  const absl::Status refused = quota_.Move(MoveRequest("a", "b", 41), kActor).status();
  EXPECT_EQ(ReasonOf(refused), "INSUFFICIENT_UNITS");
  EXPECT_EQ(MetadataOf(refused, "available"), "40");
  EXPECT_EQ(MetadataOf(refused, "needed"), "41");
  EXPECT_EQ(MetadataOf(quota_.Move(MoveRequest("pool", "b", 41), kActor).status(), "available"), "40");
  EXPECT_TRUE(quota_.Move(MoveRequest("a", "b", 40), kActor).ok());
}

TEST_F(OperatorQuotaTest, WhatTheSourceSellsMeanwhileIsNotMovedAndSaid) {
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 100), kActor).ok());
  ledger_.before_next_change = [this] { Sell(a_, 70); };
  const auto moved = quota_.Move(MoveRequest("a", "b", 50), kActor);
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(moved->units_moved(), 30);
  ASSERT_EQ(moved->warnings_size(), 1);
  EXPECT_THAT(moved->warnings(0), HasSubstr("only 30 of 50"));
  EXPECT_EQ(Remaining(moved->after(), a_), 0);
  EXPECT_EQ(Remaining(moved->after(), b_), 30);
  EXPECT_EQ(ledger_.Verify("tv")->violations.size(), 0u);
}

TEST_F(OperatorQuotaTest, ThePoolStandsInForWhatTheSourceSoldMeanwhileAndItIsSaid) {
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 90), kActor).ok());
  ledger_.before_next_change = [this] { Sell(a_, 85); };
  const auto moved = quota_.Move(MoveRequest("a", "b", 12), kActor);
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(moved->units_moved(), 5);
  EXPECT_EQ(Remaining(moved->after(), b_), 12);
  EXPECT_EQ(Remaining(moved->after(), storage::kPool), 3);
  ASSERT_EQ(moved->warnings_size(), 1);
  EXPECT_THAT(moved->warnings(0), HasSubstr("7 came from the pool"));
}

TEST_F(OperatorQuotaTest, MoveRefusesWhatCannotBeMeant) {
  const auto reason = [this](const v1::MoveQuotaRequest& request) {
    return ReasonOf(quota_.Move(request, kActor).status());
  };
  EXPECT_EQ(reason(MoveRequest("a", "a", 1)), "FIELD_INVALID");
  EXPECT_EQ(reason(MoveRequest("a", std::to_string(a_), 1)), "FIELD_INVALID") << "the same by its incarnation";
  EXPECT_EQ(reason(MoveRequest("pool", "pool", 1)), "FIELD_INVALID");
  EXPECT_EQ(reason(MoveRequest("", "a", 1)), "FIELD_INVALID");
  EXPECT_EQ(reason(MoveRequest("pool", "a", 0)), "FIELD_INVALID");
  EXPECT_EQ(reason(MoveRequest("pool", "a", -1)), "FIELD_INVALID");
  EXPECT_EQ(reason(MoveRequest("pool", "c", 1)), "NODE_NOT_FOUND");
  v1::MoveQuotaRequest unknown = MoveRequest("pool", "a", 1);
  unknown.set_sku_id("radio");
  EXPECT_EQ(reason(unknown), "SKU_NOT_FOUND");
  Drain("b");
  EXPECT_EQ(reason(MoveRequest("pool", "b", 1)), "NODE_DRAINING");
  EXPECT_EQ(ReasonOf(quota_.Set(SetRequest("b", 1, false), kActor).status()), "NODE_DRAINING");
  EXPECT_TRUE(quota_.Set(SetRequest("b", 0, false), kActor).ok()) << "what it has may always be taken";
}

TEST_F(OperatorQuotaTest, AnOutdatedVersionIsRefusedWithWhoAndWhen) {
  const int64_t seen = Quota().quota_version();
  clock_.AdvanceBy(absl::Hours(2));
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "b", 1), "alice").ok());
  v1::MoveQuotaRequest move = MoveRequest("pool", "a", 1);
  move.set_expected_quota_version(seen);
  v1::RebalanceQuotaRequest rebalance = RebalanceRequest(v1::REBALANCE_POLICY_EQUAL);
  rebalance.set_expected_quota_version(seen);
  v1::SetQuotaRequest set = SetRequest("a", 1, false);
  set.set_expected_quota_version(seen);
  for (const absl::Status& refused : {quota_.Move(move, kActor).status(), quota_.Rebalance(rebalance, kActor).status(),
                                      quota_.Set(set, kActor).status()}) {
    EXPECT_EQ(ReasonOf(refused), "QUOTA_VERSION_CHANGED");
    EXPECT_EQ(MetadataOf(refused, "quota_version"), std::to_string(seen + 1));
    EXPECT_THAT(std::string(refused.message()), HasSubstr("is now at version " + std::to_string(seen + 1)));
    EXPECT_THAT(std::string(refused.message()), HasSubstr("move_units by alice at 1971-01-01T02:00:00+00:00"));
  }
}

TEST_F(OperatorQuotaTest, WhatNobodyAskedForIsBlamedOnNobody) {
  clock_.AdvanceBy(absl::Hours(2));
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "b", 50), "alice").ok());
  v1::MoveQuotaRequest move = MoveRequest("pool", "a", 1);
  move.set_expected_quota_version(Quota().quota_version());
  clock_.AdvanceBy(absl::Hours(1));
  const std::string alices_move =
      "; the last change that a person made was move_units by alice at 1971-01-01T02:00:00+00:00;";

  ASSERT_TRUE(ledger_.TakeFromPool({.sku_id = "tv", .incarnation = a_, .wanted = 1}).ok());
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{{a_, 1}}}, std::nullopt, quota::kAutomatic).ok());
  absl::Status refused = quota_.Move(move, kActor).status();
  EXPECT_EQ(ReasonOf(refused), "QUOTA_VERSION_CHANGED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr(alices_move)) << "these moves are not in the log";
  EXPECT_EQ(MetadataOf(refused, "changed_by"), "") << "that would say that alice came in between";

  ASSERT_TRUE(ledger_.ReclaimIncarnation(b_).ok());
  ASSERT_TRUE(ledger_.RaiseVersion("tv", 1000, "balancer").ok());
  refused = quota_.Move(move, kActor).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr(alices_move)) << "these are, and no person has asked for them";

  ledger_.audit_fails = true;
  refused = quota_.Move(move, kActor).status();
  EXPECT_EQ(MetadataOf(refused, "quota_version"), std::to_string(Quota().quota_version()));
  EXPECT_THAT(std::string(refused.message()), Not(HasSubstr("person")));
}

TEST_F(OperatorQuotaTest, AMoveBetweenTheLookAndTheDeedIsCaughtByTheLedger) {
  const auto meddle = [this] { ASSERT_TRUE(ledger_.MoveUnits("tv", {{{a_, 90}}}, std::nullopt, "alice").ok()); };
  v1::MoveQuotaRequest strict = MoveRequest("pool", "b", 50);
  strict.set_expected_quota_version(Quota().quota_version());
  ledger_.before_next_change = meddle;
  const absl::Status refused = quota_.Move(strict, kActor).status();
  EXPECT_EQ(ReasonOf(refused), "QUOTA_VERSION_CHANGED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("move_units by alice"));
  EXPECT_EQ(Remaining(Quota(), b_), 0);

  // Without an expectation it is planned again, from the present state: 9 are left in the pool.
  ledger_.before_next_change = [this] { ASSERT_TRUE(ledger_.MoveUnits("tv", {{{a_, 1}}}, std::nullopt, "x").ok()); };
  EXPECT_EQ(MetadataOf(quota_.Move(MoveRequest("pool", "b", 10), kActor).status(), "available"), "9");
}

TEST_F(OperatorQuotaTest, RebalancesByWeights) {
  v1::RebalanceQuotaRequest request = RebalanceRequest(v1::REBALANCE_POLICY_WEIGHTS);
  AddWeight(request, "a", 3);
  AddWeight(request, std::to_string(b_), 1);
  const auto shared = quota_.Rebalance(request, kActor);
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(Remaining(shared->after(), a_), 75);
  EXPECT_EQ(Remaining(shared->after(), b_), 25);
  EXPECT_EQ(shared->warnings_size(), 0);

  v1::RebalanceQuotaRequest partial = RebalanceRequest(v1::REBALANCE_POLICY_WEIGHTS);
  AddWeight(partial, "b", 1);
  partial.set_preview(true);
  const auto preview = quota_.Rebalance(partial, kActor);
  ASSERT_TRUE(preview.ok());
  EXPECT_EQ(Remaining(preview->after(), a_), 0);
  EXPECT_EQ(Remaining(preview->after(), b_), 100);
  ASSERT_EQ(preview->warnings_size(), 1);
  EXPECT_THAT(preview->warnings(0), HasSubstr("left with nothing: a"));
}

TEST_F(OperatorQuotaTest, RefusesWeightsThatCannotBeMeant) {
  const auto refusal = [this](const v1::RebalanceQuotaRequest& request) {
    return ReasonOf(quota_.Rebalance(request, kActor).status());
  };
  v1::RebalanceQuotaRequest none = RebalanceRequest(v1::REBALANCE_POLICY_WEIGHTS);
  EXPECT_EQ(refusal(none), "FIELD_INVALID");
  AddWeight(none, "a", 0);
  EXPECT_EQ(refusal(none), "FIELD_INVALID") << "weights of nothing";
  AddWeight(none, std::to_string(a_), 1);
  EXPECT_EQ(refusal(none), "FIELD_INVALID") << "one node twice";
  v1::RebalanceQuotaRequest unknown = RebalanceRequest(v1::REBALANCE_POLICY_WEIGHTS);
  AddWeight(unknown, "c", 1);
  EXPECT_EQ(refusal(unknown), "NODE_NOT_FOUND");
  v1::RebalanceQuotaRequest negative = RebalanceRequest(v1::REBALANCE_POLICY_WEIGHTS);
  AddWeight(negative, "a", -1);
  EXPECT_EQ(refusal(negative), "FIELD_INVALID");
  v1::RebalanceQuotaRequest stray = RebalanceRequest(v1::REBALANCE_POLICY_DEMAND);
  AddWeight(stray, "a", 1);
  EXPECT_EQ(refusal(stray), "FIELD_INVALID") << "weights with another policy";
  EXPECT_EQ(refusal(RebalanceRequest(static_cast<v1::RebalancePolicy>(9))), "FIELD_INVALID");
  Drain("b");
  v1::RebalanceQuotaRequest draining = RebalanceRequest(v1::REBALANCE_POLICY_WEIGHTS);
  AddWeight(draining, "b", 1);
  EXPECT_EQ(refusal(draining), "NODE_DRAINING");
}

TEST_F(OperatorQuotaTest, RebalancesByReportedDemand) {
  Report(a_, /*grants_per_s=*/1.5, /*denials_per_s=*/0.5);
  Report(b_, /*grants_per_s=*/8, /*denials_per_s=*/0);
  const auto shared = quota_.Rebalance(RebalanceRequest(v1::REBALANCE_POLICY_DEMAND), kActor);
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(Remaining(shared->after(), a_), 20);
  EXPECT_EQ(Remaining(shared->after(), b_), 80);
  EXPECT_EQ(shared->warnings_size(), 0);
}

TEST_F(OperatorQuotaTest, ANodeThatCannotCommitOrDrainsHasNoDemand) {
  const storage::IncarnationId c = Register("c");
  for (const storage::IncarnationId node : {a_, b_, c}) Report(node, 5, 0);
  internal::v1::DemandReport cut_off;
  cut_off.set_cannot_commit(true);
  cut_off.add_skus()->set_sku_id("tv");
  cut_off.mutable_skus(0)->set_denials_per_s(500);
  Write(quota::DemandPath(b_), cut_off.SerializeAsString());
  Drain("c");
  const auto shared = quota_.Rebalance(RebalanceRequest(v1::REBALANCE_POLICY_DEMAND), kActor);
  EXPECT_EQ(Remaining(shared->after(), a_), 100);
}

TEST_F(OperatorQuotaTest, NobodyReportsDemandMeansEqualSharesAndIsSaid) {
  Report(a_, 0, 0);
  const auto shared = quota_.Rebalance(RebalanceRequest(v1::REBALANCE_POLICY_DEMAND), kActor);
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(Remaining(shared->after(), a_), 50);
  EXPECT_EQ(Remaining(shared->after(), b_), 50);
  ASSERT_EQ(shared->warnings_size(), 1);
  EXPECT_THAT(shared->warnings(0), HasSubstr("equally"));
}

TEST_F(OperatorQuotaTest, EqualSharesLeaveConsumersOut) {
  const storage::IncarnationId consumer = Register("c", "c:1", /*consumer=*/true);
  const auto equal = quota_.Rebalance(RebalanceRequest(v1::REBALANCE_POLICY_EQUAL), kActor);
  ASSERT_TRUE(equal.ok());
  EXPECT_EQ(Remaining(equal->after(), a_), 50);
  EXPECT_EQ(Remaining(equal->after(), b_), 50);
  Report(consumer, /*grants_per_s=*/3, /*denials_per_s=*/0);
  Report(a_, /*grants_per_s=*/1, /*denials_per_s=*/0);
  const auto by_demand = quota_.Rebalance(RebalanceRequest(v1::REBALANCE_POLICY_DEMAND), kActor);
  ASSERT_TRUE(by_demand.ok());
  EXPECT_EQ(Remaining(by_demand->after(), consumer), 75) << "they get what is asked of them";
  Drain("a");
  Drain("b");
  const auto nobody = quota_.Rebalance(RebalanceRequest(v1::REBALANCE_POLICY_EQUAL), kActor);
  ASSERT_TRUE(nobody.ok());
  ASSERT_EQ(nobody->warnings_size(), 1);
  EXPECT_THAT(nobody->warnings(0), HasSubstr("nothing moves"));
}

TEST_F(OperatorQuotaTest, WithNobodyToReceiveNothingMovesAndItIsSaid) {
  Drain("a");
  Drain("b");
  const auto shared = quota_.Rebalance(RebalanceRequest(v1::REBALANCE_POLICY_DEMAND), kActor);
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(Remaining(shared->after(), storage::kPool), 100);
  ASSERT_EQ(shared->warnings_size(), 1);
  EXPECT_THAT(shared->warnings(0), HasSubstr("nothing moves"));
}

TEST_F(OperatorQuotaTest, FreezeAndThawPreviewAndRepeatHarmlessly) {
  const auto preview = Freeze(true, /*preview=*/true);
  EXPECT_FALSE(preview.before().quota_frozen());
  EXPECT_TRUE(preview.sku().quota_frozen());
  EXPECT_FALSE(ledger_.GetSku("tv")->quota_frozen);
  EXPECT_TRUE(Freeze(true).sku().quota_frozen());
  EXPECT_TRUE(Freeze(true).before().quota_frozen());
  EXPECT_TRUE(ledger_.GetSku("tv")->quota_frozen);
  EXPECT_TRUE(Quota().quota_frozen());
  EXPECT_FALSE(Freeze(false).sku().quota_frozen());
  v1::SetQuotaFrozenRequest unknown;
  unknown.set_sku_id("radio");
  EXPECT_EQ(ReasonOf(quota_.SetFrozen(unknown, kActor).status()), "SKU_NOT_FOUND");
}

TEST_F(OperatorQuotaTest, ShowsWhatTheNodesReport) {
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 60), kActor).ok());
  Report(a_, 1.5, 0.5);
  Report(b_, 0, 4);
  clock_.AdvanceBy(absl::Milliseconds(1500));
  const v1::Quota quota = Quota();
  ASSERT_EQ(quota.slices_size(), 3) << "pool, a, and b which holds nothing and is asked";
  EXPECT_FALSE(quota.slices(0).has_report());
  const v1::NodeReport& a = quota.slices(1).report();
  EXPECT_EQ(a.age().seconds(), 1);
  EXPECT_EQ(a.age().nanos(), 500'000'000);
  EXPECT_EQ(a.activity().free(), 3);
  EXPECT_EQ(a.activity().in_flight(), 2);
  EXPECT_EQ(a.activity().waiting(), 1);
  EXPECT_EQ(a.activity().slice_version(), 4);
  EXPECT_DOUBLE_EQ(a.activity().grants_per_s(), 1.5);
  EXPECT_DOUBLE_EQ(a.activity().refused_per_s(), 7.5);
  EXPECT_EQ(quota.slices(2).incarnation(), b_);
  EXPECT_EQ(quota.slices(2).node_name(), "b");
  EXPECT_EQ(quota.slices(2).version(), 0);
  EXPECT_DOUBLE_EQ(quota.slices(2).report().activity().denials_per_s(), 4);
}

TEST_F(OperatorQuotaTest, AReportThatDoesNotNameTheSkuIsOnlyAnAge) {
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 60), kActor).ok());
  internal::v1::DemandReport idle;
  idle.set_reported_at_us(absl::ToUnixMicros(clock_.Now() + absl::Seconds(3)));
  Write(quota::DemandPath(a_), idle.SerializeAsString());
  const v1::Quota quota = Quota();
  ASSERT_TRUE(SliceIn(quota, a_).has_report());
  EXPECT_FALSE(SliceIn(quota, a_).report().has_activity());
  EXPECT_EQ(SliceIn(quota, a_).report().age().seconds(), 0) << "a clock ahead of ours makes no report from the future";
}

TEST_F(OperatorQuotaTest, APreviewOfFreezingEqualsWhatHappens) {
  for (const bool frozen : {true, true, false}) {
    const v1::SetQuotaFrozenResponse preview = Freeze(frozen, /*preview=*/true);
    EXPECT_EQ(Freeze(frozen).DebugString(), preview.DebugString());
  }
}

TEST_F(OperatorQuotaTest, OnDemandSkusAreCreatedAndShownAsSuch) {
  v1::CreateSkuRequest create;
  *create.mutable_sku() = Tv();
  create.mutable_sku()->set_sku_id("spare");
  create.mutable_sku()->set_on_demand(true);
  EXPECT_TRUE(sku_.Create(create, kActor)->sku().on_demand());
  EXPECT_FALSE(ledger_.GetSku("spare")->presplit);
  EXPECT_TRUE(ledger_.GetSku("tv")->presplit);
  EXPECT_FALSE(Quota().on_demand());
}

TEST_F(OperatorQuotaTest, TheAuditLogIsPagedWithoutLossOrRepetition) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 1), absl::StrCat("op", i)).ok());
  Drain("b");
  std::vector<std::string> actors;
  v1::ListAuditRequest request;
  request.set_page_size(2);
  do {
    const auto page = audit_.List(request);
    ASSERT_TRUE(page.ok());
    EXPECT_LE(page->entries_size(), 2);
    for (const v1::AuditEntry& entry : page->entries()) actors.push_back(entry.actor());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(actors, (std::vector<std::string>{kActor, "op4", "op3", "op2", "op1", "op0", kActor}));

  request.set_sku_id("tv");
  const auto of_tv = audit_.List(request);
  EXPECT_EQ(of_tv->entries(0).actor(), "op4") << "not the drain";
  EXPECT_EQ(of_tv->entries(0).action(), "move_units");
  request.set_sku_id("");
  EXPECT_EQ(audit_.List(request)->entries(0).node_name(), "b");
  request.set_sku_id("radio");
  EXPECT_EQ(ReasonOf(audit_.List(request).status()), "SKU_NOT_FOUND");
  request.set_sku_id("tv");
  request.set_page_token("xyz");
  EXPECT_EQ(ReasonOf(audit_.List(request).status()), "FIELD_INVALID");
}

TEST_F(OperatorQuotaTest, TheTreeIsRebuiltFromTheLedger) {
  ASSERT_TRUE(quota_.Move(MoveRequest("pool", "a", 60), kActor).ok());
  Drain("b");
  quota::Coordination& session = *sessions_.session;
  ASSERT_TRUE(session.Delete(quota::SlicePath(a_, "tv"), quota::kAnyVersion).ok());
  ASSERT_TRUE(session.Delete(quota::DrainPath(b_), quota::kAnyVersion).ok());
  v1::RebuildCoordinationRequest request;
  request.set_preview(true);
  const auto preview = coordination_.Rebuild(request, kActor);
  ASSERT_TRUE(preview.ok());
  EXPECT_EQ(preview->slices().missing(), 1);
  EXPECT_EQ(preview->drain_requests().missing(), 1);
  EXPECT_EQ(preview->skus().expected(), 1);
  EXPECT_EQ(preview->skus().missing(), 0);
  EXPECT_FALSE(session.Get(quota::SlicePath(a_, "tv"), quota::Watch::kNo).ok()) << "a preview changes nothing";
  request.set_preview(false);
  const auto done = coordination_.Rebuild(request, kActor);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->DebugString(), preview->DebugString());
  EXPECT_EQ(SliceIn(Quota(), a_).announced_version(), SliceIn(Quota(), a_).version());
  EXPECT_TRUE(session.Get(quota::DrainPath(b_), quota::Watch::kNo).ok());

  request.set_new_history(true);
  request.set_preview(true);
  EXPECT_FALSE(coordination_.Rebuild(request, kActor)->new_history_requested());
  EXPECT_FALSE(session.Get(quota::LedgerMarkPath(), quota::Watch::kNo).ok());
  const std::string of_shard = quota::LedgerMarkPath("hot");
  ASSERT_TRUE(session.Create(of_shard, "perhaps of another ledger", quota::CreateMode::kPersistent).ok());
  request.set_preview(false);
  EXPECT_TRUE(coordination_.Rebuild(request, kActor)->new_history_requested());
  EXPECT_TRUE(absl::IsNotFound(session.Get(of_shard, quota::Watch::kNo).status())) << "its leader writes it anew";
  EXPECT_EQ(session.Get(quota::LedgerMarkPath(), quota::Watch::kNo)->data, "") << "the leading balancer obeys it";
  request.set_new_history(false);

  ledger_.FailNext(100);
  EXPECT_EQ(ReasonOf(coordination_.Rebuild(request, kActor).status()), "LEDGER_UNAVAILABLE");
  ledger_.FailNext(0);
  zookeeper_.SetDown(true);
  EXPECT_EQ(ReasonOf(coordination_.Rebuild(request, kActor).status()), "COORDINATION_UNAVAILABLE");
}

}  // namespace
}  // namespace tranche::server
