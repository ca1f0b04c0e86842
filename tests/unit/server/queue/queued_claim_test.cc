// What a queue holds is input: it is read as carefully as what callers send.
#include "server/queue/queued_claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>

#include "server/queue/claim_queue.h"
#include "storage/base/log_trace.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/internal/v1/queued_claim.pb.h"

namespace tranche::server {
namespace {

storage::Uuid IdOf(int number) {
  storage::Uuid id;
  id.bytes[0] = 1;
  id.bytes[15] = static_cast<uint8_t>(number);
  return id;
}

QueuedClaim ACart() {
  QueuedClaim claim;
  claim.cart = true;
  claim.enqueued_at = absl::FromUnixMicros(1'700'000'000'000'001);
  claim.deadline = absl::FromUnixMicros(1'700'000'600'000'002);
  for (int i = 0; i < 2; ++i) {
    storage::ReservationClaim line;
    line.reservation_id = IdOf(i);
    line.sku_id = i == 0 ? "tv" : "radio";
    line.user_id = "Zoë";
    line.quantity = 2 + i;
    line.order_reference = "order 7";
    line.has_token = true;
    line.trace = std::make_shared<const LogTrace>(
        LogTrace{.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                 .request_id = "r-1",
                 .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"});
    claim.lines.push_back(line);
  }
  return claim;
}

QueuedClaim AJoin(const std::string& offer_id = "trio") {
  QueuedClaim claim = ACart();
  claim.cart = false;
  claim.lines.resize(1);
  claim.lines[0].group = std::make_shared<const storage::GroupJoin>(storage::GroupJoin{IdOf(9), offer_id});
  return claim;
}

internal::v1::QueuedClaim AMessage(const QueuedClaim& claim = ACart()) {
  internal::v1::QueuedClaim message;
  EXPECT_TRUE(message.ParseFromString(ToMessage(claim)));
  return message;
}

TEST(QueuedClaimTest, IsReadAsItWasWritten) {
  const QueuedClaim claim = ACart();
  const auto read = ReadMessage(ToMessage(claim));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->cart);
  EXPECT_EQ(read->enqueued_at, claim.enqueued_at);
  EXPECT_EQ(read->deadline, claim.deadline);
  ASSERT_EQ(read->lines.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read->lines[i].reservation_id, claim.lines[i].reservation_id);
    EXPECT_EQ(read->lines[i].sku_id, claim.lines[i].sku_id);
    EXPECT_EQ(read->lines[i].user_id, "Zoë");
    EXPECT_EQ(read->lines[i].quantity, claim.lines[i].quantity);
    EXPECT_EQ(read->lines[i].order_reference, "order 7");
    EXPECT_TRUE(read->lines[i].has_token);
    ASSERT_NE(read->lines[i].trace, nullptr);
    EXPECT_EQ(read->lines[i].trace->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(read->lines[i].trace->request_id, "r-1");
  }
}

TEST(QueuedClaimTest, AJoinIsReadAsItWasWritten) {
  for (const std::string offer_id : {"trio", ""}) {
    const QueuedClaim claim = AJoin(offer_id);
    const auto read = ReadMessage(ToMessage(claim));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_FALSE(read->cart);
    ASSERT_EQ(read->lines.size(), 1u);
    const storage::ReservationClaim& line = read->lines[0];
    EXPECT_EQ(line.reservation_id, claim.lines[0].reservation_id);
    EXPECT_EQ(line.sku_id, "tv");
    EXPECT_EQ(line.user_id, "Zoë");
    EXPECT_EQ(line.quantity, 2);
    EXPECT_EQ(line.order_reference, "order 7");
    EXPECT_TRUE(line.has_token);
    EXPECT_NE(line.trace, nullptr);
    ASSERT_NE(line.group, nullptr);
    EXPECT_EQ(line.group->group_id, IdOf(9));
    EXPECT_EQ(line.group->offer_id, offer_id);
  }
  EXPECT_EQ(ReadMessage(ToMessage(ACart()))->lines[0].group, nullptr);
}

// It would sell at the SKU's own price.
TEST(QueuedClaimTest, WhoKnowsNothingOfGroupsFindsNoLineInAJoin) {
  EXPECT_TRUE(AMessage(AJoin()).lines().empty());
  EXPECT_FALSE(AMessage(ACart()).has_join());
}

TEST(QueuedClaimTest, AJoinThatTheApiWouldRefuseIsRefused) {
  using Message = internal::v1::QueuedClaim;
  const std::function<void(Message&)> spoils[] = {
      [](Message& m) { m.set_cart(true); },
      [](Message& m) { *m.add_lines() = m.join().line(); },
      [](Message& m) { m.mutable_join()->clear_line(); },
      [](Message& m) { m.mutable_join()->mutable_line()->set_quantity(0); },
      [](Message& m) { m.mutable_join()->mutable_line()->set_sku_id("a/b"); },
      [](Message& m) { m.mutable_join()->mutable_line()->clear_reservation_id(); },
      [](Message& m) { m.mutable_join()->clear_group_id(); },
      [](Message& m) { m.mutable_join()->set_group_id("short"); },
      [](Message& m) { m.mutable_join()->set_group_id(std::string(16, '\0')); },
      [](Message& m) { m.mutable_join()->set_offer_id("a/b"); },
      [](Message& m) { m.mutable_join()->set_offer_id(std::string(65, 'o')); },
      [](Message& m) { m.clear_user_id(); },
      [](Message& m) { m.set_deadline_us(0); },
  };
  ASSERT_TRUE(ReadMessage(AMessage(AJoin()).SerializeAsString()).ok());
  int number = 0;
  for (const auto& spoil : spoils) {
    Message message = AMessage(AJoin());
    spoil(message);
    EXPECT_TRUE(absl::IsInvalidArgument(ReadMessage(message.SerializePartialAsString()).status())) << number;
    ++number;
  }
}

TEST(QueuedClaimTest, WhatTheApiWouldRefuseIsRefused) {
  using Message = internal::v1::QueuedClaim;
  const std::function<void(Message&)> spoils[] = {
      [](Message& m) { m.clear_lines(); },
      [](Message& m) {
        for (int i = m.lines_size(); i <= storage::kMaxCartLines; ++i) {
          *m.add_lines() = m.lines(0);
          const storage::Uuid id = IdOf(i);
          m.mutable_lines(i)->set_reservation_id(id.bytes.data(), id.bytes.size());
        }
      },
      [](Message& m) { m.set_cart(false); },
      [](Message& m) { m.mutable_lines(0)->set_reservation_id("short"); },
      [](Message& m) { m.mutable_lines(0)->set_reservation_id(std::string(16, '\0')); },
      [](Message& m) { m.mutable_lines(0)->set_reservation_id(m.lines(1).reservation_id()); },
      [](Message& m) { m.mutable_lines(1)->set_sku_id("a/b"); },
      [](Message& m) { m.mutable_lines(1)->set_sku_id(""); },
      [](Message& m) { m.mutable_lines(1)->set_quantity(0); },
      [](Message& m) { m.mutable_lines(1)->set_quantity(-1); },
      [](Message& m) { m.set_user_id(""); },
      [](Message& m) { m.set_user_id("a\nb"); },
      [](Message& m) { m.set_user_id("\xE2\x80\x8B"); },  // is not seen
      [](Message& m) { m.set_user_id(std::string(129, 'u')); },
      [](Message& m) { m.set_order_reference(std::string(129, 'o')); },
      [](Message& m) { m.set_order_reference("a\x01"); },
      [](Message& m) { m.set_deadline_us(0); },
      [](Message& m) { m.set_deadline_us(-1); },
  };
  ASSERT_TRUE(ReadMessage(AMessage().SerializeAsString()).ok());
  int number = 0;
  for (const auto& spoil : spoils) {
    Message message = AMessage();
    spoil(message);
    EXPECT_TRUE(absl::IsInvalidArgument(ReadMessage(message.SerializePartialAsString()).status())) << number;
    ++number;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ReadMessage("").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadMessage(std::string(kMaxQueuedBytes + 1, 'x')).status()));
}

TEST(QueuedClaimTest, ABadTraceIsLeftOut) {
  internal::v1::QueuedClaim message = AMessage();
  message.set_traceparent("no trace");
  message.set_request_id("two words");
  const auto read = ReadMessage(message.SerializeAsString());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->lines[0].trace, nullptr);
}

// Whatever it is read as, is a claim that the API would take.
TEST(QueuedClaimTest, DamagedMessagesAreReadOrRefused) {
  const std::string messages[] = {ToMessage(ACart()), ToMessage(AJoin())};
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string& whole = messages[round % 2];
    std::string text = whole.substr(0, random() % 4 == 0 ? random() % whole.size() : whole.size());
    for (unsigned changes = random() % 4 + 1; changes > 0 && !text.empty(); --changes) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    const auto read = ReadMessage(text);
    if (!read.ok()) {
      ASSERT_TRUE(absl::IsInvalidArgument(read.status())) << read.status();
      ++refused;
      continue;
    }
    const auto again = ReadMessage(ToMessage(*read));
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_EQ(ToMessage(*again), ToMessage(*read));
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tranche::server
