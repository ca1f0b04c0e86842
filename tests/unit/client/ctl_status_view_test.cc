#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "client/ctl/status_view.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

tranche::v1::GetStatusResponse UsualState() {
  tranche::v1::GetStatusResponse status;
  status.mutable_coordination()->set_answers(true);
  status.set_gone_nodes_known(true);
  tranche::v1::ShardStatus* home = status.add_shards();
  home->set_name("home");
  home->set_answers(true);
  home->set_leader("balancer-1");
  home->mutable_ledger()->set_connections_used(31);
  home->mutable_ledger()->set_connections_limit(97);
  home->mutable_ledger()->set_database_bytes(34 << 20);
  home->mutable_ledger()->set_open_skus(2);
  tranche::v1::ProcessStatus* balancer = home->add_balancers();
  balancer->set_name("balancer-1");
  balancer->set_alive(true);
  balancer->set_leads(true);
  balancer->mutable_leads_for()->set_seconds(754);
  tranche::v1::ProcessStatus* worker = home->add_workers();
  worker->set_name("worker-1");
  worker->set_alive(true);
  worker->set_expires(true);
  worker->set_draws(true);
  worker->add_sinks("orders");
  worker->mutable_since_expiry()->set_nanos(200'000'000);
  tranche::v1::NodeStatus* node = status.add_nodes();
  node->set_name("node-1");
  node->set_incarnation(12);
  node->mutable_report_age()->set_seconds(1);
  node->set_grants_per_s(124.3);
  home->add_sinks()->set_name("orders");
  return status;
}

std::string Printed(const tranche::v1::GetStatusResponse& status) {
  std::ostringstream out, err;
  Session session(out, err);
  PrintStatus(session, status);
  return out.str();
}

TEST(StatusViewTest, TellsOfPausedSkus) {
  tranche::v1::GetStatusResponse status = UsualState();
  status.mutable_shards(0)->mutable_ledger()->set_paused_skus(3);
  EXPECT_THAT(Printed(status), HasSubstr("2 SKUs on sale, 3 paused\n"));
}

TEST(StatusViewTest, TellsOfClaimQueuesWhereThereAreSome) {
  tranche::v1::GetStatusResponse status = UsualState();
  EXPECT_THAT(Printed(status), Not(HasSubstr("CLAIM QUEUE")));
  tranche::v1::ClaimQueueState* queue = status.add_claim_queues();
  queue->set_queue("tranche.claims.home.0");
  queue->set_shard("home");
  queue->set_ready(12);
  queue->set_consumers(2);
  queue->set_dead(1);
  EXPECT_THAT(Printed(status), ContainsRegex("tranche.claims.home.0 +home +12 +2 +1"));
  status.set_claim_queues_paused(true);
  EXPECT_THAT(Printed(status), ContainsRegex("tranche.claims.home.0 +home +12 +REST +1"));
}

TEST(StatusViewTest, TellsWhoRuns) {
  const std::string shown = Printed(UsualState());
  EXPECT_THAT(shown, ::testing::StartsWith("healthy: 1 node, 1 balancer, 1 worker, 1 shard, 2 SKUs on sale\n"));
  EXPECT_THAT(shown,
              AllOf(ContainsRegex("home +ok +none +balancer-1 +0 +0 +31/97 +34 MiB"), HasSubstr("ZooKeeper: ok"),
                    ContainsRegex("balancer +home +balancer-1 +0.0s ago +leads for 12m34s"),
                    ContainsRegex("worker +home +worker-1 +0.0s ago +expires, last 0.2s, draws; orders"),
                    ContainsRegex("node-1 +12 +SERVING +1.0s +124.3 +0.0"), ContainsRegex("orders +home +0 +0 +-"),
                    Not(HasSubstr("GONE")), Not(HasSubstr("not known"))));
  std::istringstream lines(shown);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(StatusViewTest, TellsOfANodeThatSendsCallersElsewhere) {
  tranche::v1::GetStatusResponse status = UsualState();
  status.mutable_nodes(0)->set_unhealthy("calls are overdue");
  EXPECT_THAT(Printed(status), AllOf(ContainsRegex("node-1 +12 +NOT SERVING"), HasSubstr("IN VAIN/S")));
}

TEST(StatusViewTest, ANoticeLeavesItHealthy) {
  tranche::v1::GetStatusResponse status = UsualState();
  EXPECT_TRUE(Healthy(status));
  tranche::v1::Problem* problem = status.add_problems();
  problem->set_code("SINK_WITHOUT_WORKER");
  problem->set_severity(tranche::v1::PROBLEM_SEVERITY_NOTICE);
  EXPECT_TRUE(Healthy(status));
  EXPECT_THAT(Printed(status), AllOf(::testing::StartsWith("healthy: "), HasSubstr("NOTICE SINK_WITHOUT_WORKER\n")));
  status.add_problems()->set_severity(tranche::v1::PROBLEM_SEVERITY_WARNING);
  EXPECT_FALSE(Healthy(status));
  EXPECT_THAT(VerdictOf(status), HasSubstr("0 critical, 1 to watch"));
}

TEST(StatusViewTest, TellsSlowFromDownAndHowManyStandbysAreMissing) {
  tranche::v1::GetStatusResponse status = UsualState();
  status.set_gone_nodes_known(false);
  status.mutable_coordination()->set_tree_gone(true);
  status.mutable_shards(0)->mutable_ledger()->set_standbys_needed(2);
  status.mutable_shards(0)->mutable_ledger()->set_synchronous_standbys(1);
  for (const char* name : {"late", "old"}) status.add_shards()->set_name(name);
  status.mutable_shards(1)->set_slow(true);
  status.mutable_shards(2)->set_unfit("its schema is 0009");
  EXPECT_THAT(Printed(status),
              AllOf(ContainsRegex("home +ok +1 OF 2"), ContainsRegex("late +SLOW"), ContainsRegex("old +UNFIT"),
                    HasSubstr("ZooKeeper: TREE GONE"), HasSubstr("gone is not known")));
}

TEST(StatusViewTest, TellsWhatIsGoneAndWhatToDo) {
  tranche::v1::GetStatusResponse status = UsualState();
  status.mutable_coordination()->set_answers(false);
  tranche::v1::ShardStatus* home = status.mutable_shards(0);
  home->mutable_workers(0)->set_alive(false);
  home->mutable_workers(0)->mutable_age()->set_seconds(125);
  home->mutable_balancers(0)->set_alive(false);
  home->mutable_balancers(0)->set_ended(true);
  home->mutable_ledger()->set_standby_required(true);
  tranche::v1::ShardStatus* hot = status.add_shards();
  hot->set_name("hot");
  hot->set_error("connection refused");
  tranche::v1::GoneNode* gone = status.add_gone_nodes();
  gone->set_name("node-2");
  gone->set_incarnation(9);
  gone->set_units(40);
  tranche::v1::Problem* problem = status.add_problems();
  problem->set_code("LEDGER_DOWN");
  problem->set_severity(tranche::v1::PROBLEM_SEVERITY_CRITICAL);
  problem->set_subject("hot");
  problem->set_text("It does not answer.");
  problem->set_next_step("look at it");
  status.add_problems()->set_severity(tranche::v1::PROBLEM_SEVERITY_WARNING);

  const std::string shown = Printed(status);
  EXPECT_THAT(shown, ::testing::StartsWith("NOT HEALTHY: 1 critical, 1 to watch\n"));
  EXPECT_THAT(shown, AllOf(HasSubstr("ZooKeeper: SILENT"), ContainsRegex("home +ok +GONE"), ContainsRegex("hot +DOWN"),
                           ContainsRegex("worker-1 +2m5s ago +GONE"), ContainsRegex("balancer-1 +0.0s ago +ended"),
                           ContainsRegex("node-2 +9 +not yet +40"),
                           HasSubstr("CRITICAL LEDGER_DOWN hot\n  It does not answer.\n  next: look at it\n")));
}

}  // namespace
}  // namespace tranche::ctl
