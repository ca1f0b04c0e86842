// The AMQP sink on a broker that does what the test says.
#include "server/worker/amqp_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "storage/base/log_trace.h"

namespace tranche::server {
namespace {

using storage::OutboxMessage;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// Answers inline, or keeps what it is to answer.
class ScriptedPublisher : public MessagePublisher {
 public:
  void Publish(PublishedMessage message, absl::Time deadline, Done done) override {
    deadlines.push_back(deadline);
    published.push_back(std::move(message));
    if (silent) {
      unanswered.push_back(std::move(done));
    } else {
      done(answer(published.size()));
    }
  }

  // By the number of the message, from 1.
  std::function<absl::Status(size_t)> answer = [](size_t) { return absl::OkStatus(); };
  bool silent = false;
  std::vector<PublishedMessage> published;
  std::vector<absl::Time> deadlines;
  std::vector<Done> unanswered;
};

bool AlwaysBegin() { return true; }

std::vector<OutboxMessage> MessagesFor(int count) {
  std::vector<OutboxMessage> messages;
  for (int i = 1; i <= count; ++i) {
    OutboxMessage message;
    message.key = {*storage::Uuid::Parse(absl::StrFormat("00000000-0000-4000-8000-%012d", i)), 3, "events"};
    message.sku_id = "tv";
    message.kind = "reservation.confirmed";
    message.payload = absl::StrCat("{\"number\": ", i, "}");
    message.attempts = 1;
    messages.push_back(message);
  }
  return messages;
}

class AmqpSinkTest : public ::testing::Test {
 protected:
  static AmqpSinkOptions Options() {
    AmqpSinkOptions options;
    options.name = "events";
    options.exchange = "tranche";
    return options;
  }
  void Use(AmqpSinkOptions options) {
    auto publisher = std::make_unique<ScriptedPublisher>();
    publisher_ = publisher.get();
    sink_ = std::make_unique<AmqpSink>(std::move(options), std::move(publisher));
  }
  void SetUp() override { Use(Options()); }

  std::vector<DeliveryOutcome> Outcomes(int messages) {
    std::vector<DeliveryOutcome> outcomes;
    deliveries_ = sink_->Deliver(MessagesFor(messages), AlwaysBegin);
    for (const Delivery& delivery : deliveries_) outcomes.push_back(delivery.outcome);
    return outcomes;
  }

  ScriptedPublisher* publisher_ = nullptr;
  std::unique_ptr<AmqpSink> sink_;
  std::vector<Delivery> deliveries_;
};

TEST_F(AmqpSinkTest, PublishesTheMessageAsItIs) {
  EXPECT_EQ(sink_->name(), "events");
  const absl::Time before = absl::Now();
  EXPECT_THAT(Outcomes(1), ElementsAre(DeliveryOutcome::kDelivered));
  ASSERT_THAT(publisher_->published, SizeIs(1));
  const PublishedMessage& message = publisher_->published.front();
  EXPECT_EQ(message.routing_key, "reservation.confirmed.tv");
  EXPECT_EQ(message.message_id, "00000000-0000-4000-8000-000000000001/3");
  EXPECT_EQ(message.content_type, "application/json");
  EXPECT_EQ(message.body, "{\"number\": 1}");
  EXPECT_THAT(message.headers,
              ElementsAre(Pair("Tranche-Kind", "reservation.confirmed"), Pair("Tranche-Revision", "3")));
  EXPECT_GE(publisher_->deadlines.front(), before + absl::Seconds(10));
  EXPECT_LE(publisher_->deadlines.front(), absl::Now() + absl::Seconds(10));
}

TEST_F(AmqpSinkTest, TheTraceOfTheCallGoesWithIt) {
  std::vector<OutboxMessage> messages = MessagesFor(2);
  messages[0].trace = std::make_shared<const LogTrace>(LogTrace{.trace_id = "", .request_id = "r-17"});
  sink_->Deliver(messages, AlwaysBegin);
  ASSERT_THAT(publisher_->published, SizeIs(2));
  EXPECT_THAT(publisher_->published[0].headers, ::testing::Contains(Pair("X-Request-Id", "r-17")));
  EXPECT_THAT(publisher_->published[1].headers, SizeIs(2));
}

TEST_F(AmqpSinkTest, ADotOfASkuDividesNoWords) {
  EXPECT_EQ(RoutingKey("reservation.confirmed", "tv"), "reservation.confirmed.tv");
  EXPECT_EQ(RoutingKey("reservation.confirmed", "tv.2-b_C"), "reservation.confirmed.tv%2E2-b_C");
  EXPECT_LE(RoutingKey("reservation.lapses_soon", std::string(64, '.')).size(), 255u) << "AMQP's bound";
}

TEST_F(AmqpSinkTest, WhatNoQueueTakesIsRefusedAndHoldsUpNoOthers) {
  publisher_->answer = [](size_t number) {
    return number == 1 ? absl::NotFoundError("returned: NO_ROUTE") : absl::OkStatus();
  };
  EXPECT_THAT(Outcomes(3),
              ElementsAre(DeliveryOutcome::kRefused, DeliveryOutcome::kDelivered, DeliveryOutcome::kDelivered));
  EXPECT_THAT(deliveries_[0].error, HasSubstr("reservation.confirmed.tv of exchange tranche: bind a queue"));
}

TEST_F(AmqpSinkTest, ABrokerThatIsAwayIsAskedOnce) {
  publisher_->answer = [](size_t) { return absl::UnavailableError("127.0.0.1:5672: connection\nrefused"); };
  EXPECT_THAT(Outcomes(3),
              ElementsAre(DeliveryOutcome::kSinkFailed, DeliveryOutcome::kNotTried, DeliveryOutcome::kNotTried));
  EXPECT_EQ(deliveries_[0].error, "127.0.0.1:5672: connection?refused");
  EXPECT_THAT(deliveries_[1].error, IsEmpty());
  EXPECT_THAT(publisher_->published, SizeIs(1));
}

TEST_F(AmqpSinkTest, OneThatFailsAfterOthersWereTakenHoldsUpNoOthers) {
  publisher_->answer = [](size_t number) { return number == 2 ? absl::UnknownError("no confirm") : absl::OkStatus(); };
  EXPECT_THAT(Outcomes(3),
              ElementsAre(DeliveryOutcome::kDelivered, DeliveryOutcome::kSinkFailed, DeliveryOutcome::kDelivered));
}

TEST_F(AmqpSinkTest, ASilentBrokerIsWaitedForNoLongerThanTheTimeout) {
  AmqpSinkOptions options = Options();
  options.timeout = absl::Milliseconds(1);
  options.at_once = 2;
  Use(options);
  publisher_->silent = true;
  EXPECT_THAT(Outcomes(3),
              ElementsAre(DeliveryOutcome::kSinkFailed, DeliveryOutcome::kSinkFailed, DeliveryOutcome::kNotTried));
  EXPECT_THAT(deliveries_[0].error, HasSubstr("not confirmed"));
  EXPECT_THAT(publisher_->published, SizeIs(2)) << "no more than so many wait";
  // Late answers find nobody, and break nothing.
  for (MessagePublisher::Done& done : publisher_->unanswered) done(absl::OkStatus());
}

TEST_F(AmqpSinkTest, NothingBeginsWhenThereIsNoTime) {
  int left = 2;
  const std::vector<Delivery> deliveries = sink_->Deliver(MessagesFor(4), [&left] { return left-- > 0; });
  EXPECT_THAT(publisher_->published, SizeIs(2));
  ASSERT_THAT(deliveries, SizeIs(4));
  EXPECT_EQ(deliveries[1].outcome, DeliveryOutcome::kDelivered);
  EXPECT_EQ(deliveries[2].outcome, DeliveryOutcome::kNotTried);
}

}  // namespace
}  // namespace tranche::server
