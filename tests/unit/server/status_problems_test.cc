#include "server/handlers/status_problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/proto_time.h"

namespace tranche::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A cluster in which nothing is wrong: each test breaks one thing.
class StatusProblemsTest : public ::testing::Test {
 protected:
  StatusProblemsTest() {
    *found_.mutable_time() = ToTimestamp(kNow);
    found_.mutable_coordination()->set_answers(true);
    home_ = found_.add_shards();
    home_->set_name("home");
    home_->set_answers(true);
    home_->set_leader("balancer-1");
    balancer_ = home_->add_balancers();
    balancer_->set_name("balancer-1");
    balancer_->set_leads(true);
    *balancer_->mutable_leads_for() = ToDuration(absl::Hours(1));
    *balancer_->mutable_since_led() = ToDuration(absl::ZeroDuration());
    *balancer_->mutable_since_round() = ToDuration(absl::Seconds(1));
    worker_ = home_->add_workers();
    worker_->set_name("worker-1");
    worker_->set_expires(true);
    worker_->add_sinks("orders");
    *worker_->mutable_since_expiry() = ToDuration(absl::Milliseconds(300));
    for (v1::ProcessStatus* process : {balancer_, worker_}) {
      process->set_alive(true);
      *process->mutable_age() = ToDuration(absl::Seconds(2));
      *process->mutable_start_time() = ToTimestamp(kNow - absl::Hours(1));
    }
    ledger_ = home_->mutable_ledger();
    ledger_->set_connections_used(20);
    ledger_->set_connections_limit(100);
    sink_ = home_->add_sinks();
    sink_->set_name("orders");
    node_ = found_.add_nodes();
    node_->set_name("node-1");
    node_->set_address("h:7400");
    *node_->mutable_report_age() = ToDuration(absl::Seconds(1));
  }

  static void LetDie(v1::ProcessStatus* process, absl::Duration ago) {
    process->set_alive(false);
    *process->mutable_age() = ToDuration(ago);
  }

  std::vector<std::string> Codes() const {
    std::vector<std::string> codes;
    for (const v1::Problem& problem : ProblemsOf(found_)) codes.push_back(problem.code());
    return codes;
  }
  v1::Problem Only() const {
    const std::vector<v1::Problem> problems = ProblemsOf(found_);
    EXPECT_EQ(problems.size(), 1U) << ::testing::PrintToString(Codes());
    return problems.size() == 1 ? problems.front() : v1::Problem();
  }
  // The only problem is this one, and it says what to do.
  v1::Problem Expect(const std::string& code, const std::string& subject, v1::ProblemSeverity severity) const {
    const v1::Problem problem = Only();
    EXPECT_EQ(problem.code(), code);
    EXPECT_EQ(problem.subject(), subject);
    EXPECT_EQ(problem.severity(), severity);
    EXPECT_NE(problem.next_step(), "");
    return problem;
  }

  static constexpr auto kCritical = v1::PROBLEM_SEVERITY_CRITICAL;
  static constexpr auto kNotice = v1::PROBLEM_SEVERITY_NOTICE;
  static constexpr auto kWarning = v1::PROBLEM_SEVERITY_WARNING;
  const absl::Time kNow = absl::FromUnixSeconds(1'795'788'000);  // 2026-11-27T14:00:00Z
  v1::GetStatusResponse found_;
  v1::ShardStatus* home_ = nullptr;
  v1::ProcessStatus* balancer_ = nullptr;
  v1::ProcessStatus* worker_ = nullptr;
  v1::LedgerStatus* ledger_ = nullptr;
  v1::OutboxSink* sink_ = nullptr;
  v1::NodeStatus* node_ = nullptr;
};

TEST_F(StatusProblemsTest, ClaimsThatNobodyTakes) {
  for (const int partition : {0, 1, 2}) {
    v1::ClaimQueueState* const queue = found_.add_claim_queues();
    queue->set_queue("tranche.claims.home." + std::to_string(partition));
    queue->set_shard("home");
    queue->set_ready(partition * 10);
  }
  const v1::Problem problem = Expect("NO_CONSUMER", "home", kCritical);
  EXPECT_THAT(problem.text(), AllOf(HasSubstr("2 claim queues"), HasSubstr("30 claims wait")));
  found_.set_claim_queues_paused(true);
  EXPECT_THAT(Expect("QUEUES_PAUSED", "", kWarning).text(), HasSubstr("30 claims wait"));
  found_.set_claim_queues_paused(false);
  for (v1::ClaimQueueState& queue : *found_.mutable_claim_queues()) queue.set_consumers(1);
  EXPECT_THAT(Codes(), IsEmpty());
}

TEST_F(StatusProblemsTest, ClaimsThatCouldNotBeDecided) {
  v1::ClaimQueueState* const queue = found_.add_claim_queues();
  queue->set_queue("tranche.claims.home.0");
  queue->set_shard("home");
  queue->set_dead(3);
  const v1::Problem problem = Expect("CLAIMS_DEAD", "tranche.claims.home.0", kWarning);
  EXPECT_THAT(problem.text(), HasSubstr("3 claims"));
  EXPECT_THAT(problem.next_step(), HasSubstr("queue dead list --queue tranche.claims.home.0"));
}

TEST_F(StatusProblemsTest, ABrokerThatIsSilent) {
  found_.set_broker_out_of_reach(true);
  Expect("BROKER_SILENT", "", kCritical);
}

TEST_F(StatusProblemsTest, ABrokerThatTakesNoClaims) {
  found_.set_broker_blocked(true);
  EXPECT_THAT(Expect("BROKER_BLOCKED", "", kCritical).text(), HasSubstr("takes no claims"));
}

TEST_F(StatusProblemsTest, NothingIsWrong) { EXPECT_THAT(Codes(), IsEmpty()); }

TEST_F(StatusProblemsTest, ALimitedServiceIsTold) {
  v1::StoredServiceMode& mode = *found_.mutable_service_mode();
  mode.set_mode(v1::SERVICE_MODE_NORMAL);
  EXPECT_THAT(Codes(), IsEmpty());
  mode.set_mode(v1::SERVICE_MODE_CHANGES_ONLY);
  mode.set_changed_by("alice");
  *mode.mutable_change_time() = ToTimestamp(kNow - absl::Minutes(5));
  const v1::Problem problem = Expect("SERVICE_LIMITED", "", kWarning);
  EXPECT_THAT(problem.text(), HasSubstr("CHANGES_ONLY since 13:55:00, set by alice"));
  EXPECT_TRUE(problem.has_since_time());
}

TEST_F(StatusProblemsTest, HoldsThatAreNotToExpireAreNotOverdue) {
  ledger_->set_overdue_holds(3);
  *ledger_->mutable_oldest_overdue() = ToDuration(absl::Hours(1));
  EXPECT_THAT(Codes(), ElementsAre("HOLDS_OVERDUE"));
  home_->set_groups_overdue(1);
  found_.mutable_service_mode()->set_mode(v1::SERVICE_MODE_READ_ONLY);
  EXPECT_THAT(Codes(), ElementsAre("SERVICE_LIMITED"));
}

TEST_F(StatusProblemsTest, ALedgerThatIsSilent) {
  const std::string error = "connection refused";
  home_->Clear();
  home_->set_name("home");
  home_->set_error(error);
  EXPECT_THAT(Expect("LEDGER_DOWN", "home", kCritical).text(), HasSubstr(error));
}

TEST_F(StatusProblemsTest, ALedgerThatIsSlowIsNotDown) {
  home_->set_answers(false);
  home_->set_slow(true);
  Expect("LEDGER_SLOW", "home", kWarning);
}

TEST_F(StatusProblemsTest, ALedgerThatDoesNotFitSaysWhy) {
  home_->set_answers(false);
  home_->set_error("given up");
  home_->set_unfit("its schema is 0009");
  EXPECT_THAT(Expect("SHARD_UNFIT", "home", kCritical).text(), HasSubstr("its schema is 0009"));
}

TEST_F(StatusProblemsTest, ALedgerThatTakesNoChanges) {
  ledger_->set_read_only(true);
  Expect("LEDGER_READ_ONLY", "home", kCritical);
  LetDie(worker_, absl::Minutes(10));
  LetDie(balancer_, absl::Minutes(10));
  home_->clear_leader();
  Expect("LEDGER_READ_ONLY", "home", kCritical);  // heartbeats cannot be written there
}

TEST_F(StatusProblemsTest, AStandbyThatCommitsWaitFor) {
  ledger_->set_standbys_needed(1);
  Expect("STANDBY_GONE", "home", kCritical);
  ledger_->set_standbys(1);
  EXPECT_THAT(Codes(), IsEmpty()) << "it is not known whether it is the one";
  ledger_->set_synchronous_standbys(0);
  Expect("STANDBY_GONE", "home", kCritical);
  ledger_->set_synchronous_standbys(1);
  EXPECT_THAT(Codes(), IsEmpty());
  ledger_->set_standbys_needed(2);
  EXPECT_THAT(Expect("STANDBY_GONE", "home", kCritical).text(), HasSubstr("needs 2, 1 is connected"));
  ledger_->set_synchronous_standbys(2);
  EXPECT_THAT(Codes(), IsEmpty());
  ledger_->set_standbys_needed(0);
  ledger_->set_standbys(0);
  ledger_->set_synchronous_standbys(0);
  EXPECT_THAT(Codes(), IsEmpty()) << "nobody wants one";
}

TEST_F(StatusProblemsTest, FewConnections) {
  ledger_->set_connections_used(95);
  EXPECT_THAT(Codes(), IsEmpty());
  ledger_->set_connections_used(96);
  EXPECT_THAT(Expect("CONNECTIONS_FEW", "home", kWarning).text(), HasSubstr("4 of 100"));
  ledger_->set_connections_limit(0);
  EXPECT_THAT(Codes(), IsEmpty()) << "not limited";
}

TEST_F(StatusProblemsTest, ASilentZookeeperIsSaidOnce) {
  found_.mutable_coordination()->set_answers(false);
  found_.mutable_coordination()->set_error("no session");
  *found_.mutable_coordination()->mutable_last_answer_time() = ToTimestamp(kNow - absl::Seconds(83));
  found_.clear_nodes();
  home_->clear_leader();
  balancer_->set_leads(false);
  const v1::Problem problem = Expect("ZOOKEEPER_SILENT", "", kCritical);
  EXPECT_THAT(problem.text(), AllOf(HasSubstr("last answered a status at 13:58:37"), HasSubstr("no session")));
  EXPECT_FALSE(problem.has_since_time()) << "nobody asked in between";
}

TEST_F(StatusProblemsTest, ATreeThatIsGoneIsNoSilence) {
  found_.mutable_coordination()->set_tree_gone(true);
  found_.mutable_coordination()->set_error("/nodes");
  found_.clear_nodes();
  home_->clear_leader();
  EXPECT_THAT(Expect("TREE_GONE", "", kCritical).text(), HasSubstr("ZooKeeper answers"));
}

TEST_F(StatusProblemsTest, NoBalancerSinceTheLastOneLed) {
  home_->clear_leader();
  LetDie(balancer_, absl::Minutes(3));
  EXPECT_THAT(Expect("NO_BALANCER", "home", kCritical).text(), HasSubstr("none leads since 13:57:00"));
  found_.mutable_coordination()->set_answers(false);
  EXPECT_THAT(Codes(), ElementsAre("ZOOKEEPER_SILENT", "NO_BALANCER")) << "two things are wrong then";
  found_.mutable_coordination()->set_answers(true);
  home_->clear_balancers();
  EXPECT_THAT(Expect("NO_BALANCER", "home", kCritical).text(), Not(HasSubstr("since")));
}

TEST_F(StatusProblemsTest, ABalancerThatWasStoppedHasTimeToStartAgain) {
  home_->clear_leader();
  LetDie(balancer_, kMissedAfter - absl::Seconds(1));
  balancer_->set_ended(true);
  balancer_->set_leads(false);
  *balancer_->mutable_since_led() = ToDuration(kMissedAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  LetDie(balancer_, absl::Seconds(23));
  *balancer_->mutable_since_led() = ToDuration(absl::Seconds(24));
  EXPECT_THAT(Expect("NO_BALANCER", "home", kCritical).text(), HasSubstr("none leads since 13:59:36"));
}

TEST_F(StatusProblemsTest, AFirstBalancerHasTimeToBeginToLead) {
  home_->clear_leader();
  balancer_->set_leads(false);
  balancer_->clear_leads_for();
  balancer_->clear_since_led();
  *balancer_->mutable_start_time() = ToTimestamp(kNow - absl::Seconds(3));
  EXPECT_THAT(Codes(), IsEmpty());
}

TEST_F(StatusProblemsTest, AnOlderBalancerThatLeadsIsEnough) {
  home_->clear_balancers();
  EXPECT_THAT(Codes(), IsEmpty()) << "it sends no heartbeats";
}

TEST_F(StatusProblemsTest, BalancersOfWhichNoneLeads) {
  home_->clear_leader();
  balancer_->set_leads(false);
  balancer_->clear_leads_for();
  *balancer_->mutable_since_led() = ToDuration(absl::Minutes(5));
  EXPECT_THAT(Expect("NO_LEADER", "home", kCritical).text(), HasSubstr("since 13:55:00"));
  balancer_->clear_since_led();
  EXPECT_THAT(Expect("NO_LEADER", "home", kCritical).text(), Not(HasSubstr("since")));
}

TEST_F(StatusProblemsTest, ALeaderWithoutRounds) {
  *balancer_->mutable_since_round() = ToDuration(kNoRoundAfter);
  EXPECT_THAT(Expect("LEADER_STUCK", "home", kCritical).text(), HasSubstr("balancer-1"));
  balancer_->clear_since_round();
  *balancer_->mutable_leads_for() = ToDuration(absl::Seconds(3));
  EXPECT_THAT(Codes(), IsEmpty()) << "it has just begun";
}

TEST_F(StatusProblemsTest, ALeaderThatHangsInItsFirstRound) {
  balancer_->set_leads(false);
  balancer_->clear_leads_for();
  balancer_->clear_since_led();
  EXPECT_THAT(Codes(), IsEmpty()) << "it stood by a second ago, and does not say yet that it leads";
  *balancer_->mutable_since_round() = ToDuration(absl::Seconds(40));
  EXPECT_THAT(Expect("LEADER_STUCK", "home", kCritical).text(), HasSubstr("since 13:59:20"));
  balancer_->clear_since_round();
  EXPECT_THAT(Expect("LEADER_STUCK", "home", kCritical).text(), HasSubstr("since 13:00:00")) << "since it began";
  home_->set_leader("balancer-2");
  EXPECT_THAT(Codes(), IsEmpty()) << "another one leads";
}

TEST_F(StatusProblemsTest, AWorkerThatWasStoppedHasTimeToStartAgain) {
  LetDie(worker_, kMissedAfter - absl::Seconds(1));
  worker_->set_ended(true);
  sink_->set_pending(1);
  *sink_->mutable_oldest_pending() = ToDuration(kMissedAfter);
  EXPECT_THAT(Codes(), IsEmpty());
  LetDie(worker_, kMissedAfter);
  Expect("NO_WORKER", "home", kCritical);
}

TEST_F(StatusProblemsTest, NoWorker) {
  LetDie(worker_, absl::Minutes(10));
  sink_->set_pending(3);
  *sink_->mutable_oldest_pending() = ToDuration(absl::Minutes(1));
  EXPECT_THAT(Expect("NO_WORKER", "home", kCritical).text(), HasSubstr("heard of since 13:50:00"));
  home_->clear_workers();
  EXPECT_THAT(Expect("NO_WORKER", "home", kCritical).text(), Not(HasSubstr("since")));
}

TEST_F(StatusProblemsTest, WorkersThatDoNotExpire) {
  worker_->set_expires(false);
  EXPECT_THAT(Expect("NO_EXPIRY", "home", kCritical).text(), HasSubstr("--expire off"));
  v1::ProcessStatus* other = home_->add_workers();
  *other = *worker_;
  other->set_expires(true);
  EXPECT_THAT(Codes(), IsEmpty()) << "one is enough";
}

TEST_F(StatusProblemsTest, WorkersThatTryInVainToExpire) {
  *worker_->mutable_since_expiry() = ToDuration(absl::Minutes(2));
  EXPECT_THAT(Expect("NO_EXPIRY", "home", kCritical).text(), HasSubstr("since 13:58:00"));
  worker_->clear_since_expiry();
  EXPECT_THAT(Expect("NO_EXPIRY", "home", kCritical).text(), HasSubstr("since 13:00:00")) << "since it began";
  *worker_->mutable_start_time() = ToTimestamp(kNow - absl::Seconds(2));
  EXPECT_THAT(Codes(), IsEmpty()) << "it has just begun";
}

TEST_F(StatusProblemsTest, OverdueGroups) {
  home_->set_groups_forming(100);
  EXPECT_THAT(Codes(), IsEmpty());
  home_->set_groups_overdue(3);
  const v1::Problem late = Expect("GROUPS_OVERDUE", "home", kWarning);
  EXPECT_THAT(late.text(), AllOf(HasSubstr("3 groups on shard home"), HasSubstr("their units look sold")));
  EXPECT_THAT(late.next_step(), HasSubstr("nothing after a burst"));
  worker_->set_expires(false);
  home_->set_groups_overdue(1);
  EXPECT_THAT(Codes(), ElementsAre("NO_EXPIRY", "GROUPS_OVERDUE"));
  const v1::Problem nobody_ends_it = ProblemsOf(found_).back();
  EXPECT_EQ(nobody_ends_it.severity(), kCritical);
  EXPECT_THAT(nobody_ends_it.text(), HasSubstr("1 group on shard home"));
  EXPECT_THAT(nobody_ends_it.next_step(), HasSubstr("without --expire off"));
}

TEST_F(StatusProblemsTest, OverdueHolds) {
  ledger_->set_overdue_holds(50);
  *ledger_->mutable_oldest_overdue() = ToDuration(kOverdueAfter - absl::Milliseconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  *ledger_->mutable_oldest_overdue() = ToDuration(absl::Seconds(75));
  EXPECT_THAT(Expect("HOLDS_OVERDUE", "home", kCritical).text(),
              AllOf(HasSubstr("50 unpaid holds"), HasSubstr("1m15s")));
  *ledger_->mutable_oldest_overdue() = ToDuration(kLongOverdueAfter - absl::Seconds(1));
  EXPECT_THAT(Expect("HOLDS_OVERDUE", "home", kWarning).text(), HasSubstr("Expiry is behind")) << "a burst";
  *worker_->mutable_since_expiry() = ToDuration(kNoExpiryAfter);
  EXPECT_THAT(Codes(), ElementsAre("NO_EXPIRY", "HOLDS_OVERDUE"));
  EXPECT_EQ(ProblemsOf(found_).back().severity(), kCritical);
  *worker_->mutable_since_expiry() = ToDuration(absl::ZeroDuration());
  ledger_->set_overdue_holds(10'000);
  EXPECT_THAT(Only().text(), HasSubstr("10000 or more"));
}

TEST_F(StatusProblemsTest, ADrawThatNoWorkerCarriesOn) {
  v1::WaitingDraw* draw = home_->add_draws();
  draw->set_sku_id("tv");
  draw->set_number(3);
  draw->set_state(v1::Draw::STATE_CLOSING);
  *draw->mutable_waiting_for() = ToDuration(absl::Seconds(1));
  const v1::Problem problem = Expect("DRAW_STALLED", "home", kWarning);
  EXPECT_THAT(problem.text(), AllOf(HasSubstr("Draw 3 of tv"), HasSubstr("not sealed"), HasSubstr("--draw off")));
  EXPECT_THAT(problem.next_step(), HasSubstr("without --draw off"));
  v1::ProcessStatus* other = home_->add_workers();
  *other = *worker_;
  other->set_draws(true);
  EXPECT_THAT(Codes(), IsEmpty()) << "one is enough";
  LetDie(other, kMissedAfter);
  Expect("DRAW_STALLED", "home", kWarning);
  LetDie(worker_, absl::Minutes(1));
  Expect("NO_WORKER", "home", kCritical);
}

TEST_F(StatusProblemsTest, ADrawThatDoesNotGoOn) {
  worker_->set_draws(true);
  v1::WaitingDraw* draw = home_->add_draws();
  draw->set_sku_id("tv");
  draw->set_number(3);
  draw->set_state(v1::Draw::STATE_DRAWN);
  *draw->mutable_waiting_for() = ToDuration(kDrawStalledAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  *draw->mutable_waiting_for() = ToDuration(kDrawStalledAfter);
  EXPECT_THAT(Expect("DRAW_STALLED", "tv", kWarning).text(),
              AllOf(HasSubstr("since 13:55:00"), HasSubstr("places are free")));
  draw->set_state(v1::Draw::STATE_SEEDED);
  draw->set_entries(2'000'000);
  EXPECT_THAT(Codes(), IsEmpty()) << "ranking so many may take as long";
  *draw->mutable_waiting_for() = ToDuration(kDrawStalledAfter + 2 * kMillionRankedAfter);
  EXPECT_THAT(Expect("DRAW_STALLED", "tv", kWarning).text(), HasSubstr("not ranked"));
}

TEST_F(StatusProblemsTest, AWaitingRoomThatNobodyComputes) {
  v1::Room* room = found_.add_rooms();
  room->set_sku_id("tv");
  room->set_shuffled_waiting(40);
  room->set_late_waiting(2);
  *room->mutable_compute_time() = ToTimestamp(kNow - absl::Minutes(1));
  EXPECT_THAT(Codes(), IsEmpty());
  room->set_held(v1::Room::HELD_NO_BALANCER);
  EXPECT_THAT(
      Expect("ROOM_STALLED", "tv", kCritical).text(),
      AllOf(HasSubstr("room of tv 42 buyers wait"), HasSubstr("no balancer has computed who is next since 13:59:00")));
  room->set_held(v1::Room::HELD_LEDGER_SILENT);
  EXPECT_THAT(Expect("ROOM_STALLED", "tv", kCritical).text(), HasSubstr("what is unsold: nobody new"));
  room->clear_late_waiting();
  room->clear_shuffled_waiting();
  EXPECT_THAT(Codes(), IsEmpty()) << "nobody waits";
}

TEST_F(StatusProblemsTest, AWaitingRoomThatIsHeld) {
  v1::Room* room = found_.add_rooms();
  room->set_sku_id("tv");
  room->set_held(v1::Room::HELD_RATE_ZERO);
  EXPECT_THAT(Codes(), IsEmpty()) << "nobody waits";
  room->set_late_waiting(1);
  const v1::Problem problem = Expect("ROOM_HELD", "tv", kWarning);
  EXPECT_THAT(problem.text(), HasSubstr("1 buyer waits"));
  EXPECT_THAT(problem.next_step(), HasSubstr("door set tv --room"));
  for (const v1::Room::Held held : {v1::Room::HELD_NOT_OPEN, v1::Room::HELD_ENOUGH, v1::Room::HELD_UNSPECIFIED}) {
    room->set_held(held);
    EXPECT_THAT(Codes(), IsEmpty()) << held;
  }
}

TEST_F(StatusProblemsTest, MessagesThatNobodyTakes) {
  sink_->set_pending(2775);
  *sink_->mutable_oldest_pending() = ToDuration(kMessageOldAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  *sink_->mutable_oldest_pending() = ToDuration(absl::Minutes(30));
  EXPECT_THAT(Expect("OUTBOX_OLD", "home/orders", kWarning).text(), HasSubstr("since 13:30:00"));
  worker_->clear_sinks();
  EXPECT_THAT(Expect("SINK_WITHOUT_WORKER", "home/orders", kWarning).next_step(), HasSubstr("--sink orders="))
      << "the cause";
  *sink_->mutable_oldest_pending() = ToDuration(kMissedAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty()) << "its worker may be about to start again";
  sink_->set_pending(0);
  *sink_->mutable_oldest_pending() = ToDuration(absl::Minutes(30));
  EXPECT_THAT(Codes(), IsEmpty()) << "nothing waits";
}

TEST_F(StatusProblemsTest, TheFirstSinkMayBeMeantToHaveNoWorker) {
  sink_->set_name("default");
  sink_->set_pending(10);
  *sink_->mutable_oldest_pending() = ToDuration(kMessageOldAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  *sink_->mutable_oldest_pending() = ToDuration(kMessageOldAfter);
  Expect("SINK_WITHOUT_WORKER", "home/default", kNotice);
  v1::ProcessStatus* other = home_->add_workers();
  *other = *worker_;
  other->add_sinks("default");
  EXPECT_THAT(Codes(), ElementsAre("OUTBOX_OLD"));
  LetDie(other, absl::Hours(1));
  Expect("SINK_WITHOUT_WORKER", "home/default", kWarning);
}

TEST_F(StatusProblemsTest, DeadMessages) {
  sink_->set_dead(1);
  EXPECT_THAT(Expect("OUTBOX_DEAD", "home/orders", kWarning).next_step(), HasSubstr("outbox retry --sink orders"));
}

TEST_F(StatusProblemsTest, RefundsThatNobodyMakes) {
  ledger_->set_refunds_waiting(2);
  *ledger_->mutable_oldest_refund() = ToDuration(kRefundLateAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  *ledger_->mutable_oldest_refund() = ToDuration(kRefundLateAfter);
  EXPECT_THAT(Expect("REFUNDS_WAITING", "home", kWarning).text(), HasSubstr("since 2026-11-26 02:00:00"));
}

TEST_F(StatusProblemsTest, StrandedUnits) {
  ledger_->set_stranded_units(1);
  EXPECT_THAT(Expect("UNITS_STRANDED", "home", kWarning).text(), HasSubstr("1 unit "));
}

TEST_F(StatusProblemsTest, APoolThatNobodyTouches) {
  v1::WaitingPool* pool = home_->add_pools();
  pool->set_sku_id("tv");
  pool->set_units(30);
  *pool->mutable_untouched_for() = ToDuration(kPoolStuckAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  *pool->mutable_untouched_for() = ToDuration(kPoolStuckAfter);
  EXPECT_THAT(Expect("POOL_STUCK", "tv", kWarning).text(), HasSubstr("30 units of tv"));
}

TEST_F(StatusProblemsTest, WhileItIsFrozenPoolsWaitAsTheyShould) {
  v1::WaitingPool* pool = home_->add_pools();
  pool->set_sku_id("tv");
  pool->set_units(30);
  *pool->mutable_untouched_for() = ToDuration(kPoolStuckAfter);
  ledger_->set_frozen(true);
  ledger_->set_frozen_by("alice");
  *ledger_->mutable_freeze_time() = ToTimestamp(kNow - absl::Minutes(1));
  const v1::Problem problem = Expect("CLUSTER_FROZEN", "home", kWarning);
  EXPECT_THAT(problem.text(), AllOf(HasSubstr("by alice since "), HasSubstr("move no units")));
  EXPECT_THAT(problem.next_step(), HasSubstr("tranchectl cluster thaw"));
  EXPECT_THAT(Codes(), ElementsAre("CLUSTER_FROZEN"));
}

TEST_F(StatusProblemsTest, ANodeThatDoesNotReport) {
  *node_->mutable_report_age() = ToDuration(kNodeSilentAfter - absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty());
  *node_->mutable_report_age() = ToDuration(kNodeSilentAfter);
  EXPECT_THAT(Expect("NODE_SILENT", "node-1", kWarning).text(), HasSubstr("since 13:59:30"));
  node_->clear_report_age();
  EXPECT_THAT(Codes(), IsEmpty()) << "it may be about to, or its report came too late";
}

TEST_F(StatusProblemsTest, NoNodeServes) {
  node_->set_draining(true);
  EXPECT_THAT(Expect("NO_NODE", "", kCritical).next_step(), HasSubstr("undrain"));
  found_.clear_nodes();
  EXPECT_THAT(Expect("NO_NODE", "", kCritical).next_step(), HasSubstr("tranched"));
}

TEST_F(StatusProblemsTest, AConsumerOfQueuesServesNobody) {
  node_->set_consumer(true);
  EXPECT_EQ(Expect("NO_NODE", "", kCritical).text(), "No node serves: nothing is sold.");
}

TEST_F(StatusProblemsTest, ANodeWhoseHealthSaysNotServing) {
  node_->set_unhealthy("calls are overdue");
  EXPECT_THAT(Codes(), ElementsAre("NO_NODE", "NODE_NOT_SERVING"));
  found_.add_nodes()->set_name("node-2");
  EXPECT_THAT(Expect("NODE_NOT_SERVING", "node-1", kWarning).text(), HasSubstr("calls are overdue"));
}

TEST_F(StatusProblemsTest, ANodeThatCannotUseItsFiles) {
  node_->add_faulty_files("--access-file");
  node_->add_faulty_files("--tls-certificate");
  const v1::Problem problem = Expect("NODE_FILES_FAULTY", "node-1", kWarning);
  EXPECT_THAT(problem.text(), HasSubstr("--access-file, --tls-certificate"));
  EXPECT_THAT(problem.next_step(), HasSubstr("access check"));
}

TEST_F(StatusProblemsTest, ANodeThatDoesNotReachALedger) {
  node_->set_cannot_commit(true);
  EXPECT_THAT(Expect("NODE_CANNOT_COMMIT", "node-1", kCritical).text(), HasSubstr("of home"));
  node_->set_cannot_commit(false);
  node_->add_shards_out_of_reach("hot");
  EXPECT_THAT(Expect("NODE_CANNOT_COMMIT", "node-1", kCritical).text(), HasSubstr("shard hot"));
}

TEST_F(StatusProblemsTest, ANodeThatHasGoneAndKeepsItsUnits) {
  v1::GoneNode* gone = found_.add_gone_nodes();
  gone->set_name("node-2");
  gone->set_incarnation(7);
  gone->set_units(120);
  *gone->mutable_start_time() = ToTimestamp(kNow - kUnregisteredAfter + absl::Seconds(1));
  EXPECT_THAT(Codes(), IsEmpty()) << "it may be about to register";
  *gone->mutable_start_time() = ToTimestamp(kNow - absl::Hours(1));
  EXPECT_THAT(Expect("NODE_GONE", "node-2", kCritical).text(),
              AllOf(HasSubstr("incarnation 7"), HasSubstr("120 units")));
  gone->set_units(0);
  Expect("NODE_GONE", "node-2", kWarning);
  *gone->mutable_end_time() = ToTimestamp(kNow - absl::Minutes(1));
  EXPECT_THAT(Codes(), IsEmpty()) << "its units are elsewhere";
}

TEST_F(StatusProblemsTest, TheCriticalOnesComeFirst) {
  sink_->set_dead(1);
  node_->set_cannot_commit(true);
  EXPECT_THAT(Codes(), ElementsAre("NODE_CANNOT_COMMIT", "OUTBOX_DEAD"));
}

}  // namespace
}  // namespace tranche::server
