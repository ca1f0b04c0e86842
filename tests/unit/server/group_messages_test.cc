#include "server/handlers/group_messages.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

class GroupMessagesTest : public ::testing::Test {
 protected:
  static constexpr char kGroupId[] = "0000aaaa-0000-4000-8000-000000000001";
  static constexpr char kReservationId[] = "0000bbbb-0000-4000-8000-000000000001";
  const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

  storage::Group FormingGroup() const {
    storage::Group group;
    group.group_id = *storage::Uuid::Parse(kGroupId);
    group.sku_id = "ps5";
    group.offer_id = "trio";
    group.seats = 3;
    group.seats_taken = 2;
    group.price_minor = 39'900;
    group.currency = "EUR";
    group.opened_by = "alice";
    group.created_at = kNow;
    group.deadline_at = kNow + absl::Seconds(90);
    group.revision = 4;
    return group;
  }

  static v1::Group Filled(const storage::Group& group, absl::Time now) {
    v1::Group message;
    Fill(group, now, &message);
    return message;
  }

  static v1::GroupOffer PartialOffer() {
    v1::GroupOffer offer;
    offer.set_sku_id("ps5");
    offer.set_offer_id("trio");
    offer.set_seats(3);
    offer.set_price_minor(39'900);
    offer.mutable_open_for()->set_seconds(86'400);
    offer.mutable_pay_within()->set_seconds(900);
    offer.set_on_timeout(v1::GROUP_TIMEOUT_PARTIAL);
    offer.set_min_members(2);
    return offer;
  }
};

TEST_F(GroupMessagesTest, AGroupThatFormsTellsTheTimeThatIsLeft) {
  const v1::Group message = Filled(FormingGroup(), kNow + absl::Seconds(30));
  EXPECT_EQ(message.group_id(), kGroupId);
  EXPECT_EQ(message.sku_id(), "ps5");
  EXPECT_EQ(message.offer_id(), "trio");
  EXPECT_EQ(message.seats(), 3);
  EXPECT_EQ(message.seats_taken(), 2);
  EXPECT_EQ(message.price_minor(), 39'900);
  EXPECT_EQ(message.currency(), "EUR");
  EXPECT_EQ(message.state(), v1::GROUP_STATE_FORMING);
  EXPECT_FALSE(message.partial());
  EXPECT_EQ(message.create_time().seconds(), absl::ToUnixSeconds(kNow));
  EXPECT_EQ(message.deadline_time().seconds(), absl::ToUnixSeconds(kNow) + 90);
  EXPECT_EQ(message.remaining().seconds(), 60);
  EXPECT_FALSE(message.has_finish_time());
  EXPECT_EQ(message.cancel_reason(), "");
  EXPECT_EQ(message.revision(), 4);
}

TEST_F(GroupMessagesTest, NoTimeIsLeftAfterTheDeadline) {
  const v1::Group late = Filled(FormingGroup(), kNow + absl::Hours(1));
  ASSERT_TRUE(late.has_remaining());
  EXPECT_EQ(late.remaining().seconds(), 0);
}

TEST_F(GroupMessagesTest, AGroupThatIsOverTellsWhenAndWhy) {
  storage::Group group = FormingGroup();
  group.state = storage::GroupState::kCancelled;
  group.finished_at = kNow + absl::Seconds(10);
  group.reason = "the supplier failed us";
  const v1::Group cancelled = Filled(group, kNow + absl::Seconds(30));
  EXPECT_EQ(cancelled.state(), v1::GROUP_STATE_CANCELLED);
  EXPECT_FALSE(cancelled.has_remaining());
  EXPECT_EQ(cancelled.finish_time().seconds(), absl::ToUnixSeconds(kNow) + 10);
  EXPECT_EQ(cancelled.cancel_reason(), "the supplier failed us");

  group.state = storage::GroupState::kFilled;
  group.partial = true;
  EXPECT_TRUE(Filled(group, kNow).partial());
}

TEST_F(GroupMessagesTest, AMemberHasASeatOncePaid) {
  storage::GroupMember member;
  member.user_id = "bob";
  member.reservation_id = *storage::Uuid::Parse(kReservationId);
  member.quantity = 2;
  member.reservation_state = storage::ReservationState::kPending;
  member.joined_at = kNow;
  v1::GroupMember waits;
  Fill(member, &waits);
  EXPECT_EQ(waits.reservation_id(), kReservationId);
  EXPECT_EQ(waits.user_id(), "bob");
  EXPECT_EQ(waits.quantity(), 2);
  EXPECT_EQ(waits.reservation_state(), v1::RESERVATION_STATE_PENDING);
  EXPECT_EQ(waits.join_time().seconds(), absl::ToUnixSeconds(kNow));
  EXPECT_EQ(waits.seat(), 0);
  EXPECT_FALSE(waits.has_pay_time());

  member.seat = 3;
  member.paid_at = kNow + absl::Seconds(5);
  member.reservation_state.reset();
  v1::GroupMember sits;
  Fill(member, &sits);
  EXPECT_EQ(sits.seat(), 3);
  EXPECT_EQ(sits.pay_time().seconds(), absl::ToUnixSeconds(kNow) + 5);
  EXPECT_EQ(sits.reservation_state(), v1::RESERVATION_STATE_UNSPECIFIED) << "retention has taken it";
}

TEST_F(GroupMessagesTest, AnOfferIsReadAndTold) {
  const absl::StatusOr<storage::GroupOffer> read = OfferOf(PartialOffer());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->open_for, absl::Hours(24));
  EXPECT_EQ(read->pay_within, absl::Minutes(15));
  EXPECT_EQ(read->on_timeout, storage::OnGroupTimeout::kPartial);
  EXPECT_EQ(read->min_members, 2);
  storage::GroupOffer stored = *read;
  stored.currency = "EUR";
  stored.created_at = kNow;
  v1::GroupOffer told;
  Fill(stored, &told);
  v1::GroupOffer expected = PartialOffer();
  expected.set_currency("EUR");
  expected.mutable_create_time()->set_seconds(absl::ToUnixSeconds(kNow));
  EXPECT_EQ(told.DebugString(), expected.DebugString());

  stored.closed_at = kNow + absl::Seconds(1);
  Fill(stored, &told);
  EXPECT_EQ(told.close_time().seconds(), absl::ToUnixSeconds(kNow) + 1);
}

TEST_F(GroupMessagesTest, AnOfferThatRefundsHasNoLeastNumberOfMembers) {
  v1::GroupOffer message = PartialOffer();
  message.set_on_timeout(v1::GROUP_TIMEOUT_REFUND);
  EXPECT_EQ(MetadataOf(OfferOf(message).status(), "field"), "offer.min_members");
  for (const int least : {0, 1}) {
    message.set_min_members(least);
    const absl::StatusOr<storage::GroupOffer> read = OfferOf(message);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->min_members, 1) << "what the ledger keeps";
    v1::GroupOffer told;
    Fill(*read, &told);
    EXPECT_EQ(told.on_timeout(), v1::GROUP_TIMEOUT_REFUND);
    EXPECT_EQ(told.min_members(), 0);
  }
}

TEST_F(GroupMessagesTest, EveryBadFieldOfAnOfferIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::GroupOffer&);
  };
  const Case cases[] = {
      {"SKU_ID_REQUIRED", "offer.sku_id", [](auto& o) { o.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "offer.sku_id", [](auto& o) { o.set_sku_id("*"); }},
      {"FIELD_INVALID", "offer.offer_id", [](auto& o) { o.clear_offer_id(); }},
      {"FIELD_INVALID", "offer.offer_id", [](auto& o) { o.set_offer_id("a b"); }},
      {"FIELD_INVALID", "offer.offer_id", [](auto& o) { o.set_offer_id(std::string(65, 'o')); }},
      {"FIELD_INVALID", "offer.seats", [](auto& o) { o.set_seats(1); }},
      {"FIELD_INVALID", "offer.seats", [](auto& o) { o.set_seats(101); }},
      {"FIELD_INVALID", "offer.price_minor", [](auto& o) { o.set_price_minor(-1); }},
      {"FIELD_INVALID", "offer.price_minor", [](auto& o) { o.set_price_minor(1'000'000'000'001); }},
      {"FIELD_INVALID", "offer.currency", [](auto& o) { o.set_currency("EUR"); }},
      {"FIELD_INVALID", "offer.open_for", [](auto& o) { o.clear_open_for(); }},
      {"FIELD_INVALID", "offer.open_for", [](auto& o) { o.mutable_open_for()->set_seconds(604'801); }},
      {"FIELD_INVALID", "offer.open_for", [](auto& o) { o.mutable_open_for()->set_nanos(1); }},
      {"FIELD_INVALID", "offer.pay_within", [](auto& o) { o.mutable_pay_within()->set_seconds(0); }},
      {"FIELD_INVALID", "offer.pay_within", [](auto& o) { o.mutable_pay_within()->set_nanos(-1); }},
      {"FIELD_INVALID", "offer.on_timeout", [](auto& o) { o.clear_on_timeout(); }},
      {"FIELD_INVALID", "offer.on_timeout", [](auto& o) { o.set_on_timeout(static_cast<v1::GroupTimeout>(9)); }},
      {"FIELD_INVALID", "offer.min_members", [](auto& o) { o.clear_min_members(); }},
      {"FIELD_INVALID", "offer.min_members", [](auto& o) { o.set_min_members(4); }},
      {"FIELD_INVALID", "offer.create_time", [](auto& o) { o.mutable_create_time(); }},
      {"FIELD_INVALID", "offer.close_time", [](auto& o) { o.mutable_close_time(); }},
  };
  for (const Case& bad : cases) {
    v1::GroupOffer message = PartialOffer();
    bad.spoil(message);
    const absl::Status error = OfferOf(message).status();
    EXPECT_EQ(ReasonOf(error), bad.reason) << message.DebugString();
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << message.DebugString();
  }
}

TEST_F(GroupMessagesTest, TheBoundsOfAnOfferAreTaken) {
  v1::GroupOffer message = PartialOffer();
  message.set_seats(storage::kMostSeats);
  message.set_min_members(storage::kMostSeats);
  message.set_price_minor(0);
  message.mutable_open_for()->set_seconds(604'800);
  message.mutable_pay_within()->set_seconds(1);
  EXPECT_TRUE(OfferOf(message).ok()) << OfferOf(message).status();
}

TEST_F(GroupMessagesTest, StatesAreTheSameBothWays) {
  for (const auto state : {storage::GroupState::kForming, storage::GroupState::kFilled, storage::GroupState::kFailed,
                           storage::GroupState::kCancelled}) {
    EXPECT_EQ(StateOf(ToState(state)), state);
  }
  EXPECT_EQ(StateName(storage::GroupState::kFailed), "FAILED");
  EXPECT_FALSE(StateOf(v1::GROUP_STATE_UNSPECIFIED).has_value());
  EXPECT_FALSE(StateOf(static_cast<v1::GroupState>(9)).has_value());
}

TEST_F(GroupMessagesTest, AGroupIsNamedByAUuid) {
  const absl::StatusOr<storage::Uuid> id = CheckGroupId("0000AAAA-0000-4000-8000-000000000001");
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->ToString(), kGroupId);
  for (const char* text : {"", "x", "00000000-0000-0000-0000-000000000000"}) {
    const absl::Status error = CheckGroupId(text).status();
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID") << text;
    EXPECT_EQ(MetadataOf(error, "field"), "group_id") << text;
  }
  const absl::Status none = GroupNotFound(*id);
  EXPECT_EQ(ReasonOf(none), "GROUP_NOT_FOUND");
  EXPECT_EQ(MetadataOf(none, "group_id"), kGroupId);
}

}  // namespace
}  // namespace tranche::server
