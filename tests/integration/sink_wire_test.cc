// The sinks against real servers within this process: HTTP and gRPC.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "server/worker/grpc_sink.h"
#include "server/worker/signature.h"
#include "server/worker/webhook_sink.h"
#include "storage/base/log_trace.h"
#include "tests/support/free_port.h"
#include "tests/support/http_receiver.h"

namespace tranche::server {
namespace {

using storage::OutboxMessage;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using tranche::testing::HttpAnswer;
using tranche::testing::HttpReceiver;
using tranche::testing::HttpRequestSeen;

const std::vector<std::string>& Secrets() {
  static const auto& secrets = *new std::vector<std::string>{"first-secret-of-the-test", "second-secret-of-the-test"};
  return secrets;
}

std::vector<OutboxMessage> Messages(int count) {
  std::vector<OutboxMessage> messages;
  for (int i = 1; i <= count; ++i) {
    OutboxMessage message;
    message.key = {*storage::Uuid::Parse(absl::StrFormat("00000000-0000-4000-8000-%012d", i)), 2, "shop"};
    message.sku_id = "tv";
    message.kind = "reservation.confirmed";
    message.payload = absl::StrCat("{\"number\": ", i, "}");
    message.created_at = absl::FromUnixSeconds(1700000000);
    message.attempts = 1;
    messages.push_back(message);
  }
  return messages;
}

std::vector<DeliveryOutcome> Outcomes(const std::vector<Delivery>& deliveries) {
  std::vector<DeliveryOutcome> outcomes;
  for (const Delivery& delivery : deliveries) outcomes.push_back(delivery.outcome);
  return outcomes;
}

bool Always() { return true; }

constexpr char kTraceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TraceTag Trace(const std::string& traceparent, const std::string& request_id) {
  return std::make_shared<const LogTrace>(
      LogTrace{.trace_id = "", .request_id = request_id, .traceparent = traceparent});
}

WebhookOptions To(const std::string& url) {
  WebhookOptions options;
  options.name = "shop";
  options.url = url;
  options.secrets = Secrets();
  options.timeout = absl::Seconds(5);
  options.connections = 4;
  return options;
}

class WebhookTest : public ::testing::Test {
 protected:
  // The result for one message that is answered like this.
  Delivery AnsweredWith(const HttpAnswer& answer) {
    HttpReceiver receiver([&](const HttpRequestSeen&) { return answer; });
    WebhookSink sink(To(receiver.url()), storage::Clock::Real());
    return sink.Deliver(Messages(1), Always).front();
  }
};

TEST_F(WebhookTest, PostsTheMessageSigned) {
  storage::FakeClock clock(absl::FromUnixSeconds(1700000123));
  HttpRequestSeen seen;
  HttpReceiver receiver([&](const HttpRequestSeen& request) {
    seen = request;
    return HttpAnswer{.status = 204};
  });
  WebhookSink sink(To(receiver.url()), &clock);
  EXPECT_EQ(sink.name(), "shop");
  const auto messages = Messages(1);
  EXPECT_THAT(Outcomes(sink.Deliver(messages, Always)), Each(DeliveryOutcome::kDelivered));
  EXPECT_EQ(seen.line, "POST /hook HTTP/1.1");
  EXPECT_EQ(seen.body, messages[0].payload);
  EXPECT_EQ(seen.headers["content-type"], "application/json");
  EXPECT_EQ(seen.headers["tranche-message-id"], "00000000-0000-4000-8000-000000000001/2");
  EXPECT_EQ(seen.headers["tranche-kind"], "reservation.confirmed");
  EXPECT_EQ(seen.headers["tranche-signature"], SignatureHeader(Secrets(), 1700000123, seen.body));
  EXPECT_EQ(seen.headers.count("expect"), 0u);
}

TEST_F(WebhookTest, TheTraceOfTheCallGoesWithIt) {
  absl::Mutex mutex;
  std::map<std::string, std::map<std::string, std::string>> headers;  // by the body
  HttpReceiver receiver([&](const HttpRequestSeen& request) {
    absl::MutexLock lock(&mutex);
    headers[request.body] = request.headers;
    return HttpAnswer();
  });
  WebhookOptions options = To(receiver.url());
  options.connections = 1;  // so that the next message could inherit a header
  WebhookSink sink(options, storage::Clock::Real());
  std::vector<OutboxMessage> messages = Messages(3);
  messages[0].trace = Trace(kTraceparent, "r-17");
  messages[1].trace = Trace("", "r-18");
  EXPECT_THAT(Outcomes(sink.Deliver(messages, Always)), Each(DeliveryOutcome::kDelivered));
  EXPECT_EQ(headers[messages[0].payload]["traceparent"], kTraceparent);
  EXPECT_EQ(headers[messages[0].payload]["x-request-id"], "r-17");
  EXPECT_EQ(headers[messages[1].payload].count("traceparent"), 0u);
  EXPECT_EQ(headers[messages[1].payload]["x-request-id"], "r-18");
  EXPECT_EQ(headers[messages[2].payload].count("traceparent") + headers[messages[2].payload].count("x-request-id"), 0u);
}

TEST_F(WebhookTest, ManyMessagesGoSideBySideOnFewConnectionsThatAreKept) {
  absl::Mutex mutex;
  std::multiset<std::string> bodies;
  std::set<int> connections;
  HttpReceiver receiver([&](const HttpRequestSeen& request) {
    absl::MutexLock lock(&mutex);
    bodies.insert(request.body);
    connections.insert(request.connection);
    return HttpAnswer();
  });
  WebhookSink sink(To(receiver.url()), storage::Clock::Real());
  const auto messages = Messages(200);
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Outcomes(sink.Deliver(messages, Always)), Each(DeliveryOutcome::kDelivered));
  }
  for (const OutboxMessage& message : messages) EXPECT_EQ(bodies.count(message.payload), 2u);
  EXPECT_LE(connections.size(), 4u);
}

TEST_F(WebhookTest, WhatTheAnswersMean) {
  using enum DeliveryOutcome;
  for (const int status : {200, 201, 202, 204, 299}) EXPECT_EQ(OutcomeOfHttpStatus(status), kDelivered);
  for (const int status : {400, 409, 413, 415, 422}) EXPECT_EQ(OutcomeOfHttpStatus(status), kRefused);
  for (const int status : {301, 302, 307, 401, 403, 404, 405, 408, 410, 429, 500, 502, 503}) {
    EXPECT_EQ(OutcomeOfHttpStatus(status), kSinkFailed) << status;
  }
  const Delivery refused = AnsweredWith({.status = 422, .body = "no \x01 such shop"});
  EXPECT_EQ(refused.outcome, kRefused);
  EXPECT_EQ(refused.error, "HTTP 422: no ? such shop");
  const Delivery busy = AnsweredWith({.status = 503, .headers = "Retry-After: 7\r\n"});
  EXPECT_EQ(busy.outcome, kSinkFailed);
  EXPECT_EQ(busy.retry_after, absl::Seconds(7));
}

TEST_F(WebhookTest, RedirectsAreNotFollowed) {
  std::atomic<int> calls = 0;
  HttpReceiver elsewhere([&](const HttpRequestSeen&) {
    ++calls;
    return HttpAnswer();
  });
  const Delivery moved = AnsweredWith({.status = 307, .headers = "Location: " + elsewhere.url() + "\r\n"});
  EXPECT_EQ(moved.outcome, DeliveryOutcome::kSinkFailed);
  EXPECT_EQ(calls, 0);
}

TEST_F(WebhookTest, ALongAnswerIsCutOffAndCountsByItsStatus) {
  const std::string body(10 * 1024 * 1024, 'x');
  EXPECT_EQ(AnsweredWith({.status = 200, .body = body}).outcome, DeliveryOutcome::kDelivered);
  const Delivery refused = AnsweredWith({.status = 400, .body = body});
  EXPECT_EQ(refused.outcome, DeliveryOutcome::kRefused);
  EXPECT_LT(refused.error.size(), 300u);
}

TEST_F(WebhookTest, AnAnswerThatDoesNotEndCountsByItsStatus) {
  HttpAnswer answer{.status = 200, .body = "I am still", .unfinished = true};
  HttpReceiver receiver([&](const HttpRequestSeen&) { return answer; });
  WebhookOptions options = To(receiver.url());
  options.timeout = absl::Milliseconds(300);
  WebhookSink sink(options, storage::Clock::Real());
  EXPECT_EQ(sink.Deliver(Messages(1), Always).front().outcome, DeliveryOutcome::kDelivered);
  answer.status = 422;
  const Delivery refused = sink.Deliver(Messages(1), Always).front();
  EXPECT_EQ(refused.outcome, DeliveryOutcome::kRefused);
  EXPECT_EQ(refused.error, "HTTP 422: I am still");
}

// Otherwise as many bad messages as run at once would keep the good ones behind them from being tried.
TEST_F(WebhookTest, BadMessagesThatComeAgainDoNotStopABatch) {
  HttpReceiver receiver([](const HttpRequestSeen& request) {
    return HttpAnswer{.status = request.body.size() < std::string("{\"number\": 10}").size() ? 500 : 200};
  });
  WebhookSink sink(To(receiver.url()), storage::Clock::Real());
  std::vector<OutboxMessage> messages = Messages(20);
  for (int i = 0; i < 9; ++i) messages[i].attempts = 2;
  const auto again = Outcomes(sink.Deliver(messages, Always));
  EXPECT_EQ(std::count(again.begin(), again.end(), DeliveryOutcome::kDelivered), 11);
  const auto first = Outcomes(sink.Deliver(Messages(20), Always));
  EXPECT_EQ(std::count(first.begin(), first.end(), DeliveryOutcome::kDelivered), 0) << "as a sink that is down";
}

TEST_F(WebhookTest, ASinkThatIsNotThereFailsAfterAFewTries) {
  const int port = tranche::testing::PickFreePort();
  WebhookSink sink(To(absl::StrCat("http://127.0.0.1:", port, "/")), storage::Clock::Real());
  const auto deliveries = sink.Deliver(Messages(100), Always);
  int tried = 0;
  for (const Delivery& delivery : deliveries) {
    if (delivery.outcome == DeliveryOutcome::kNotTried) continue;
    ++tried;
    EXPECT_EQ(delivery.outcome, DeliveryOutcome::kSinkFailed);
    EXPECT_NE(delivery.error, "");
  }
  EXPECT_GE(tried, 4);
  EXPECT_LE(tried, 8);
  EXPECT_EQ(AnsweredWith({.hang_up = true}).outcome, DeliveryOutcome::kSinkFailed);
}

TEST_F(WebhookTest, ASinkThatDoesNotAnswerTimesOut) {
  absl::Mutex mutex;
  bool over = false;
  HttpReceiver receiver([&](const HttpRequestSeen&) {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&over));
    return HttpAnswer{.hang_up = true};
  });
  WebhookOptions options = To(receiver.url());
  options.timeout = absl::Milliseconds(100);
  WebhookSink sink(options, storage::Clock::Real());
  EXPECT_EQ(sink.Deliver(Messages(1), Always).front().outcome, DeliveryOutcome::kSinkFailed);
  absl::MutexLock lock(&mutex);
  over = true;
}

TEST_F(WebhookTest, BeginsNothingWhenItMayNot) {
  HttpReceiver receiver([&](const HttpRequestSeen&) { return HttpAnswer(); });
  WebhookSink sink(To(receiver.url()), storage::Clock::Real());
  int allowed = 6;
  const auto deliveries = sink.Deliver(Messages(10), [&] { return allowed-- > 0; });
  EXPECT_EQ(std::count_if(deliveries.begin(), deliveries.end(),
                          [](const Delivery& d) { return d.outcome == DeliveryOutcome::kDelivered; }),
            6);
}

// Answers as its `verdicts` say, unless the call as a whole fails.
class Receiver : public v1::OutboxSinkService::Service {
 public:
  grpc::Status Deliver(grpc::ServerContext*, const v1::DeliverRequest* request,
                       v1::DeliverResponse* response) override {
    absl::MutexLock lock(&mutex);
    requests.push_back(*request);
    if (const grpc::Status status = status_of(*request); !status.ok()) return status;
    for (const auto& message : request->messages()) {
      if (message.reservation_id() == skipped) break;
      auto* result = response->add_results();
      result->set_verdict(verdicts.contains(message.reservation_id()) ? verdicts[message.reservation_id()]
                                                                      : v1::DeliverResponse::VERDICT_ACCEPTED);
      if (result->verdict() != v1::DeliverResponse::VERDICT_ACCEPTED) result->set_error("because");
    }
    return grpc::Status::OK;
  }

  absl::Mutex mutex;
  std::function<grpc::Status(const v1::DeliverRequest&)> status_of = [](const auto&) { return grpc::Status::OK; };
  std::string skipped;
  std::map<std::string, v1::DeliverResponse::Verdict> verdicts;
  std::vector<v1::DeliverRequest> requests;
};

class GrpcSinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&receiver_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    GrpcSinkOptions options;
    options.name = "books";
    options.address = absl::StrCat("127.0.0.1:", port);
    options.messages_per_call = 4;
    sink_ = std::make_unique<GrpcSink>(options);
  }

  // Every call with the message of this number fails.
  void FailFor(int number, grpc::StatusCode code) {
    receiver_.status_of = [=, id = Messages(number).back().key](const v1::DeliverRequest& request) {
      const bool has_it = std::any_of(request.messages().begin(), request.messages().end(),
                                      [&](const auto& message) { return message.message_id() == MessageId(id); });
      return has_it ? grpc::Status(code, "a bug") : grpc::Status::OK;
    };
  }
  // How many messages each call had.
  std::vector<int> Calls() {
    std::vector<int> sizes;
    for (const v1::DeliverRequest& request : receiver_.requests) sizes.push_back(request.messages_size());
    return sizes;
  }

  Receiver receiver_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<GrpcSink> sink_;
};

TEST_F(GrpcSinkTest, DeliversInBatches) {
  const auto messages = Messages(10);
  EXPECT_THAT(Outcomes(sink_->Deliver(messages, Always)), Each(DeliveryOutcome::kDelivered));
  ASSERT_THAT(receiver_.requests, SizeIs(3));
  EXPECT_EQ(receiver_.requests[0].sink(), "books");
  ASSERT_EQ(receiver_.requests[0].messages_size(), 4);
  const auto& first = receiver_.requests[0].messages(0);
  EXPECT_EQ(first.message_id(), "00000000-0000-4000-8000-000000000001/2");
  EXPECT_EQ(first.reservation_id(), "00000000-0000-4000-8000-000000000001");
  EXPECT_EQ(first.revision(), 2);
  EXPECT_EQ(first.sku_id(), "tv");
  EXPECT_EQ(first.kind(), "reservation.confirmed");
  EXPECT_EQ(first.create_time().seconds(), 1700000000);
  EXPECT_EQ(first.payload(), "{\"number\": 1}");
  EXPECT_EQ(first.attempt(), 1);
}

TEST_F(GrpcSinkTest, EachMessageHasTheTraceOfItsCall) {
  std::vector<OutboxMessage> messages = Messages(3);
  messages[0].trace = Trace(kTraceparent, "r-17");
  messages[1].trace = Trace("", "r-18");
  EXPECT_THAT(Outcomes(sink_->Deliver(messages, Always)), Each(DeliveryOutcome::kDelivered));
  ASSERT_THAT(receiver_.requests, SizeIs(1));
  std::vector<std::string> traces;
  for (const auto& message : receiver_.requests[0].messages()) {
    traces.push_back(absl::StrCat(message.traceparent(), " ", message.request_id()));
  }
  EXPECT_THAT(traces, ElementsAre(absl::StrCat(kTraceparent, " r-17"), " r-18", " "));
}

TEST_F(GrpcSinkTest, EachMessageHasItsVerdict) {
  using enum DeliveryOutcome;
  const auto messages = Messages(4);
  receiver_.verdicts = {{messages[1].key.reservation_id.ToString(), v1::DeliverResponse::VERDICT_RETRY},
                        {messages[2].key.reservation_id.ToString(), v1::DeliverResponse::VERDICT_REJECTED}};
  receiver_.skipped = messages[3].key.reservation_id.ToString();
  const auto deliveries = sink_->Deliver(messages, Always);
  EXPECT_THAT(Outcomes(deliveries), ElementsAre(kDelivered, kRefused, kRefusedForGood, kRefused));
  EXPECT_EQ(deliveries[1].error, "because");
  EXPECT_THAT(deliveries[3].error, HasSubstr("no result"));
}

TEST_F(GrpcSinkTest, ACallThatFailsIsTheSinksFailureAndTheRestIsNotTried) {
  using enum DeliveryOutcome;
  for (const auto code :
       {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::DEADLINE_EXCEEDED, grpc::StatusCode::CANCELLED,
        grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::PERMISSION_DENIED}) {
    receiver_.status_of = [=](const auto&) { return grpc::Status(code, "not now"); };
    const auto deliveries = sink_->Deliver(Messages(6), Always);
    EXPECT_THAT(Outcomes(deliveries),
                ElementsAre(kSinkFailed, kSinkFailed, kSinkFailed, kSinkFailed, kNotTried, kNotTried));
    EXPECT_EQ(deliveries[0].error, absl::StrCat("gRPC status ", static_cast<int>(code), ": not now"));
  }
  EXPECT_THAT(Calls(), ElementsAre(4, 4, 4, 4, 4, 4));
  server_->Shutdown();
  EXPECT_EQ(sink_->Deliver(Messages(1), Always).front().outcome, kSinkFailed);
}

TEST_F(GrpcSinkTest, ABadMessageThatFailsItsCallIsFoundAndFailsAlone) {
  using enum DeliveryOutcome;
  for (const auto code : {grpc::StatusCode::UNKNOWN, grpc::StatusCode::INTERNAL, grpc::StatusCode::INVALID_ARGUMENT}) {
    receiver_.requests.clear();
    FailFor(2, code);
    const auto deliveries = sink_->Deliver(Messages(9), Always);
    EXPECT_THAT(Outcomes(deliveries), ElementsAre(kDelivered, kSinkFailed, kDelivered, kDelivered, kDelivered,
                                                  kDelivered, kDelivered, kDelivered, kDelivered));
    EXPECT_EQ(deliveries[1].error, absl::StrCat("gRPC status ", static_cast<int>(code), ": a bug"));
    EXPECT_THAT(Calls(), ElementsAre(4, 1, 1, 1, 1, 4, 1)) << "only the call that failed is repeated";
  }
  receiver_.requests.clear();
  EXPECT_THAT(Outcomes(sink_->Deliver(absl::MakeConstSpan(Messages(2)).subspan(1), Always)), ElementsAre(kSinkFailed));
  EXPECT_THAT(Calls(), ElementsAre(1)) << "it was alone already";
}

TEST_F(GrpcSinkTest, SentAgainByItselfAMessageStillHasItsOwnVerdict) {
  using enum DeliveryOutcome;
  const auto messages = Messages(4);
  receiver_.verdicts = {{messages[1].key.reservation_id.ToString(), v1::DeliverResponse::VERDICT_RETRY},
                        {messages[2].key.reservation_id.ToString(), v1::DeliverResponse::VERDICT_REJECTED}};
  FailFor(1, grpc::StatusCode::INTERNAL);
  EXPECT_THAT(Outcomes(sink_->Deliver(messages, Always)),
              ElementsAre(kSinkFailed, kRefused, kRefusedForGood, kDelivered));
}

TEST_F(GrpcSinkTest, AReceiverThatFailsForEveryMessageIsLeftAlone) {
  receiver_.status_of = [](const auto&) { return grpc::Status(grpc::StatusCode::INTERNAL, "a bug"); };
  std::vector<OutboxMessage> messages = Messages(10);
  const auto count = [&](DeliveryOutcome outcome) {
    const auto outcomes = Outcomes(sink_->Deliver(messages, Always));
    return std::count(outcomes.begin(), outcomes.end(), outcome);
  };
  EXPECT_EQ(count(DeliveryOutcome::kNotTried), 6);
  EXPECT_THAT(Calls(), ElementsAre(4, 1, 1, 1, 1));
  // They may be bad ones, and good ones may come after them.
  for (OutboxMessage& message : messages) message.attempts = 2;
  EXPECT_EQ(count(DeliveryOutcome::kNotTried), 0);
}

TEST_F(GrpcSinkTest, AReceiverThatGoesAwayBetweenSingleMessagesIsLeftAlone) {
  using enum DeliveryOutcome;
  receiver_.status_of = [this](const v1::DeliverRequest& request) {
    if (receiver_.requests.size() == 1) return grpc::Status(grpc::StatusCode::INTERNAL, "a bug");
    return receiver_.requests.size() == 3 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone") : grpc::Status::OK;
  };
  const auto deliveries = sink_->Deliver(Messages(6), Always);
  EXPECT_THAT(Outcomes(deliveries), ElementsAre(kDelivered, kSinkFailed, kNotTried, kNotTried, kNotTried, kNotTried));
  EXPECT_THAT(Calls(), ElementsAre(4, 1, 1));
}

TEST_F(GrpcSinkTest, SingleMessagesAreBegunOnlyWhileThereIsTime) {
  using enum DeliveryOutcome;
  FailFor(1, grpc::StatusCode::INTERNAL);
  int allowed = 3;
  const auto may_begin = [&] { return allowed-- > 0; };
  EXPECT_THAT(Outcomes(sink_->Deliver(Messages(6), may_begin)),
              ElementsAre(kSinkFailed, kDelivered, kNotTried, kNotTried, kNotTried, kNotTried));
  allowed = 1;
  EXPECT_THAT(Outcomes(sink_->Deliver(Messages(6), may_begin)),
              ElementsAre(kSinkFailed, kSinkFailed, kSinkFailed, kSinkFailed, kNotTried, kNotTried))
      << "the call that failed is all that is known";
}

}  // namespace
}  // namespace tranche::server
