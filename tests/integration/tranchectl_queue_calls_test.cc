// What tranchectl queue sends, and what it makes of the answers, at a node that is made up.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFirst[] = "018f4c3a-0000-7000-8000-000000000001";
constexpr char kSecond[] = "018f4c3a-0000-7000-8000-000000000002";
constexpr char kQueue0[] = "tranche.claims.home.0";
constexpr char kQueue1[] = "tranche.claims.home.1";

// Two queues with a dead claim each.
class QueueNode final : public v1::AdminService::Service {
 public:
  QueueNode() {
    for (const char* queue : {kQueue0, kQueue1}) {
      v1::ClaimQueueState* const state = queues.add_queues();
      state->set_queue(queue);
      state->set_shard("home");
      state->set_ready(1234);
      state->set_consumers(2);
      state->set_dead(1);
    }
    queues.set_paused(false);
    AddDead(kQueue0, kFirst);
    AddDead(kQueue1, kSecond);
    dead.mutable_claims(1)->clear_reservation_id();
    dead.mutable_claims(1)->set_lines(0);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~QueueNode() override { server_->Shutdown(std::chrono::system_clock::now()); }
  const std::string& address() const { return address_; }

  grpc::Status ListClaimQueues(grpc::ServerContext*, const v1::ListClaimQueuesRequest*,
                               v1::ListClaimQueuesResponse* response) override {
    *response = queues;
    return list_answer;
  }
  grpc::Status SetClaimQueuePaused(grpc::ServerContext*, const v1::SetClaimQueuePausedRequest* request,
                                   v1::SetClaimQueuePausedResponse* response) override {
    absl::MutexLock lock(&mutex_);
    response->set_changed(queues.paused() != request->paused());
    if (!request->preview()) queues.set_paused(request->paused());
    return grpc::Status::OK;
  }
  grpc::Status ListDeadClaims(grpc::ServerContext*, const v1::ListDeadClaimsRequest* request,
                              v1::ListDeadClaimsResponse* response) override {
    for (const v1::DeadClaim& claim : dead.claims()) {
      if (response->claims_size() == request->limit()) break;
      if (request->queue().empty() || request->queue() == claim.queue()) *response->add_claims() = claim;
    }
    return grpc::Status::OK;
  }
  grpc::Status SettleDeadClaims(grpc::ServerContext*, const v1::SettleDeadClaimsRequest* request,
                                v1::SettleDeadClaimsResponse* response) override {
    absl::MutexLock lock(&mutex_);
    settlings_.push_back(*request);
    if (request->queue() == refused_queue) {
      return ToGrpc(ErrorDetails(grpc::StatusCode::UNAVAILABLE, "LEDGER_UNAVAILABLE"));
    }
    for (const v1::DeadClaim& claim : dead.claims()) {
      if (claim.queue() == request->queue()) *response->add_claims() = claim;
    }
    response->set_settled(response->claims_size());
    response->add_warnings(absl::StrCat("of ", request->queue()));
    return grpc::Status::OK;
  }

  std::vector<v1::SettleDeadClaimsRequest> settlings() {
    absl::MutexLock lock(&mutex_);
    return settlings_;
  }

  // Set them between calls.
  v1::ListClaimQueuesResponse queues;
  v1::ListDeadClaimsResponse dead;
  grpc::Status list_answer;
  std::string refused_queue;

 private:
  void AddDead(const char* queue, const char* id) {
    v1::DeadClaim* const claim = dead.add_claims();
    claim->set_queue(queue);
    claim->set_message_id(id);
    claim->set_reservation_id(id);
    claim->set_sku_id("tv");
    claim->set_user_id("bob");
    claim->set_quantity(2);
    claim->set_lines(1);
    claim->set_reason("delivery_limit");
    claim->set_deliveries(5);
    claim->mutable_dead_time()->set_seconds(1795770000);
  }

  absl::Mutex mutex_;
  std::vector<v1::SettleDeadClaimsRequest> settlings_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class TranchectlQueueCallsTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "queue");
    return RunCtlAt(node_.address(), std::move(arguments));
  }
  // Of the n-th call.
  std::vector<std::string> SettledIds(size_t n) {
    const auto settlings = node_.settlings();
    if (n >= settlings.size()) return {"no such call"};
    return {settlings[n].message_ids().begin(), settlings[n].message_ids().end()};
  }

  QueueNode node_;
};

TEST_F(TranchectlQueueCallsTest, ListsQueues) {
  ASSERT_EQ(Run({"list"}), 0) << err_;
  EXPECT_THAT(out_, ContainsRegex("tranche.claims.home.0 +home +1234 +2 +1"));
  EXPECT_EQ(err_, "");
  EXPECT_EQ(JsonAt(node_.address(), {"queue", "list"})["queues"].size(), 2u);
  node_.queues.set_paused(true);
  ASSERT_EQ(Run({"list"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("queue resume --yes"));
  node_.queues.clear_paused();
  ASSERT_EQ(Run({"list"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("not known"));
}

TEST_F(TranchectlQueueCallsTest, QueuesAreWatched) {
  const std::string lines =
      LinesOf(4, node_.address(), {"queue", "list", "--watch", "--interval", "10ms", "-o", "json"});
  EXPECT_THAT(lines, HasSubstr(kQueue1));
  EXPECT_EQ(Run({"list", "--watch", "--interval", "soon"}), 1);
  EXPECT_THAT(err_, HasSubstr("--interval"));
}

TEST_F(TranchectlQueueCallsTest, ANodeWithoutABrokerSaysSo) {
  node_.list_answer = ToGrpc(ErrorDetails(grpc::StatusCode::UNAVAILABLE, "QUEUE_UNAVAILABLE"));
  EXPECT_EQ(Run({"list"}), 2);
  EXPECT_THAT(err_, HasSubstr("QUEUE_UNAVAILABLE"));
  EXPECT_EQ(out_, "");
}

TEST_F(TranchectlQueueCallsTest, APauseIsPreviewed) {
  ASSERT_EQ(Run({"pause"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("TAKE CLAIMS -> REST"));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_FALSE(node_.queues.paused());
  ASSERT_EQ(Run({"pause", "--yes", "--reason", "the ledger needs rest"}), 0) << err_;
  EXPECT_EQ(err_, "");
  EXPECT_TRUE(node_.queues.paused());
  ASSERT_EQ(Run({"pause"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  const nlohmann::json json = JsonAt(node_.address(), {"queue", "resume"});
  EXPECT_EQ(json["before"]["paused"], true);
  EXPECT_EQ(json["after"]["paused"], false);
  EXPECT_TRUE(node_.queues.paused()) << "a preview";
  ASSERT_EQ(Run({"resume", "--yes"}), 0) << err_;
  EXPECT_FALSE(node_.queues.paused());
}

TEST_F(TranchectlQueueCallsTest, DeadClaimsAreListedAndShown) {
  ASSERT_EQ(Run({"dead", "list"}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr(kFirst), HasSubstr("(unreadable)"), Not(HasSubstr("DEADLINE"))));
  ASSERT_EQ(Run({"dead", "list", "--queue", kQueue1, "-o", "wide"}), 0) << err_;
  EXPECT_THAT(out_, AllOf(Not(HasSubstr(kFirst)), HasSubstr(kSecond), HasSubstr("DEADLINE")));
  ASSERT_EQ(Run({"dead", "list", "--limit", "1"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("There may be more"));
  ASSERT_EQ(Run({"dead", "show", kFirst}), 0) << err_;
  EXPECT_THAT(out_, AllOf(ContainsRegex("user +bob"), ContainsRegex("delivered +5"), ContainsRegex("units +2")));
  EXPECT_EQ(Run({"dead", "show", kFirst, "--queue", kQueue1}), 1);
  EXPECT_THAT(err_, HasSubstr("queue dead list"));
}

TEST_F(TranchectlQueueCallsTest, AllDeadClaimsAreSettledQueueByQueue) {
  ASSERT_EQ(Run({"dead", "discard"}), 0) << err_;
  ASSERT_EQ(node_.settlings().size(), 2u);
  EXPECT_TRUE(node_.settlings()[0].preview());
  EXPECT_EQ(node_.settlings()[0].action(), v1::SettleDeadClaimsRequest::ACTION_DISCARD);
  EXPECT_THAT(SettledIds(0), ElementsAre());
  EXPECT_THAT(out_, AllOf(HasSubstr(kFirst), HasSubstr(kSecond)));
  EXPECT_THAT(err_, AllOf(HasSubstr("warning: of tranche.claims.home.1"), HasSubstr("--yes")));
  ASSERT_EQ(Run({"dead", "retry", "--yes", "--queue", kQueue1}), 0) << err_;
  ASSERT_EQ(node_.settlings().size(), 3u);
  EXPECT_FALSE(node_.settlings()[2].preview());
  EXPECT_EQ(node_.settlings()[2].queue(), kQueue1);
  EXPECT_EQ(node_.settlings()[2].action(), v1::SettleDeadClaimsRequest::ACTION_RETRY);
  const nlohmann::json json = JsonAt(node_.address(), {"queue", "dead", "retry"});
  EXPECT_EQ(json["preview"], true);
  EXPECT_EQ(json["settled"], 2);
}

TEST_F(TranchectlQueueCallsTest, AnIdIsFoundInItsQueue) {
  ASSERT_EQ(Run({"dead", "retry", kSecond, kFirst}), 0) << err_;
  ASSERT_EQ(node_.settlings().size(), 2u);
  EXPECT_EQ(node_.settlings()[0].queue(), kQueue0);
  EXPECT_THAT(SettledIds(0), ElementsAre(kFirst));
  EXPECT_THAT(SettledIds(1), ElementsAre(kSecond));
  EXPECT_EQ(Run({"dead", "retry", "018f4c3a-0000-7000-8000-000000000009", "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("queue dead list"));
  EXPECT_EQ(node_.settlings().size(), 2u) << "nothing is done if one is not there";
}

TEST_F(TranchectlQueueCallsTest, WhatIsDoneBeforeAnErrorIsShown) {
  node_.refused_queue = kQueue1;
  EXPECT_EQ(Run({"dead", "discard", "--yes"}), 2);
  EXPECT_THAT(out_, HasSubstr(kFirst));
  EXPECT_THAT(err_, HasSubstr("LEDGER_UNAVAILABLE"));
}

TEST_F(TranchectlQueueCallsTest, WithoutDeadClaimsNothingIsAsked) {
  for (v1::ClaimQueueState& queue : *node_.queues.mutable_queues()) queue.set_dead(0);
  ASSERT_EQ(Run({"dead", "discard"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_TRUE(node_.settlings().empty());
}

TEST_F(TranchectlQueueCallsTest, QueuesAreCompleted) {
  ASSERT_EQ(RunCtlAt(node_.address(), {"completion", "candidates", "--", "queue", "dead", "list", "--queue", ""}), 0);
  EXPECT_EQ(out_, absl::StrCat(kQueue0, "\n", kQueue1, "\n"));
}

}  // namespace
}  // namespace tranche::ctl
