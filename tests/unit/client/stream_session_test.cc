// How a stream's requests go on when the node refuses the stream, and when the stream breaks.
#include "client/internal/stream_session.h"

#include <grpcpp/support/client_callback.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "client/internal/connection.h"
#include "tests/unit/client/scripted_stub.h"

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
  grpc::Status end;
  std::vector<std::unique_ptr<EndingStream>> opened;
};

class StreamEndingStub final : public ScriptedStub {
 public:
  StreamEndingStub(int node, Script& script, Streams& streams) : ScriptedStub(node, script), streams_(streams) {}
  void StreamReservations(Context& context, StreamReactor* reactor) override {
    streams_.opened.push_back(std::make_unique<EndingStream>(reactor, streams_.end));
  }

 private:
  Streams& streams_;
};

class StreamSessionTest : public testing::Test {
 protected:
  StreamSessionTest() {
    options_.endpoints = {"node-0:1", "node-1:1"};
    std::vector<std::shared_ptr<Stub>> stubs;
    for (int node = 0; node < 2; ++node) {
      stubs.push_back(std::make_shared<StreamEndingStub>(node, script_, streams_));
    }
    connection_ = std::make_unique<Connection>(options_, std::move(stubs), scheduler_);
    session_ = std::make_shared<StreamSession>(*connection_, StreamOptions{});
  }
  ~StreamSessionTest() override { session_->Close(); }

  absl::Status Claim() {
    std::optional<absl::Status> end;
    session_->Create({.sku = "tv", .user = "alice"},
                     [&end](absl::StatusOr<Reservation> answer) { end = answer.status(); });
    return end.value_or(absl::InternalError("no answer yet"));
  }
  bool BothNodesCountAsHealthy() {
    NodeSet& nodes = connection_->environment().nodes;
    return nodes.HasHealthy(/*tried=*/1, scheduler_->Now()) && nodes.HasHealthy(/*tried=*/2, scheduler_->Now());
  }

  ClientOptions options_;
  Script script_;
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

}  // namespace
}  // namespace tranche::internal
