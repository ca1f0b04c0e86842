// How a stream's requests go on when the node refuses the stream, and when the stream breaks.
#include "client/internal/stream_session.h"

#include <grpcpp/support/client_callback.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "client/internal/connection.h"
#include "google/rpc/error_details.pb.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using StreamOfCall =
    grpc::ClientCallbackReaderWriter<tranche::v1::StreamReservationsRequest, tranche::v1::StreamReservationsResponse>;

// Ends with `status` when the first message is written: nobody has read that.
class EndingStream final : public StreamOfCall {
 public:
  EndingStream(StreamReactor* reactor, grpc::Status status) : reactor_(reactor), status_(std::move(status)) {
    BindReactor(reactor);
  }
  void StartCall() override {}
  void Read(tranche::v1::StreamReservationsResponse* response) override {}
  void Write(const tranche::v1::StreamReservationsRequest* request, grpc::WriteOptions options) override {
    reactor_->OnWriteDone(false);
    reactor_->OnReadDone(false);
  }
  void WritesDone() override {}
  void AddHold(int holds) override { holds_ += holds; }
  void RemoveHold() override {
    if (--holds_ == 0) reactor_->OnDone(status_);
  }

 private:
  StreamReactor* const reactor_;
  const grpc::Status status_;
  int holds_ = 0;
};

// What all nodes do with streams.
struct Streams {
  enum class Kind { kEnd, kOverload, kGrant };
  Kind kind = Kind::kEnd;
  grpc::Status end;
  std::vector<std::unique_ptr<StreamOfCall>> opened;
  int node = -1;  // of the last one
};

// Of an overload.
constexpr int kRetryInfoSeconds = 1;

// Answers each claim at once: with an overload, or by granting it.
class AnsweringStream final : public StreamOfCall {
 public:
  AnsweringStream(StreamReactor* reactor, const Streams& streams) : reactor_(reactor), streams_(streams) {
    BindReactor(reactor);
  }
  void StartCall() override {}
  void Read(tranche::v1::StreamReservationsResponse* response) override { read_ = response; }
  void Write(const tranche::v1::StreamReservationsRequest* request, grpc::WriteOptions options) override {
    tranche::v1::StreamReservationsResponse* const answer = read_;
    answer->Clear();
    answer->set_sequence(request->sequence());
    if (streams_.kind == Streams::Kind::kOverload) {
      answer->mutable_error()->set_code(static_cast<int>(grpc::StatusCode::UNAVAILABLE));
      google::rpc::ErrorInfo info;
      info.set_domain(kErrorDomain);
      info.set_reason("OVERLOADED");
      answer->mutable_error()->add_details()->PackFrom(info);
      google::rpc::RetryInfo retry;
      retry.mutable_retry_delay()->set_seconds(kRetryInfoSeconds);
      answer->mutable_error()->add_details()->PackFrom(retry);
    } else {
      *answer->mutable_created()->mutable_reservation() = ScriptedStub::Claim(request->create());
    }
    reactor_->OnWriteDone(true);
    reactor_->OnReadDone(true);
  }
  void WritesDone() override { reactor_->OnReadDone(false); }
  void AddHold(int holds) override { holds_ += holds; }
  void RemoveHold() override {
    if (--holds_ == 0) reactor_->OnDone(grpc::Status::OK);
  }

 private:
  StreamReactor* const reactor_;
  const Streams& streams_;
  tranche::v1::StreamReservationsResponse* read_ = nullptr;
  int holds_ = 0;
};

class StreamEndingStub final : public ScriptedStub {
 public:
  StreamEndingStub(int node, Script& script, Streams& streams)
      : ScriptedStub(node, script), node_(node), streams_(streams) {}
  void StreamReservations(Context& context, StreamReactor* reactor) override {
    streams_.node = node_;
    if (streams_.kind == Streams::Kind::kEnd) {
      streams_.opened.push_back(std::make_unique<EndingStream>(reactor, streams_.end));
    } else {
      streams_.opened.push_back(std::make_unique<AnsweringStream>(reactor, streams_));
    }
  }

 private:
  const int node_;
  Streams& streams_;
};

class StreamSessionTest : public testing::Test {
 protected:
  StreamSessionTest() {
    options_.endpoints = {"node-0:1", "node-1:1"};
    options_.retry.max_attempts = 1;  // of a single call
    std::vector<std::shared_ptr<Stub>> stubs;
    for (int node = 0; node < 2; ++node) {
      stubs.push_back(std::make_shared<StreamEndingStub>(node, script_, streams_));
    }
    connection_ = std::make_unique<Connection>(options_, std::move(stubs), scheduler_, [this] {
      ++draws_;
      return random_;
    });
    session_ = std::make_shared<StreamSession>(*connection_, StreamOptions{.max_outstanding = 1});
  }
  ~StreamSessionTest() override { session_->Close(); }

  absl::Status Claim() {
    std::optional<absl::Status> end;
    session_->Create({.sku = "tv", .user = "alice"},
                     [&end](absl::StatusOr<Reservation> answer) { end = answer.status(); });
    // The session sets timers for itself, too, without end.
    for (int timers = 0; timers < 20 && !end.has_value(); ++timers) scheduler_->RunNext();
    return end.value_or(absl::InternalError("no answer yet"));
  }
  // Retries that others have left.
  RetryBudget& budget() { return connection_->environment().budget; }
  void SpendBudget() {
    while (budget().TrySpend()) {
    }
  }
  bool BothNodesCountAsHealthy() {
    NodeSet& nodes = connection_->environment().nodes;
    return nodes.HasHealthy(/*tried=*/1, scheduler_->Now()) && nodes.HasHealthy(/*tried=*/2, scheduler_->Now());
  }

  Throttle& throttle() { return *connection_->environment().claim_throttle; }
  // From now on, the throttle draws for each claim.
  void Overload() { throttle().OnAnswers(LoadSign::kOverload, 1000, scheduler_->Now()); }

  ClientOptions options_;
  Script script_;
  double random_ = 0;  // 0: what the throttle may refuse, it refuses; 1: nothing
  int draws_ = 0;
  Streams streams_;
  std::shared_ptr<ManualScheduler> scheduler_ = std::make_shared<ManualScheduler>();
  std::unique_ptr<Connection> connection_;
  std::shared_ptr<StreamSession> session_;
};

TEST_F(StreamSessionTest, WhoMayHaveNoStreamGoesOnWithSingleCallsAndWithoutDoubt) {
  streams_.end = grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "shop-web may not call StreamReservations");
  for (size_t claims = 1; claims <= 3; ++claims) {
    EXPECT_TRUE(Claim().ok());
    ASSERT_EQ(script_.creates.size(), claims);
    EXPECT_FALSE(script_.creates.back().request.may_exist()) << "the node has not done it";
    EXPECT_EQ(streams_.opened.size(), 1u) << "the next stream would be refused, too";
    EXPECT_TRUE(BothNodesCountAsHealthy());
  }
  scheduler_->Pass(absl::Minutes(1));
  EXPECT_TRUE(Claim().ok());
  EXPECT_EQ(streams_.opened.size(), 2u) << "the role may have been given meanwhile";
}

TEST_F(StreamSessionTest, WhoIsNotKnownIsToldSoAfterOneCall) {
  streams_.end = grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "This node does not know the token");
  script_.create = {NodeError(absl::StatusCode::kUnauthenticated, "CALLER_UNKNOWN")};
  EXPECT_EQ(Claim().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(script_.creates.size(), 1u);
  EXPECT_TRUE(script_.gets.empty()) << "nothing is in doubt";
  EXPECT_TRUE(BothNodesCountAsHealthy());
}

TEST_F(StreamSessionTest, AStreamThatBreaksLeavesADoubtAndTheNextClaimOpensAnother) {
  streams_.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  EXPECT_TRUE(Claim().ok());
  ASSERT_EQ(script_.creates.size(), 1u);
  EXPECT_TRUE(script_.creates.back().request.may_exist());
  EXPECT_FALSE(BothNodesCountAsHealthy());
  EXPECT_TRUE(Claim().ok());
  EXPECT_EQ(streams_.opened.size(), 2u);
}

// Thousands may have been under way: at once, they would hit the other nodes harder than all of them did before.
TEST_F(StreamSessionTest, WhatABrokenStreamLeavesGoesOnAsARetryAtAnotherNode) {
  streams_.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  const absl::Time began = scheduler_->Now();
  EXPECT_TRUE(Claim().ok());
  ASSERT_EQ(script_.creates.size(), 1u);
  EXPECT_NE(script_.creates[0].node, streams_.node);
  EXPECT_TRUE(script_.creates[0].request.may_exist());
  EXPECT_GE(scheduler_->Now() - began, options_.retry.initial_backoff / 2) << "not at once";
  EXPECT_LE(scheduler_->Now() - began, options_.retry.initial_backoff);
}

TEST_F(StreamSessionTest, WhatABrokenStreamLeavesIsSpreadIfTheBudgetIsSpent) {
  streams_.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  SpendBudget();
  const absl::Time began = scheduler_->Now();
  EXPECT_TRUE(Claim().ok()) << "a unit may be held for it";
  EXPECT_GE(scheduler_->Now() - began, options_.retry.initial_backoff / 2);
  EXPECT_LE(scheduler_->Now() - began, options_.retry.initial_backoff + absl::Seconds(1));
  EXPECT_EQ(script_.creates.size(), 1u);
}

TEST_F(StreamSessionTest, EachRequestOfABrokenStreamCostsAToken) {
  streams_.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  SpendBudget();
  const int answers_for_a_token = static_cast<int>(1.5 / options_.retry.budget_refill);
  for (int i = 0; i < answers_for_a_token; ++i) budget().OnAnswered();
  const absl::Time began = scheduler_->Now();
  EXPECT_TRUE(Claim().ok());
  EXPECT_LE(scheduler_->Now() - began, options_.retry.initial_backoff) << "not spread";
  EXPECT_FALSE(budget().TrySpend());
}

// The session has room for one request: a refusal that kept it would stop the next one.
TEST_F(StreamSessionTest, AThrottledClaimIsNotSentAndLeavesItsRoom) {
  streams_.kind = Streams::Kind::kGrant;
  Overload();
  for (int i = 0; i < 3; ++i) {
    std::optional<absl::Status> end;
    CreateReservation request{.sku = "tv", .user = "alice"};
    StreamSession::Callback callback = [&end](absl::StatusOr<Reservation> answer) { end = answer.status(); };
    ASSERT_TRUE(session_->TryCreate(request, callback));
    EXPECT_FALSE(end.has_value()) << "not within the call";
    ASSERT_TRUE(scheduler_->RunNext());
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(ErrorMetadata(*end, "throttled").value_or(""), "true");
  }
  EXPECT_TRUE(streams_.opened.empty());
  EXPECT_TRUE(script_.creates.empty());
}

TEST_F(StreamSessionTest, PaymentsPassWhileClaimsAreThrottled) {
  streams_.kind = Streams::Kind::kGrant;
  Overload();
  std::vector<absl::Status> ends;
  session_->Confirm({.reservation_id = "id"},
                    [&](absl::StatusOr<Confirmation> answer) { ends.push_back(answer.status()); });
  session_->Cancel({.reservation_id = "id"},
                   [&](absl::StatusOr<Reservation> answer) { ends.push_back(answer.status()); });
  ASSERT_EQ(ends.size(), 2u);
  for (const absl::Status& end : ends) EXPECT_TRUE(end.ok()) << end;
  EXPECT_EQ(script_.confirm.requests.size(), 1u);
  EXPECT_EQ(script_.cancel.requests.size(), 1u);
  EXPECT_EQ(draws_, 0);
}

// It would wait for its deadline otherwise.
TEST_F(StreamSessionTest, APaymentPassesThoughClaimsFillTheWindow) {
  streams_.kind = Streams::Kind::kGrant;
  Overload();  // whom the throttle refuses keeps the window's room until the scheduler runs
  const auto try_claim = [this] {
    CreateReservation request{.sku = "tv", .user = "alice"};
    StreamSession::Callback callback = [](absl::StatusOr<Reservation>) {};
    return session_->TryCreate(request, callback);
  };
  ASSERT_TRUE(try_claim());
  ASSERT_FALSE(try_claim());
  bool paid = false;
  session_->Confirm({.reservation_id = "id"}, [&](absl::StatusOr<Confirmation> answer) { paid = answer.ok(); });
  EXPECT_TRUE(paid);
  EXPECT_FALSE(try_claim());
  ASSERT_TRUE(scheduler_->RunNext());
  EXPECT_TRUE(try_claim());
  ASSERT_TRUE(scheduler_->RunNext());
}

// Otherwise twice as many as reckoned with would be refused, until hardly anything is sent.
TEST_F(StreamSessionTest, AClaimThatGoesOnAsACallIsDrawnForOnce) {
  streams_.end = grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "no streams");
  random_ = 1;
  Overload();
  for (int claims = 1; claims <= 3; ++claims) {
    EXPECT_TRUE(Claim().ok());
    EXPECT_EQ(draws_, claims);
  }
  EXPECT_EQ(script_.creates.size(), 3u);
}

TEST_F(StreamSessionTest, OverloadOnTheStreamCountsAndSoDoesTheCallAfterIt) {
  streams_.kind = Streams::Kind::kOverload;
  random_ = 1;
  for (int64_t i = 0; i < Throttle::kFreeTries; ++i) {
    script_.create.push_back(NodeError(absl::StatusCode::kUnavailable, "LEDGER_UNAVAILABLE"));
    EXPECT_EQ(ReasonOf(Claim()), Reason::kLedgerUnavailable);
    EXPECT_EQ(throttle().RefusalProbability(scheduler_->Now()), 0);
  }
  script_.create.push_back(NodeError(absl::StatusCode::kUnavailable, "OVERLOADED"));
  EXPECT_EQ(ReasonOf(Claim()), Reason::kOverloaded);
  // One of them had two tries.
  constexpr double kOverloads = Throttle::kFreeTries + 2;
  EXPECT_DOUBLE_EQ(throttle().RefusalProbability(scheduler_->Now()), 2 / (kOverloads + 1));
}

TEST_F(StreamSessionTest, WhatTheStreamRefusesGoesOnAsARetryAtAnotherNode) {
  streams_.kind = Streams::Kind::kOverload;
  const absl::Time began = scheduler_->Now();
  EXPECT_TRUE(Claim().ok());
  ASSERT_EQ(script_.creates.size(), 1u);
  EXPECT_NE(script_.creates[0].node, streams_.node);
  EXPECT_FALSE(script_.creates[0].request.may_exist()) << "the node has not done it";
  EXPECT_GE(scheduler_->Now() - began, options_.retry.initial_backoff / 2) << "not at once";
  EXPECT_LE(scheduler_->Now() - began, options_.retry.initial_backoff);
}

TEST_F(StreamSessionTest, WithoutAnotherNodeItWaitsAsTheNodeHasAsked) {
  streams_.kind = Streams::Kind::kOverload;
  NodeSet& nodes = connection_->environment().nodes;
  nodes.Avoid(1, scheduler_->Now());
  const absl::Time began = scheduler_->Now();
  EXPECT_TRUE(Claim().ok());
  EXPECT_EQ(streams_.node, 0);
  EXPECT_GE(scheduler_->Now() - began, absl::Seconds(kRetryInfoSeconds));
}

TEST_F(StreamSessionTest, WhatTheStreamRefusesCostsBudgetAndWhatItAnswersRefillsIt) {
  streams_.kind = Streams::Kind::kOverload;
  SpendBudget();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReasonOf(Claim()), Reason::kOverloaded);
  EXPECT_TRUE(script_.creates.empty()) << "nothing is sent again";
  // A token, and a quarter of one for what is rounded off.
  const int answers_for_a_token = static_cast<int>(1.25 / options_.retry.budget_refill);
  streams_.kind = Streams::Kind::kGrant;
  for (int i = 0; i < answers_for_a_token; ++i) EXPECT_TRUE(Claim().ok());
  EXPECT_TRUE(script_.creates.empty()) << "all came over the stream";
  EXPECT_TRUE(budget().TrySpend());
}

TEST_F(StreamSessionTest, WhatTheStreamGrantsCounts) {
  streams_.kind = Streams::Kind::kGrant;
  throttle().OnAnswers(LoadSign::kOverload, Throttle::kFreeTries + 3, scheduler_->Now());
  random_ = 1;
  for (int64_t granted = 1; granted <= 3; ++granted) {
    EXPECT_GT(throttle().RefusalProbability(scheduler_->Now()), 0);
    EXPECT_TRUE(Claim().ok());
  }
  EXPECT_EQ(throttle().RefusalProbability(scheduler_->Now()), 0);
  EXPECT_TRUE(script_.creates.empty()) << "all came over the stream";
}

}  // namespace
}  // namespace tranche::internal
