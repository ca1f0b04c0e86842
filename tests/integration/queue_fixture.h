// Two nodes and two consumers over a broker, and what buyers and operators ask of queued claims. All tests share them:
// each has SKUs of its own, and mends what it has broken.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "tests/integration/front_door_fixture.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/mini_rabbitmq.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {

// For what takes a moment on an idle machine.
inline constexpr absl::Duration kQueuePatience = absl::Seconds(60);

// "" if it is none of Tranche's.
std::string ReasonIn(const google::rpc::Status& refused);

class QueueTest : public SaleTest, protected TranchectlRunner {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  // Fails the test if it does not become so.
  void AwaitTrue(const std::string& what, const std::function<bool()>& is_so);

  // Every unit is announced to the nodes when this returns.
  void OpenQueued(const std::string& sku, int64_t stock, v1::ClaimPath path, int32_t per_user_limit = 1);

  // A claim of one unit, whose caller accepts that it is queued.
  static v1::CreateReservationRequest ClaimOf(const std::string& sku, const std::string& user);
  DoorAnswer Claim(int node, const v1::CreateReservationRequest& claim, v1::CreateReservationResponse* response);
  // Repeats the claim while it is refused for now, until it is queued. Fails the test if it is sold or refused.
  v1::QueuedClaim Queue(int node, v1::CreateReservationRequest claim);
  // So many buyers' claims, at all nodes in turn.
  std::vector<v1::QueuedClaim> QueueMany(const std::string& sku, int claims);

  // Asks again while the node cannot know.
  v1::GetClaimResponse Get(int node, const v1::QueuedClaim& queued);
  v1::GetClaimResponse AwaitDecided(int node, const v1::QueuedClaim& queued);
  // The reason for which it was refused; "" if it was sold.
  std::string AwaitRefusal(int node, const v1::QueuedClaim& queued);
  // All of them are sold, and these are the reservations.
  std::set<std::string> AwaitAllSold(const std::vector<v1::QueuedClaim>& queued);
  int Decided(const std::vector<v1::QueuedClaim>& queued);

  // Of the SKU.
  static std::string QueueName(const std::string& sku);
  v1::ListClaimQueuesResponse States();
  v1::ClaimQueueState StateOf(const std::string& queue);
  // Returns when no consumer takes claims any more, or all do again.
  void SetPaused(bool paused);
  // A message of anybody's.
  void PublishRaw(const std::string& queue, const std::string& id, const std::string& body);
  // Takes the first message out of the queue: its body.
  std::string TakeRaw(const std::string& queue);

  // The last one that was started. Tests end that one, and start another one.
  int last_consumer() const { return cluster_->consumers() - 1; }

  v1::ReservationService::Stub& reservations(int node) { return *reservations_.at(static_cast<size_t>(node)); }

  static std::unique_ptr<MiniRabbitmq> broker_;

 private:
  static std::unique_ptr<MiniCluster> shared_;  // between two tests
  std::vector<std::unique_ptr<v1::ReservationService::Stub>> reservations_;
};

}  // namespace tranche::testing
