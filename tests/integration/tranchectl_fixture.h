// For the tests of tranchectl against a fake admin service.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::ctl {

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

}  // namespace tranche::ctl
