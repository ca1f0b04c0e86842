#include "server/queue/claim_ticket.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "server/admission/paseto.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

const absl::Time kEnqueued = absl::FromUnixMicros(1'700'000'000'123'456);

storage::ReservationClaim LineOf(uint8_t number) {
  storage::ReservationClaim line{
      .reservation_id = {}, .sku_id = "tv", .user_id = "alice", .quantity = 2, .order_reference = "order 1"};
  line.reservation_id.bytes[15] = number;
  return line;
}

storage::ReservationClaim JoiningLine(const std::string& offer_id = "") {
  storage::ReservationClaim line = LineOf(1);
  storage::GroupJoin join{.group_id = {}, .offer_id = offer_id};
  join.group_id.bytes[15] = 7;
  line.group = std::make_shared<const storage::GroupJoin>(join);
  return line;
}

ClaimTicket TicketOfLines(const std::vector<storage::ReservationClaim>& lines) {
  ClaimTicket ticket;
  for (const storage::ReservationClaim& line : lines) ticket.ids.push_back(line.reservation_id);
  ticket.payload = PayloadOf(lines);
  ticket.sku_id = lines.front().sku_id;
  ticket.shard = "home";
  ticket.cart = lines.size() > 1;
  ticket.ahead = 1234;
  ticket.enqueued_at = kEnqueued;
  ticket.decide_at = kEnqueued + absl::Minutes(10);
  ticket.group = lines.front().group;
  return ticket;
}

class ClaimTicketTest : public ::testing::Test {
 protected:
  bool IsGood(const std::string& text, absl::Time now = kEnqueued) const {
    return ReadClaimTicket(keys_, text, now).has_value();
  }

  FrontKeys keys_ = CurrentTestKey();
  std::string text_ = MakeClaimTicket(keys_, TicketOfLines({LineOf(1)}));
};

TEST_F(ClaimTicketTest, SaysWhatWasWritten) {
  const std::vector<storage::ReservationClaim> lines = {LineOf(1), LineOf(2)};
  for (const ClaimTicket& written : {TicketOfLines(lines), TicketOfLines({lines[0]})}) {
    const std::optional<ClaimTicket> read = ReadClaimTicket(keys_, MakeClaimTicket(keys_, written), kEnqueued);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->ids, written.ids);
    EXPECT_EQ(read->payload, written.payload);
    EXPECT_EQ(read->sku_id, "tv");
    EXPECT_EQ(read->shard, "home");
    EXPECT_EQ(read->cart, written.cart);
    EXPECT_EQ(read->ahead, 1234);
    EXPECT_EQ(read->enqueued_at, kEnqueued);
    EXPECT_EQ(read->decide_at, kEnqueued + absl::Minutes(10));
  }
}

TEST_F(ClaimTicketTest, OfAJoinItSaysTheGroup) {
  for (const std::string& offer_id : {std::string(64, 'o'), std::string()}) {
    const std::string text = MakeClaimTicket(keys_, TicketOfLines({JoiningLine(offer_id)}));
    EXPECT_LE(text.size(), kMaxClaimTicketBytes);
    const std::optional<ClaimTicket> read = ReadClaimTicket(keys_, text, kEnqueued);
    ASSERT_TRUE(read.has_value());
    ASSERT_NE(read->group, nullptr);
    EXPECT_EQ(read->group->group_id.bytes[15], 7);
    EXPECT_EQ(read->group->offer_id, offer_id);
    EXPECT_EQ(read->decide_at, kEnqueued + absl::Minutes(10));
  }
  EXPECT_EQ(ReadClaimTicket(keys_, text_, kEnqueued)->group, nullptr);
}

TEST_F(ClaimTicketTest, TheLargestCartsTicketFits) {
  std::vector<storage::ReservationClaim> lines;
  for (int i = 1; i <= storage::kMaxCartLines; ++i) lines.push_back(LineOf(static_cast<uint8_t>(i)));
  ClaimTicket ticket = TicketOfLines(lines);
  ticket.sku_id = std::string(64, 's');
  ticket.shard = std::string(64, 'd');
  const std::string text = MakeClaimTicket(keys_, ticket);
  EXPECT_LE(text.size(), kMaxClaimTicketBytes);
  EXPECT_TRUE(IsGood(text));
}

TEST_F(ClaimTicketTest, WhatIsAlteredIsNone) {
  ASSERT_TRUE(IsGood(text_));
  for (size_t i = 0; i < text_.size(); ++i) {
    std::string altered = text_;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(IsGood(altered)) << i;
  }
  for (size_t length = 0; length < text_.size(); ++length) EXPECT_FALSE(IsGood(text_.substr(0, length))) << length;
  EXPECT_FALSE(IsGood(text_ + "A"));
  EXPECT_FALSE(IsGood(std::string(kMaxClaimTicketBytes + 1, 'A')));
}

TEST_F(ClaimTicketTest, IsReadAsLongAsItsKeyIsThere) {
  EXPECT_TRUE(ReadClaimTicket(RotatedTestKeys(kTestKeyId + 1), text_, kEnqueued).has_value()) << "the previous key";
  EXPECT_FALSE(ReadClaimTicket(RotatedTestKeys(kTestKeyId + 2), text_, kEnqueued).has_value());
  EXPECT_FALSE(ReadClaimTicket(FrontKeys(), text_, kEnqueued).has_value());
  EXPECT_EQ(MakeClaimTicket(FrontKeys(), TicketOfLines({LineOf(1)})), "");
}

TEST_F(ClaimTicketTest, IsNoneAfterADay) {
  EXPECT_TRUE(IsGood(text_, kEnqueued + kClaimTicketsLast - absl::Seconds(1)));
  EXPECT_FALSE(IsGood(text_, kEnqueued + kClaimTicketsLast));
}

// Another use's text, under the same key of the ledger.
TEST_F(ClaimTicketTest, AnotherUsesKeyMakesNoTickets) {
  const std::optional<ClaimTicket> read =
      ReadClaimTicket(keys_, SealPaseto(keys_.current()->token_key, "tranche-queued-claim-v1", "7", ""), kEnqueued);
  EXPECT_FALSE(read.has_value());
  EXPECT_NE(keys_.current()->claim_key, keys_.current()->token_key);
  EXPECT_NE(keys_.current()->claim_key, keys_.current()->ticket_key);
}

TEST(ClaimPayloadTest, EveryFieldCounts) {
  const std::string payload = PayloadOf(std::vector{LineOf(1)});
  EXPECT_EQ(payload.size(), 32u);
  const auto spoiled = [](void (*spoil)(storage::ReservationClaim&)) {
    storage::ReservationClaim line = LineOf(1);
    spoil(line);
    return PayloadOf(std::vector{line});
  };
  EXPECT_NE(spoiled([](auto& line) { line.reservation_id.bytes[0] = 1; }), payload);
  EXPECT_NE(spoiled([](auto& line) { line.sku_id = "tw"; }), payload);
  EXPECT_NE(spoiled([](auto& line) { line.user_id = "bob"; }), payload);
  EXPECT_NE(spoiled([](auto& line) { line.quantity = 3; }), payload);
  EXPECT_NE(spoiled([](auto& line) { line.order_reference = ""; }), payload);
  EXPECT_EQ(spoiled([](auto& line) { line.has_token = true; }), payload) << "no part of the payload";

  const std::string joining = PayloadOf(std::vector{JoiningLine()});
  EXPECT_NE(joining, payload);
  EXPECT_NE(PayloadOf(std::vector{JoiningLine("trio")}), joining);
  storage::ReservationClaim other_group = JoiningLine();
  storage::GroupJoin join = *other_group.group;
  join.group_id.bytes[15] = 8;
  other_group.group = std::make_shared<const storage::GroupJoin>(join);
  EXPECT_NE(PayloadOf(std::vector{other_group}), joining);
}

// Tickets from before joins could be queued are still around.
TEST(ClaimPayloadTest, OfAnOrdinaryClaimItStaysTheSame) {
  EXPECT_EQ(absl::BytesToHexString(PayloadOf(std::vector{LineOf(1)})),
            "6a7fb363f5c12aed1ddca8af6c5ac0f0bd8de701399dafacc8280497b8ffe572");
}

// What moves from one field to the next is another payload.
TEST(ClaimPayloadTest, FieldsDoNotRunIntoEachOther) {
  storage::ReservationClaim one = LineOf(1), other = LineOf(1);
  one.sku_id = "tva";
  one.user_id = "lice";
  EXPECT_NE(PayloadOf(std::vector{one}), PayloadOf(std::vector{other}));
  EXPECT_NE(PayloadOf(std::vector{LineOf(1), LineOf(2)}), PayloadOf(std::vector{LineOf(2), LineOf(1)}));
}

}  // namespace
}  // namespace tranche::server
