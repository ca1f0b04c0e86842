#include "tests/benchmark/peers/peer_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/benchmark/peers/peer.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::peers {
namespace {

constexpr char kSomeId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

// Does what the buyer's name says. "slow" waits until it is let go.
class ScriptedPeer final : public Peer {
 public:
  absl::Status Prepare(int, int64_t) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<Seller>> MakeSeller() override { return std::make_unique<ScriptedSeller>(this); }
  absl::StatusOr<Stored> Count() override { return Stored{}; }

  absl::Notification slow_may_go;

 private:
  class ScriptedSeller final : public Seller {
   public:
    explicit ScriptedSeller(ScriptedPeer* peer) : peer_(peer) {}
    absl::StatusOr<Outcome> Sell(const Claim& claim) override {
      if (claim.user_id == "slow") peer_->slow_may_go.WaitForNotification();
      if (claim.user_id == "replayed") return Outcome::kReplayed;
      if (claim.user_id == "sold-out") return Outcome::kSoldOut;
      if (claim.user_id == "limit") return Outcome::kUserLimit;
      if (claim.user_id == "conflict") return Outcome::kConflict;
      if (claim.user_id == "fault") return absl::InternalError("the store is on fire");
      return Outcome::kCreated;
    }

   private:
    ScriptedPeer* const peer_;
  };
};

v1::CreateReservationRequest RequestOf(const std::string& user) {
  v1::CreateReservationRequest request;
  request.set_reservation_id(kSomeId);
  request.set_sku_id("sku-0");
  request.set_user_id(user);
  request.set_quantity(1);
  return request;
}

std::string ReasonIn(const google::rpc::Status& status) {
  google::rpc::ErrorInfo info;
  if (status.details().empty() || !status.details(0).UnpackTo(&info)) return "";
  return info.reason();
}

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status details;
  return details.ParseFromString(status.error_details()) ? ReasonIn(details) : "";
}

class PeerServerTest : public ::testing::Test {
 protected:
  void Serve(int threads, size_t most_waiting) {
    auto server = PeerServer::Start(peer_, threads, most_waiting);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::ReservationService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials()));
  }

  grpc::Status Create(const v1::CreateReservationRequest& request, v1::CreateReservationResponse* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return stub_->CreateReservation(&context, request, response);
  }

  ScriptedPeer peer_;
  std::unique_ptr<PeerServer> server_;
  std::unique_ptr<v1::ReservationService::Stub> stub_;
};

TEST_F(PeerServerTest, AnswersWithTheReservation) {
  ASSERT_NO_FATAL_FAILURE(Serve(2, 10));
  v1::CreateReservationResponse response;
  const grpc::Status created = Create(RequestOf("ann"), &response);
  ASSERT_TRUE(created.ok()) << created.error_message();
  EXPECT_EQ(response.reservation().reservation_id(), kSomeId);
  EXPECT_EQ(response.reservation().sku_id(), "sku-0");
  EXPECT_EQ(response.reservation().user_id(), "ann");
  EXPECT_EQ(response.reservation().quantity(), 1);
  EXPECT_EQ(response.reservation().state(), v1::RESERVATION_STATE_PENDING);
  EXPECT_FALSE(response.replayed());
  response.Clear();
  EXPECT_TRUE(Create(RequestOf("replayed"), &response).ok());
  EXPECT_TRUE(response.replayed());
}

TEST_F(PeerServerTest, RefusesAsAFrontNodeDoes) {
  ASSERT_NO_FATAL_FAILURE(Serve(2, 10));
  v1::CreateReservationResponse response;
  const grpc::Status sold_out = Create(RequestOf("sold-out"), &response);
  EXPECT_EQ(sold_out.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(sold_out), "SOLD_OUT");
  const grpc::Status limit = Create(RequestOf("limit"), &response);
  EXPECT_EQ(limit.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(limit), "USER_LIMIT_REACHED");
  const grpc::Status conflict = Create(RequestOf("conflict"), &response);
  EXPECT_EQ(conflict.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(conflict), "OVERLOADED");
  const grpc::Status fault = Create(RequestOf("fault"), &response);
  EXPECT_EQ(fault.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(fault), "COMMIT_UNKNOWN");
}

TEST_F(PeerServerTest, RefusesInTheResponseIfAskedTo) {
  ASSERT_NO_FATAL_FAILURE(Serve(2, 10));
  v1::CreateReservationRequest request = RequestOf("sold-out");
  request.set_refusal_in_response(true);
  v1::CreateReservationResponse response;
  EXPECT_TRUE(Create(request, &response).ok());
  EXPECT_EQ(response.refusal().code(), static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED));
  EXPECT_EQ(ReasonIn(response.refusal()), "SOLD_OUT");
  EXPECT_FALSE(response.has_reservation());
}

TEST_F(PeerServerTest, RefusesWhatIsNoClaimOfOneUnit) {
  ASSERT_NO_FATAL_FAILURE(Serve(2, 10));
  v1::CreateReservationResponse response;
  v1::CreateReservationRequest no_id = RequestOf("ann");
  no_id.set_reservation_id("7");
  EXPECT_EQ(Create(no_id, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::CreateReservationRequest two = RequestOf("ann");
  two.set_quantity(2);
  EXPECT_EQ(ReasonOf(Create(two, &response)), "QUANTITY_ABOVE_USER_LIMIT");
}

// One call is with the seller and one waits, in whatever order they come, so at least one of three finds no room.
TEST_F(PeerServerTest, RefusesWhatFindsTheQueueFull) {
  ASSERT_NO_FATAL_FAILURE(Serve(/*threads=*/1, /*most_waiting=*/1));
  absl::Mutex mutex;
  std::vector<grpc::Status> answers;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      v1::CreateReservationResponse response;
      const grpc::Status answer = Create(RequestOf("slow"), &response);
      absl::MutexLock lock(&mutex);
      answers.push_back(answer);
    });
  }
  const auto any_answered = [&] { return !answers.empty(); };
  {
    absl::MutexLock lock(&mutex);
    EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&any_answered), absl::Seconds(25)));
  }
  peer_.slow_may_go.Notify();
  for (std::thread& caller : callers) caller.join();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(answers[0]), "OVERLOADED");
}

TEST_F(PeerServerTest, AnswersWhatItHasBeforeItStops) {
  ASSERT_NO_FATAL_FAILURE(Serve(2, 10));
  v1::CreateReservationResponse response;
  EXPECT_TRUE(Create(RequestOf("ann"), &response).ok());
  server_->Stop();
  server_->Stop();
  EXPECT_EQ(Create(RequestOf("ann"), &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace tranche::peers
