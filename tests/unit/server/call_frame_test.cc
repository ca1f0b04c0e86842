// What the call frame does for every call: on a real server and channel, around a service with one method.
#include "server/rpc/call_frame.h"

#include <gmock/gmock.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/errors.h"
#include "server/rpc/access_log.h"
#include "server/rpc/call_service.h"
#include "storage/base/log_trace.h"
#include "tests/support/http_get.h"
#include "tests/support/logged_lines.h"
#include "tests/support/raw_call.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/outbox_sink.grpc.pb.h"

namespace tranche::server {
namespace {

using v1::DeliverRequest;
using v1::DeliverResponse;

constexpr auto kLongEnough = absl::Seconds(20);
constexpr char kTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

// Keeps the task until the test runs it.
class HoldingExecutor : public storage::Executor {
 public:
  bool TryRun(absl::AnyInvocable<void()>& task) override {
    if (full) return false;
    absl::MutexLock lock(&mutex_);
    task_ = std::move(task);
    return true;
  }
  void AwaitTask() {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return task_ != nullptr; };
    ASSERT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), kLongEnough));
  }
  void RunTask() {
    AwaitTask();
    absl::AnyInvocable<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      task = std::exchange(task_, nullptr);
    }
    task();
  }

  bool full = false;

 private:
  absl::Mutex mutex_;
  absl::AnyInvocable<void()> task_ ABSL_GUARDED_BY(mutex_);
};

class CallFrameTest : public ::testing::Test {
 protected:
  // What a handler saw of its call.
  struct Seen {
    std::string actor;
    std::string reason;
    std::string peer;
    std::string trace_id;
    absl::Time deadline;
  };

  static constexpr CallPolicy Inline(std::optional<CallKind> counted_as = std::nullopt) {
    return CallPolicy("Deliver", Permission::kPay, RunsOn::kInline, Repeatable::kYes, counted_as);
  }
  static constexpr CallPolicy On(RunsOn executor) {
    return CallPolicy("Deliver", Permission::kPay, executor, Repeatable::kYes);
  }

  CallFrame Frame() {
    return {.clock = &clock_,
            .deadlines = deadlines_,
            .open_calls = &open_calls_,
            .metrics = metrics_.get(),
            .access_log = access_log_,
            .admin_executor = &admin_executor_,
            .move_executor = &move_executor_,
            .status_executor = &status_executor_,
            .long_read_executor = &long_read_executor_};
  }

  void Serve(const CallEntry& entry) {
    server_.reset();
    if (count_calls_) metrics_ = std::make_unique<CallMetrics>(&clock_);
    const auto* service = DeliverRequest::descriptor()->file()->FindServiceByName("OutboxSinkService");
    service_ = std::make_unique<CallService>(*service, Frame(), std::vector<CallEntry>{entry});
    server_ = std::make_unique<LocalServer>(service_.get());
    stub_ = v1::OutboxSinkService::NewStub(server_->channel());
  }
  // A method that records what it sees and succeeds.
  void ServeNote() {
    Serve(InlineCall<DeliverRequest, DeliverResponse>(
        Inline(), [this](const CallContext& call, const DeliverRequest&, const Reply<DeliverResponse>& reply) {
          seen_ = {call.actor().name, call.actor().reason, call.peer(), call.trace_id(), call.deadline()};
          reply(DeliverResponse());
        }));
  }
  void ServeBlocking(RunsOn executor, absl::StatusOr<DeliverResponse> answer) {
    Serve(BlockingCall<DeliverRequest, DeliverResponse>(On(executor),
                                                        [this, answer](const CallContext& call, const DeliverRequest&) {
                                                          seen_.emplace().deadline = call.deadline();
                                                          return answer;
                                                        }));
  }

  static std::unique_ptr<grpc::ClientContext> Context(absl::Duration timeout = kLongEnough) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    return context;
  }
  grpc::Status Call(grpc::ClientContext* context) {
    seen_ = std::nullopt;
    DeliverResponse response;
    return stub_->Deliver(context, DeliverRequest(), &response);
  }
  std::string ActorWhen(const std::string& declared, const std::string& key = "tranche-actor") {
    const auto context = Context();
    context->AddMetadata(key, declared);
    EXPECT_TRUE(Call(context.get()).ok());
    return seen_->actor;
  }
  // A sample of grpc_server_<name>.
  double Counted(const std::string& name, const std::string& more_labels = "") {
    MetricSet metrics;
    metrics_->Collect(&metrics);
    const auto samples = tranche::testing::SamplesOf(prometheus::TextSerializer().Serialize(metrics.Take()));
    const auto found = samples.find(
        absl::StrCat("grpc_server_", name,
                     "{grpc_type=\"unary\",grpc_service=\"tranche.v1.OutboxSinkService\",grpc_method=\"Deliver\"",
                     more_labels, "}"));
    return found == samples.end() ? -1 : found->second;
  }
  double Handled(const std::string& code) {
    return Counted("handled_total", absl::StrCat(",grpc_code=\"", code, "\""));
  }
  std::string TraceIdWhen(const std::string& header) {
    const auto context = Context();
    context->AddMetadata("traceparent", header);
    EXPECT_TRUE(Call(context.get()).ok());
    return seen_->trace_id;
  }

  storage::FakeClock clock_;
  std::optional<CallDeadlines> deadlines_ = CallDeadlines{};
  OpenCalls open_calls_{&clock_, absl::Seconds(30)};
  HoldingExecutor admin_executor_;
  HoldingExecutor move_executor_;
  HoldingExecutor status_executor_;
  HoldingExecutor long_read_executor_;
  AccessLog* access_log_ = nullptr;
  std::optional<Seen> seen_;
  bool count_calls_ = false;
  std::unique_ptr<CallMetrics> metrics_;
  std::unique_ptr<CallService> service_;
  std::unique_ptr<LocalServer> server_;
  std::unique_ptr<v1::OutboxSinkService::Stub> stub_;
};

TEST_F(CallFrameTest, TheActorIsWhoCallersSayTheyAreElseWhereTheyAre) {
  ServeNote();
  EXPECT_EQ(ActorWhen("alice@laptop"), "alice@laptop");
  EXPECT_THAT(seen_->peer, ::testing::StartsWith("ipv4:127.0.0.1:"));
  EXPECT_EQ(ActorWhen(std::string(128, 'a')), std::string(128, 'a'));
  EXPECT_EQ(ActorWhen("J\xc3\xb6rg", "tranche-actor-bin"), "J\xc3\xb6rg");
  EXPECT_EQ(ActorWhen("J\xb6rg", "tranche-actor-bin"), "ipv4:127.0.0.1");
  for (const std::string& declared : {std::string(), std::string(129, 'a')}) {
    EXPECT_EQ(ActorWhen(declared), "ipv4:127.0.0.1") << declared;
  }
  // U+200B, U+202E: it would look like alice.
  for (const char* name : {"alice\xe2\x80\x8b",
                           "\xe2\x80\xae"
                           "ecila",
                           "\xc2\xa0"}) {
    EXPECT_EQ(ActorWhen(name, "tranche-actor-bin"), "ipv4:127.0.0.1") << name;
  }
  EXPECT_TRUE(Call(Context().get()).ok());
  EXPECT_EQ(seen_->actor, "ipv4:127.0.0.1") << "the same one, whatever the connection";
}

TEST_F(CallFrameTest, TheReasonIsWhatCallersSay) {
  ServeNote();
  const auto reason_when = [this](const std::string& key, const std::string& declared) {
    const auto context = Context();
    context->AddMetadata(key, declared);
    EXPECT_TRUE(Call(context.get()).ok());
    return seen_->reason;
  };
  EXPECT_EQ(reason_when("tranche-reason", "the price was wrong"), "the price was wrong");
  EXPECT_EQ(reason_when("tranche-reason", std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(reason_when("tranche-reason", std::string(201, 'x')), "");
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\xc3\xb6";
  EXPECT_EQ(reason_when("tranche-reason-bin", umlauts), umlauts) << "characters are counted, not bytes";
  EXPECT_EQ(reason_when("tranche-reason-bin", umlauts + "x"), "");
  EXPECT_EQ(reason_when("tranche-reason-bin", "two\nlines"), "");
  EXPECT_EQ(reason_when("tranche-reason-bin", "right \xe2\x80\xae left"), "") << "shown as something else";
  EXPECT_EQ(reason_when("tranche-reason-bin", "\xe2\x98\x8e\xef\xb8\x8f call"), "\xe2\x98\x8e\xef\xb8\x8f call")
      << "variation selectors are part of signs";
  EXPECT_EQ(reason_when("tranche-actor", "alice"), "");
}

TEST_F(CallFrameTest, TheTraceIsTheCallersIfItIsWellFormed) {
  ServeNote();
  EXPECT_EQ(TraceIdWhen(kTrace), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(TraceIdWhen(std::string(kTrace) + "-" + std::string(1000, '0')), "");
  EXPECT_TRUE(Call(Context().get()).ok());
  EXPECT_EQ(seen_->trace_id, "");
}

TEST_F(CallFrameTest, WhileAHandlerRunsItsLinesCarryTheTraceAndTheRequestId) {
  TraceTag seen;
  Serve(InlineCall<DeliverRequest, DeliverResponse>(
      Inline(), [&](const CallContext&, const DeliverRequest&, const Reply<DeliverResponse>& reply) {
        seen = CurrentTrace();
        reply(DeliverResponse());
      }));
  auto context = Context();
  context->AddMetadata("traceparent", kTrace);
  context->AddMetadata("x-request-id", "order-17");
  EXPECT_TRUE(Call(context.get()).ok());
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->trace_id, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(seen->request_id, "order-17");
  EXPECT_EQ(seen->traceparent, kTrace) << "whole: messages about what the call changes have it";
  EXPECT_TRUE(Call(Context().get()).ok());
  EXPECT_EQ(seen, nullptr) << "neither header was sent";
  context = Context();
  context->AddMetadata("traceparent", std::string(kTrace) + "-more");
  context->AddMetadata("x-request-id", "order-17");
  EXPECT_TRUE(Call(context.get()).ok());
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->traceparent, "") << "malformed";
  EXPECT_EQ(seen->request_id, "order-17");
  for (const std::string& bad : {std::string(129, 'a'), std::string("with space"), std::string()}) {
    context = Context();
    context->AddMetadata("x-request-id", bad);
    EXPECT_TRUE(Call(context.get()).ok());
    EXPECT_EQ(seen, nullptr) << bad;
  }
}

TEST_F(CallFrameTest, TheAccessLogHasALineForEachCallAndWhyItFailed) {
  AccessLog access_log(AccessLogMode::kAll, 1, &clock_);
  access_log_ = &access_log;
  ServeNote();
  const tranche::testing::LoggedLines log;
  EXPECT_TRUE(Call(Context().get()).ok());
  server_.reset();
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0],
              ::testing::StartsWith("event call method=OutboxSinkService.Deliver code=OK ms=0 peer=ipv4:127.0.0.1:"));
  Serve(InlineCall<DeliverRequest, DeliverResponse>(
      Inline(), [](const CallContext&, const DeliverRequest&, const Reply<DeliverResponse>& reply) {
        reply.Finish(RefusalError({.refusal = storage::Refusal::kDraining}));
      }));
  EXPECT_FALSE(Call(Context().get()).ok());
  server_.reset();
  ASSERT_EQ(log.lines().size(), 2u);
  EXPECT_THAT(log.lines()[1], ::testing::HasSubstr(" code=UNAVAILABLE "));
  EXPECT_THAT(log.lines()[1], ::testing::HasSubstr(" reason=DRAINING"));
}

TEST_F(CallFrameTest, ARequestThatCannotBeReadIsRefused) {
  ServeNote();
  const auto send = [&](const std::string& bytes) {
    return tranche::testing::RawCall(server_->channel(), "/tranche.v1.OutboxSinkService/Deliver", bytes);
  };
  const grpc::Status refused = send("\x0a\x50\x41");  // of a field's 80 bytes one
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOnWire(refused), "FIELD_INVALID");
  EXPECT_THAT(refused.error_message(), ::testing::HasSubstr("tranche.v1.DeliverRequest"));
  EXPECT_FALSE(seen_.has_value()) << "the handler was asked";
  EXPECT_TRUE(send("").ok()) << "an empty message is one";
}

TEST_F(CallFrameTest, ADeadlineIsRequiredUnlessThereIsADefault) {
  ServeNote();
  grpc::ClientContext without;
  const grpc::Status refused = Call(&without);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOnWire(refused), "DEADLINE_REQUIRED");
  EXPECT_FALSE(seen_.has_value()) << "the handler was asked";

  deadlines_->default_deadline = absl::Seconds(3);
  ServeNote();
  grpc::ClientContext again;
  EXPECT_TRUE(Call(&again).ok());
  EXPECT_EQ(seen_->deadline, clock_.Now() + absl::Seconds(3));
}

TEST_F(CallFrameTest, LongDeadlinesAreLowered) {
  // Our clock is far behind the caller's.
  ServeNote();
  EXPECT_TRUE(Call(Context().get()).ok());
  EXPECT_EQ(seen_->deadline, clock_.Now() + absl::Seconds(30) - absl::Milliseconds(50));
}

TEST_F(CallFrameTest, AnAnswerHasTimeToReachItsCaller) {
  const absl::Time now = clock_.Now();
  const auto answer_by = [&](absl::Duration deadline) {
    return *EffectiveDeadline(CallDeadlines{}, now + deadline, now) - now;
  };
  EXPECT_EQ(answer_by(absl::Seconds(2)), absl::Milliseconds(1950));
  EXPECT_EQ(answer_by(absl::Milliseconds(100)), absl::Milliseconds(95)) << "little of the time there is";
  EXPECT_EQ(answer_by(-absl::Seconds(1)), -absl::Seconds(1));
}

TEST_F(CallFrameTest, AServiceMayLeaveDeadlinesToItsCallers) {
  deadlines_ = std::nullopt;
  ServeNote();
  grpc::ClientContext without;
  EXPECT_TRUE(Call(&without).ok());
  EXPECT_EQ(seen_->deadline, absl::InfiniteFuture());
  const absl::Time before = absl::Now();
  EXPECT_TRUE(Call(Context().get()).ok());
  EXPECT_GT(seen_->deadline, before);
  EXPECT_LT(seen_->deadline, absl::Now() + kLongEnough + absl::Seconds(1));
}

TEST_F(CallFrameTest, ACallThatComesTooLateIsNotBegun) {
  clock_.AdvanceBy(absl::Now() + absl::Hours(1) - clock_.Now());  // ahead of the caller's
  ServeNote();
  const grpc::Status late = Call(Context().get());
  EXPECT_EQ(late.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ReasonOnWire(late), "DEADLINE_PASSED");
  EXPECT_FALSE(seen_.has_value()) << "the handler was asked";
}

TEST_F(CallFrameTest, WhatBlocksRunsOnTheExecutorOfItsTable) {
  const std::pair<RunsOn, HoldingExecutor*> executors[] = {{RunsOn::kAdmin, &admin_executor_},
                                                           {RunsOn::kMove, &move_executor_},
                                                           {RunsOn::kStatus, &status_executor_},
                                                           {RunsOn::kLongRead, &long_read_executor_}};
  for (const auto& [runs_on, executor] : executors) {
    ServeBlocking(runs_on, DeliverResponse());
    std::thread caller([&] { EXPECT_TRUE(Call(Context().get()).ok()); });
    executor->RunTask();
    caller.join();
    EXPECT_TRUE(seen_.has_value());
  }
}

TEST_F(CallFrameTest, WithoutRoomACallIsRefusedAndToldWhenToTryAgain) {
  ServeBlocking(RunsOn::kAdmin, DeliverResponse());
  admin_executor_.full = true;
  const auto context = Context();
  const grpc::Status refused = Call(context.get());
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOnWire(refused), "OVERLOADED");
  const auto pushback = context->GetServerTrailingMetadata().find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, context->GetServerTrailingMetadata().end());
  EXPECT_EQ(std::string(pushback->second.data(), pushback->second.size()), "100");
  EXPECT_FALSE(seen_.has_value()) << "the handler was asked";
}

TEST_F(CallFrameTest, ACallWhoseDeadlinePassesInTheQueueIsNotBegun) {
  ServeBlocking(RunsOn::kAdmin, DeliverResponse());
  std::thread caller([&] {
    const grpc::Status late = Call(Context().get());
    EXPECT_EQ(ReasonOnWire(late), "DEADLINE_PASSED");
  });
  admin_executor_.AwaitTask();
  clock_.AdvanceBy(absl::Seconds(30));
  admin_executor_.RunTask();
  caller.join();
  EXPECT_FALSE(seen_.has_value()) << "the handler was asked";
}

TEST_F(CallFrameTest, EveryCallIsCountedHoweverItEnds) {
  count_calls_ = true;
  ServeNote();
  EXPECT_EQ(Counted("started_total"), 0) << "it is there before the first call";
  EXPECT_EQ(Handled("OK"), 0);
  EXPECT_EQ(Counted("handling_seconds_count"), -1);
  EXPECT_TRUE(Call(Context().get()).ok());
  EXPECT_TRUE(Call(Context().get()).ok());
  grpc::ClientContext without_deadline;
  EXPECT_FALSE(Call(&without_deadline).ok());
  EXPECT_FALSE(
      tranche::testing::RawCall(server_->channel(), "/tranche.v1.OutboxSinkService/Deliver", "\x0a\x50\x41").ok());
  EXPECT_EQ(Counted("started_total"), 4);
  EXPECT_EQ(Handled("OK"), 2);
  EXPECT_EQ(Handled("InvalidArgument"), 2);
  EXPECT_EQ(Handled("Internal"), -1);
  EXPECT_EQ(Counted("msg_received_total"), 4);
  EXPECT_EQ(Counted("msg_sent_total"), 2);
  EXPECT_EQ(Counted("handling_seconds_count"), 4);
}

TEST_F(CallFrameTest, ACallThatItsCallerCancelsIsCountedOnceItIsAnswered) {
  count_calls_ = true;
  absl::Notification asked;
  std::optional<Reply<DeliverResponse>> reply;
  Serve(InlineCall<DeliverRequest, DeliverResponse>(
      Inline(), [&](const CallContext&, const DeliverRequest&, const Reply<DeliverResponse>& to_be_answered) {
        reply.emplace(to_be_answered);
        asked.Notify();
      }));
  const auto context = Context();
  std::thread caller([&] { EXPECT_EQ(Call(context.get()).error_code(), grpc::StatusCode::CANCELLED); });
  asked.WaitForNotification();
  context->TryCancel();
  caller.join();
  EXPECT_EQ(Counted("started_total"), 1);
  EXPECT_EQ(Handled("OK"), 0);
  clock_.AdvanceBy(absl::Milliseconds(20));
  (*reply)(DeliverResponse());
  EXPECT_EQ(Handled("OK"), 1);
  EXPECT_EQ(Counted("handling_seconds_sum"), 0.02);
}

TEST_F(CallFrameTest, ErrorsKeepTheirDetailsAndOthersBecomeInternal) {
  const auto answer = [&](const absl::Status& error) {
    ServeBlocking(RunsOn::kAdmin, error);
    grpc::Status status;
    std::thread caller([&] { status = Call(Context().get()); });
    admin_executor_.RunTask();
    caller.join();
    return status;
  };
  const grpc::Status ours = answer(FieldError(v1::ERROR_REASON_FIELD_INVALID, "sink", "is wrong"));
  EXPECT_EQ(ours.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ours.error_message(), "sink is wrong");
  EXPECT_EQ(ReasonOnWire(ours), "FIELD_INVALID");
  const grpc::Status other = answer(absl::NotFoundError("a file of the server's"));
  EXPECT_EQ(other.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(ReasonOnWire(other), "INTERNAL");
  EXPECT_EQ(other.error_message().find("file"), std::string::npos);
}

TEST_F(CallFrameTest, ACountedCallIsOpenUntilItIsAnswered) {
  absl::Notification asked;
  std::optional<Reply<DeliverResponse>> reply;
  Serve(InlineCall<DeliverRequest, DeliverResponse>(
      Inline(CallKind::kCart),
      [&](const CallContext&, const DeliverRequest&, const Reply<DeliverResponse>& to_be_answered) {
        reply.emplace(to_be_answered);
        asked.Notify();
      }));
  std::thread caller([&] { EXPECT_TRUE(Call(Context().get()).ok()); });
  asked.WaitForNotification();
  EXPECT_FALSE(open_calls_.Check());
  clock_.AdvanceBy(absl::Seconds(33));
  EXPECT_TRUE(open_calls_.Check());
  const auto cart = static_cast<size_t>(CallKind::kCart);
  EXPECT_EQ(open_calls_.Overdue().open[cart], 1);
  (*reply)(DeliverResponse());
  caller.join();
  EXPECT_FALSE(open_calls_.Check());
  EXPECT_EQ(open_calls_.Overdue().open[cart], 0);
  EXPECT_EQ(open_calls_.Overdue().noticed[cart], 1);
}

}  // namespace
}  // namespace tranche::server
