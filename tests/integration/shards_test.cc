// Several shards on real servers: SKUs move between them in mid-sale, and a shard that hangs delays no other one. Each
// test ends with a check of the books of all shards.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/postgres/migrator.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/claims.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(60);
// Of buyers who only come while something else is waited for.
constexpr absl::Duration kBuyersRest = absl::Milliseconds(5);

// Two nodes and the shards home and s1. Cases that want no flags for the nodes use one cluster, one after the other:
// each has SKUs of its own, and leaves books that are right.
class ShardsTest : public SaleTest, protected TranchectlRunner {
 protected:
  static void TearDownTestSuite() { left_.reset(); }
  void TearDown() override {
    client_.reset();
    if (leaves_ && !HasFailure()) left_ = std::move(cluster_);
  }

  void StartCluster(std::vector<std::string> node_args = {}) {
    leaves_ = node_args.empty();
    if (leaves_ && left_ != nullptr) {
      cluster_ = std::move(left_);
      client_ = ClientOf(cluster_->endpoints());
      return;
    }
    left_.reset();  // not two at once
    MiniClusterOptions options;
    options.nodes = 2;
    options.shards = 1;
    options.zookeeper_session_timeout = absl::Seconds(3);
    options.node_args = std::move(node_args);
    SaleTest::StartCluster(options);
  }

  int Ctl(std::vector<std::string> arguments) { return RunCtlAt(cluster_->endpoint(0), std::move(arguments)); }

  // Of a SKU at rest on this shard.
  void ExpectAbortsArePreviewedAsTheyGo(const std::string& sku, const std::string& shard) {
    std::vector<std::string> there = {"sku", "move", sku, "--to", shard, "--abort"};
    std::vector<std::string> elsewhere = {"sku", "move", sku, "--to", "home", "--abort"};
    for (const bool yes : {false, true}) {
      if (yes) there.push_back("--yes"), elsewhere.push_back("--yes");
      EXPECT_EQ(Ctl(there), 2);
      EXPECT_THAT(err_, AllOf(HasSubstr("SHARD_STATE"), Not(HasSubstr("--abort")))) << "that is what was typed";
      EXPECT_EQ(Ctl(elsewhere), 0) << err_;
      EXPECT_THAT(out_, HasSubstr("no unfinished move to home"));
      EXPECT_THAT(err_, AllOf(Not(HasSubstr("--yes")), Not(HasSubstr("done"))));
    }
  }

  // How long its sale was paused.
  absl::Duration Move(const std::string& sku, const std::string& to) {
    EXPECT_EQ(Ctl({"sku", "move", sku, "--to", to, "--yes", "-o", "json"}), 0) << err_;
    absl::Duration paused;
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) {
      const auto message = nlohmann::json::parse(line);
      if (message["stage"] != "STAGE_SELLING") continue;
      const std::string seconds = message["paused_for"];
      double value = 0;
      EXPECT_TRUE(absl::SimpleAtod(seconds.substr(0, seconds.size() - 1), &value));
      paused = absl::Seconds(value);
    }
    return paused;
  }

  // Reservations of earlier buyers.
  void Fill(const std::string& sku, int reservations) {
    storage::ConnectionPool pool({.dsn = cluster_->postgres().dsn()});
    storage::PostgresStockLedger stock(&pool);
    storage::PostgresLedger sales(&pool);
    const auto filler = stock.RegisterIncarnation("filler", "nowhere:1");
    ASSERT_TRUE(filler.ok()) << filler.status();
    ASSERT_TRUE(stock.SetQuotaFrozen(sku, true, "test").ok());
    ASSERT_TRUE(stock.AddStock(sku, reservations, std::nullopt, "test").ok());
    ASSERT_TRUE(stock.MoveUnits(sku, {{*filler, reservations}}, std::nullopt, "test").ok());
    for (int left = reservations; left > 0;) {
      const int batch = std::min(left, storage::kMaxBatch);
      const auto created = sales.CommitReservations(*filler, storage::LockMode::kWait,
                                                    ClaimsOf(sku, absl::StrCat("old-", left, "-"), batch));
      ASSERT_TRUE(created.ok()) << created.status();
      left -= batch;
    }
    ASSERT_TRUE(stock.ReclaimIncarnation(*filler).ok());
    ASSERT_TRUE(stock.SetQuotaFrozen(sku, false, "test").ok());
  }

  static void Execute(const MiniPostgres& postgres, const std::string& sql) {
    const absl::Status done = ExecuteSql(postgres.dsn(), sql);
    ASSERT_TRUE(done.ok()) << done;
  }

  // As if home had been restored to before the first sale of a SKU that is at s1. `moves`: of the copy.
  void RestoreCopyAtHome(const std::string& sku, int moves) {
    Execute(cluster_->postgres(), absl::Substitute(R"(
      UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL, presplit = false, pool_waiting = true, stock = 1000,
        moves = $1 WHERE sku_id = '$0';
      INSERT INTO tranche.stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
      VALUES ('$0', 0, NULL, 1000, 1000, 1))",
                                                   sku, moves));
  }

  // Until home has given up its copy, of which nothing was sold.
  void AwaitGivenUpAtHome(const std::string& sku) {
    storage::ConnectionPool pool({.dsn = cluster_->postgres().dsn()});
    storage::PostgresSkuMoveLedger home(&pool);
    storage::SkuWhereabouts where;
    const absl::Time give_up = absl::Now() + kPatience;
    do {
      const auto now = home.Where(sku);
      ASSERT_TRUE(now.ok()) << now.status();
      where = *now;
      RestBetweenLooks();
    } while (where.place != storage::SkuWhereabouts::Place::kGone && absl::Now() < give_up);
    EXPECT_EQ(where.place, storage::SkuWhereabouts::Place::kGone) << cluster_->balancer(0).LogTail();
    EXPECT_EQ(where.other_shard, "s1");
    EXPECT_FALSE(where.leftovers) << "units of the older copy were sold";
  }

  static void AwaitLine(ServerProcess& process, const std::string& line, int times = 1) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (process.LogLinesWith(line) < times) {
      ASSERT_TRUE(process.Running() && absl::Now() < give_up) << line << "\n" << process.LogTail();
      RestBetweenLooks();
    }
  }

  Reservation Hold(const std::string& sku, const std::string& user) {
    const auto held = client_->Create({.sku = sku, .user = user, .reservation_id = ""});
    EXPECT_TRUE(held.ok()) << held.status();
    return held.value_or(Reservation{});
  }

 private:
  static std::unique_ptr<MiniCluster> left_;
  bool leaves_ = false;
};
std::unique_ptr<MiniCluster> ShardsTest::left_;

TEST_F(ShardsTest, AMoveInMidSale) {
  StartCluster();
  OpenSale("tv", 100000);
  OpenSale("radio", 100000);
  const Reservation paid = Hold("tv", "early-1"), given_up = Hold("tv", "early-2"), kept = Hold("tv", "early-3");
  Shoppers shoppers(client_.get(), {"tv", "radio"}, 4);
  ASSERT_TRUE(shoppers.WaitForMore(200, kPatience));
  EXPECT_EQ(Ctl({"sku", "move", "tv", "--to", "s1"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("home -> s1"));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  for (const std::string to : {"s1", "home", "s1"}) {
    Move("tv", to);
    ASSERT_TRUE(shoppers.WaitForMore(200, kPatience)) << "nobody can buy at " << to;
    Move("tv", to);  // again: nothing is left to do
    EXPECT_EQ(Ctl({"sku", "move", "tv", "--to", to}), 0) << err_;
    EXPECT_THAT(err_, AllOf(HasSubstr("othing would change"), Not(HasSubstr("--yes"))));
  }
  shoppers.Stop();
  EXPECT_THAT(shoppers.refused(), IsEmpty()) << "the SDK waits for a SKU that moves";

  // Reservations that were made at home before.
  const auto read = client_->Get(kept.reservation_id);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->user_id, "early-3");
  const auto confirmed = client_->Confirm({.reservation_id = paid.reservation_id,
                                           .payment_reference = "pay-1",
                                           .amount_minor = paid.amount_minor,
                                           .currency = paid.currency,
                                           .sku = ""});
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_EQ(confirmed->outcome, ConfirmOutcome::kConfirmed);
  const auto cancelled = client_->Cancel({.reservation_id = given_up.reservation_id, .reason = "", .sku = "tv"});
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  // Checked by hand: the three early reservations are not the shoppers'.
  std::set<std::string> rows = RowsOf("tv");
  for (const Reservation& early : {paid, given_up, kept}) EXPECT_EQ(rows.erase(early.reservation_id), 1u);
  rows.merge(RowsOf("radio"));
  const std::set<std::string> acknowledged = shoppers.acknowledged();
  for (const std::string& id : acknowledged) EXPECT_TRUE(rows.contains(id)) << id << " was acknowledged and is lost";
  EXPECT_EQ(rows.size(), acknowledged.size() + shoppers.unknown().size());
  CheckLedger();
  EXPECT_EQ(Ctl({"verify"}), 0) << out_ << err_;
  EXPECT_EQ(Ctl({"sku", "show", "tv", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["shard"], "s1");
}

TEST_F(ShardsTest, AMoveOfManyReservationsPausesForAMoment) {
  StartCluster();
  const char* const wanted = std::getenv("TRANCHE_MOVE_RESERVATIONS");
  int reservations = 20000;
  if (wanted != nullptr) {
    ASSERT_TRUE(absl::SimpleAtoi(wanted, &reservations));
  }
  OpenSale("laptop", 100000);
  OpenSale("camera", 100000);
  Fill("laptop", reservations);
  Shoppers shoppers(client_.get(), {"laptop", "camera"}, 4);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  const absl::Time began_at = absl::Now();
  const absl::Duration paused = Move("laptop", "s1");
  std::cout << reservations << " reservations moved in " << absl::Now() - began_at << ", paused for " << paused
            << std::endl;
  // Generous, because the machine may be busy.
  EXPECT_LT(paused, absl::Seconds(5));
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  shoppers.Stop();
  EXPECT_THAT(shoppers.refused(), IsEmpty());
  CheckLedger();
}

// A test's own connections have a time limit; servers may be told none.
std::string AsAdded(const std::string& dsn) { return absl::StrReplaceAll(dsn, {{" connect_timeout=5", ""}}); }

TEST_F(ShardsTest, AsOperatorsSeeThem) {
  StartCluster();
  EXPECT_EQ(Ctl({"shard", "list"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("home"));
  EXPECT_THAT(out_, HasSubstr("s1"));
  EXPECT_EQ(Ctl({"shard", "add", "s2", "--postgres", "host=127.0.0.1 password=secret"}), 1) << "wrong usage";
  EXPECT_THAT(err_, HasSubstr("PGPASSFILE"));
  EXPECT_THAT(err_, Not(HasSubstr("secret")));
  EXPECT_EQ(Ctl({"shard", "add", "s2", "--postgres", "host=127.0.0.1 passfile=/etc/passwd"}), 1) << "wrong usage";
  EXPECT_EQ(Ctl({"shard", "add", "s2", "--postgres", "host=db.example dbname=tranche user=u", "--yes"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("SHARD_STATE"), HasSubstr("db.example"), HasSubstr("--shard-hosts")));
  EXPECT_EQ(Ctl({"shard", "add", "s2", "--postgres", AsAdded(cluster_->shard(0).node_dsn())}), 2) << "it is s1";
  EXPECT_THAT(err_, AllOf(HasSubstr("SHARD_STATE"), Not(HasSubstr("--abort"))));
  EXPECT_EQ(Ctl({"shard", "add", "s2", "--postgres", AsAdded(cluster_->app_dsn())}), 2) << "it is home";
  // The first one changes how s1 is reached.
  EXPECT_EQ(Ctl({"shard", "add", "s1", "--postgres", AsAdded(cluster_->shard(0).node_dsn()), "--yes"}), 0) << err_;
  EXPECT_EQ(Ctl({"shard", "add", "s1", "--postgres", AsAdded(cluster_->shard(0).node_dsn()), "--yes"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("already"));
  EXPECT_EQ(Ctl({"sku", "create", "x", "--stock", "5", "--price", "1", "--shard", "nowhere"}), 2);
  EXPECT_THAT(err_, HasSubstr("SHARD_NOT_FOUND"));
  EXPECT_EQ(Ctl({"sku", "create", "x", "--stock", "5", "--price", "1", "--shard", "s1"}), 0) << err_;
  EXPECT_EQ(Ctl({"sku", "create", "x", "--stock", "5", "--price", "1"}), 2) << "one id, one SKU";
  EXPECT_EQ(Ctl({"sku", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("x"));
  EXPECT_EQ(Ctl({"stock", "add", "x", "3", "--yes"}), 0) << err_;
  EXPECT_EQ(Ctl({"quota", "show", "x"}), 0) << err_;
  ExpectAbortsArePreviewedAsTheyGo("x", "s1");
  EXPECT_EQ(Ctl({"sku", "move", "x", "--to", "home", "--yes"}), 0) << err_;
  EXPECT_EQ(Ctl({"audit", "--sku", "x"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("move_sku"));
  CheckLedger();
}

TEST_F(ShardsTest, ADatabaseWhoseSchemaDoesNotFitBecomesNoShard) {
  StartCluster();
  MiniPostgres& postgres = cluster_->postgres();
  ASSERT_TRUE(postgres.CreateDatabase("newer").ok());
  ASSERT_TRUE(storage::Migrate(postgres.Dsn("newer")).ok());
  ASSERT_TRUE(ExecuteSql(postgres.Dsn("newer"), R"(
    CREATE OR REPLACE FUNCTION tranche.schema_range() RETURNS TABLE (version integer, oldest_server integer)
    LANGUAGE sql STABLE AS 'SELECT 1001, 1000')")
                  .ok());
  EXPECT_EQ(Ctl({"shard", "add", "s2", "--postgres", AsAdded(postgres.Dsn("newer", MiniPostgres::kNodeRole)), "--yes"}),
            2);
  EXPECT_THAT(err_, HasSubstr("SHARD_STATE"));
  EXPECT_THAT(err_, HasSubstr("this version is too old for the database"));
}

TEST_F(ShardsTest, AnOlderCopyThatARestoreBroughtBackIsFoundAndTakenOut) {
  StartCluster();
  OpenSale("phone", 1000);
  const Reservation held = Hold("phone", "early");
  Move("phone", "s1");
  EXPECT_EQ(Ctl({"verify"}), 0) << out_ << err_;
  // Of a move from before they were counted: nobody can tell which copy is older.
  RestoreCopyAtHome("phone", /*moves=*/1);
  const auto found = AllOf(HasSubstr("sku_on_several_shards"), HasSubstr("on home and s1"));
  EXPECT_EQ(Ctl({"verify"}), 2) << out_ << err_;
  EXPECT_THAT(out_, found);
  EXPECT_EQ(Ctl({"verify", "--sku", "phone"}), 2) << out_ << err_;
  EXPECT_THAT(out_, found);
  for (const std::string option : {"--yes", "--abort", ""}) {
    std::vector<std::string> move = {"sku", "move", "phone", "--to", "s1"};
    if (!option.empty()) move.push_back(option);
    EXPECT_EQ(Ctl(move), 2) << option;
    EXPECT_THAT(err_,
                AllOf(HasSubstr("SHARD_STATE"), HasSubstr("on home and s1"), HasSubstr("An older copy came back")));
  }

  Execute(cluster_->postgres(), "SELECT tranche.give_up_copy('phone', 's1', 'alice')");
  Move("phone", "s1");
  EXPECT_EQ(Ctl({"verify"}), 0) << out_ << err_;
  EXPECT_EQ(Ctl({"audit", "--sku", "phone"}), 0) << err_;
  const auto read = client_->Get(held.reservation_id);
  EXPECT_TRUE(read.ok()) << read.status();
  Shoppers shoppers(client_.get(), {"phone"}, 2);
  EXPECT_TRUE(shoppers.WaitForMore(50, kPatience)) << "it does not sell at s1";
  shoppers.Stop();
  CheckLedger();
}

TEST_F(ShardsTest, AnOlderCopyThatARestoreBroughtBackIsGivenUpByItself) {
  StartCluster();
  OpenSale("console", 1000000);
  const Reservation held = Hold("console", "early");
  Move("console", "s1");
  Shoppers shoppers(client_.get(), {"console"}, 2, kBuyersRest);
  ASSERT_TRUE(shoppers.WaitForMore(20, kPatience));
  RestoreCopyAtHome("console", /*moves=*/0);
  AwaitGivenUpAtHome("console");
  EXPECT_TRUE(shoppers.WaitForMore(50, kPatience)) << "it does not sell at s1";
  shoppers.Stop();
  EXPECT_EQ(Ctl({"verify"}), 0) << out_ << err_;
  EXPECT_EQ(Ctl({"audit", "--automatic", "--sku", "console"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("give_up_copy"));
  AwaitLine(cluster_->balancer(0), "shard home gave up its older copy of SKU console");
  const auto read = client_->Get(held.reservation_id);
  EXPECT_TRUE(read.ok()) << read.status();
  Move("console", "s1");
  CheckLedger();
}

TEST_F(ShardsTest, ASkuThatARestoredShardHasForgottenIsFoundAndCreatedAgain) {
  StartCluster();
  OpenSale("cam", 10);
  Move("cam", "s1");
  // As if s1 had been restored to before the move.
  Execute(cluster_->shard(0), R"(
    DELETE FROM tranche.sku WHERE sku_id = 'cam';
    DELETE FROM tranche.stock_slot WHERE sku_id = 'cam')");
  EXPECT_EQ(Ctl({"verify"}), 2) << out_ << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("sku_on_no_shard"), HasSubstr("home says it has gone to s1, s1 does not know it")));
  std::vector<std::string> create = {"sku", "create", "cam", "--stock", "10", "--price", "1"};
  EXPECT_EQ(Ctl(create), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("SKU_ALREADY_EXISTS"), HasSubstr("on the shard s1, or was")));
  create.insert(create.end(), {"--shard", "s1"});
  EXPECT_EQ(Ctl(create), 0) << err_;
  EXPECT_EQ(Ctl({"verify"}), 0) << out_ << err_;
  EXPECT_EQ(Ctl({"sku", "show", "cam", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["shard"], "s1");
  CheckLedger();
}

TEST_F(ShardsTest, AShardThatHangsSlowsNoOther) {
  StartCluster({"--statement-timeout-ms", "1000"});
  OpenSale("tv", 100000);
  OpenSale("hot", 100000, absl::Minutes(15), "s1");
  Hold("hot", "early");
  int serial = 0;
  const auto latency_p99 = [&] {
    std::vector<absl::Duration> latencies;
    for (int i = 0; i < 500; ++i) {
      const absl::Time began_at = absl::Now();
      const auto held = client_->Create({.sku = "tv", .user = absl::StrCat("u", ++serial), .reservation_id = ""});
      EXPECT_TRUE(held.ok()) << held.status();
      latencies.push_back(absl::Now() - began_at);
    }
    std::sort(latencies.begin(), latencies.end());
    return latencies[latencies.size() * 99 / 100];
  };
  latency_p99();  // warms up
  const absl::Duration before = latency_p99();
  ASSERT_TRUE(cluster_->shard(0).Suspend().ok());
  absl::Duration beside;
  {
    const auto other_client = ClientOf(cluster_->endpoints());
    Shoppers in_vain(other_client.get(), {"hot"}, 8);
    beside = latency_p99();
    beside = std::max(beside, latency_p99());
    EXPECT_TRUE(in_vain.acknowledged().empty());
  }
  std::cout << "p99 of the other shard's SKU: " << before << " before, " << beside << " beside" << std::endl;
  EXPECT_LT(beside, std::max(before * 10, absl::Milliseconds(250)));

  // Once it is known to be down, its own SKUs are refused at once.
  const auto stub =
      v1::ReservationService::NewStub(grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials()));
  absl::Duration took = absl::InfiniteDuration();
  grpc::Status refused;
  const absl::Time give_up = absl::Now() + kPatience;
  while (took > absl::Milliseconds(500) && absl::Now() < give_up) {
    v1::CreateReservationRequest request;
    request.set_reservation_id(NewId().ToString());
    request.set_sku_id("hot");
    request.set_user_id(absl::StrCat("late", ++serial));
    request.set_quantity(1);
    v1::CreateReservationResponse response;
    const absl::Time began_at = absl::Now();
    refused = stub->CreateReservation(Context().get(), request, &response);
    if (refused.error_code() == grpc::StatusCode::UNAVAILABLE) took = absl::Now() - began_at;
  }
  EXPECT_LE(took, absl::Milliseconds(500)) << refused.error_message();
  // A reservation that is nowhere must not be denied while a shard does not answer.
  const auto nowhere = client_->Get(NewId().ToString());
  EXPECT_TRUE(absl::IsUnavailable(nowhere.status()) || absl::IsDeadlineExceeded(nowhere.status())) << nowhere.status();

  ASSERT_TRUE(cluster_->shard(0).Resume().ok());
  Shoppers again(client_.get(), {"hot"}, 2);
  EXPECT_TRUE(again.WaitForMore(50, kPatience)) << "it does not sell again";
  again.Stop();
  CheckLedger();
}

TEST_F(ShardsTest, AnOlderCopyIsNotSoldWhileTheShardWithTheNewerOneHangs) {
  StartCluster({"--statement-timeout-ms", "1000"});
  OpenSale("tv", 1000000);
  Move("tv", "s1");
  Hold("tv", "early");
  ASSERT_TRUE(cluster_->shard(0).Suspend().ok());
  RestoreCopyAtHome("tv", /*moves=*/0);
  {
    const auto other_client = ClientOf(cluster_->endpoints());
    Shoppers in_vain(other_client.get(), {"tv"}, 4, kBuyersRest);
    AwaitLine(cluster_->balancer(0), "shard s1 does not say whose copy is older");
    EXPECT_TRUE(in_vain.acknowledged().empty());
    // A node that has heard nothing of the SKU yet finds the copy at home when it looks it up, with units in the pool.
    const auto newcomer = cluster_->StartNode();
    ASSERT_TRUE(newcomer.ok()) << newcomer.status();
    const auto client = ClientOf({cluster_->endpoint(*newcomer)});
    Shoppers at_newcomer(client.get(), {"tv"}, 2);
    EXPECT_TRUE(at_newcomer.WaitForReason(Reason::kExhaustedHere, 2, kPatience));
    EXPECT_TRUE(at_newcomer.acknowledged().empty()) << "of a copy that may be the older one";
  }
  ASSERT_TRUE(cluster_->shard(0).Resume().ok());
  AwaitGivenUpAtHome("tv");
  Shoppers again(client_.get(), {"tv"}, 2);
  EXPECT_TRUE(again.WaitForMore(50, kPatience)) << "it does not sell at s1";
  again.Stop();
  CheckLedger();
}

class UnfitShardTest : public ShardsTest {
 protected:
  // Home and s1, without any process of ours.
  void StartServers() {
    MiniClusterOptions options;
    options.nodes = 0;
    options.balancers = 0;
    options.workers = 0;
    options.shards = 1;
    cluster_ = MiniCluster::Start(options).value();
  }
  void AtShard(const std::string& sql) { Execute(cluster_->shard(0), sql); }
  // One of each. They serve home.
  void StartProcesses() {
    for (const auto& started : {cluster_->StartNode(), cluster_->StartBalancer(), cluster_->StartWorker()}) {
      ASSERT_TRUE(started.ok()) << started.status();
    }
  }
  std::vector<ServerProcess*> Processes() { return {&cluster_->node(0), &cluster_->balancer(0), &cluster_->worker(0)}; }
};

constexpr char kNewerRange[] = R"(
  ALTER FUNCTION tranche.schema_range() RENAME TO own_range;
  CREATE FUNCTION tranche.schema_range() RETURNS TABLE (version integer, oldest_server integer)
  LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT 1001, 1000')";
constexpr char kOwnRange[] = R"(
  DROP FUNCTION tranche.schema_range();
  ALTER FUNCTION tranche.own_range() RENAME TO schema_range)";

TEST_F(UnfitShardTest, AShardOfANewerVersionIsNamedAndServedOnceItFits) {
  StartServers();
  AtShard(kNewerRange);
  StartProcesses();
  for (ServerProcess* process : Processes()) {
    AwaitLine(*process, "shard s1 is not served: this version is too old for the database at ");
  }
  client_ = ClientOf(cluster_->endpoints());
  OpenSale("tv", 100);
  Hold("tv", "early");
  // It may be there.
  const auto nowhere = client_->Get(NewId().ToString());
  EXPECT_EQ(nowhere.status().code(), absl::StatusCode::kUnavailable) << nowhere.status();

  AtShard(kOwnRange);
  for (ServerProcess* process : {&cluster_->balancer(0), &cluster_->worker(0)}) {
    AwaitLine(*process, "serves shard s1 from now on");
  }
  AwaitLine(cluster_->node(0), "shard s1 is known from now on", /*times=*/2);
  OpenSale("hot", 100, absl::Minutes(15), "s1");
  Hold("hot", "early");
  EXPECT_EQ(client_->Get(NewId().ToString()).status().code(), absl::StatusCode::kNotFound);
  CheckLedger();
}

TEST_F(UnfitShardTest, AShardThatWasForgottenInAnUpgradeIsNamed) {
  StartServers();
  AtShard(absl::StrCat("DELETE FROM tranche.schema_migration WHERE name ~ '^0*", storage::SchemaVersion(), "_'"));
  StartProcesses();
  for (ServerProcess* process : Processes()) {
    AwaitLine(*process, "shard s1 is not served: the database at ");
    EXPECT_GE(process->LogLinesWith("run this version's tranche-migrate"), 1);
  }
}

// Home was copied, with the list of the shards that the first system sells on.
TEST_F(UnfitShardTest, AnotherSystemsShardIsNamedAndNotServed) {
  StartServers();
  Execute(cluster_->postgres(), "UPDATE tranche.shard_identity SET ledger_id = gen_random_uuid()");
  StartProcesses();
  for (ServerProcess* process : Processes()) {
    AwaitLine(*process, "shard s1 is not served: the database is shard s1 of the home with ledger_id");
  }
}

TEST_F(UnfitShardTest, AShardWithTooFewConnectionsIsNamed) {
  StartServers();
  AtShard("ALTER ROLE tranche_node CONNECTION LIMIT 2");
  ASSERT_TRUE(cluster_->StartNode().ok());
  AwaitLine(cluster_->node(0), "shard s1 is not served: shard s1 (PostgreSQL at ");
  AwaitLine(cluster_->node(0), "raise the CONNECTION LIMIT of the role tranche_node to ");
}

TEST_F(UnfitShardTest, AShardWithFewerConnectionsThanWantedIsServedAndNamed) {
  StartServers();
  // Not 1: PostgreSQL counts one that was closed until its process has ended, so the next one may come too early.
  AtShard("ALTER ROLE tranche_node CONNECTION LIMIT 2");
  ASSERT_TRUE(cluster_->StartWorker().ok());
  AwaitLine(cluster_->worker(0), "serves shard s1 from now on");
  AwaitLine(cluster_->worker(0), "shard s1 (PostgreSQL at ");
  AwaitLine(cluster_->worker(0), "raise the CONNECTION LIMIT of the role tranche_node to 9");
}

}  // namespace
}  // namespace tranche::testing
