// Large answers to unary calls that their callers do not read: on a real server and channel, around a service with one
// method.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/rpc/answer_budget.h"
#include "server/rpc/call_service.h"
#include "tests/support/inline_executor.h"
#include "tests/support/raw_call.h"
#include "tests/support/unread_call.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/outbox_sink.pb.h"

namespace tranche::server {
namespace {

using tranche::testing::UnreadCall;
using tranche::testing::UnreadChannel;
using v1::DeliverRequest;
using v1::DeliverResponse;

constexpr char kDeliver[] = "/tranche.v1.OutboxSinkService/Deliver";
constexpr auto kPatience = absl::Seconds(20);
// Far above the 64 KiB that gRPC's client takes unread.
constexpr size_t kTextBytes = size_t{1} << 20;
constexpr int64_t kMib = int64_t{1} << 20;
constexpr int64_t kPlenty = 100 * kMib;

class LargeAnswerTest : public ::testing::Test {
 protected:
  // Operators' calls change something.
  void Serve(Permission permission, int64_t connection_bytes) {
    answers_ = std::make_unique<AnswerBudget>(
        AnswerLimits{.node_bytes = kPlenty, .address_bytes = kPlenty, .connection_bytes = connection_bytes}, &clock_);
    const CallEntry entry = BlockingCall<DeliverRequest, DeliverResponse>(
        CallPolicy("Deliver", permission, RunsOn::kAdmin, Repeatable::kYes),
        [this](const CallContext&, const DeliverRequest&) -> absl::StatusOr<DeliverResponse> {
          ++begun_;
          DeliverResponse response;
          response.add_results()->set_error(std::string(text_bytes_, 'x'));
          return response;
        });
    const CallFrame frame{.clock = &clock_, .answers = answers_.get(), .admin_executor = &executor_};
    const auto* service = DeliverRequest::descriptor()->file()->FindServiceByName("OutboxSinkService");
    service_ = std::make_unique<CallService>(*service, frame, std::vector<CallEntry>{entry});
    server_ = std::make_unique<LocalServer>(service_.get());
    greedy_ = UnreadChannel(server_->address());
  }

  // A call on the connection that does not read, once its answer is on its way or refused.
  std::unique_ptr<UnreadCall> Ask() {
    auto call = std::make_unique<UnreadCall>(greedy_, kDeliver, "");
    EXPECT_TRUE(call->AwaitAnswer(kPatience));
    return call;
  }
  // How such a call ends if it is read.
  std::string EndOf(UnreadCall& call) {
    call.Read();
    return call.AwaitEnd(kPatience);
  }
  bool AwaitNothingHeld() {
    const absl::Time give_up = absl::Now() + kPatience;
    while (answers_->bytes() != 0 && absl::Now() < give_up) std::this_thread::yield();
    return answers_->bytes() == 0;
  }

  storage::FakeClock clock_;
  tranche::testing::InlineExecutor executor_;
  std::atomic<size_t> text_bytes_{kTextBytes};
  std::atomic<int> begun_{0};
  std::unique_ptr<AnswerBudget> answers_;
  std::unique_ptr<CallService> service_;
  std::unique_ptr<LocalServer> server_;
  std::shared_ptr<grpc::Channel> greedy_;
};

TEST_F(LargeAnswerTest, WhoReadsNothingIsRefusedMoreAndNobodyElseIs) {
  Serve(Permission::kObserve, 3 * kMib + kMib / 2);
  std::vector<std::unique_ptr<UnreadCall>> unread;
  for (int i = 0; i < 3; ++i) unread.push_back(Ask());
  EXPECT_GE(answers_->bytes(), 3 * kMib);
  EXPECT_EQ(EndOf(*Ask()), "14 OVERLOADED");

  std::string other;
  EXPECT_TRUE(tranche::testing::RawCall(server_->channel(), kDeliver, "", &other).ok());
  EXPECT_GE(other.size(), kTextBytes);
  text_bytes_ = 1000;
  EXPECT_EQ(EndOf(*Ask()), "OK") << "a small answer";
  text_bytes_ = kTextBytes;

  for (const auto& call : unread) {
    EXPECT_EQ(EndOf(*call), "OK") << "nothing was in its way";
    EXPECT_GE(call->bytes(), kTextBytes);
  }
  EXPECT_TRUE(AwaitNothingHeld());
  EXPECT_EQ(EndOf(*Ask()), "OK");
}

TEST_F(LargeAnswerTest, SmallAnswersAreNotCounted) {
  Serve(Permission::kObserve, kMib);
  text_bytes_ = kSmallAnswerBytes - 10;
  const auto call = Ask();
  EXPECT_EQ(answers_->bytes(), 0);
  text_bytes_ = kTextBytes;
  const auto large = Ask();
  EXPECT_EQ(answers_->bytes(), kMib) << "no more than there is";
}

TEST_F(LargeAnswerTest, WhatWaitsTooLongIsCancelledWhenItIsInTheWay) {
  Serve(Permission::kObserve, 2 * kMib + kMib / 2);
  const auto first = Ask();
  const auto second = Ask();
  clock_.AdvanceBy(absl::Seconds(9));
  EXPECT_EQ(EndOf(*Ask()), "14 OVERLOADED");
  EXPECT_GE(answers_->bytes(), 2 * kMib);
  clock_.AdvanceBy(absl::Seconds(2));
  EXPECT_EQ(EndOf(*Ask()), "14 OVERLOADED");
  EXPECT_TRUE(AwaitNothingHeld()) << "although nobody has read";
  EXPECT_EQ(EndOf(*Ask()), "OK");
  EXPECT_EQ(EndOf(*first), "1 ");
  EXPECT_EQ(EndOf(*second), "1 ");
}

TEST_F(LargeAnswerTest, TheAnswerOfAChangeIsAlwaysSent) {
  Serve(Permission::kOperate, kMib + kMib / 2);
  const auto first = Ask();
  const auto second = Ask();
  EXPECT_EQ(begun_, 2);
  EXPECT_GE(answers_->bytes(), 2 * kMib);
  EXPECT_EQ(EndOf(*Ask()), "14 OVERLOADED");
  EXPECT_EQ(begun_, 2) << "it was refused after it was done";
  EXPECT_EQ(EndOf(*first), "OK");
  EXPECT_EQ(EndOf(*second), "OK");
}

TEST_F(LargeAnswerTest, ACallerWhoGoesAwayGivesEverythingBack) {
  Serve(Permission::kObserve, kPlenty);
  auto cancelled = Ask();
  auto cut_off = Ask();
  EXPECT_GE(answers_->bytes(), 2 * kMib);
  cancelled->Cancel();
  cancelled.reset();
  cut_off.reset();
  EXPECT_TRUE(AwaitNothingHeld());
}

}  // namespace
}  // namespace tranche::server
