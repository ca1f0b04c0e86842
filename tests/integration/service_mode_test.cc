// Service modes on real servers: what two nodes refuse in each, what goes on, and what a node that starts does.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/integration/front_door_fixture.h"
#include "tests/integration/sale_fixture.h"
#include "tranche/uuid.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/front_door_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

using ::testing::PrintToString;

constexpr int kModeNodes = 2;
constexpr int64_t kModeStock = 1000;
// Of "radio": long enough for the mode to be set meanwhile, also on a busy machine.
constexpr absl::Duration kShortHold = absl::Seconds(15);

class ServiceModeTest : public SaleTest {
 protected:
  struct Stubs {
    std::unique_ptr<v1::ReservationService::Stub> reservations;
    std::unique_ptr<v1::FrontDoorService::Stub> door;
    std::unique_ptr<v1::AdminService::Stub> admin;
  };

  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = kModeNodes;
    StartCluster(options);
    for (int node = 0; node < kModeNodes; ++node) stubs_.push_back(StubsOf(node));
    OpenSale("tv", kModeStock, absl::Minutes(15));
    WaitUntilShared("tv", kModeStock);
    OpenSale("radio", kModeStock, kShortHold);
    WaitUntilShared("radio", kModeStock);
  }
  void TearDown() override {
    if (cluster_ != nullptr) CheckLedger();
  }

  Stubs StubsOf(int node) {
    const auto channel = grpc::CreateChannel(cluster_->endpoint(node), grpc::InsecureChannelCredentials());
    return {v1::ReservationService::NewStub(channel), v1::FrontDoorService::NewStub(channel),
            v1::AdminService::NewStub(channel)};
  }

  v1::SetServiceModeResponse SetMode(v1::ServiceMode mode, const std::string& reason = "") {
    v1::SetServiceModeRequest request;
    request.set_mode(mode);
    request.set_reason(reason);
    v1::SetServiceModeResponse response;
    const grpc::Status set = stubs_[0].admin->SetServiceMode(Context().get(), request, &response);
    EXPECT_TRUE(set.ok()) << set.error_message();
    return response;
  }

  DoorAnswer Claim(const Stubs& node, const std::string& id, const std::string& sku = "tv", bool may_exist = false) {
    v1::CreateReservationRequest request;
    request.set_reservation_id(id);
    request.set_sku_id(sku);
    // One buyer for each id, also when it is repeated.
    request.set_user_id(absl::StrCat("buyer-of-", id));
    request.set_quantity(1);
    request.set_may_exist(may_exist);
    v1::CreateReservationResponse response;
    return DoorAnswerOf(node.reservations->CreateReservation(Context().get(), request, &response));
  }
  std::string Held(const std::string& sku = "tv") {
    const std::string id = MakeUuidV7();
    const DoorAnswer answer = Claim(stubs_[0], id, sku);
    EXPECT_TRUE(answer.ok()) << PrintToString(answer);
    return id;
  }
  DoorAnswer Confirm(const Stubs& node, const std::string& id) {
    v1::ConfirmReservationRequest request;
    request.set_reservation_id(id);
    request.set_payment_reference(absl::StrCat("pay-", id));
    request.set_amount_minor(49900);
    request.set_currency("EUR");
    v1::ConfirmReservationResponse response;
    return DoorAnswerOf(node.reservations->ConfirmReservation(Context().get(), request, &response));
  }
  DoorAnswer Cancel(const Stubs& node, const std::string& id) {
    v1::CancelReservationRequest request;
    request.set_reservation_id(id);
    v1::CancelReservationResponse response;
    return DoorAnswerOf(node.reservations->CancelReservation(Context().get(), request, &response));
  }
  DoorAnswer CancelAsOperator(const std::string& id) {
    v1::ChangeReservationRequest request;
    request.mutable_cancel()->set_reservation_id(id);
    v1::ChangeReservationResponse response;
    return DoorAnswerOf(stubs_[1].admin->ChangeReservation(Context().get(), request, &response));
  }
  DoorAnswer Enter(const Stubs& node) {
    v1::EnterSaleRequest request;
    request.set_sku_id("tv");
    request.set_user_id("alice");
    v1::EnterSaleResponse response;
    return DoorAnswerOf(node.door->EnterSale(Context().get(), request, &response));
  }
  v1::Reservation Read(const Stubs& node, const std::string& id) {
    v1::GetReservationRequest request;
    request.set_reservation_id(id);
    v1::GetReservationResponse response;
    const grpc::Status read = node.reservations->GetReservation(Context().get(), request, &response);
    EXPECT_TRUE(read.ok()) << read.error_message();
    return response.reservation();
  }

  // Until it is so at each node; returns how long that took.
  absl::Duration Await(const std::string& what, const std::function<bool(const Stubs& node)>& holds) {
    const absl::Time began = absl::Now();
    for (const Stubs& node : stubs_) {
      while (!holds(node)) {
        if (absl::Now() > began + kDoorPatience) {
          ADD_FAILURE() << what;
          return absl::Now() - began;
        }
        absl::SleepFor(absl::Milliseconds(2));
      }
    }
    return absl::Now() - began;
  }
  // "": they are served.
  absl::Duration AwaitClaims(const std::string& reason) {
    return Await(absl::StrCat("claims are answered with '", reason, "'"), [&](const Stubs& node) {
      const DoorAnswer answer = Claim(node, MakeUuidV7());
      return answer.ok() == reason.empty() && answer.reason == reason;
    });
  }

  std::vector<Stubs> stubs_;
};

// By ZooKeeper, and not by the look that the nodes take every five seconds.
TEST_F(ServiceModeTest, IsAtAllNodesWithinASecond) {
  absl::Duration fastest = absl::InfiniteDuration();
  for (int i = 0; i < 3; ++i) {
    SetMode(v1::SERVICE_MODE_CHANGES_ONLY);
    const absl::Duration limited = AwaitClaims("SERVICE_LIMITED");
    SetMode(v1::SERVICE_MODE_NORMAL);
    const absl::Duration normal = AwaitClaims("");
    std::cout << "a service mode was effective after " << limited << ", its end after " << normal << std::endl;
    fastest = std::min(fastest, std::max(limited, normal));
  }
  EXPECT_LT(fastest, absl::Seconds(1));
}

TEST_F(ServiceModeTest, ChangesOnlyTakesNothingNewAndServesWhatIsReserved) {
  const std::string paid = Held(), cancelled = Held();
  const v1::SetServiceModeResponse set = SetMode(v1::SERVICE_MODE_CHANGES_ONLY, "Back soon.");
  EXPECT_EQ(set.before().mode(), v1::SERVICE_MODE_NORMAL);
  AwaitClaims("SERVICE_LIMITED");
  for (const Stubs& node : stubs_) {
    const DoorAnswer claim = Claim(node, MakeUuidV7());
    EXPECT_EQ(claim.code, grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(claim.metadata.at("mode"), "CHANGES_ONLY");
    EXPECT_EQ(claim.metadata.at("service_reason"), "Back soon.");
    EXPECT_EQ(Enter(node).reason, "SERVICE_LIMITED");
    const DoorAnswer repeated = Claim(node, paid, "tv", /*may_exist=*/true);
    EXPECT_TRUE(repeated.ok()) << "who has a reservation is told so: " << PrintToString(repeated);
  }
  const DoorAnswer confirmed = Confirm(stubs_[1], paid);
  EXPECT_TRUE(confirmed.ok()) << PrintToString(confirmed);
  const DoorAnswer given_back = Cancel(stubs_[0], cancelled);
  EXPECT_TRUE(given_back.ok()) << PrintToString(given_back);
  SetMode(v1::SERVICE_MODE_NORMAL);
  AwaitClaims("");
}

TEST_F(ServiceModeTest, ReadOnlyTakesNoPaymentAndNobodyLosesTheirHold) {
  const std::string paid = Held(), by_operator = Held(), held = Held("radio");
  EXPECT_TRUE(Confirm(stubs_[0], paid).ok());
  SetMode(v1::SERVICE_MODE_READ_ONLY);
  AwaitClaims("SERVICE_LIMITED");
  for (const Stubs& node : stubs_) {
    EXPECT_EQ(Confirm(node, held).reason, "SERVICE_LIMITED");
    EXPECT_EQ(Cancel(node, held).reason, "SERVICE_LIMITED");
    EXPECT_EQ(Read(node, held).state(), v1::RESERVATION_STATE_PENDING);
    const DoorAnswer repeated = Confirm(node, paid);
    EXPECT_TRUE(repeated.ok()) << "a payment whose answer was lost: " << PrintToString(repeated);
  }
  const DoorAnswer cancelled = CancelAsOperator(by_operator);
  EXPECT_TRUE(cancelled.ok()) << PrintToString(cancelled);

  // A worker would expire it within a fraction of a second.
  const absl::Time over = absl::FromUnixSeconds(Read(stubs_[0], held).expire_time().seconds()) + absl::Seconds(3);
  while (absl::Now() < over) absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(Read(stubs_[1], held).state(), v1::RESERVATION_STATE_PENDING);
  SetMode(v1::SERVICE_MODE_CHANGES_ONLY);
  Await("payments are taken again", [&](const Stubs& node) { return Confirm(node, held).ok(); });
  EXPECT_EQ(Read(stubs_[0], held).state(), v1::RESERVATION_STATE_CONFIRMED);
  SetMode(v1::SERVICE_MODE_NORMAL);
  AwaitClaims("");
}

TEST_F(ServiceModeTest, ANodeThatStartsObeysAndStatusTells) {
  const std::string held = Held();
  SetMode(v1::SERVICE_MODE_READ_ONLY, "Back soon.");
  const absl::StatusOr<int> started = cluster_->StartNode();
  ASSERT_TRUE(started.ok()) << started.status();
  const Stubs fresh = StubsOf(*started);
  EXPECT_EQ(Claim(fresh, MakeUuidV7()).reason, "SERVICE_LIMITED") << "from its first call on";
  EXPECT_EQ(Confirm(fresh, held).reason, "SERVICE_LIMITED");

  v1::GetStatusResponse status;
  const grpc::Status told = fresh.admin->GetStatus(Context().get(), {}, &status);
  ASSERT_TRUE(told.ok()) << told.error_message();
  EXPECT_EQ(status.service_mode().mode(), v1::SERVICE_MODE_READ_ONLY);
  EXPECT_TRUE(std::any_of(status.problems().begin(), status.problems().end(),
                          [](const v1::Problem& problem) { return problem.code() == "SERVICE_LIMITED"; }));
}

}  // namespace
}  // namespace tranche::testing
