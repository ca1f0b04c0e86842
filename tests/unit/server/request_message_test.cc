#include "server/services/request_message.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using Found = RequestMessage::Found;

v1::StreamReservationsItem ItemOf(uint64_t sequence, const std::string& user = "u") {
  v1::StreamReservationsItem item;
  item.set_sequence(sequence);
  item.mutable_create()->set_user_id(user);
  return item;
}

std::string FrameOf(const std::vector<v1::StreamReservationsItem>& items) {
  v1::StreamReservationsRequest frame;
  for (const auto& item : items) *frame.add_items() = item;
  return frame.SerializeAsString();
}

// A frame of one item with these bytes.
std::string FrameOfBytes(const std::string& item) {
  return absl::StrCat("\x22", std::string(1, static_cast<char>(item.size())), item);
}

TEST(RequestMessageTest, ASingleRequestIsOneItem) {
  v1::StreamReservationsRequest request;
  request.set_sequence(7);
  request.mutable_create()->set_user_id("alice");
  request.mutable_timeout()->set_seconds(3);
  RequestMessage message;
  ASSERT_TRUE(message.Read(request.SerializeAsString()).ok());
  EXPECT_FALSE(message.is_frame());
  v1::StreamReservationsItem item;
  ASSERT_EQ(message.Next(&item), Found::kRequest);
  EXPECT_EQ(item.sequence(), 7u);
  EXPECT_EQ(item.create().user_id(), "alice");
  EXPECT_EQ(item.timeout().seconds(), 3);
  EXPECT_EQ(message.Next(&item), Found::kNone);
}

TEST(RequestMessageTest, AnEmptyMessageIsAnEmptyClaimAndTellsNoTimeout) {
  RequestMessage message;
  v1::StreamReservationsItem item = ItemOf(1);
  item.mutable_timeout()->set_seconds(1);
  ASSERT_TRUE(message.Read("").ok());
  ASSERT_EQ(message.Next(&item), Found::kRequest);
  EXPECT_EQ(item.sequence(), 0u);
  EXPECT_TRUE(item.has_create());
  EXPECT_FALSE(item.has_timeout());
  EXPECT_EQ(message.Next(&item), Found::kNone);
}

TEST(RequestMessageTest, NothingIsThereBeforeTheFirstMessageAndAfterClear) {
  RequestMessage message;
  v1::StreamReservationsItem item;
  EXPECT_EQ(message.Next(&item), Found::kNone);
  ASSERT_TRUE(message.Read(FrameOf({ItemOf(1)})).ok());
  message.Clear();
  EXPECT_EQ(message.Next(&item), Found::kNone);
}

TEST(RequestMessageTest, AFrameGivesItsItemsInOrderAndAgainAfterAStepBack) {
  RequestMessage message;
  ASSERT_TRUE(message.Read(FrameOf({ItemOf(1, "a"), ItemOf(2, std::string(300, 'b')), ItemOf(3, "c")})).ok());
  EXPECT_TRUE(message.is_frame());
  v1::StreamReservationsItem item;
  std::vector<uint64_t> seen;
  bool stepped_back = false;
  while (message.Next(&item) == Found::kRequest) {
    seen.push_back(item.sequence());
    if (item.sequence() == 2 && !stepped_back) {
      stepped_back = true;
      message.StepBack();
    }
  }
  EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2, 2, 3}));
}

TEST(RequestMessageTest, FieldsOfLaterVersionsAreSkipped) {
  RequestMessage message;
  // Field 15, a varint, before, between and behind the items.
  const std::string unknown = "\x78\x05";
  ASSERT_TRUE(message.Read(absl::StrCat(unknown, FrameOf({ItemOf(1)}), unknown, FrameOf({ItemOf(2)}), unknown)).ok());
  v1::StreamReservationsItem item;
  ASSERT_EQ(message.Next(&item), Found::kRequest);
  ASSERT_EQ(message.Next(&item), Found::kRequest);
  EXPECT_EQ(item.sequence(), 2u);
  EXPECT_EQ(message.Next(&item), Found::kNone);
}

TEST(RequestMessageTest, WhatIsNoMessageIsRefused) {
  const std::string frame = FrameOf({ItemOf(1)});
  for (const std::string& bytes : {std::string("\xff"), frame.substr(0, frame.size() - 1), std::string("\x22\x7f")}) {
    RequestMessage message;
    v1::StreamReservationsItem item;
    const absl::Status refused = message.Read(bytes);
    EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID");
    EXPECT_EQ(MetadataOf(refused, "field"), "request");
    EXPECT_EQ(message.Next(&item), Found::kNone);
  }
}

// Read as 32 bits, the length would be 2, and the item one of the sequence 5.
TEST(RequestMessageTest, AnItemWhoseLengthHasUpperBitsIsRefused) {
  const std::string item("\x22\x82\x80\x80\x80\x10\x08\x05", 8);
  const std::string largest_int("\x22\xff\xff\xff\xff\x07\x08\x05", 8);
  for (const std::string& bytes : {item, FrameOf({ItemOf(1)}) + item, item + FrameOf({ItemOf(1)}), largest_int}) {
    RequestMessage message;
    v1::StreamReservationsItem found;
    EXPECT_EQ(ReasonOf(message.Read(bytes)), "FIELD_INVALID");
    EXPECT_FALSE(message.is_frame());
    EXPECT_EQ(message.Next(&found), Found::kNone);
  }
}

TEST(RequestMessageTest, AFrameHasABoundAndNoRequestBesides) {
  RequestMessage message;
  const std::vector<v1::StreamReservationsItem> most(kMaxFrameItems);
  EXPECT_TRUE(message.Read(FrameOf(most)).ok());
  std::vector<v1::StreamReservationsItem> more = most;
  more.emplace_back();
  EXPECT_EQ(ReasonOf(message.Read(FrameOf(more))), "MESSAGE_TOO_LARGE");
  v1::StreamReservationsItem item;
  EXPECT_EQ(message.Next(&item), Found::kNone) << "those of the frame before";

  v1::StreamReservationsRequest both;
  *both.add_items() = ItemOf(1);
  both.mutable_create();
  EXPECT_EQ(MetadataOf(message.Read(both.SerializeAsString()), "field"), "items");
}

TEST(RequestMessageTest, AnItemThatCannotBeReadIsNamedIfItsSequenceCan) {
  RequestMessage message;
  v1::StreamReservationsItem item;
  // The sequence 5, then a claim whose user is not UTF-8.
  ASSERT_TRUE(message.Read(FrameOfBytes("\x08\x05\x1a\x03\x1a\x01\xff") + FrameOf({ItemOf(6)})).ok());
  EXPECT_EQ(message.Next(&item), Found::kUnreadable);
  EXPECT_EQ(item.sequence(), 5u);
  EXPECT_EQ(message.Next(&item), Found::kRequest) << "the next one is not concerned";
  EXPECT_EQ(item.sequence(), 6u);
  // The same without a sequence.
  ASSERT_TRUE(message.Read(FrameOfBytes("\x1a\x03\x1a\x01\xff")).ok());
  EXPECT_EQ(message.Next(&item), Found::kMalformed);
}

TEST(RequestMessageTest, AnItemThatIsTooLargeIsNamedAndNotParsed) {
  v1::StreamReservationsItem large;
  large.set_sequence(5);
  while (large.ByteSizeLong() <= kMaxItemBytes) large.mutable_create_cart()->add_lines();
  RequestMessage message;
  v1::StreamReservationsItem item = ItemOf(1);
  ASSERT_TRUE(message.Read(FrameOf({large, ItemOf(6)})).ok());
  ASSERT_EQ(message.Next(&item), Found::kTooLarge);
  EXPECT_EQ(item.sequence(), 5u);
  EXPECT_EQ(item.request_case(), v1::StreamReservationsItem::REQUEST_NOT_SET);
  EXPECT_EQ(message.Next(&item), Found::kRequest) << "the next one is not concerned";
  EXPECT_EQ(item.sequence(), 6u);
  large.clear_sequence();
  large.mutable_create_cart()->add_lines();
  ASSERT_TRUE(message.Read(FrameOf({large})).ok());
  EXPECT_EQ(message.Next(&item), Found::kMalformed);
}

TEST(RequestMessageTest, TheLargestCartIsParsed) {
  v1::StreamReservationsItem largest;
  largest.set_sequence(~uint64_t{0});
  largest.mutable_timeout()->set_seconds(-1);
  largest.mutable_timeout()->set_nanos(-1);
  largest.mutable_create_cart()->set_user_id(std::string(kMaxCartBytes - 3, 'u'));
  ASSERT_EQ(largest.create_cart().ByteSizeLong(), kMaxCartBytes);
  RequestMessage message;
  v1::StreamReservationsItem item;
  ASSERT_TRUE(message.Read(FrameOf({largest})).ok());
  EXPECT_EQ(message.Next(&item), Found::kRequest);
}

}  // namespace
}  // namespace tranche::server
