// tranchectl against a fake admin service: what it sends, prints and returns.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/ctl/field_arguments.h"
#include "client/ctl/run.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Knows one SKU, "tv", with 100 units on one node and 20 in the pool.
class FakeAdmin final : public tranche::v1::AdminService::Service {
 public:
  FakeAdmin() {
    tv_.set_sku_id("tv");
    tv_.set_stock(1000);
    tv_.set_unsold(120);
    tv_.set_reserved(880);
    tv_.set_currency("EUR");
    tv_.set_state(tranche::v1::SKU_STATE_OPEN);
    quota_.set_sku_id("tv");
    quota_.set_quota_version(7);
    quota_.add_slices()->set_remaining(20);
    tranche::v1::Slice* slice = quota_.add_slices();
    slice->set_incarnation(3);
    slice->set_node_name("node-1");
    slice->set_allotted(980);
    slice->set_remaining(100);
    slice->set_version(7);
    slice->set_announced_version(6);
    slice->mutable_report()->mutable_age()->set_nanos(400'000'000);
    slice->mutable_report()->mutable_activity()->set_in_flight(5);
    slice->mutable_report()->mutable_activity()->set_grants_per_s(12.25);
    slice->mutable_report()->mutable_activity()->set_refused_per_s(31.5);
    slice = quota_.add_slices();
    slice->set_incarnation(4);
    slice->set_node_name("node-2");
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~FakeAdmin() override { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }
  void RenameNode(int slice, const std::string& name) { quota_.mutable_slices(slice)->set_node_name(name); }
  void SplitReserved(int64_t pending, int64_t overdue) {
    tv_.set_pending(pending);
    tv_.set_overdue(overdue);
    tv_.set_confirmed(tv_.reserved() - pending);
  }
  void SetSku(tranche::v1::SkuState state, bool frozen) {
    tv_.set_state(state);
    tv_.set_quota_frozen(frozen);
  }

  grpc::Status GetStatus(grpc::ServerContext* context, const tranche::v1::GetStatusRequest* request,
                         tranche::v1::GetStatusResponse* response) override {
    ++status_looks;
    *response = state;
    if (status_looks >= problems_end_at_look) response->clear_problems();
    return grpc::Status::OK;
  }
  grpc::Status ListTraffic(grpc::ServerContext* context, const tranche::v1::ListTrafficRequest* request,
                           tranche::v1::ListTrafficResponse* response) override {
    traffic_limit = request->limit();
    response->add_skus()->set_sku_id("tv");
    response->mutable_skus(0)->set_grants_per_s(12.34 + traffic_growth * traffic_looks++);
    response->mutable_skus(0)->set_unsold(120);
    return grpc::Status::OK;
  }
  void AddProblem(const std::string& code, const std::string& text) {
    tranche::v1::Problem* problem = state.add_problems();
    problem->set_code(code);
    problem->set_severity(tranche::v1::PROBLEM_SEVERITY_CRITICAL);
    problem->set_text(text);
    problem->set_next_step("mend it");
  }
  grpc::Status CreateSku(grpc::ServerContext* context, const tranche::v1::CreateSkuRequest* request,
                         tranche::v1::CreateSkuResponse* response) override {
    created = request->sku();
    *response->mutable_sku() = request->sku();
    return grpc::Status::OK;
  }
  grpc::Status ListSkus(grpc::ServerContext* context, const tranche::v1::ListSkusRequest* request,
                        tranche::v1::ListSkusResponse* response) override {
    *response->add_skus() = tv_;
    response->mutable_skus(0)->set_sku_id(request->page_token().empty() ? "tv" : "phone");
    if (request->page_token().empty()) response->set_next_page_token("more");
    return grpc::Status::OK;
  }
  grpc::Status GetSku(grpc::ServerContext* context, const tranche::v1::GetSkuRequest* request,
                      tranche::v1::GetSkuResponse* response) override {
    for (const char* key : {"tranche-actor", "tranche-actor-bin"}) {
      const auto actor = context->client_metadata().find(key);
      if (actor != context->client_metadata().end()) actor_seen = {actor->second.data(), actor->second.size()};
    }
    if (request->sku_id() != "tv") return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "SKU_NOT_FOUND"));
    *response->mutable_sku() = tv_;
    return grpc::Status::OK;
  }
  grpc::Status CloseSku(grpc::ServerContext* context, const tranche::v1::CloseSkuRequest* request,
                        tranche::v1::CloseSkuResponse* response) override {
    return ToGrpc(ErrorDetails(grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID"));
  }
  grpc::Status SetSkuPaused(grpc::ServerContext* context, const tranche::v1::SetSkuPausedRequest* request,
                            tranche::v1::SetSkuPausedResponse* response) override {
    *response->mutable_before() = tv_;
    *response->mutable_sku() = tv_;
    response->mutable_sku()->set_paused(request->paused());
    response->add_warnings("the nodes are not told");
    return grpc::Status::OK;
  }
  grpc::Status ReopenSku(grpc::ServerContext* context, const tranche::v1::ReopenSkuRequest* request,
                         tranche::v1::ReopenSkuResponse* response) override {
    *response->mutable_before() = tv_;
    *response->mutable_sku() = tv_;
    return grpc::Status::OK;
  }
  grpc::Status AddStock(grpc::ServerContext* context, const tranche::v1::AddStockRequest* request,
                        tranche::v1::AddStockResponse* response) override {
    add_stock_requests.push_back(*request);
    if (request->has_expected_stock() && request->expected_stock() != tv_.stock()) {
      return ToGrpc(ErrorDetails(grpc::StatusCode::FAILED_PRECONDITION, "STOCK_CHANGED"));
    }
    *response->mutable_before() = tv_;
    tranche::v1::Sku after = tv_;
    after.set_stock(after.stock() + request->units());
    after.set_unsold(after.unsold() + request->units());
    if (!request->preview()) tv_ = after;
    *response->mutable_sku() = after;
    // Another operator makes a change between the preview and the execution.
    if (request->preview() && meddle) tv_.set_stock(tv_.stock() + 1);
    return grpc::Status::OK;
  }
  grpc::Status ReduceStock(grpc::ServerContext* context, const tranche::v1::ReduceStockRequest* request,
                           tranche::v1::ReduceStockResponse* response) override {
    *response->mutable_before() = tv_;
    tranche::v1::Sku after = tv_;
    const int64_t taken = std::min(request->units(), tv_.unsold());
    after.set_stock(after.stock() - taken);
    after.set_unsold(after.unsold() - taken);
    if (!request->preview()) tv_ = after;
    *response->mutable_sku() = after;
    response->set_units_taken(taken);
    return grpc::Status::OK;
  }
  grpc::Status GetQuota(grpc::ServerContext* context, const tranche::v1::GetQuotaRequest* request,
                        tranche::v1::GetQuotaResponse* response) override {
    *response->mutable_quota() = quota_;
    return grpc::Status::OK;
  }
  grpc::Status MoveQuota(grpc::ServerContext* context, const tranche::v1::MoveQuotaRequest* request,
                         tranche::v1::MoveQuotaResponse* response) override {
    move_requests.push_back(*request);
    *response->mutable_before() = quota_;
    *response->mutable_after() = quota_;
    response->set_units_moved(request->units());
    response->add_warnings("mind the pool");
    return grpc::Status::OK;
  }
  grpc::Status RebalanceQuota(grpc::ServerContext* context, const tranche::v1::RebalanceQuotaRequest* request,
                              tranche::v1::RebalanceQuotaResponse* response) override {
    rebalance_requests.push_back(*request);
    *response->mutable_before() = quota_;
    *response->mutable_after() = quota_;
    return grpc::Status::OK;
  }
  grpc::Status SetQuota(grpc::ServerContext* context, const tranche::v1::SetQuotaRequest* request,
                        tranche::v1::SetQuotaResponse* response) override {
    set_quota_requests.push_back(*request);
    if (request->expected_quota_version() != 0 && request->expected_quota_version() != quota_.quota_version()) {
      return ToGrpc(ErrorDetails(grpc::StatusCode::FAILED_PRECONDITION, "QUOTA_VERSION_CHANGED"));
    }
    *response->mutable_before() = quota_;
    tranche::v1::Quota after = quota_;
    after.set_quota_version(8);
    after.mutable_slices(0)->set_remaining(120 - request->remaining());
    after.mutable_slices(1)->set_remaining(request->remaining());
    *response->mutable_after() = after;
    if (!request->preview()) quota_ = after;
    // The balancer moves units between the preview and the execution.
    if (request->preview() && balancer_moves-- > 0) quota_.set_quota_version(quota_.quota_version() + 1);
    return grpc::Status::OK;
  }
  grpc::Status VerifyLedger(grpc::ServerContext* context, const tranche::v1::VerifyLedgerRequest* request,
                            tranche::v1::VerifyLedgerResponse* response) override {
    if (ledger_silent) return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "no answer");
    response->set_skus_checked(1);
    // Three pages, of which the last one is broken.
    const int page = request->page_token().empty() ? 1 : std::stoi(request->page_token());
    if (request->page_size() > 0 && page < 3) {
      response->set_next_page_token(absl::StrCat(page + 1));
      response->set_skus_left(3 - page);
      return grpc::Status::OK;
    }
    if (broken) {
      response->add_violations()->set_rule("conservation");
      response->mutable_violations(0)->set_sku_id("tv");
    }
    return grpc::Status::OK;
  }
  grpc::Status DrainNode(grpc::ServerContext* context, const tranche::v1::DrainNodeRequest* request,
                         tranche::v1::DrainNodeResponse* response) override {
    drained |= !request->preview();
    stays = request->stay();
    response->mutable_before()->set_name(request->node());
    response->mutable_before()->set_state(tranche::v1::NODE_STATE_SERVING);
    response->mutable_before()->set_units_held(17);
    response->mutable_before()->set_draining(drains);
    response->mutable_node()->set_name(request->node());
    response->mutable_node()->set_incarnation(3);
    response->mutable_node()->set_state(tranche::v1::NODE_STATE_DRAINING);
    response->add_warnings("it is the last");
    return grpc::Status::OK;
  }
  grpc::Status UndrainNode(grpc::ServerContext* context, const tranche::v1::UndrainNodeRequest* request,
                           tranche::v1::UndrainNodeResponse* response) override {
    response->mutable_before()->set_draining(drains);
    return grpc::Status::OK;
  }
  // `listed_nodes`. Without them the node of a drain: it holds units, then none, then it has left.
  grpc::Status ListNodes(grpc::ServerContext* context, const tranche::v1::ListNodesRequest* request,
                         tranche::v1::ListNodesResponse* response) override {
    *response = listed_nodes;
    if (listed_nodes.nodes_size() > 0) return grpc::Status::OK;
    const int look = ++node_looks;
    if (look == 2) return ToGrpc(ErrorDetails(grpc::StatusCode::UNAVAILABLE, "COORDINATION_UNAVAILABLE"));
    if (look > 4) return grpc::Status::OK;
    tranche::v1::Node* node = response->add_nodes();
    node->set_incarnation(3);
    node->set_name("node-1");
    node->set_draining(true);
    node->set_units_held(look < 4 ? 17 : 0);
    node->set_state(look < 4 ? tranche::v1::NODE_STATE_DRAINING : tranche::v1::NODE_STATE_DRAINED);
    return grpc::Status::OK;
  }
  grpc::Status ListShards(grpc::ServerContext* context, const tranche::v1::ListShardsRequest* request,
                          tranche::v1::ListShardsResponse* response) override {
    response->add_shards()->set_name("home");
    response->add_shards()->set_name("hot");
    return grpc::Status::OK;
  }
  grpc::Status ListSinks(grpc::ServerContext* context, const tranche::v1::ListSinksRequest* request,
                         tranche::v1::ListSinksResponse* response) override {
    response->add_sinks()->set_name("books");
    return grpc::Status::OK;
  }
  grpc::Status DumpCoordination(grpc::ServerContext* context, const tranche::v1::DumpCoordinationRequest* request,
                                tranche::v1::DumpCoordinationResponse* response) override {
    return grpc::Status::OK;
  }
  grpc::Status SetQuotaFrozen(grpc::ServerContext* context, const tranche::v1::SetQuotaFrozenRequest* request,
                              tranche::v1::SetQuotaFrozenResponse* response) override {
    *response->mutable_before() = tv_;
    *response->mutable_sku() = tv_;
    response->mutable_sku()->set_quota_frozen(request->frozen());
    return grpc::Status::OK;
  }
  grpc::Status ListAudit(grpc::ServerContext* context, const tranche::v1::ListAuditRequest* request,
                         tranche::v1::ListAuditResponse* response) override {
    int page = 0;  // the token of page 1 is "1"
    if (!request->page_token().empty() && !absl::SimpleAtoi(request->page_token(), &page)) {
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no such page");
    }
    if (++page > audit_pages) return grpc::Status::OK;
    if (page == audit_silent_page) response->add_silent_shards("s1");
    for (int i = 0; i < std::min(request->page_size(), 3); ++i) {
      tranche::v1::AuditEntry* entry = response->add_entries();
      entry->set_actor("alice");
      entry->set_action("add_stock");
      entry->set_sku_id(request->sku_id());
      entry->set_before(R"({"stock": 1000})");
      entry->set_after(R"({"stock": 1500})");
    }
    if (page < audit_pages) response->set_next_page_token(absl::StrCat(page));
    return grpc::Status::OK;
  }
  int audit_pages = 1'000'000;
  int audit_silent_page = -1;

  tranche::v1::Sku created;
  tranche::v1::GetStatusResponse state;
  int status_looks = 0;
  int problems_end_at_look = 1'000'000;
  int traffic_limit = 0;
  int traffic_looks = 0;
  double traffic_growth = 0;  // from look to look
  std::string actor_seen;
  std::vector<tranche::v1::SetQuotaRequest> set_quota_requests;
  std::vector<tranche::v1::AddStockRequest> add_stock_requests;
  std::vector<tranche::v1::MoveQuotaRequest> move_requests;
  std::vector<tranche::v1::RebalanceQuotaRequest> rebalance_requests;
  bool meddle = false;
  int balancer_moves = 0;
  bool broken = false;
  bool ledger_silent = false;
  bool drained = false;
  bool drains = false;
  int node_looks = 0;
  tranche::v1::ListNodesResponse listed_nodes;
  bool stays = false;

 private:
  tranche::v1::Sku tv_;
  tranche::v1::Quota quota_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class TranchectlTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  int Ctl(std::vector<std::string> arguments) { return RunCtlAt(admin_.address(), std::move(arguments)); }

  FakeAdmin admin_;
};

TEST_F(TranchectlTest, StatusExitsByWhatIsWrong) {
  EXPECT_EQ(Ctl({"status"}), 0);
  EXPECT_THAT(out_, ::testing::StartsWith("healthy"));
  admin_.AddProblem("NO_WORKER", "No worker runs since 14:03:21.");
  EXPECT_EQ(Ctl({"status"}), 3);
  EXPECT_THAT(out_, AllOf(HasSubstr("NOT HEALTHY: 1 critical"), HasSubstr("CRITICAL NO_WORKER"),
                          HasSubstr("since 14:03:21"), HasSubstr("next: mend it")));
  EXPECT_EQ(Ctl({"status", "-o", "json"}), 3);
  EXPECT_EQ(nlohmann::json::parse(out_)["problems"][0]["code"], "NO_WORKER");
  EXPECT_EQ(RunCtlAt("127.0.0.1:1", {"status"}), 2);
  EXPECT_THAT(err_, HasSubstr("tried: 127.0.0.1:1"));
  EXPECT_EQ(RunCtlAt("127.0.0.1:1", {"status", "--watch"}), 2);
  EXPECT_THAT(err_, HasSubstr("tried: 127.0.0.1:1"));
  EXPECT_EQ(Ctl({"status", "--watch", "--exit-when-healthy"}), 1);
}

TEST_F(TranchectlTest, StatusWaitsUntilItIsHealthy) {
  admin_.AddProblem("NO_WORKER", "No worker runs.");
  EXPECT_EQ(Ctl({"status", "--exit-when-healthy", "--interval", "10ms", "--timeout", "300ms"}), 3);
  EXPECT_THAT(err_, HasSubstr("waiting: NOT HEALTHY"));
  EXPECT_THAT(out_, HasSubstr("NO_WORKER"));
  admin_.problems_end_at_look = admin_.status_looks + 4;
  EXPECT_EQ(Ctl({"status", "--exit-when-healthy", "--interval", "10ms", "--timeout", "20s"}), 0);
  EXPECT_THAT(out_, ::testing::StartsWith("healthy"));
}

TEST_F(TranchectlTest, StatusIsWatched) {
  admin_.AddProblem("NO_WORKER", "No worker runs.");
  admin_.problems_end_at_look = admin_.status_looks + 2;
  std::istringstream lines(LinesOf(2, admin_.address(), {"status", "--watch", "--interval", "10ms", "-o", "json"}));
  std::vector<size_t> problems;
  for (std::string line; std::getline(lines, line);) {
    problems.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false)["problems"].size());
  }
  EXPECT_THAT(problems, ::testing::ElementsAre(1, 0)) << "each line is a look of its own";

  admin_.problems_end_at_look = admin_.status_looks + 2;
  const std::string text = LinesOf(60, admin_.address(), {"status", "--watch", "--interval", "10ms"});
  EXPECT_THAT(text, ::testing::ContainsRegex("^20[-0-9]+T[:0-9]+Z\nNOT HEALTHY: 1 critical"));
  EXPECT_THAT(text, ::testing::ContainsRegex("\n20[-0-9]+T[:0-9]+Z\nhealthy"));
}

TEST_F(TranchectlTest, TopIsDrawnAnewOnATerminal) {
  constexpr char kClear[] = "\x1b[H\x1b[2J";
  admin_.traffic_growth = 1;
  // A view is the time, the heading and a SKU.
  const std::string text =
      LinesOf(6, admin_.address(), {"top", "--interval", "10ms"}, {.color = false, .redraw = true});
  const std::vector<std::string> views = absl::StrSplit(text, kClear, absl::SkipEmpty());
  ASSERT_EQ(views.size(), 2u) << text;
  EXPECT_THAT(views[0], ::testing::ContainsRegex("^20[-0-9]+T[:0-9]+Z\nSKU .*\ntv +12.3 "));
  EXPECT_THAT(views[1], ::testing::ContainsRegex("^20[-0-9]+T[:0-9]+Z\nSKU .*\ntv +13.3 "));
}

TEST_F(TranchectlTest, TopShowsTraffic) {
  ASSERT_EQ(Ctl({"top", "--once", "--limit", "5"}), 0) << err_;
  EXPECT_EQ(admin_.traffic_limit, 5);
  EXPECT_THAT(out_, ::testing::ContainsRegex("tv +12.3 +0.0 +0.0 +0 +0 +120 +0"));
  ASSERT_EQ(Ctl({"top", "--once", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["skus"][0]["sku_id"], "tv");
  EXPECT_EQ(Ctl({"top", "--limit", "100"}), 1);
}

TEST_F(TranchectlTest, QuotaShowSaysWhyUnitsStay) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_EQ(err_, "") << "nothing is wrong that would explain it";
  admin_.AddProblem("NO_BALANCER", "No balancer leads since 14:03:21.");
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(err_, AllOf(HasSubstr("note: No balancer leads since 14:03:21."), HasSubstr("next: mend it")));
}

TEST_F(TranchectlTest, ReservedUnitsDivide) {
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(out_, AllOf(::testing::ContainsRegex("reserved +880"), Not(HasSubstr("pending")))) << "not counted";
  admin_.SplitReserved(/*pending=*/50, /*overdue=*/7);
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(out_, AllOf(::testing::ContainsRegex("pending +50"), ::testing::ContainsRegex("overdue +7"),
                          ::testing::ContainsRegex("confirmed +830")));
  ASSERT_EQ(Ctl({"sku", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("50 (7 overdue)"));
}

TEST_F(TranchectlTest, CreatesASkuFromHumanInput) {
  ASSERT_EQ(
      Ctl({"sku", "create", "tv", "--stock", "1000", "--price", "19.99", "--currency", "EUR", "--hold", "15m",
           "--opens-at", "2026-11-27T09:00:00Z", "--per-user-limit", "2", "--max-extensions", "0", "--max-hold", "1h"}),
      0)
      << err_;
  EXPECT_TRUE(admin_.created.has_max_extensions());
  EXPECT_EQ(admin_.created.max_extensions(), 0);
  EXPECT_EQ(admin_.created.max_hold().seconds(), 3600);
  EXPECT_THAT(out_, HasSubstr("0, to 1h"));
  EXPECT_EQ(admin_.created.price_minor(), 1999);
  EXPECT_EQ(admin_.created.hold().seconds(), 900);
  EXPECT_EQ(admin_.created.open_time().seconds(), 1795770000);
  EXPECT_EQ(admin_.created.per_user_limit(), 2);
  EXPECT_FALSE(admin_.created.has_close_time());
  EXPECT_THAT(out_, HasSubstr("19.99 EUR"));
}

TEST_F(TranchectlTest, ASkuWhoseClaimsAreQueuedShowsIt) {
  const std::vector<std::string> create = {"sku", "create", "tv", "--stock", "5", "--price", "1"};
  ASSERT_EQ(Ctl(create), 0) << err_;
  EXPECT_EQ(admin_.created.claim_path(), tranche::v1::CLAIM_PATH_DIRECT);
  EXPECT_THAT(out_, Not(HasSubstr("path")));
  std::vector<std::string> queued = create;
  queued.insert(queued.end(), {"--path", "queue"});
  ASSERT_EQ(Ctl(queued), 0) << err_;
  EXPECT_EQ(admin_.created.claim_path(), tranche::v1::CLAIM_PATH_QUEUE);
  EXPECT_THAT(out_, ::testing::ContainsRegex("path +queue"));
  queued.back() = "broker";
  EXPECT_EQ(Ctl(queued), 1);
}

TEST_F(TranchectlTest, ListReadsEveryPage) {
  ASSERT_EQ(Ctl({"sku", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("tv"));
  EXPECT_THAT(out_, HasSubstr("phone"));
  ASSERT_EQ(Ctl({"sku", "list", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["skus"].size(), 2u);
}

TEST_F(TranchectlTest, StockIsPreviewedAndChangedOnlyWithYes) {
  ASSERT_EQ(Ctl({"stock", "add", "tv", "500"}), 0);
  EXPECT_THAT(out_, HasSubstr("1000 -> 1500"));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  ASSERT_EQ(Ctl({"stock", "add", "tv", "500", "--yes"}), 0);
  EXPECT_THAT(out_, HasSubstr("1000 -> 1500"));
  EXPECT_EQ(err_, "");
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("1500"));
}

TEST_F(TranchectlTest, StockIsChangedOnlyAsPreviewed) {
  ASSERT_EQ(Ctl({"stock", "add", "tv", "500"}), 0);
  EXPECT_THAT(err_, HasSubstr("--yes --expect-stock 1000"));
  EXPECT_FALSE(admin_.add_stock_requests[0].has_expected_stock());

  admin_.meddle = true;
  EXPECT_EQ(Ctl({"stock", "add", "tv", "500", "--yes"}), 2);
  EXPECT_EQ(admin_.add_stock_requests.back().expected_stock(), 1000);
  EXPECT_THAT(err_, HasSubstr("STOCK_CHANGED"));
  EXPECT_THAT(err_, HasSubstr("preview again"));

  admin_.meddle = false;
  EXPECT_EQ(Ctl({"stock", "add", "tv", "500", "--yes", "--expect-stock", "1000"}), 2) << "it is 1001 by now";
  EXPECT_EQ(Ctl({"stock", "add", "tv", "500", "--yes", "--expect-stock", "1001"}), 0) << err_;
}

TEST_F(TranchectlTest, ReduceSaysHowManyItCouldTake) {
  ASSERT_EQ(Ctl({"stock", "reduce", "tv", "500", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["units_taken"], "120");
  EXPECT_THAT(err_, HasSubstr("Only 120 of 500"));
  ASSERT_EQ(Ctl({"stock", "reduce", "tv", "20", "--yes"}), 0);
  EXPECT_THAT(out_, HasSubstr("1000 -> 980"));
  EXPECT_EQ(err_, "");
}

TEST_F(TranchectlTest, QuotaIsChangedOnlyAsPreviewed) {
  ASSERT_EQ(Ctl({"quota", "set", "tv", "node-1", "50"}), 0);
  EXPECT_THAT(out_, HasSubstr("100 -> 50"));
  EXPECT_THAT(out_, HasSubstr("20 -> 70"));
  EXPECT_THAT(err_, HasSubstr("--yes --expect-version 7"));
  ASSERT_EQ(admin_.set_quota_requests.size(), 1u);
  EXPECT_TRUE(admin_.set_quota_requests[0].preview());

  ASSERT_EQ(Ctl({"quota", "set", "tv", "node-1", "50", "--yes", "--expect-version", "7"}), 0);
  ASSERT_EQ(admin_.set_quota_requests.size(), 3u);
  EXPECT_FALSE(admin_.set_quota_requests[2].preview());
  EXPECT_EQ(admin_.set_quota_requests[2].expected_quota_version(), 7);

  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "60", "--yes", "--expect-version", "7"}), 2);
  EXPECT_THAT(err_, HasSubstr("QUOTA_VERSION_CHANGED"));
  EXPECT_THAT(err_, HasSubstr("preview again"));
}

TEST_F(TranchectlTest, AChangeOfQuotaIsPreviewedAnewWhenTheBalancerWasQuicker) {
  admin_.balancer_moves = 2;
  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "50", "--yes"}), 0) << err_;
  EXPECT_EQ(admin_.set_quota_requests.size(), 6U) << "twice in vain";
  EXPECT_EQ(admin_.set_quota_requests.back().expected_quota_version(), 9);
  admin_.balancer_moves = 1;
  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "60", "--yes", "--expect-version", "8"}), 2) << "as previewed, or not";
  EXPECT_THAT(err_, HasSubstr("QUOTA_VERSION_CHANGED"));
  admin_.balancer_moves = 1000;
  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "60", "--yes"}), 2) << "not for ever";
}

TEST_F(TranchectlTest, QuotaShowsPoolAndNodes) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("(pool)"));
  EXPECT_THAT(out_, HasSubstr("120 unsold"));
  ASSERT_EQ(Ctl({"quota", "show", "tv", "-o", "wide"}), 0);
  EXPECT_THAT(out_, HasSubstr("880"));  // spent by node-1
}

TEST_F(TranchectlTest, TwoNodesOfOneNameAreToldApart) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("#")));
  admin_.RenameNode(2, "node-1");
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("node-1#3"));
  EXPECT_THAT(out_, HasSubstr("node-1#4"));
}

TEST_F(TranchectlTest, TablesFitATerminalOf80Characters) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"sku", "list"}, {"sku", "show", "tv"}, {"quota", "show", "tv"}}) {
    ASSERT_EQ(Ctl(command), 0) << err_;
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
    std::vector<std::string> wide = command;
    wide.insert(wide.end(), {"-o", "wide"});
    EXPECT_EQ(Ctl(wide), 0) << err_;
  }
  ASSERT_EQ(Ctl({"sku", "list", "-o", "wide"}), 0);
  EXPECT_THAT(out_, HasSubstr("TITLE"));
}

TEST_F(TranchectlTest, QuotaShowMarksWhoLagsAndWhatIsNotReported) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("0.4s LAGS"));
  EXPECT_THAT(out_, HasSubstr("12.2"));
  EXPECT_THAT(out_, HasSubstr("31.5")) << "asked for after sell-out";
  EXPECT_THAT(out_, ::testing::ContainsRegex("node-2 +0 +- +- +- +- +-\n"));
  ASSERT_EQ(Ctl({"quota", "show", "tv", "-o", "wide"}), 0);
  EXPECT_THAT(out_, HasSubstr("6 LAGS"));
  EXPECT_THAT(out_, ::testing::ContainsRegex("node-2 +4 +0 +0 +0 +- +- +- +- +- +- +0 +0 +-\n"));
}

TEST_F(TranchectlTest, MoveSendsBothEndsAndPrintsWarnings) {
  ASSERT_EQ(Ctl({"quota", "move", "tv", "--from", "node-1", "--to", "pool", "25"}), 0) << err_;
  ASSERT_EQ(admin_.move_requests.size(), 1u);
  EXPECT_TRUE(admin_.move_requests[0].preview());
  EXPECT_EQ(admin_.move_requests[0].from(), "node-1");
  EXPECT_EQ(admin_.move_requests[0].to(), "pool");
  EXPECT_EQ(admin_.move_requests[0].units(), 25);
  EXPECT_THAT(err_, HasSubstr("warning: mind the pool"));
  ASSERT_EQ(Ctl({"quota", "move", "tv", "25", "--from", "node-1", "--to", "pool", "--yes", "-o", "json"}), 0);
  EXPECT_EQ(admin_.move_requests.back().expected_quota_version(), 7);
  EXPECT_EQ(nlohmann::json::parse(out_)["units_moved"], "25");
  EXPECT_EQ(nlohmann::json::parse(out_)["warnings"][0], "mind the pool");
}

TEST_F(TranchectlTest, RebalanceSendsPolicyAndWeights) {
  ASSERT_EQ(Ctl({"quota", "rebalance", "--policy", "weights", "--weight", "node-1=3", "--weight", "node-2=1", "tv"}), 0)
      << err_;
  const tranche::v1::RebalanceQuotaRequest& request = admin_.rebalance_requests[0];
  EXPECT_EQ(request.sku_id(), "tv");
  EXPECT_EQ(request.policy(), tranche::v1::REBALANCE_POLICY_WEIGHTS);
  ASSERT_EQ(request.weights_size(), 2);
  EXPECT_EQ(request.weights(1).node(), "node-2");
  EXPECT_EQ(request.weights(1).weight(), 1);
  ASSERT_EQ(Ctl({"quota", "rebalance", "tv"}), 0);
  EXPECT_EQ(admin_.rebalance_requests[1].policy(), tranche::v1::REBALANCE_POLICY_EQUAL);
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--weight", "node-1=3"}), 1) << "weights without their policy";
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--policy", "weights"}), 1);
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--policy", "weights", "--weight", "node-1"}), 1);
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--policy", "even"}), 1);
}

TEST_F(TranchectlTest, DrainNeedsYesAndWaitsUnlessToldToExit) {
  ASSERT_EQ(Ctl({"node", "drain", "node-1"}), 0);
  EXPECT_FALSE(admin_.drained);
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "-y"}), 0);
  EXPECT_TRUE(admin_.drained);
  EXPECT_TRUE(admin_.stays);
  EXPECT_THAT(out_, HasSubstr("SERVING -> DRAINING"));
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "-y", "--exit"}), 0);
  EXPECT_FALSE(admin_.stays);
}

TEST_F(TranchectlTest, APreviewOfADrainTellsWhatItCosts) {
  ASSERT_EQ(Ctl({"node", "drain", "node-1"}), 0);
  EXPECT_THAT(out_, HasSubstr("17"));
  EXPECT_THAT(err_, HasSubstr("warning: it is the last"));
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "-o", "json"}), 0);
  const auto preview = nlohmann::json::parse(out_);
  EXPECT_EQ(preview["warnings"][0], "it is the last");
  EXPECT_EQ(preview["before"]["units_held"], "17");
  EXPECT_FALSE(preview["after"].contains("units_held")) << "it was not counted";
}

// The cluster counts the units of nodes that drain; of the others it says 0, whatever they hold.
TEST_F(TranchectlTest, NodeListTellsUnitsOnlyWhereTheyWereCounted) {
  using tranche::v1::NodeState;
  const auto list = [this](const std::string& name, NodeState state, int64_t units) {
    tranche::v1::Node* node = admin_.listed_nodes.add_nodes();
    node->set_name(name);
    node->set_state(state);
    node->set_draining(state != NodeState::NODE_STATE_SERVING);
    node->set_units_held(units);
  };
  list("serving", NodeState::NODE_STATE_SERVING, 0);
  list("draining", NodeState::NODE_STATE_DRAINING, 17);
  list("untold", NodeState::NODE_STATE_DRAINING, 0);
  list("drained", NodeState::NODE_STATE_DRAINED, 0);
  ASSERT_EQ(Ctl({"node", "list", "-o", "json"}), 0) << err_;
  const auto nodes = nlohmann::json::parse(out_)["nodes"];
  ASSERT_EQ(nodes.size(), 4u);
  EXPECT_FALSE(nodes[0].contains("units_held"));
  EXPECT_EQ(nodes[0]["state"], "NODE_STATE_SERVING");
  EXPECT_EQ(nodes[1]["units_held"], "17");
  EXPECT_FALSE(nodes[2].contains("units_held")) << "the ledger did not tell";
  EXPECT_EQ(nodes[3]["units_held"], "0");
  ASSERT_EQ(Ctl({"node", "list"}), 0) << err_;
  for (const char* row : {"SERVING +- +node\n", "DRAINING +17 +node\n", "DRAINING +- +node\n", "DRAINED +0 +node\n"}) {
    EXPECT_THAT(out_, ::testing::ContainsRegex(row));
  }
}

TEST_F(TranchectlTest, DrainWaitsUntilItIsDoneIfAsked) {
  EXPECT_EQ(Ctl({"node", "drain", "node-1", "--wait"}), 1) << "for what?";
  EXPECT_EQ(admin_.node_looks, 0);
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "--wait", "--yes"}), 0) << err_;
  EXPECT_EQ(admin_.node_looks, 4);
  EXPECT_THAT(err_, HasSubstr("still holds 17 units"));
  EXPECT_THAT(err_, HasSubstr("asking again: COORDINATION_UNAVAILABLE")) << "it did not answer once";
  EXPECT_THAT(err_, HasSubstr("node-1 is drained"));
  admin_.node_looks = 0;
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "--wait", "--yes", "--exit"}), 0) << err_;
  EXPECT_EQ(admin_.node_looks, 5);
  EXPECT_THAT(err_, HasSubstr("node-1 has left"));
  admin_.node_looks = 4;
  EXPECT_EQ(Ctl({"node", "drain", "node-1", "--wait", "--yes"}), 2) << "a frozen node comes back, and serves";
  EXPECT_THAT(err_, HasSubstr("lost before it was drained"));
}

TEST_F(TranchectlTest, APreviewSaysWhenThereIsNothingToDo) {
  admin_.SetSku(tranche::v1::SKU_STATE_OPEN, /*frozen=*/true);
  ASSERT_EQ(Ctl({"quota", "freeze", "tv"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_THAT(err_, Not(HasSubstr("--yes")));
  ASSERT_EQ(Ctl({"quota", "thaw", "tv"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--yes"));
  ASSERT_EQ(Ctl({"node", "undrain", "node-1"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  ASSERT_EQ(Ctl({"quota", "rebalance", "tv"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  admin_.drains = true;
  ASSERT_EQ(Ctl({"node", "undrain", "node-1"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--yes"));
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "--exit"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("drains already: nothing would change, except that its process would end"));
}

TEST_F(TranchectlTest, StockThatWouldNotSellIsWarnedOf) {
  ASSERT_EQ(Ctl({"stock", "add", "tv", "5"}), 0);
  EXPECT_THAT(err_, Not(HasSubstr("warning")));
  admin_.SetSku(tranche::v1::SKU_STATE_OPEN, /*frozen=*/true);
  ASSERT_EQ(Ctl({"stock", "add", "tv", "5"}), 0);
  EXPECT_THAT(err_, HasSubstr("warning: its quota is frozen"));
  admin_.SetSku(tranche::v1::SKU_STATE_CLOSED, /*frozen=*/false);
  ASSERT_EQ(Ctl({"stock", "add", "tv", "5"}), 0);
  EXPECT_THAT(err_, HasSubstr("warning: its sale is over"));
  ASSERT_EQ(Ctl({"stock", "reduce", "tv", "5"}), 0);
  EXPECT_THAT(err_, Not(HasSubstr("warning")));
}

TEST_F(TranchectlTest, AStateSaysWhyNothingSells) {
  using tranche::v1::SkuState;
  for (const auto& [state, word] :
       {std::pair(SkuState::SKU_STATE_NOT_YET, "NOT_YET"), std::pair(SkuState::SKU_STATE_SOLD_OUT, "SOLD_OUT"),
        std::pair(SkuState::SKU_STATE_ENDED, "ENDED"), std::pair(SkuState::SKU_STATE_CLOSED, "CLOSED")}) {
    admin_.SetSku(state, false);
    ASSERT_EQ(Ctl({"sku", "list"}), 0);
    EXPECT_THAT(out_, HasSubstr(word));
  }
}

TEST_F(TranchectlTest, APathThatDoesNotExistIsNotJustEmpty) {
  EXPECT_EQ(Ctl({"zk", "dump", "/nope"}), 2);
  EXPECT_THAT(err_, HasSubstr("no znode /nope"));
}

TEST_F(TranchectlTest, AuditStopsAtItsLimit) {
  ASSERT_EQ(Ctl({"audit", "--sku", "tv", "--limit", "7", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["entries"].size(), 7u);
  EXPECT_EQ(nlohmann::json::parse(out_)["next_page_token"], "3");
  EXPECT_THAT(err_, AllOf(HasSubstr("There are more"), HasSubstr("--page-token 3")));
  ASSERT_EQ(Ctl({"audit", "--sku", "tv", "--limit", "1"}), 0);
  EXPECT_THAT(out_, HasSubstr("stock 1000 -> 1500"));
}

TEST_F(TranchectlTest, AuditGoesOnWhereItEnded) {
  admin_.audit_pages = 4;
  ASSERT_EQ(Ctl({"audit", "--page-token", "2", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["entries"].size(), 6u);
  EXPECT_EQ(err_, "");
}

TEST_F(TranchectlTest, AnAuditExportHasEveryEntryOrSaysSo) {
  admin_.audit_pages = 5;
  ASSERT_EQ(Ctl({"audit", "--all", "-o", "json"}), 0) << err_;
  const std::vector<std::string> lines = absl::StrSplit(out_, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 15u);
  for (const std::string& line : lines) EXPECT_EQ(nlohmann::json::parse(line)["action"], "add_stock");
  EXPECT_EQ(err_, "");

  admin_.audit_silent_page = 3;
  EXPECT_EQ(Ctl({"audit", "--all", "-o", "json"}), 2);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 6);
  EXPECT_THAT(err_, AllOf(HasSubstr("NOT COMPLETE: 6 entries"), HasSubstr("s1"), HasSubstr("--page-token 2")));

  EXPECT_EQ(Ctl({"audit", "--all"}), 1);
  EXPECT_THAT(err_, HasSubstr("-o json"));
  EXPECT_EQ(Ctl({"audit", "--all", "--limit", "5", "-o", "json"}), 1);
}

TEST_F(TranchectlTest, AuditSaysWhatItDoesNotShow) {
  admin_.audit_silent_page = 1;
  ASSERT_EQ(Ctl({"audit", "--limit", "3"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("add_stock"));
  EXPECT_THAT(err_, HasSubstr("warning: the shard s1 does not answer"));
  admin_.audit_pages = 0;
  ASSERT_EQ(Ctl({"audit", "--action", "reclaim_incarnation"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--automatic"));
  ASSERT_EQ(Ctl({"audit", "--action", "reclaim_incarnation", "--automatic"}), 0) << err_;
  EXPECT_EQ(err_, "");
}

TEST_F(TranchectlTest, AMistypedCommandIsMetWithASuggestion) {
  EXPECT_EQ(Ctl({"sku", "shwo", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("did you mean \"show\"?"));
  EXPECT_EQ(Ctl({"-o", "json", "qouta", "show", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("did you mean \"quota\"?"));
  EXPECT_EQ(Ctl({"stock", "delete", "tv", "5"}), 1);
  EXPECT_THAT(err_, HasSubstr("there are: add, reduce"));
  EXPECT_EQ(Ctl({"completion", "tcsh"}), 1);
  EXPECT_THAT(err_, HasSubstr("there are: bash, zsh, fish"));
  EXPECT_EQ(Ctl({"stock", "add", "tv"}), 1);
  EXPECT_THAT(err_, Not(HasSubstr("did you mean"))) << "what is missing is an argument";
}

TEST_F(TranchectlTest, VerifyReturnsTwoWhenARuleIsBroken) {
  EXPECT_EQ(Ctl({"verify"}), 0);
  EXPECT_THAT(out_, HasSubstr("ok: 3 SKUs")) << "of all pages";
  EXPECT_EQ(Ctl({"verify", "--sku", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("ok: 1 SKUs"));
  admin_.broken = true;
  EXPECT_EQ(Ctl({"verify"}), 2);
  EXPECT_THAT(out_, HasSubstr("conservation"));
}

TEST_F(TranchectlTest, VerifyReturnsThreeWhenItCouldNotTell) {
  admin_.ledger_silent = true;
  EXPECT_EQ(Ctl({"verify"}), 3);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(Ctl({"verify", "--sku"}), 1) << "wrong usage stays 1";
}

TEST_F(TranchectlTest, ErrorsNameReasonAndNextStepAndLeaveStdoutEmpty) {
  EXPECT_EQ(Ctl({"sku", "show", "radio"}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND"));
  EXPECT_THAT(err_, HasSubstr("tranchectl sku list"));
}

TEST_F(TranchectlTest, TellsWhoActs) {
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(admin_.actor_seen, HasSubstr("@"));
}

TEST_F(TranchectlTest, TellsWhoActsWhereTheEnvironmentDoesNot) {
  const char* user = getenv("USER");
  const std::string before = user == nullptr ? "" : user;
  // gRPC aborts on such metadata, unless its key says that it is binary.
  setenv("USER", "J\xc3\xb6rg", 1);
  EXPECT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(admin_.actor_seen, ::testing::StartsWith("J\xc3\xb6rg@"));
  unsetenv("USER");
  EXPECT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(admin_.actor_seen, Not(::testing::StartsWith("unknown@")));
  EXPECT_THAT(admin_.actor_seen, Not(::testing::StartsWith("@")));
  if (user != nullptr) setenv("USER", before.c_str(), 1);
}

// As with the servers: the command line, then the environment, then the file.
TEST_F(TranchectlTest, TheEnvironmentWinsOverTheConfigFile) {
  testing::ScratchDir dir("tranchectl");
  const std::string file = absl::StrCat(dir.path().string(), "/tranchectl.toml");
  std::ofstream(file) << "endpoint = \"127.0.0.1:1\"\noutput = \"json\"\n";
  EXPECT_EQ(RunCtl({"--config", file, "sku", "show", "tv"}), 2) << "nobody is there";
  setenv("TRANCHE_ENDPOINT", admin_.address().c_str(), 1);
  EXPECT_EQ(RunCtl({"--config", file, "sku", "show", "tv"}), 0) << err_;
  EXPECT_TRUE(nlohmann::json::accept(out_)) << "the rest of the file holds";
  setenv("TRANCHE_CONFIG", file.c_str(), 1);
  EXPECT_EQ(RunCtl({"sku", "show", "tv"}), 0) << err_;
  EXPECT_TRUE(nlohmann::json::accept(out_));
  EXPECT_EQ(RunCtl({"--endpoint", "127.0.0.1:1", "sku", "show", "tv"}), 2);
  unsetenv("TRANCHE_ENDPOINT");
  EXPECT_EQ(RunCtl({"--endpoint", admin_.address(), "sku", "show", "tv"}), 0) << err_;
  unsetenv("TRANCHE_CONFIG");
}

TEST_F(TranchectlTest, AnUnknownKeyOfTheConfigFileIsWrongUsage) {
  testing::ScratchDir dir("tranchectl");
  const std::string file = absl::StrCat(dir.path().string(), "/tranchectl.toml");
  std::ofstream(file) << "endpoint = \"" << admin_.address() << "\"\ntime-out = \"1s\"\n";
  EXPECT_EQ(RunCtl({"--config", file, "sku", "show", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("unknown key"));
  EXPECT_THAT(err_, HasSubstr("time-out"));
}

TEST_F(TranchectlTest, UsesTheFirstEndpointThatAnswers) {
  EXPECT_EQ(RunCtl({"--endpoint", absl::StrCat("127.0.0.1:1, ", admin_.address()), "sku", "show", "tv"}), 0) << err_;
}

TEST_F(TranchectlTest, SaysSoWhenNobodyAnswers) {
  EXPECT_EQ(RunCtl({"--endpoint", "127.0.0.1:1", "sku", "list"}), 2);
  EXPECT_THAT(err_, HasSubstr("--endpoint"));
}

TEST_F(TranchectlTest, WrongUsageReturnsOne) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"sku"},
                                             {"sku", "show"},
                                             {"sku", "create", "tv", "--stock", "-1", "--price", "1"},
                                             {"sku", "create", "tv", "--stock", "1", "--price", "1.999"},
                                             {"sku", "create", "tv", "--stock", "1"},
                                             {"sku", "create", "tv", "--stock", "1", "--price", "1", "--slots", "65"},
                                             {"sku", "create", "tv", "--stock", "1", "--price", "1", "--hold", "soon"},
                                             {"stock", "add", "tv", "0"},
                                             {"sku", "list", "-o", "yaml"},
                                             {"sku", "list", "--timeout", "soon"}}) {
    EXPECT_EQ(Ctl(arguments), 1) << ::testing::PrintToString(arguments);
    EXPECT_EQ(out_, "");
    EXPECT_NE(err_, "");
  }
}

TEST_F(TranchectlTest, AuditMayBeCalledAList) {
  ASSERT_EQ(Ctl({"audit", "list", "--sku", "tv", "--limit", "7", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["entries"].size(), 7u);
  ASSERT_EQ(Ctl({"audit", "--limit", "1", "list"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("stock 1000 -> 1500"));
  EXPECT_EQ(Ctl({"audit", "tv"}), 1);
}

TEST_F(TranchectlTest, AReasonForTheLogOfAResumeStandsBeforeTheCommand) {
  EXPECT_EQ(Ctl({"sku", "resume", "tv", "--yes", "--reason", "mended"}), 1);
  EXPECT_THAT(err_, HasSubstr("tranchectl --reason TEXT sku resume tv"));
  EXPECT_EQ(Ctl({"--reason", "mended", "sku", "resume", "tv", "--yes"}), 0) << err_;
}

TEST_F(TranchectlTest, WarningsOfAChangeOfTermsAreShown) {
  ASSERT_EQ(Ctl({"sku", "pause", "tv", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("warning: the nodes are not told"));
  ASSERT_EQ(Ctl({"sku", "pause", "tv", "--yes", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["warnings"][0], "the nodes are not told");
  ASSERT_EQ(Ctl({"sku", "pause", "--all", "--yes"}), 0) << err_;
  const size_t first = err_.find("the nodes are not told");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(err_.find("the nodes are not told", first + 1), std::string::npos) << "once for both SKUs";
}

TEST_F(TranchectlTest, AReopenOfAWindowThatIsOverSaysWhatMakesItLonger) {
  admin_.SetSku(tranche::v1::SKU_STATE_ENDED, false);
  ASSERT_EQ(Ctl({"sku", "reopen", "tv", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("tranchectl sku update tv --closes-at"));
  admin_.SetSku(tranche::v1::SKU_STATE_OPEN, false);
  ASSERT_EQ(Ctl({"sku", "reopen", "tv", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, ::testing::Not(HasSubstr("--closes-at")));
}

TEST_F(TranchectlTest, NumbersAreDecimal) {
  ASSERT_EQ(Ctl({"sku", "create", "tv", "--price", "1", "--stock", "010", "--per-user-limit", "+2"}), 0) << err_;
  EXPECT_EQ(admin_.created.stock(), 10);
  EXPECT_EQ(admin_.created.per_user_limit(), 2);
  ASSERT_EQ(Ctl({"stock", "add", "tv", "0100"}), 0) << err_;
  EXPECT_EQ(admin_.add_stock_requests.back().units(), 100);
  ASSERT_EQ(Ctl({"quota", "move", "tv", "010", "--from", "node-1", "--to", "pool"}), 0) << err_;
  EXPECT_EQ(admin_.move_requests.back().units(), 10);

  for (const char* text : {"0x10", "1e3", "1.5", "true", "ten", "1_000", "10 ", ""}) {
    EXPECT_EQ(Ctl({"stock", "add", "tv", text}), 1) << text;
    EXPECT_THAT(err_, HasSubstr("whole number in decimal digits")) << text;
    EXPECT_EQ(Ctl({"sku", "create", "tv", "--price", "1", "--stock", text}), 1) << text;
    EXPECT_EQ(Ctl({"audit", "--limit", text}), 1) << text;
  }
  EXPECT_EQ(Ctl({"stock", "add", "tv", "99999999999999999999"}), 1);
  EXPECT_THAT(err_, HasSubstr("too large"));
}

TEST_F(TranchectlTest, WordsAreTakenInEitherCase) {
  ASSERT_EQ(Ctl({"-o", "JSON", "quota", "rebalance", "tv", "--policy", "Demand"}), 0) << err_;
  EXPECT_EQ(admin_.rebalance_requests.back().policy(), tranche::v1::REBALANCE_POLICY_DEMAND);
  EXPECT_TRUE(nlohmann::json::parse(out_)["preview"]);
}

TEST_F(TranchectlTest, TellsItsVersion) {
  EXPECT_EQ(RunCtl({"--version"}), 0) << err_;
  EXPECT_THAT(out_, ::testing::MatchesRegex("tranchectl [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(RunCtl({"sku", "list", "--version"}), 0) << err_;
}

TEST_F(TranchectlTest, AnEndpointThatIsNoneIsWrongUsage) {
  for (const char* endpoint : {"127.0.0.1", "127.0.0.1:99999", "127.0.0.1:0", "http://127.0.0.1:7400", "..."}) {
    EXPECT_EQ(RunCtl({"--endpoint", endpoint, "sku", "list"}), 1) << endpoint;
    EXPECT_THAT(err_, HasSubstr("is not HOST:PORT")) << endpoint;
  }
}

TEST_F(TranchectlTest, AWrongValueOfTheEnvironmentNamesItsVariable) {
  setenv("TRANCHE_ENDPOINT", "foo", 1);
  EXPECT_EQ(RunCtl({"node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("TRANCHE_ENDPOINT: \"foo\" is not HOST:PORT"));
  EXPECT_EQ(RunCtl({"--endpoint", "bar", "node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("--endpoint: \"bar\"")) << "it was typed";
  unsetenv("TRANCHE_ENDPOINT");
  setenv("TRANCHE_OUTPUT", "yaml", 1);
  EXPECT_EQ(RunCtl({"node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("TRANCHE_OUTPUT: "));
  EXPECT_EQ(RunCtl({"-o", "toml", "node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("--output: "));
  unsetenv("TRANCHE_OUTPUT");
}

TEST_F(TranchectlTest, WhatTheClusterTakesForWrongUsageReturnsOne) {
  EXPECT_EQ(Ctl({"sku", "close", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("FIELD_INVALID"));
}

TEST_F(TranchectlTest, AnOutputThatCannotBeWrittenReturnsOne) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--endpoint", admin_.address(), "sku", "show", "tv"}, {"--help"}}) {
    std::ofstream full("/dev/full");
    std::ostringstream err;
    EXPECT_EQ(ctl::Run(arguments, full, err, {}), 1);
    EXPECT_THAT(err.str(), HasSubstr("cannot write the output"));
  }
}

TEST_F(TranchectlTest, HelpOfACommandShowsTheGlobalFlagsAndNoExamplesOfOthers) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"sku"}, {"sku", "list"}, {"quota", "show"}, {"outbox", "sink", "add"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    EXPECT_EQ(RunCtl(arguments), 0);
    EXPECT_THAT(out_, ::testing::ContainsRegex("Global options:\n +--endpoint")) << ::testing::PrintToString(command);
    EXPECT_THAT(out_, HasSubstr("--timeout"));
    EXPECT_THAT(out_, Not(HasSubstr("export TRANCHE_ENDPOINT"))) << "that is the root's";
  }
  EXPECT_EQ(RunCtl({"--help"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("Global options")));
  EXPECT_THAT(out_, HasSubstr("export TRANCHE_ENDPOINT"));
}

TEST_F(TranchectlTest, HelpTeachesAndReturnsZero) {
  EXPECT_EQ(RunCtl({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("Examples"));
  EXPECT_EQ(RunCtl({"quota", "set", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("tranchectl quota set tv node-3 200"));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{"quota", "move"},
                                                                                       {"quota", "rebalance"},
                                                                                       {"quota", "freeze"},
                                                                                       {"quota", "show"},
                                                                                       {"stock", "reduce"},
                                                                                       {"node", "drain"},
                                                                                       {"node", "undrain"},
                                                                                       {"audit"},
                                                                                       {"zk", "rebuild"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    EXPECT_EQ(RunCtl(arguments), 0);
    EXPECT_THAT(out_, HasSubstr("Example")) << ::testing::PrintToString(command);
  }
}

// Every page, so also that of a command that is added: with an example of its own.
// A value that an argument of the page takes, and no command below it.
bool IsChoice(absl::string_view page, absl::string_view word) {
  const size_t begin = page.find("Positionals:");
  if (begin == absl::string_view::npos) return false;
  const absl::string_view arguments = page.substr(begin, page.find("\nOptions:", begin) - begin);
  for (const absl::string_view choices : absl::StrSplit(arguments, '{')) {
    const std::vector<absl::string_view> values = absl::StrSplit(choices.substr(0, choices.find('}')), ',');
    if (absl::c_linear_search(values, word)) return true;
  }
  return false;
}

TEST_F(TranchectlTest, EveryHelpPageHasAnExampleOfItsOwn) {
  std::vector<std::string> paths = {""};
  std::string pages;
  std::vector<std::string> pages_of;
  for (size_t i = 0; i < paths.size(); ++i) {
    std::vector<std::string> arguments = absl::StrSplit(paths[i], ' ', absl::SkipEmpty());
    std::vector<std::string> completed = arguments;
    arguments.push_back("--help");
    EXPECT_EQ(RunCtl(arguments), 0);
    pages += out_;
    pages_of.push_back(out_);
    EXPECT_THAT(out_, HasSubstr(absl::StrCat("tranchectl ", paths[i]))) << paths[i];
    EXPECT_THAT(out_, HasSubstr("Example")) << paths[i];
    completed.insert(completed.begin(), {"--endpoint", "127.0.0.1:1", "completion", "candidates", "--"});
    completed.push_back("");
    ASSERT_EQ(RunCtl(completed), 0) << err_;
    const std::string& page = pages_of.back();
    for (const absl::string_view word : absl::StrSplit(out_, '\n', absl::SkipEmpty())) {
      if (IsChoice(page, word)) continue;
      paths.push_back(absl::StrCat(paths[i], paths[i].empty() ? "" : " ", word));
    }
  }
  EXPECT_GE(paths.size(), 38u);
  for (const char* name : {"--sku", "--sink", "--shard", "NODE"}) {
    EXPECT_THAT(pages, Not(HasSubstr(absl::StrCat("  ", name, " TEXT")))) << "its names are not completed";
  }
  // The text follows, perhaps on the next line, far to the right.
  const std::vector<std::string> lines = absl::StrSplit(pages, '\n');
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    if (!absl::EndsWith(lines[i], " REQUIRED")) continue;
    EXPECT_TRUE(absl::StartsWith(lines[i + 1], "          ")) << "an argument without a text: " << lines[i];
  }
  for (const FieldArgument& known : FieldArguments()) {
    EXPECT_THAT(pages, HasSubstr(absl::StrCat("  ", std::string(known.argument)))) << "hints name it";
  }
}

TEST_F(TranchectlTest, TheHelpOfACommandIsAboutThatCommand) {
  const auto help = [&](std::vector<std::string> command) {
    command.push_back("--help");
    EXPECT_EQ(RunCtl(command), 0);
    return out_;
  };
  EXPECT_THAT(help({"stock", "add"}), AllOf(Not(HasSubstr("reduce")), Not(HasSubstr("warehouse"))));
  EXPECT_THAT(help({"stock", "reduce"}), HasSubstr("as are unsold"));
  EXPECT_THAT(help({"quota", "freeze"}), HasSubstr("dead node"));
  EXPECT_THAT(help({"quota", "thaw"}), Not(HasSubstr("dead node")));
  EXPECT_THAT(help({"outbox", "retry"}), AllOf(HasSubstr("otherwise every sink"), Not(HasSubstr("=default"))));
  EXPECT_THAT(help({"outbox", "discard"}), HasSubstr("=default"));
}

class CompletionTest : public TranchectlTest {
 protected:
  std::vector<std::string> Candidates(std::vector<std::string> typed) {
    typed.insert(typed.begin(), {"--endpoint", admin_.address(), "completion", "candidates", "--"});
    EXPECT_EQ(RunCtl(typed), 0) << err_;
    EXPECT_EQ(err_, "");
    return absl::StrSplit(out_, '\n', absl::SkipEmpty());
  }
};

TEST_F(CompletionTest, KnowsCommandsAndFlags) {
  EXPECT_THAT(Candidates({""}), ::testing::IsSupersetOf({"sku", "quota", "reservation", "completion"}));
  EXPECT_THAT(Candidates({"quota", "re"}), ::testing::ElementsAre("rebalance"));
  EXPECT_THAT(Candidates({"sku", "create", "--op"}), ::testing::ElementsAre("--opens-at"));
  EXPECT_THAT(Candidates({"sku", "create", "--end"}), ::testing::ElementsAre("--endpoint")) << "a global one";
  EXPECT_THAT(Candidates({"completion", ""}), ::testing::UnorderedElementsAre("bash", "zsh", "fish"));
}

TEST_F(CompletionTest, KnowsTheWordsThatAFlagTakes) {
  EXPECT_THAT(Candidates({"quota", "rebalance", "tv", "--policy", ""}),
              ::testing::ElementsAre("equal", "demand", "weights"));
  EXPECT_THAT(Candidates({"quota", "rebalance", "tv", "--policy=d"}), ::testing::ElementsAre("--policy=demand"));
  EXPECT_THAT(Candidates({"sku", "list", "-o", "w"}), ::testing::ElementsAre("wide"));
}

TEST_F(CompletionTest, AsksTheClusterForNames) {
  EXPECT_THAT(Candidates({"sku", "show", ""}), ::testing::ElementsAre("tv"));
  EXPECT_THAT(Candidates({"reservation", "list", "--sku", "t"}), ::testing::ElementsAre("tv"));
  EXPECT_THAT(Candidates({"node", "drain", "--yes", "no"}), ::testing::ElementsAre("node-1"));
  admin_.node_looks = 0;
  EXPECT_THAT(Candidates({"quota", "move", "tv", "--from", ""}), ::testing::ElementsAre("node-1", "pool"));
  EXPECT_THAT(Candidates({"stock", "add", "tv", ""}), ::testing::IsEmpty()) << "a number";
  ASSERT_EQ(RunCtl({"completion", "candidates", "--", "--endpoint", admin_.address(), "sku", "show", ""}), 0);
  EXPECT_EQ(out_, "tv\n") << "at the endpoint that was typed";
  ASSERT_EQ(RunCtl({"completion", "candidates", "--", "--endpoint", "127.0.0.1:1", "sku", "show", ""}), 0);
  EXPECT_EQ(out_ + err_, "") << "silent without a cluster";
}

TEST_F(CompletionTest, CompletesWhereverAnExistingNameIsWanted) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  EXPECT_THAT(Candidates({"reservation", "create", "--user", "alice", ""}), ElementsAre("tv"));
  EXPECT_THAT(Candidates({"audit", "--sku", ""}), ElementsAre("tv"));
  EXPECT_THAT(Candidates({"verify", "--sku="}), ElementsAre("--sku=tv"));
  EXPECT_THAT(Candidates({"sku", "move", "tv", "--to", ""}), ElementsAre("home", "hot"));
  EXPECT_THAT(Candidates({"sku", "create", "radio", "--shard", "ho"}), ElementsAre("home", "hot"));
  EXPECT_THAT(Candidates({"outbox", "list", "--sink", ""}), ElementsAre("books"));
  EXPECT_THAT(Candidates({"outbox", "retry", "--sink", ""}), ElementsAre("books"));
  EXPECT_THAT(Candidates({"outbox", "sink", "remove", ""}), ElementsAre("books"));
  admin_.node_looks = 0;
  EXPECT_THAT(Candidates({"quota", "set", "tv", ""}), ElementsAre("node-1")) << "not the pool";
  EXPECT_THAT(Candidates({"sku", "create", ""}), IsEmpty()) << "that is a new one";
  EXPECT_THAT(Candidates({"outbox", "sink", "add", ""}), IsEmpty());
  EXPECT_THAT(Candidates({"shard", "add", ""}), IsEmpty());
}

TEST_F(CompletionTest, OffersEachFlagOnce) {
  for (const std::vector<std::string>& typed :
       std::vector<std::vector<std::string>>{{"--"}, {"sku", "--"}, {"outbox", "sink", "list", "--"}}) {
    const std::vector<std::string> flags = Candidates(typed);
    for (const std::string& flag : flags) EXPECT_EQ(std::count(flags.begin(), flags.end(), flag), 1) << flag;
    EXPECT_EQ(std::count(flags.begin(), flags.end(), "--help"), 1);
    EXPECT_EQ(std::count(flags.begin(), flags.end(), "--version"), typed.size() == 1 ? 1 : 0);
    EXPECT_EQ(std::count(flags.begin(), flags.end(), "--endpoint"), 1);
  }
}

TEST_F(CompletionTest, BashPassesOnWhatWasTypedAndKeepsWhatItKeeps) {
  ASSERT_EQ(RunCtl({"completion", "bash"}), 0);
  testing::ScratchDir dir("tranchectl");
  const std::string script = absl::StrCat(dir.path().string(), "/completion.bash");
  // A tranchectl that knows one candidate, and writes down what it was asked.
  std::ofstream(script) << out_ << "asked=" << dir.path().string() << "/asked\n"
                        << "tranchectl() { printf '<%s>' \"$@\" > $asked; echo 10.0.0.1:7400; }\n"
                        << "COMP_LINE='tranchectl node drain 10.0.0.1:'\nCOMP_POINT=${#COMP_LINE}\n"
                        << "_tranchectl\ncat $asked; echo \" ${COMPREPLY[*]}\"\n";
  const std::string result = absl::StrCat(dir.path().string(), "/result");
  ASSERT_EQ(std::system(absl::StrCat("bash ", script, " > ", result).c_str()), 0);
  std::stringstream text;
  text << std::ifstream(result).rdbuf();
  EXPECT_EQ(text.str(), "<completion><candidates><--><node><drain><10.0.0.1:> 7400\n");
}

TEST_F(CompletionTest, EveryShellAsksForCandidates) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    ASSERT_EQ(RunCtl({"completion", shell}), 0);
    EXPECT_THAT(out_, HasSubstr("tranchectl completion candidates --")) << shell;
    EXPECT_THAT(out_, Not(HasSubstr("\x1b")));
  }
}

}  // namespace
}  // namespace tranche::ctl
