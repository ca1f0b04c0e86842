// What the call frame does with CallerCalls: on a real server and channel. A call has a place from its beginning until
// its answer, however that comes about.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/access/access_control.h"
#include "server/errors.h"
#include "server/rpc/call_service.h"
#include "server/rpc/caller_calls.h"
#include "tests/support/inline_executor.h"
#include "tests/support/raw_call.h"
#include "tests/support/scratch_dir.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/outbox_sink.grpc.pb.h"

namespace tranche::server {
namespace {

using v1::DeliverRequest;
using v1::DeliverResponse;

class CallerLimitTest : public ::testing::Test {
 protected:
  static constexpr absl::Duration kLongEnough = absl::Seconds(20);

  // A server with one method.
  struct Served {
    Served(const CallFrame& frame, const CallEntry& entry)
        : service(*DeliverRequest::descriptor()->file()->FindServiceByName("OutboxSinkService"), frame, {entry}),
          server(&service),
          stub(v1::OutboxSinkService::NewStub(server.channel())) {}

    CallService service;
    LocalServer server;
    std::unique_ptr<v1::OutboxSinkService::Stub> stub;
  };

  ~CallerLimitTest() override { AnswerAll(); }

  CallFrame Frame() {
    return {.clock = storage::Clock::Real(),
            .deadlines = CallDeadlines{},
            .caller_calls = calls_.get(),
            .access = access_,
            .admin_executor = &executor_};
  }
  // A method whose calls wait until AnswerAll.
  std::unique_ptr<Served> ServeHeld(Permission permission = Permission::kClaim) {
    return std::make_unique<Served>(
        Frame(), InlineCall<DeliverRequest, DeliverResponse>(
                     CallPolicy("Deliver", permission, RunsOn::kInline, Repeatable::kYes),
                     [this](const CallContext&, const DeliverRequest&, const Reply<DeliverResponse>& reply) {
                       absl::MutexLock lock(&mutex_);
                       held_.push_back(reply);
                     }));
  }
  // One that blocks.
  std::unique_ptr<Served> ServeBlocking(absl::StatusOr<DeliverResponse> answer) {
    return std::make_unique<Served>(Frame(),
                                    BlockingCall<DeliverRequest, DeliverResponse>(
                                        CallPolicy("Deliver", Permission::kClaim, RunsOn::kAdmin, Repeatable::kYes),
                                        [this, answer = std::move(answer)](const CallContext&, const DeliverRequest&) {
                                          callers_meanwhile_ = calls_->callers();
                                          return answer;
                                        }));
  }

  static std::string TokenOf(const std::string& name) {
    return absl::StrCat("trt_", name, std::string(43 - name.size(), '.'));
  }
  static std::unique_ptr<grpc::ClientContext> Context(const std::string& name = "") {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + kLongEnough));
    if (!name.empty()) context->AddMetadata("authorization", absl::StrCat("Bearer ", TokenOf(name)));
    return context;
  }
  static grpc::Status Call(Served& served, grpc::ClientContext* context) {
    DeliverResponse response;
    return served.stub->Deliver(context, DeliverRequest(), &response);
  }
  // The answer's reason; "OK" if it has none.
  static std::string Reason(Served& served, const std::string& name = "") {
    const grpc::Status status = Call(served, Context(name).get());
    return status.ok() ? "OK" : ReasonOnWire(status);
  }
  // Begins a call; returns when it is held.
  void Hold(Served& served, const std::string& name = "") {
    const size_t held = Held() + 1;
    threads_.emplace_back([&served, name] { EXPECT_EQ(Reason(served, name), "OK"); });
    AwaitHeld(held);
  }
  size_t Held() {
    absl::MutexLock lock(&mutex_);
    return held_.size();
  }
  void AwaitHeld(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return held_.size() == count; };
    ASSERT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), kLongEnough)) << "a call was not begun";
  }
  void AnswerAll() {
    std::vector<Reply<DeliverResponse>> held;
    {
      absl::MutexLock lock(&mutex_);
      held.swap(held_);
    }
    for (const Reply<DeliverResponse>& reply : held) reply(DeliverResponse());
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::unique_ptr<CallerCalls> calls_ = std::make_unique<CallerCalls>(2);
  AccessControl* access_ = nullptr;
  tranche::testing::InlineExecutor executor_;
  size_t callers_meanwhile_ = 0;
  absl::Mutex mutex_;
  std::vector<Reply<DeliverResponse>> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

TEST_F(CallerLimitTest, WhoHasAsManyCallsOpenAsTheyMayIsRefusedUntilOneIsAnswered) {
  const auto served = ServeHeld();
  Hold(*served);
  Hold(*served);
  const auto context = Context();
  const grpc::Status refused = Call(*served, context.get());
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOnWire(refused), "OVERLOADED");
  EXPECT_TRUE(RetryDelayOnWire(refused).has_value());
  EXPECT_EQ(context->GetServerTrailingMetadata().count("grpc-retry-pushback-ms"), 1u);
  EXPECT_EQ(Held(), 2u) << "the handler was asked";
  EXPECT_EQ(calls_->refused(), 1);
  AnswerAll();
  EXPECT_EQ(calls_->callers(), 0u);
  Hold(*served);
  AnswerAll();
}

TEST_F(CallerLimitTest, AConnectionIsNoCallerOfItsOwn) {
  const auto served = ServeHeld();
  const auto beside = ServeHeld();
  Hold(*served);
  Hold(*beside);
  EXPECT_EQ(Reason(*served), "OVERLOADED");
  EXPECT_EQ(Reason(*beside), "OVERLOADED");
  AnswerAll();
}

TEST_F(CallerLimitTest, PaymentsAndCancellationsAreRefusedLast) {
  for (const Permission permission : {Permission::kPay, Permission::kGiveBack}) {
    const auto claims = ServeHeld();
    const auto settling = ServeHeld(permission);
    Hold(*claims);
    Hold(*claims);
    Hold(*settling);
    EXPECT_EQ(Reason(*claims), "OVERLOADED");
    EXPECT_EQ(Reason(*settling), "OVERLOADED");
    AnswerAll();
  }
}

TEST_F(CallerLimitTest, WithoutALimitAllAreServed) {
  calls_.reset();
  const auto served = ServeHeld();
  for (int i = 0; i < 5; ++i) Hold(*served);
  AnswerAll();
}

TEST_F(CallerLimitTest, ACallThatItsCallerCancelsKeepsItsPlaceUntilItIsAnswered) {
  const auto served = ServeHeld();
  const auto context = Context();
  std::thread caller([&] { EXPECT_EQ(Call(*served, context.get()).error_code(), grpc::StatusCode::CANCELLED); });
  AwaitHeld(1);
  context->TryCancel();
  caller.join();
  EXPECT_EQ(calls_->callers(), 1u) << "the node still works for it";
  AnswerAll();
  EXPECT_EQ(calls_->callers(), 0u);
}

TEST_F(CallerLimitTest, ACallThatBlocksHasAPlaceUntilItsAnswerOrItsError) {
  EXPECT_EQ(Reason(*ServeBlocking(DeliverResponse())), "OK");
  EXPECT_EQ(callers_meanwhile_, 1u);
  EXPECT_EQ(calls_->callers(), 0u);

  callers_meanwhile_ = 0;
  EXPECT_EQ(Reason(*ServeBlocking(InvalidField("sink", "is wrong"))), "FIELD_INVALID");
  EXPECT_EQ(callers_meanwhile_, 1u);
  EXPECT_EQ(calls_->callers(), 0u);

  executor_.full = true;
  EXPECT_EQ(Reason(*ServeBlocking(DeliverResponse())), "OVERLOADED");
  EXPECT_EQ(calls_->callers(), 0u);
  EXPECT_EQ(calls_->refused(), 0) << "it was the executor";
}

TEST_F(CallerLimitTest, WhatIsRefusedBeforeItBeginsHasNoPlace) {
  const auto served = ServeHeld();
  grpc::ClientContext without_deadline;
  EXPECT_EQ(ReasonOnWire(Call(*served, &without_deadline)), "DEADLINE_REQUIRED");
  EXPECT_EQ(calls_->callers(), 0u);
  EXPECT_FALSE(tranche::testing::RawCall(served->server.channel(), "/tranche.v1.OutboxSinkService/Deliver",
                                         "\x0a\x50\x41")  // of a field's 80 bytes one
                   .ok());
  EXPECT_EQ(calls_->callers(), 0u);
  EXPECT_EQ(Held(), 0u);
}

TEST_F(CallerLimitTest, WithAnAccessFileACallerIsAPrincipalAndStrangersAreTheirAddress) {
  const tranche::testing::ScratchDir scratch("caller-limit");
  const std::filesystem::path path = scratch.path() / "access.json";
  std::string principals;
  for (const std::string name : {"web", "app"}) {
    absl::StrAppend(&principals, principals.empty() ? "" : ",", R"({"name": ")", name,
                    R"(", "roles": ["storefront"], "tokens_sha256": [")", HexOf(DigestOfToken(TokenOf(name))),
                    R"("]})");
  }
  std::ofstream(path) << R"({"anonymous": ["storefront"], "principals": [)" << principals << "]}";
  std::filesystem::permissions(path, std::filesystem::perms(0644));  // whatever the umask
  AccessFile file(path);
  ASSERT_TRUE(file.Open().ok());
  Denials denials(nullptr, storage::Clock::Real());
  AccessControl control(&file, &denials);
  access_ = &control;

  const auto served = ServeHeld();
  for (const std::string name : {"web", "app", ""}) {
    Hold(*served, name);
    Hold(*served, name);
    EXPECT_EQ(Reason(*served, name), "OVERLOADED") << name;
  }
  // Which counts them by their address.
  access_ = nullptr;
  const auto open_to_all = ServeHeld();
  EXPECT_EQ(Reason(*open_to_all), "OVERLOADED") << "strangers are counted by another name than their address";
  EXPECT_EQ(Reason(*served, "nobody"), "CALLER_UNKNOWN") << "who may not call hears nothing else";
  EXPECT_EQ(calls_->callers(), 3u);
  AnswerAll();
  EXPECT_EQ(calls_->callers(), 0u);
}

}  // namespace
}  // namespace tranche::server
