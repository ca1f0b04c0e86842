// GetStatus and ListTraffic on fakes: what is gathered, and what happens when somebody is silent.
#include "server/handlers/status_handler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "quota/coordination/room_announcements.h"
#include "server/admission/room_counts.h"
#include "server/admission/room_rank.h"
#include "server/handlers/reserved_units.h"
#include "server/handlers/room_handler.h"
#include "server/handlers/status_problems.h"
#include "server/handlers/traffic_handler.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/fake/fake_front_ledger.h"
#include "tests/support/inline_executor.h"
#include "tests/support/scripted_groups.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// Keeps tasks, as if their calls hung, until they are released.
class HangingExecutor : public storage::Executor {
 public:
  bool TryRun(absl::AnyInvocable<void()>& task) override {
    if (skips > 0 || (!hangs && hangs_next == 0)) {
      skips = std::max(skips - 1, 0);
      task();
    } else {
      hangs_next = std::max(hangs_next - 1, 0);
      kept.push_back(std::move(task));
    }
    return true;
  }
  void Release() {
    hangs = false;
    for (; !kept.empty(); kept.pop_front()) kept.front()();
  }

  bool hangs = false;
  int skips = 0;       // so many tasks run in any case
  int hangs_next = 0;  // then only so many hang
  std::deque<absl::AnyInvocable<void()>> kept;
};

// One shard with only what the status needs.
struct HealthBackend : storage::ShardBackend {
  HealthBackend(storage::HealthLedger* ledger, storage::DrawLedger* draw_ledger, storage::GroupLedger* group_ledger,
                storage::FrontLedger* front_ledger, storage::Executor* on) {
    name = storage::kHomeShard;
    health = ledger;
    draws = draw_ledger;
    groups = group_ledger;
    front = front_ledger;
    executor = nullptr;  // calls that buyers wait for may fill it
    look_executor = on;
  }
};

class StatusHandlerTest : public AdminHandlersTest {
 protected:
  v1::GetStatusResponse Status() {
    const auto status = handler_.Get({});
    EXPECT_TRUE(status.ok()) << status.status();
    return status.value_or(v1::GetStatusResponse());
  }
  static std::vector<std::string> Codes(const v1::GetStatusResponse& status) {
    std::vector<std::string> codes;
    for (const v1::Problem& problem : status.problems()) codes.push_back(problem.code());
    return codes;
  }
  void Beat(storage::Heartbeat::Kind kind, bool draws = false) {
    storage::Heartbeat heartbeat;
    heartbeat.kind = kind;
    heartbeat.draws = draws;
    heartbeat.instance =
        *storage::Uuid::Parse(kind == storage::Heartbeat::Kind::kWorker ? "00000000-0000-4000-8000-000000000001"
                                                                        : "00000000-0000-4000-8000-000000000002");
    heartbeat.name = "one";
    heartbeat.version = "1";
    heartbeat.expires = true;
    heartbeat.since_expiry = absl::ZeroDuration();
    heartbeat.leads = true;
    heartbeat.since_round = absl::ZeroDuration();
    ASSERT_TRUE(ledger_.Beat(heartbeat).ok());
  }
  void BeatAll() {
    Beat(storage::Heartbeat::Kind::kWorker);
    Beat(storage::Heartbeat::Kind::kBalancer);
  }
  void Lead() {
    ASSERT_TRUE(sessions_.session->Create(quota::LeaderPath(), "balancer-1", quota::CreateMode::kEphemeral).ok());
  }

  storage::FakeFrontLedger front_{&clock_};
  HangingExecutor shard_executor_;
  HangingExecutor tree_executor_;
  storage::FakeDrawLedger draws_{&ledger_, &clock_};
  tranche::testing::ScriptedGroups groups_{&clock_};
  storage::ShardSet shards_{
      std::make_unique<HealthBackend>(&ledger_, &draws_, &groups_, &front_, &shard_executor_), {}, {}};
  StatusHandler handler_{&shards_, &sessions_, &tree_executor_, &clock_, absl::Milliseconds(20)};
  TrafficHandler traffic_{&ledger_, &sessions_, &tree_executor_, &clock_};
};

TEST_F(StatusHandlerTest, TellsOfWaitingRooms) {
  RoomCounts waiting;
  waiting.Add(LateRank(clock_.Now()), 3);
  internal::v1::RoomBoards boards;
  internal::v1::RoomBoards::Room* const board = boards.add_rooms();
  board->set_sku_id("tv");
  board->set_round(2);
  *board->mutable_waiting() = waiting.ToMessage();
  board->set_computed_at_us(absl::ToUnixMicros(clock_.Now()));
  boards.add_rooms()->set_sku_id("not a SKU");
  ASSERT_TRUE(quota::WriteRoomBoards(*sessions_.session, boards).ok());
  const v1::GetStatusResponse status = Status();
  ASSERT_EQ(status.rooms_size(), 1);
  EXPECT_EQ(status.rooms(0).sku_id(), "tv");
  EXPECT_EQ(status.rooms(0).round(), 2);
  EXPECT_EQ(status.rooms(0).late_waiting(), 3);
  EXPECT_THAT(Codes(status), Not(Contains("ROOM_STALLED")));
  clock_.AdvanceBy(RoomHandler::kFresh + absl::Seconds(1));
  EXPECT_THAT(Codes(Status()), Contains("ROOM_STALLED")) << "nobody computes it any more";
}

TEST_F(StatusHandlerTest, TellsWhoRuns) {
  BeatAll();
  Lead();
  Report(a_, /*grants_per_s=*/5, /*denials_per_s=*/1);
  clock_.AdvanceBy(absl::Seconds(3));
  const v1::GetStatusResponse status = Status();
  EXPECT_THAT(Codes(status), Not(Contains("NO_WORKER")));
  EXPECT_THAT(Codes(status), Not(Contains("NO_LEADER")));
  ASSERT_EQ(status.shards_size(), 1);
  const v1::ShardStatus& home = status.shards(0);
  EXPECT_TRUE(home.answers());
  EXPECT_EQ(home.leader(), "balancer-1");
  ASSERT_EQ(home.workers_size(), 1);
  EXPECT_TRUE(home.workers(0).alive());
  EXPECT_EQ(home.workers(0).age().seconds(), 3);
  ASSERT_EQ(home.balancers_size(), 1);
  EXPECT_EQ(home.ledger().skus(), 1);
  EXPECT_EQ(home.ledger().open_skus(), 1);
  ASSERT_EQ(status.nodes_size(), 2);
  EXPECT_EQ(status.nodes(0).name(), "a");
  EXPECT_EQ(status.nodes(0).report_age().seconds(), 3);
  EXPECT_DOUBLE_EQ(status.nodes(0).grants_per_s(), 5);
  EXPECT_FALSE(status.nodes(1).has_report_age());
  ASSERT_EQ(status.busiest_size(), 1);
  EXPECT_EQ(status.busiest(0).sku_id(), "tv");
}

TEST_F(StatusHandlerTest, TellsTheServiceMode) {
  BeatAll();
  Lead();
  EXPECT_EQ(Status().service_mode().mode(), v1::SERVICE_MODE_NORMAL);
  EXPECT_THAT(Codes(Status()), Not(Contains("SERVICE_LIMITED")));
  ASSERT_TRUE(
      front_.SetServiceMode({.kind = storage::ServiceMode::Kind::kReadOnly, .reason = "why"}, false, "alice").ok());
  const v1::GetStatusResponse status = Status();
  EXPECT_EQ(status.service_mode().mode(), v1::SERVICE_MODE_READ_ONLY);
  EXPECT_EQ(status.service_mode().reason(), "why");
  EXPECT_EQ(status.service_mode().changed_by(), "alice");
  EXPECT_THAT(Codes(status), Contains("SERVICE_LIMITED"));
  ledger_.FailNext(1);
  EXPECT_FALSE(Status().has_service_mode()) << "it is not known now";
}

TEST_F(StatusHandlerTest, TellsOfClaimQueues) {
  int looks = 0;
  absl::StatusOr<StatusHandler::BrokerState> broker = StatusHandler::BrokerState();
  broker->queues.emplace_back().set_queue("tranche.claims.home.0");
  broker->queues.front().set_dead(2);
  StatusHandler handler(&shards_, &sessions_, &tree_executor_, &clock_, absl::Milliseconds(20), [&] {
    ++looks;
    return broker;
  });
  const auto status = handler.Get({});
  ASSERT_TRUE(status.ok());
  ASSERT_EQ(status->claim_queues_size(), 1);
  EXPECT_EQ(status->claim_queues(0).dead(), 2);
  EXPECT_THAT(Codes(*status), Contains("CLAIMS_DEAD"));
  EXPECT_FALSE(status->broker_out_of_reach());
  EXPECT_FALSE(status->broker_blocked());
  broker = absl::UnavailableError("connection refused");
  EXPECT_FALSE(handler.Get({})->broker_out_of_reach()) << "it is not asked for every status";
  EXPECT_EQ(looks, 1);
  clock_.AdvanceBy(StatusHandler::kBrokerLooks);
  const auto silent = handler.Get({});
  EXPECT_EQ(looks, 2);
  EXPECT_TRUE(silent->broker_out_of_reach());
  EXPECT_THAT(Codes(*silent), Contains("BROKER_SILENT"));
  EXPECT_FALSE(Status().broker_out_of_reach()) << "a node without a broker";
}

TEST_F(StatusHandlerTest, ABrokerUnderAnAlarmAnswersAndTakesNoClaims) {
  StatusHandler handler(&shards_, &sessions_, &tree_executor_, &clock_, absl::Milliseconds(20),
                        [] { return StatusHandler::BrokerState{.queues = {}, .takes_claims = false}; });
  const auto status = handler.Get({});
  ASSERT_TRUE(status.ok());
  EXPECT_TRUE(status->broker_blocked());
  EXPECT_FALSE(status->broker_out_of_reach());
  EXPECT_THAT(Codes(*status), Contains("BROKER_BLOCKED"));
}

TEST_F(StatusHandlerTest, ABrokerThatHangsKeepsNoStatusWaiting) {
  BeatAll();
  tree_executor_.skips = 3;  // ZooKeeper answers
  tree_executor_.hangs_next = 1;
  StatusHandler handler(&shards_, &sessions_, &tree_executor_, &clock_, absl::Milliseconds(20),
                        [] { return StatusHandler::BrokerState(); });
  const auto status = handler.Get({});
  ASSERT_TRUE(status.ok());
  EXPECT_TRUE(status->broker_out_of_reach());
  EXPECT_TRUE(status->coordination().answers());
  EXPECT_TRUE(status->shards(0).answers());
  tree_executor_.Release();
}

TEST_F(StatusHandlerTest, TellsThatConsumersRest) {
  EXPECT_THAT(Codes(Status()), Not(Contains("QUEUES_PAUSED")));
  ASSERT_TRUE(ledger_.SetClaimsPaused(true, "alice").ok());
  EXPECT_TRUE(Status().claim_queues_paused());
  EXPECT_THAT(Codes(Status()), Contains("QUEUES_PAUSED"));
}

TEST_F(StatusHandlerTest, AProcessThatIsSilentForLongIsMissed) {
  BeatAll();
  Lead();
  clock_.AdvanceBy(absl::Seconds(20));
  EXPECT_THAT(Codes(Status()), Contains("NO_WORKER"));
  BeatAll();
  EXPECT_THAT(Codes(Status()), Not(Contains("NO_WORKER"))) << "it clears by itself";
}

TEST_F(StatusHandlerTest, ASilentLedgerIsToldAndNoError) {
  Lead();
  ledger_.FailNext(1);
  const v1::GetStatusResponse status = Status();
  EXPECT_THAT(Codes(status), ElementsAre("LEDGER_DOWN"));
  EXPECT_FALSE(status.shards(0).answers());
  EXPECT_NE(status.shards(0).error(), "");
  EXPECT_EQ(status.nodes_size(), 2) << "ZooKeeper answers";
}

TEST_F(StatusHandlerTest, ALedgerThatHangsIsAskedOnce) {
  shard_executor_.hangs = true;
  EXPECT_THAT(Codes(Status()), Contains("LEDGER_DOWN"));
  EXPECT_THAT(Codes(Status()), Contains("LEDGER_DOWN"));
  EXPECT_EQ(shard_executor_.kept.size(), 3U) << "the second call waits for the same answers";
  shard_executor_.Release();
  EXPECT_THAT(Codes(Status()), Not(Contains("LEDGER_DOWN")));
}

TEST_F(StatusHandlerTest, ALedgerThatAnswersLateIsSlowAndHidesNoGoneNode) {
  ASSERT_TRUE(sessions_.session->Delete(quota::NodePath(b_), quota::kAnyVersion).ok());
  shard_executor_.hangs_next = 1;  // the question about the books, which comes first
  const v1::GetStatusResponse status = Status();
  EXPECT_THAT(Codes(status), AllOf(Contains("LEDGER_SLOW"), Not(Contains("LEDGER_DOWN"))));
  EXPECT_TRUE(status.gone_nodes_known());
  ASSERT_EQ(status.gone_nodes_size(), 1);
  EXPECT_EQ(status.gone_nodes(0).name(), "b");
  shard_executor_.Release();
}

TEST_F(StatusHandlerTest, GoneNodesAreNotKnownWhileALedgerHangs) {
  shard_executor_.hangs = true;
  EXPECT_FALSE(Status().gone_nodes_known());
  shard_executor_.Release();
  EXPECT_TRUE(Status().gone_nodes_known());
}

TEST_F(StatusHandlerTest, ALedgerThatWasGivenUpSaysWhy) {
  shards_.home().NoteUnfit("its schema is 0009");
  ledger_.FailNext(1);
  const v1::GetStatusResponse status = Status();
  EXPECT_THAT(Codes(status), AllOf(Contains("SHARD_UNFIT"), Not(Contains("LEDGER_DOWN"))));
  EXPECT_EQ(status.shards(0).unfit(), "its schema is 0009");
}

TEST_F(StatusHandlerTest, ReportsThatComeTooLateHideNoNode) {
  BeatAll();
  Lead();
  Report(a_, 5, 1);
  tree_executor_.skips = 1;  // the tree is asked first
  tree_executor_.hangs_next = 1;
  const v1::GetStatusResponse status = Status();
  EXPECT_TRUE(status.coordination().answers());
  EXPECT_TRUE(status.coordination().reports_missing());
  ASSERT_EQ(status.nodes_size(), 2);
  EXPECT_FALSE(status.nodes(0).has_report_age());
  EXPECT_EQ(status.busiest_size(), 0);
  tree_executor_.Release();
  EXPECT_TRUE(Status().nodes(0).has_report_age());
}

TEST_F(StatusHandlerTest, ATreeThatIsGoneIsNoSilence) {
  for (const storage::IncarnationId id : {a_, b_}) {
    ASSERT_TRUE(sessions_.session->Delete(quota::NodePath(id), quota::kAnyVersion).ok());
  }
  ASSERT_TRUE(sessions_.session->Delete(quota::kNodesPath, quota::kAnyVersion).ok());
  const v1::GetStatusResponse status = Status();
  EXPECT_THAT(Codes(status), AllOf(Contains("TREE_GONE"), Not(Contains("ZOOKEEPER_SILENT"))));
  EXPECT_TRUE(status.coordination().answers());
}

TEST_F(StatusHandlerTest, ABalancerThatIsGoneDoesNotLead) {
  BeatAll();
  EXPECT_TRUE(Status().shards(0).balancers(0).leads());
  clock_.AdvanceBy(kMissedAfter);
  EXPECT_FALSE(Status().shards(0).balancers(0).leads());
}

TEST_F(StatusHandlerTest, ASilentZookeeperIsToldSinceWhen) {
  BeatAll();
  Lead();
  EXPECT_TRUE(Status().coordination().answers());
  const absl::Time answered_at = clock_.Now();
  clock_.AdvanceBy(absl::Seconds(7));
  tree_executor_.hangs = true;
  const v1::GetStatusResponse status = Status();
  EXPECT_THAT(Codes(status), ElementsAre("ZOOKEEPER_SILENT"));
  EXPECT_EQ(status.coordination().last_answer_time().seconds(), absl::ToUnixSeconds(answered_at));
  EXPECT_TRUE(status.shards(0).answers());
  tree_executor_.Release();
  EXPECT_TRUE(Status().coordination().answers());

  sessions_.session.reset();
  EXPECT_THAT(Codes(Status()), Contains("ZOOKEEPER_SILENT"));
}

TEST_F(StatusHandlerTest, ANodeThatHasGoneIsToldUntilItsUnitsAreBack) {
  BeatAll();
  Lead();
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{b_, 40}}, std::nullopt, "test").ok());
  ASSERT_TRUE(sessions_.session->Delete(quota::NodePath(b_), quota::kAnyVersion).ok());
  clock_.AdvanceBy(absl::Minutes(1));
  BeatAll();
  v1::GetStatusResponse status = Status();
  EXPECT_THAT(Codes(status), Contains("NODE_GONE"));
  ASSERT_EQ(status.gone_nodes_size(), 1);
  EXPECT_EQ(status.gone_nodes(0).name(), "b");
  EXPECT_EQ(status.gone_nodes(0).units(), 40);
  EXPECT_FALSE(status.gone_nodes(0).has_end_time());

  ASSERT_TRUE(ledger_.ReclaimIncarnation(b_).ok());
  status = Status();
  EXPECT_THAT(Codes(status), Not(Contains("NODE_GONE")));
  ASSERT_EQ(status.gone_nodes_size(), 1) << "still told for an hour";
  EXPECT_TRUE(status.gone_nodes(0).has_end_time());
  EXPECT_EQ(status.gone_nodes(0).units(), 0);
  clock_.AdvanceBy(absl::Hours(1));
  EXPECT_EQ(Status().gone_nodes_size(), 0);
}

TEST_F(StatusHandlerTest, APoolIsStuckWhenNobodyTouchesItBetweenTwoLooks) {
  BeatAll();
  Lead();
  EXPECT_THAT(Codes(Status()), Not(Contains("POOL_STUCK"))) << "all units are in the pool, since just now";
  clock_.AdvanceBy(kPoolStuckAfter - absl::Seconds(1));
  BeatAll();
  EXPECT_THAT(Codes(Status()), Not(Contains("POOL_STUCK"))) << "a long first split";
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_THAT(Codes(Status()), Contains("POOL_STUCK"));
  ASSERT_TRUE(ledger_.SetClusterFrozen(true, "alice").ok());
  EXPECT_THAT(Codes(Status()), Not(Contains("POOL_STUCK")));
  EXPECT_THAT(Codes(Status()), Contains("CLUSTER_FROZEN"));
  EXPECT_EQ(Status().shards(0).ledger().frozen_by(), "alice");
  EXPECT_TRUE(Status().shards(0).ledger().has_freeze_time());
  ASSERT_TRUE(ledger_.SetClusterFrozen(false, "alice").ok());
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{a_, 1}}, std::nullopt, "test").ok());
  EXPECT_THAT(Codes(Status()), Not(Contains("POOL_STUCK")));
}

TEST_F(StatusHandlerTest, ADrawThatWaitsForAWorkerIsTold) {
  BeatAll();
  Lead();
  storage::NewDraw draw;
  draw.sku_id = "tv";
  draw.winners = 2;
  draw.seed_commitment = std::string(32, 'c');
  ASSERT_TRUE(draws_.CreateDraw(draw, /*preview=*/false, "tester").ok());
  EXPECT_EQ(Status().shards(0).draws_size(), 0) << "buyers enter";
  ASSERT_TRUE(draws_.ChangeDraw({"tv", 1}, storage::DrawStep::kClose, "", /*preview=*/false, "tester").ok());
  clock_.AdvanceBy(absl::Seconds(4));
  const v1::GetStatusResponse status = Status();
  ASSERT_EQ(status.shards(0).draws_size(), 1);
  EXPECT_EQ(status.shards(0).draws(0).sku_id(), "tv");
  EXPECT_EQ(status.shards(0).draws(0).number(), 1);
  EXPECT_EQ(status.shards(0).draws(0).waiting_for().seconds(), 4);
  EXPECT_THAT(Codes(status), Contains("DRAW_STALLED")) << "the worker does no draws";
  Beat(storage::Heartbeat::Kind::kWorker, /*draws=*/true);
  EXPECT_THAT(Codes(Status()), Not(Contains("DRAW_STALLED")));
  clock_.AdvanceBy(kDrawStalledAfter);
  Beat(storage::Heartbeat::Kind::kWorker, /*draws=*/true);
  EXPECT_THAT(Codes(Status()), Contains("DRAW_STALLED"));
}

TEST_F(StatusHandlerTest, TellsOfGroupsThatShouldHaveEnded) {
  BeatAll();
  Lead();
  groups_.counts = storage::GroupCounts{.forming = 40, .overdue = 0};
  EXPECT_EQ(Status().shards(0).groups_forming(), 40);
  EXPECT_THAT(Codes(Status()), Not(Contains("GROUPS_OVERDUE")));
  groups_.counts->overdue = 2;
  const v1::GetStatusResponse status = Status();
  EXPECT_EQ(status.shards(0).groups_overdue(), 2);
  EXPECT_THAT(Codes(status), Contains("GROUPS_OVERDUE"));
}

TEST_F(StatusHandlerTest, AShardThatDoesNotCountItsGroupsTellsTheRest) {
  BeatAll();
  Lead();
  groups_.counts = absl::UnavailableError("it takes too long");
  const v1::GetStatusResponse status = Status();
  EXPECT_TRUE(status.shards(0).answers()) << status.shards(0).error();
  EXPECT_EQ(status.shards(0).workers_size(), 1);
  EXPECT_EQ(status.shards(0).groups_forming(), 0);
}

TEST_F(StatusHandlerTest, ANodeTellsThatItsHealthIsNotServing) {
  internal::v1::DemandReport report;
  report.set_unhealthy("calls are overdue");
  Write(quota::DemandPath(a_), report.SerializeAsString());
  const auto status = Status();
  EXPECT_EQ(status.nodes(0).unhealthy(), "calls are overdue");
  EXPECT_EQ(status.nodes(1).unhealthy(), "");
  EXPECT_THAT(Codes(status), Contains("NODE_NOT_SERVING"));
}

TEST_F(StatusHandlerTest, ANodeTellsWhichFilesItCannotUse) {
  internal::v1::DemandReport report;
  report.add_faulty_files("--access-file");
  Write(quota::DemandPath(a_), report.SerializeAsString());
  const auto status = Status();
  ASSERT_EQ(status.nodes(0).faulty_files_size(), 1);
  EXPECT_EQ(status.nodes(0).faulty_files(0), "--access-file");
  EXPECT_EQ(status.nodes(1).faulty_files_size(), 0);
  EXPECT_THAT(Codes(status), Contains("NODE_FILES_FAULTY"));
}

TEST_F(StatusHandlerTest, TrafficIsSummedOverNodes) {
  Report(a_, 5, 1);
  clock_.AdvanceBy(absl::Seconds(2));
  Report(b_, 2, 0.5);
  const auto traffic = traffic_.List({});
  ASSERT_TRUE(traffic.ok()) << traffic.status();
  ASSERT_EQ(traffic->skus_size(), 1);
  const v1::SkuTraffic& tv = traffic->skus(0);
  EXPECT_DOUBLE_EQ(tv.grants_per_s(), 7);
  EXPECT_DOUBLE_EQ(tv.denials_per_s(), 1.5);
  EXPECT_DOUBLE_EQ(tv.refused_per_s(), 15);
  EXPECT_EQ(tv.free(), 6);
  EXPECT_EQ(tv.nodes(), 2);
  EXPECT_EQ(tv.unsold(), 100);
  EXPECT_EQ(traffic->oldest_report().seconds(), 2);
}

TEST_F(StatusHandlerTest, TheBusiestSkusComeFirst) {
  internal::v1::DemandReport report;
  for (const auto& [sku, rate] : std::vector<std::pair<std::string, double>>{{"b", 1}, {"a", 1}, {"c", 9}}) {
    report.add_skus()->set_sku_id(sku);
    report.mutable_skus()->rbegin()->set_refused_per_s(rate);
  }
  Write(quota::DemandPath(a_), report.SerializeAsString());
  v1::ListTrafficRequest request;
  request.set_limit(2);
  const auto traffic = traffic_.List(request);
  ASSERT_EQ(traffic->skus_size(), 2);
  EXPECT_EQ(traffic->skus(0).sku_id(), "c");
  EXPECT_EQ(traffic->skus(1).sku_id(), "a");
  EXPECT_FALSE(traffic->skus(0).has_unsold()) << "the ledger does not know it";
  request.set_limit(-1);
  EXPECT_EQ(traffic_.List(request).status().code(), absl::StatusCode::kInvalidArgument);
  sessions_.session.reset();
  EXPECT_EQ(traffic_.List({}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(StatusHandlerTest, ReservedUnitsDivide) {
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{a_, 50}}, std::nullopt, "test").ok());
  Sell(a_, 3);
  SkuHandler skus(&ledger_, &announcer_, &clock_, [&](const std::string& shard, absl::Span<const std::string> ids) {
    EXPECT_EQ(shard, "home");
    return ledger_.CountHolds(ids);
  });
  v1::GetSkuRequest request;
  request.set_sku_id("tv");
  v1::Sku tv = skus.Get(request)->sku();
  EXPECT_EQ(tv.reserved(), 3);
  EXPECT_EQ(tv.pending(), 3);
  EXPECT_EQ(tv.overdue(), 0);
  EXPECT_EQ(tv.confirmed(), 0);
  clock_.AdvanceBy(absl::Minutes(15));
  tv = skus.List({})->skus(0);
  EXPECT_EQ(tv.pending(), 3);
  EXPECT_EQ(tv.overdue(), 3);
  v1::ListSkusRequest quick;
  quick.set_without_holds(true);
  EXPECT_FALSE(skus.List(quick)->skus(0).has_pending());
  ASSERT_TRUE(ledger_.ExpireDue(10).ok());
  tv = skus.Get(request)->sku();
  EXPECT_TRUE(tv.has_pending());
  EXPECT_EQ(tv.pending(), 0);
  EXPECT_FALSE(sku_.Get(request)->sku().has_pending()) << "nobody counts";
}

TEST(ReservedUnitsTest, OneLookReadsFewHolds) {
  EXPECT_EQ(storage::MostHoldsOfEach(1), 20'000);
  EXPECT_EQ(storage::MostHoldsOfEach(20), 1'000);
  EXPECT_EQ(storage::MostHoldsOfEach(1'000), 200);
}

TEST(ReservedUnitsTest, WhatCannotBeCountedIsNotTold) {
  v1::Sku sku;
  sku.set_sku_id("tv");
  sku.set_reserved(5);
  AddHolds([](const std::string&, absl::Span<const std::string>) { return absl::UnavailableError("down"); }, {&sku});
  EXPECT_FALSE(sku.has_pending());
  const auto counts = [](int64_t pending, bool more) {
    return [=](const std::string&, absl::Span<const std::string>) {
      return std::vector<storage::SkuHolds>{{.sku_id = "tv", .pending = pending, .more = more, .overdue = 9}};
    };
  };
  AddHolds(counts(5, /*more=*/true), {&sku});
  EXPECT_FALSE(sku.has_pending());
  AddHolds(counts(7, /*more=*/false), {&sku});
  EXPECT_EQ(sku.pending(), 5) << "two came after the SKU was read";
  EXPECT_EQ(sku.confirmed(), 0);
  EXPECT_EQ(sku.overdue(), 5);
}

}  // namespace
}  // namespace tranche::server
