#include "server/services/stream_budget.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/errors.h"
#include "server/services/stream_item.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {
namespace {

constexpr StreamBounds kMany{.streams = 100, .answers = 1000};
// Two connections of one machine, and one of another.
constexpr char kFirst[] = "ipv4:10.0.0.1:1001";
constexpr char kSecond[] = "ipv4:10.0.0.1:1002";
constexpr char kElsewhere[] = "ipv4:10.0.0.2:1001";

std::string ReasonIn(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  return ToRpcStatus(status).details(0).UnpackTo(&info) ? info.reason() : "";
}

TEST(StreamBudgetTest, AConnectionThatHoldsItsShareLeavesTheOthersAlone) {
  const auto budget = StreamBudget::Make({kMany, kMany, {.streams = 10, .answers = 3}});
  const auto first = budget->Open(kFirst);
  const auto second = budget->Open(kFirst);
  const auto other = budget->Open(kSecond);
  EXPECT_TRUE((*first)->TryTake());
  EXPECT_TRUE((*first)->TryTake());
  EXPECT_TRUE((*second)->TryTake());
  EXPECT_FALSE((*second)->TryTake());
  EXPECT_TRUE((*first)->Exhausted());
  EXPECT_TRUE((*second)->Exhausted());
  EXPECT_FALSE((*other)->Exhausted());
  EXPECT_TRUE((*other)->TryTake());
  (*first)->GiveBack(1);
  EXPECT_TRUE((*second)->TryTake());
}

TEST(StreamBudgetTest, ACallerWithManyConnectionsLeavesTheOthersAlone) {
  const auto budget = StreamBudget::Make({kMany, {.streams = 10, .answers = 3}, {.streams = 10, .answers = 2}});
  const auto first = budget->Open(kFirst);
  const auto second = budget->Open(kSecond);
  const auto other = budget->Open(kElsewhere);
  EXPECT_TRUE((*first)->TryTake());
  EXPECT_TRUE((*first)->TryTake());
  EXPECT_TRUE((*second)->TryTake());
  for (int i = 0; i < 10; ++i) EXPECT_FALSE((*second)->TryTake()) << "a try that fails takes nothing";
  EXPECT_TRUE((*second)->Exhausted());
  EXPECT_TRUE((*other)->TryTake());
  (*first)->GiveBack(1);
  EXPECT_FALSE((*second)->Exhausted());
  EXPECT_TRUE((*second)->TryTake());
}

TEST(StreamBudgetTest, AllCallersShareWhatTheNodeHas) {
  const auto budget = StreamBudget::Make({{.streams = 10, .answers = 4}, kMany, {.streams = 10, .answers = 3}});
  const auto first = budget->Open(kFirst);
  const auto other = budget->Open(kElsewhere);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE((*first)->TryTake());
  EXPECT_TRUE((*other)->TryTake());
  for (int i = 0; i < 10; ++i) EXPECT_FALSE((*other)->TryTake()) << "a try that fails takes nothing";
  EXPECT_TRUE((*other)->Exhausted());
  (*first)->GiveBack(2);
  EXPECT_TRUE((*other)->TryTake());
  EXPECT_TRUE((*other)->TryTake());
  EXPECT_FALSE((*other)->TryTake());
}

TEST(StreamBudgetTest, AStreamThatEndsGivesEverythingBack) {
  const auto budget = StreamBudget::Make({kMany, {.streams = 1, .answers = 2}, {.streams = 1, .answers = 2}});
  for (int i = 0; i < 5; ++i) {
    const auto stream = budget->Open(kFirst);
    ASSERT_TRUE(stream.ok()) << i;
    EXPECT_TRUE((*stream)->TryTake());
    EXPECT_TRUE((*stream)->TryTake());
  }
  EXPECT_EQ(budget->answers(), 0);
}

TEST(StreamBudgetTest, StreamsAreBoundedForAConnectionACallerAndTheNode) {
  const auto budget =
      StreamBudget::Make({{.streams = 4, .answers = 10}, {.streams = 3, .answers = 10}, {.streams = 2, .answers = 10}});
  const auto refusal = [&](const char* peer) { return budget->Open(peer).status(); };
  auto first = budget->Open(kFirst);
  const auto second = budget->Open(kFirst);
  EXPECT_EQ(ReasonIn(refusal(kFirst)), "TOO_MANY_STREAMS");
  EXPECT_EQ(refusal(kFirst).code(), absl::StatusCode::kResourceExhausted);
  const auto third = budget->Open(kSecond);
  EXPECT_TRUE(third.ok());
  EXPECT_EQ(ReasonIn(refusal(kSecond)), "TOO_MANY_STREAMS") << "the caller has three";
  const auto fourth = budget->Open(kElsewhere);
  EXPECT_TRUE(fourth.ok());
  EXPECT_EQ(ReasonIn(refusal(kElsewhere)), "TOO_MANY_STREAMS") << "the node has four";
  first->reset();
  EXPECT_TRUE(budget->Open(kElsewhere).ok());
  EXPECT_TRUE(budget->Open(kSecond).ok());
}

TEST(StreamBudgetTest, SmallRequestsLeaveRoomForALargeOne) {
  constexpr StreamBounds kFew{.streams = 10, .answers = 6};
  const std::vector<StreamLimits> limits = {{kFew, kMany, kMany}, {kMany, kFew, kMany}, {kMany, kMany, kFew}};
  for (const StreamLimits& one : limits) {
    const auto budget = StreamBudget::Make(one);
    const auto small = budget->Open(kFirst);
    const auto large = budget->Open(kFirst);
    EXPECT_TRUE((*small)->TryTake(1, /*spare=*/4));
    EXPECT_TRUE((*small)->TryTake(1, /*spare=*/4));
    EXPECT_FALSE((*small)->TryTake(1, /*spare=*/4));
    EXPECT_EQ(budget->answers(), 2) << "a try that fails takes nothing";
    EXPECT_TRUE((*large)->TryTake(4)) << "whenever it comes";
    (*small)->GiveBack(1);
    EXPECT_FALSE((*small)->TryTake(1, /*spare=*/4));
  }
}

TEST(StreamBudgetTest, RoomForSeveralIsTakenAsAWholeOrNotAtAll) {
  const auto budget = StreamBudget::Make({{.streams = 10, .answers = 10}, kMany, {.streams = 10, .answers = 8}});
  const auto first = budget->Open(kFirst);
  const auto other = budget->Open(kElsewhere);
  EXPECT_TRUE((*first)->TryTake(8));
  EXPECT_TRUE((*first)->TryTake(0));
  EXPECT_FALSE((*other)->TryTake(3));
  EXPECT_EQ(budget->answers(), 8) << "a try that fails takes nothing";
  EXPECT_TRUE((*other)->TryTake(2));
  (*first)->GiveBack(8);
  EXPECT_TRUE((*other)->TryTake(6));
  EXPECT_FALSE((*first)->Exhausted(2));
  EXPECT_TRUE((*first)->Exhausted(3)) << "the node has ten";
  EXPECT_FALSE((*other)->TryTake(1)) << "the connection has eight";
}

// As long as each of its fields may be: see docs/clients.md.
v1::Reservation LongestReservation() {
  v1::Reservation reservation;
  for (std::string* id : {reservation.mutable_reservation_id(), reservation.mutable_rebooked_from()})
    id->assign(36, '0');
  reservation.set_sku_id(std::string(64, 's'));
  reservation.set_user_id(std::string(128, 'u'));
  reservation.set_currency("EUR");
  reservation.set_quantity(1 << 30);
  reservation.set_amount_minor(int64_t{1} << 60);
  reservation.set_state(v1::RESERVATION_STATE_CANCELLED);
  reservation.set_extensions(1 << 30);
  reservation.set_revision(1 << 30);
  reservation.set_payment_reference(std::string(128, 'p'));
  reservation.set_order_reference(std::string(128, 'o'));
  reservation.set_cancel_reason(std::string(256, 'c'));
  reservation.mutable_create_time()->set_seconds(1);
  reservation.mutable_expire_time()->set_seconds(1);
  reservation.mutable_finish_time()->set_seconds(1);
  reservation.mutable_remaining_hold()->set_seconds(1);
  return reservation;
}

TEST(StreamBudgetTest, NoAnswerTakesMoreThanItIsCountedFor) {
  v1::StreamReservationsResponse created;
  *created.mutable_created()->mutable_reservation() = LongestReservation();
  // It waits as bytes, in a string that may have room for as many again.
  EXPECT_LE(2 * created.ByteSizeLong(), static_cast<size_t>(kAnswerBytes));
  EXPECT_GT(2 * created.ByteSizeLong(), static_cast<size_t>(kAnswerBytes) / 2) << "a measure of nothing";

  v1::StreamReservationsResponse refused;
  *refused.mutable_error() = ToRpcStatus(RefusalError({.refusal = storage::Refusal::kExhaustedHere}));
  EXPECT_LE(2 * refused.ByteSizeLong(), static_cast<size_t>(kAnswerBytes));
}

TEST(StreamBudgetTest, CartsAndPaymentsAreCountedForWhatTheirAnswersMayTell) {
  const auto bytes_counted = [](const v1::StreamReservationsItem& item) {
    return static_cast<size_t>(RoomOf(item) * kAnswerBytes);
  };
  v1::StreamReservationsItem cart;
  v1::StreamReservationsResult made;
  for (int i = 0; i < storage::kMaxCartLines; ++i) {
    cart.mutable_create_cart()->add_lines();
    *made.mutable_cart_created()->add_reservations() = LongestReservation();
    EXPECT_LE(2 * made.ByteSizeLong(), bytes_counted(cart));
  }
  EXPECT_EQ(RoomOf(cart), storage::kMaxCartLines);
  cart.mutable_create_cart()->add_lines();
  EXPECT_EQ(RoomOf(cart), storage::kMaxCartLines) << "such a cart is refused";
  cart.mutable_create_cart()->clear_lines();
  EXPECT_EQ(RoomOf(cart), 1);

  v1::StreamReservationsItem payment;
  payment.mutable_confirm();
  v1::StreamReservationsResult paid;
  *paid.mutable_confirmed()->mutable_reservation() = LongestReservation();
  *paid.mutable_confirmed()->mutable_rebooked() = LongestReservation();
  EXPECT_LE(2 * paid.ByteSizeLong(), bytes_counted(payment));
  EXPECT_EQ(RoomOf(v1::StreamReservationsItem()), 1);
}

}  // namespace
}  // namespace tranche::server
