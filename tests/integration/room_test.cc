// Waiting rooms on real servers: buyers at two nodes, paced by one of two balancers.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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

constexpr char kRoomSku[] = "tv";
constexpr int64_t kRoomStock = 2000;
// For what takes seconds on an idle machine.
constexpr absl::Duration kRoomPatience = absl::Minutes(2);
// A balancer makes up for so much of a pause.
constexpr double kMostCreditS = 2;

v1::FrontPolicy RoomPolicy(int32_t buyers_per_second) {
  v1::FrontPolicy policy = LimitPolicy(v1::RateLimit::KEY_USER, 1000, absl::Seconds(1), 1000);
  policy.mutable_purchase_token()->mutable_lifetime()->set_seconds(300);
  policy.mutable_room()->set_buyers_per_second(buyers_per_second);
  policy.mutable_room()->mutable_poll_interval()->set_seconds(2);
  return policy;
}

// Somebody who waits, as their browser would: keeps the ticket, and asks again when told.
struct Waiter {
  std::string user = {};
  std::string ticket = {};
  uint64_t rank = 0;
  std::string token = {};  // "": not let in yet
  absl::Time ask_at = absl::InfinitePast();
};

class RoomTest : public SaleTest {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 2;
    options.balancers = 2;
    options.workers = 0;
    StartCluster(options);
    for (int node = 0; node < 2; ++node) {
      const auto channel = grpc::CreateChannel(cluster_->endpoint(node), grpc::InsecureChannelCredentials());
      nodes_.push_back({v1::ReservationService::NewStub(channel), v1::FrontDoorService::NewStub(channel),
                        v1::AdminService::NewStub(channel)});
    }
    CreateSkuThatOpensLater();
    WaitUntilAnnounced(kRoomSku, kRoomStock);
  }
  void TearDown() override {
    if (cluster_ != nullptr) CheckLedger();
  }

  void CreateSkuThatOpensLater() {
    v1::CreateSkuRequest request;
    v1::Sku* const sku = request.mutable_sku();
    sku->set_sku_id(kRoomSku);
    sku->set_title(kRoomSku);
    sku->set_price_minor(49900);
    sku->set_currency("EUR");
    sku->set_stock(kRoomStock);
    sku->set_per_user_limit(1);
    sku->mutable_hold()->set_seconds(900);
    sku->mutable_open_time()->set_seconds(absl::ToUnixSeconds(absl::Now() + absl::Hours(1)));
    v1::CreateSkuResponse response;
    const grpc::Status status = Admin()->CreateSku(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  void OpenNow() {
    v1::UpdateSkuRequest request;
    request.set_sku_id(kRoomSku);
    request.set_clear_open_time(true);
    v1::UpdateSkuResponse response;
    const grpc::Status status = Admin()->UpdateSku(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  // Waits until both nodes go by it.
  void SetPolicy(const v1::FrontPolicy& policy, bool new_round = false) {
    v1::SetFrontPolicyRequest request;
    request.set_sku_id(kRoomSku);
    *request.mutable_policy() = policy;
    request.set_new_lottery_round(new_round);
    v1::SetFrontPolicyResponse response;
    const grpc::Status status = Admin()->SetFrontPolicy(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const Node& node : nodes_) AwaitVersion(node, response.policy().version());
  }

  struct Node {
    std::unique_ptr<v1::ReservationService::Stub> reservations;
    std::unique_ptr<v1::FrontDoorService::Stub> door;
    std::unique_ptr<v1::AdminService::Stub> admin;
  };

  static void AwaitVersion(const Node& node, int64_t version) {
    v1::ExplainAdmissionRequest request;
    request.set_sku_id(kRoomSku);
    request.set_user_id("nobody");
    v1::ExplainAdmissionResponse response;
    const absl::Time give_up = absl::Now() + kRoomPatience;
    while (absl::Now() < give_up) {
      const grpc::Status told = node.admin->ExplainAdmission(Context().get(), request, &response);
      ASSERT_TRUE(told.ok()) << told.error_message();
      if (response.policy_version() == version) return;
      absl::SleepFor(absl::Milliseconds(2));
    }
    FAIL() << "version " << version << " has not come";
  }

  // Those who start at node 0, then at node 1, in turn.
  std::vector<Waiter> Join(int count) {
    std::vector<Waiter> waiters;
    for (int i = 0; i < count; ++i) {
      Waiter& waiter = waiters.emplace_back();
      waiter.user = absl::StrCat("user-", ++users_);
      Ask(static_cast<size_t>(i) % nodes_.size(), &waiter);
    }
    return waiters;
  }

  // The first who joins where the node has heard that the sale is open.
  Waiter JoinLate() {
    const absl::Time give_up = absl::Now() + kRoomPatience;
    while (absl::Now() < give_up) {
      Waiter waiter{.user = absl::StrCat("late-", ++users_)};
      if (!Ask(0, &waiter).place().shuffled()) return waiter;
      absl::SleepFor(absl::Milliseconds(20));
    }
    ADD_FAILURE() << "node 0 has not heard that the sale is open";
    return {};
  }

  // One try. What each answer says must fit together.
  v1::EnterSaleResponse Ask(size_t node, Waiter* waiter) {
    v1::EnterSaleRequest request;
    request.set_sku_id(kRoomSku);
    request.set_user_id(waiter->user);
    request.set_waiting_ticket(waiter->ticket);
    v1::EnterSaleResponse response;
    const DoorAnswer answer = DoorAnswerOf(nodes_.at(node).door->EnterSale(Context().get(), request, &response));
    EXPECT_TRUE(answer.ok()) << PrintToString(answer);
    EXPECT_TRUE(response.has_place()) << response.DebugString();
    waiter->ticket = response.place().ticket();
    waiter->rank = response.place().rank();
    waiter->ask_at = absl::Now() + absl::Seconds(response.retry_after().seconds()) +
                     absl::Nanoseconds(response.retry_after().nanos());
    if (response.admitted()) {
      EXPECT_LT(response.place().rank(), response.place().threshold());
      waiter->token = response.purchase_token();
      EXPECT_NE(waiter->token, "");
    } else {
      EXPECT_EQ(response.purchase_token(), "");
    }
    return response;
  }

  static int64_t LetIn(const std::vector<Waiter>& waiters) {
    return std::count_if(waiters.begin(), waiters.end(), [](const Waiter& waiter) { return !waiter.token.empty(); });
  }

  // All ask when they were told to, at one node after the other, until so many are in.
  void AwaitLetIn(std::vector<Waiter>* waiters, int64_t enough) {
    const absl::Time give_up = absl::Now() + kRoomPatience;
    while (LetIn(*waiters) < enough) {
      ASSERT_LT(absl::Now(), give_up) << LetIn(*waiters) << " of " << enough << " were let in";
      for (Waiter& waiter : *waiters) {
        if (!waiter.token.empty() || absl::Now() < waiter.ask_at) continue;
        const uint64_t rank = waiter.rank;
        Ask(NextNode(), &waiter);
        EXPECT_EQ(waiter.rank, rank) << "a ticket keeps its place, at whichever node";
      }
      absl::SleepFor(absl::Milliseconds(2));
    }
  }

  void BuyAndPay(const Waiter& waiter) {
    v1::CreateReservationRequest create;
    create.set_reservation_id(MakeUuidV7());
    create.set_sku_id(kRoomSku);
    create.set_user_id(waiter.user);
    create.set_quantity(1);
    create.set_purchase_token(waiter.token);
    v1::CreateReservationResponse created;
    Node& node = nodes_.at(NextNode());
    const DoorAnswer bought = DoorAnswerOf(node.reservations->CreateReservation(Context().get(), create, &created));
    ASSERT_TRUE(bought.ok()) << PrintToString(bought);
    v1::ConfirmReservationRequest confirm;
    confirm.set_reservation_id(create.reservation_id());
    confirm.set_payment_reference(absl::StrCat("pay-", waiter.user));
    confirm.set_amount_minor(49900);
    confirm.set_currency("EUR");
    v1::ConfirmReservationResponse confirmed;
    const DoorAnswer paid = DoorAnswerOf(node.reservations->ConfirmReservation(Context().get(), confirm, &confirmed));
    EXPECT_TRUE(paid.ok()) << PrintToString(paid);
    EXPECT_EQ(confirmed.outcome(), v1::CONFIRM_OUTCOME_CONFIRMED);
  }

  // Of those that were not killed.
  size_t NextNode() {
    ++asked_;
    return node_is_gone_ ? 1 : asked_ % nodes_.size();
  }
  void KillNodeZero() {
    ASSERT_TRUE(cluster_->KillNode(0).ok());
    node_is_gone_ = true;
  }
  // Home's: the one that began to lead.
  void KillTheLeader() {
    for (int i = 0; i < cluster_->balancers(); ++i) {
      if (cluster_->balancer(i).LogLinesWith("balancer.leads") == 0) continue;
      ASSERT_TRUE(cluster_->balancer(i).Kill().ok());
      return;
    }
    FAIL() << "nobody leads";
  }

  std::vector<Node> nodes_;
  int users_ = 0;
  size_t asked_ = 0;
  bool node_is_gone_ = false;
};

TEST_F(RoomTest, WhoJoinedEarlyIsLetInByRankAtTheRateAndBuys) {
  constexpr int kWaiters = 120, kRate = 20;
  SetPolicy(RoomPolicy(kRate));
  std::vector<Waiter> waiters = Join(kWaiters);
  EXPECT_EQ(LetIn(waiters), 0);
  // Who comes back without a ticket, at the other node, has the same rank.
  Waiter forgetful{.user = waiters[0].user};
  const v1::EnterSaleResponse again = Ask(1, &forgetful);
  EXPECT_EQ(forgetful.rank, waiters[0].rank);
  EXPECT_TRUE(again.place().shuffled());
  EXPECT_FALSE(again.place().has_expected_wait());
  OpenNow();
  const absl::Time opened_at = absl::Now();
  std::vector<Waiter> late = {JoinLate()};
  AwaitLetIn(&waiters, kWaiters);
  const absl::Duration took = absl::Now() - opened_at;
  std::cout << kWaiters << " were let in within " << took << " at " << kRate << " a second" << std::endl;
  // Half of it, as who asks a little late is passed without being counted.
  EXPECT_GE(took, 0.5 * absl::Seconds(static_cast<double>(kWaiters) / kRate - kMostCreditS));
  AwaitLetIn(&late, 1);
  EXPECT_GT(late[0].rank, uint64_t{1} << 63) << "behind all who joined before";
  const DoorAnswer without = DoorAnswerOf([&] {
    v1::CreateReservationRequest create;
    create.set_reservation_id(MakeUuidV7());
    create.set_sku_id(kRoomSku);
    create.set_user_id("a stranger");
    create.set_quantity(1);
    v1::CreateReservationResponse created;
    return nodes_[0].reservations->CreateReservation(Context().get(), create, &created);
  }());
  EXPECT_EQ(without.reason, "PURCHASE_TOKEN_REQUIRED");
  for (size_t i = 0; i < 10; ++i) BuyAndPay(waiters[i]);
}

TEST_F(RoomTest, ALeaderThatDiesAndANodeThatDiesCostNoPlace) {
  constexpr int kWaiters = 100;
  SetPolicy(RoomPolicy(10));
  std::vector<Waiter> waiters = Join(kWaiters);
  OpenNow();
  AwaitLetIn(&waiters, 10);
  KillTheLeader();
  // The threshold stands: who was let in is let in again, with or without a leader.
  const auto in = std::find_if(waiters.begin(), waiters.end(), [](const Waiter& one) { return !one.token.empty(); });
  ASSERT_NE(in, waiters.end());
  for (size_t node = 0; node < nodes_.size(); ++node) {
    Waiter same = *in;
    const absl::Time give_up = absl::Now() + kRoomPatience;
    while (!Ask(node, &same).admitted()) {
      ASSERT_LT(absl::Now(), give_up) << "node " << node << " knows no threshold";
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  AwaitLetIn(&waiters, LetIn(waiters) + 20);
  KillNodeZero();
  AwaitLetIn(&waiters, kWaiters);
  for (size_t i = 0; i < 3; ++i) BuyAndPay(waiters[i]);
}

TEST_F(RoomTest, RateZeroHoldsAndANewRoundEndsAllPlaces) {
  SetPolicy(RoomPolicy(0));
  OpenNow();
  Waiter waiter{.user = "patient"};
  const absl::Time give_up = absl::Now() + kRoomPatience;
  std::optional<absl::Time> first_board;
  // For as long as six seconds of boards.
  for (bool done = false; !done;) {
    ASSERT_LT(absl::Now(), give_up) << "no board came";
    if (absl::Now() < waiter.ask_at) {
      absl::SleepFor(absl::Milliseconds(2));
      continue;
    }
    const v1::EnterSaleResponse told = Ask(NextNode(), &waiter);
    ASSERT_FALSE(told.admitted());
    if (!told.place().has_as_of()) continue;
    const absl::Time as_of = absl::FromUnixSeconds(told.place().as_of().seconds());
    if (!first_board.has_value()) first_board = as_of;
    done = as_of >= *first_board + absl::Seconds(6);
  }
  const Waiter before = waiter;
  SetPolicy(RoomPolicy(0), /*new_round=*/true);
  const v1::EnterSaleResponse anew = Ask(0, &waiter);
  EXPECT_EQ(anew.place().round(), 2);
  EXPECT_FALSE(anew.place().shuffled());
  EXPECT_GT(waiter.rank, before.rank) << "who comes after the opening joins at the end";
  SetPolicy(RoomPolicy(1000));
  std::vector<Waiter> waiters = {waiter};
  AwaitLetIn(&waiters, 1);
  BuyAndPay(waiters[0]);
}

}  // namespace
}  // namespace tranche::testing
