#include "server/services/stream_budget.h"

#include <gtest/gtest.h>

#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/errors.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {
namespace {

constexpr StreamBounds kMany{.streams = 100, .answers = 1000};

std::string ReasonIn(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  return ToRpcStatus(status).details(0).UnpackTo(&info) ? info.reason() : "";
}

TEST(StreamBudgetTest, AConnectionThatHoldsItsShareLeavesTheOthersAlone) {
  const auto budget = StreamBudget::Make(kMany, {.streams = 10, .answers = 3});
  const auto first = budget->Open("a");
  const auto second = budget->Open("a");
  const auto other = budget->Open("b");
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

TEST(StreamBudgetTest, AllConnectionsShareWhatTheNodeHas) {
  const auto budget = StreamBudget::Make({.streams = 10, .answers = 4}, {.streams = 10, .answers = 3});
  const auto first = budget->Open("a");
  const auto other = budget->Open("b");
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
  const auto budget = StreamBudget::Make(kMany, {.streams = 1, .answers = 2});
  for (int i = 0; i < 5; ++i) {
    const auto stream = budget->Open("a");
    ASSERT_TRUE(stream.ok()) << i;
    EXPECT_TRUE((*stream)->TryTake());
    EXPECT_TRUE((*stream)->TryTake());
  }
  EXPECT_EQ(budget->answers(), 0);
}

TEST(StreamBudgetTest, StreamsAreBoundedForAConnectionAndForTheNode) {
  const auto budget = StreamBudget::Make({.streams = 3, .answers = 10}, {.streams = 2, .answers = 10});
  auto first = budget->Open("a");
  const auto second = budget->Open("a");
  EXPECT_EQ(ReasonIn(budget->Open("a").status()), "TOO_MANY_STREAMS");
  const auto other = budget->Open("b");
  EXPECT_TRUE(other.ok());
  EXPECT_EQ(ReasonIn(budget->Open("c").status()), "TOO_MANY_STREAMS");
  EXPECT_EQ(budget->Open("c").status().code(), absl::StatusCode::kResourceExhausted);
  first->reset();
  EXPECT_TRUE(budget->Open("c").ok());
}

TEST(StreamBudgetTest, NoAnswerTakesMoreThanItIsCountedFor) {
  v1::StreamReservationsResponse created;
  v1::Reservation& reservation = *created.mutable_created()->mutable_reservation();
  // As long as each may be: see docs/clients.md.
  for (std::string* id : {reservation.mutable_reservation_id(), reservation.mutable_rebooked_from()})
    id->assign(36, '0');
  reservation.set_sku_id(std::string(64, 's'));
  reservation.set_user_id(std::string(128, 'u'));
  reservation.set_currency("EUR");
  reservation.set_payment_reference(std::string(128, 'p'));
  reservation.set_order_reference(std::string(128, 'o'));
  reservation.set_cancel_reason(std::string(256, 'c'));
  reservation.mutable_create_time()->set_seconds(1);
  reservation.mutable_expire_time()->set_seconds(1);
  reservation.mutable_finish_time()->set_seconds(1);
  reservation.mutable_remaining_hold()->set_seconds(1);
  EXPECT_LE(created.SpaceUsedLong(), static_cast<size_t>(kAnswerBytes));
  EXPECT_GT(created.SpaceUsedLong(), static_cast<size_t>(kAnswerBytes) / 4) << "a measure of nothing";

  v1::StreamReservationsResponse refused;
  *refused.mutable_error() = ToRpcStatus(RefusalError({.refusal = storage::Refusal::kExhaustedHere}));
  EXPECT_LE(refused.SpaceUsedLong(), static_cast<size_t>(kAnswerBytes));
}

}  // namespace
}  // namespace tranche::server
