// The AMQP sink at a real broker.
#include "server/worker/amqp_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/worker/amqp_message_publisher.h"
#include "storage/base/log_trace.h"
#include "tests/support/amqp_caller.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/test_certificates.h"
#include "tests/support/test_rabbitmq.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using tranche::testing::AmqpCaller;
using tranche::testing::AmqpReceived;
using tranche::testing::AmqpUrl;

// A publisher connects by itself, and a broker that has just started may be slow.
constexpr absl::Duration kPatience = absl::Seconds(30);

class AmqpSinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string broker = tranche::testing::UrlOf(tranche::testing::SharedRabbitmq());
    const auto url = tranche::testing::ParseAmqpUrl(broker);
    ASSERT_TRUE(url.ok()) << url.status();
    url_ = *url;
    auto caller = AmqpCaller::Connect(broker);
    ASSERT_TRUE(caller.ok()) << caller.status();
    shop_ = *std::move(caller);
    // The broker may be one that others use, too.
    exchange_ = absl::StrCat("sink-test.", absl::ToUnixMicros(absl::Now()));
    ASSERT_TRUE(shop_->DeclareTopicExchange(exchange_).ok());
    WriteUser(url_.user, url_.password);
  }
  void TearDown() override {
    if (shop_ != nullptr) shop_->DeleteQueue(exchange_).IgnoreError();
  }

  void WriteUser(const std::string& user, const std::string& password) {
    tranche::testing::ReplaceFile(user_file(), absl::StrCat(user, ":", password, "\n"));
  }
  std::string user_file() const { return folder_.path() / "user"; }

  // A queue with the exchange's name that gets what has such a key.
  void BindQueue(const std::string& binding_key) {
    ASSERT_TRUE(shop_->DeclareQueue(exchange_).ok());
    ASSERT_TRUE(shop_->Bind(exchange_, exchange_, binding_key).ok());
  }

  std::unique_ptr<AmqpSink> SinkTo(const std::string& exchange) {
    BrokerOptions broker;
    broker.brokers = url_.address();
    broker.user_file = user_file();
    broker.vhost = url_.vhost;
    AmqpSinkOptions options;
    options.name = "events";
    options.exchange = exchange;
    options.timeout = absl::Seconds(5);
    return std::make_unique<AmqpSink>(std::move(options),
                                      std::make_unique<AmqpMessagePublisher>(broker, "sink events", exchange));
  }

  static storage::OutboxMessage Message() {
    storage::OutboxMessage message;
    message.key = {*storage::Uuid::Parse("00000000-0000-4000-8000-000000000001"), 2, "events"};
    message.sku_id = "tv.2";
    message.kind = "reservation.confirmed";
    message.payload = R"({"kind": "reservation.confirmed"})";
    message.attempts = 1;
    return message;
  }
  // Tries until there is this outcome, as a relay does.
  static Delivery DeliverUntil(DeliveryOutcome outcome, Sink& sink, const storage::OutboxMessage& message) {
    const absl::Time end = absl::Now() + kPatience;
    Delivery delivery;
    do {
      delivery = sink.Deliver(absl::MakeConstSpan(&message, 1), [] { return true; }).front();
      if (delivery.outcome != outcome) absl::SleepFor(absl::Milliseconds(20));
    } while (delivery.outcome != outcome && absl::Now() < end);
    EXPECT_EQ(delivery.outcome, outcome) << delivery.error;
    return delivery;
  }

  const tranche::testing::ScratchDir folder_{"amqp-sink"};
  AmqpUrl url_;
  std::unique_ptr<AmqpCaller> shop_;
  std::string exchange_;
};

TEST_F(AmqpSinkTest, TheShopsQueueHasTheMessage) {
  BindQueue("reservation.*.tv%2E2");
  storage::OutboxMessage message = Message();
  message.trace = std::make_shared<const LogTrace>(LogTrace{.trace_id = "", .request_id = "r-17"});
  DeliverUntil(DeliveryOutcome::kDelivered, *SinkTo(exchange_), message);
  const auto got = shop_->Get(exchange_);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_TRUE(got->has_value()) << "it was confirmed";
  const AmqpReceived& received = **got;
  EXPECT_EQ(received.routing_key, "reservation.confirmed.tv%2E2");
  EXPECT_EQ(received.message_id, "00000000-0000-4000-8000-000000000001/2");
  EXPECT_EQ(received.content_type, "application/json");
  EXPECT_EQ(received.body, message.payload);
  EXPECT_TRUE(received.persistent);
  EXPECT_THAT(received.headers, UnorderedElementsAre(Pair("Tranche-Kind", "reservation.confirmed"),
                                                     Pair("Tranche-Revision", "2"), Pair("X-Request-Id", "r-17")));
}

TEST_F(AmqpSinkTest, WhatNoQueueTakesIsRefusedUntilOneIsBound) {
  BindQueue("reservation.cancelled.#");
  const auto sink = SinkTo(exchange_);
  const Delivery refused = DeliverUntil(DeliveryOutcome::kRefused, *sink, Message());
  EXPECT_THAT(refused.error, HasSubstr("bind a queue"));
  BindQueue("#");
  DeliverUntil(DeliveryOutcome::kDelivered, *sink, Message());
}

TEST_F(AmqpSinkTest, AnExchangeThatIsMissingFailsUntilItIsThere) {
  const std::string later = exchange_ + ".later";
  const auto sink = SinkTo(later);
  EXPECT_THAT(DeliverUntil(DeliveryOutcome::kSinkFailed, *sink, Message()).error, Not(::testing::IsEmpty()));
  ASSERT_TRUE(shop_->DeclareTopicExchange(later).ok());
  ASSERT_TRUE(shop_->DeclareQueue(exchange_).ok());
  ASSERT_TRUE(shop_->Bind(exchange_, later, "#").ok());
  DeliverUntil(DeliveryOutcome::kDelivered, *sink, Message());
}

TEST_F(AmqpSinkTest, AWrongPasswordFailsUntilItIsRight) {
  BindQueue("#");
  WriteUser(url_.user, "not-the-password");
  const auto sink = SinkTo(exchange_);
  EXPECT_THAT(DeliverUntil(DeliveryOutcome::kSinkFailed, *sink, Message()).error, Not(HasSubstr("not-the-password")));
  WriteUser(url_.user, url_.password);
  DeliverUntil(DeliveryOutcome::kDelivered, *sink, Message());
}

}  // namespace
}  // namespace tranche::server
