#include "server/handlers/group_admin_handler.h"

#include <gmock/gmock.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;

// Answers what it is told to, and remembers what it was asked.
class GroupsThatAreTold : public storage::GroupLedger {
 public:
  absl::StatusOr<storage::GroupOffer> CreateGroupOffer(const storage::GroupOffer& offer, bool preview,
                                                       const storage::Actor& actor) override {
    Note("create", preview, actor);
    asked_offer = offer;
    if (!error.ok()) return error;
    storage::GroupOffer stored = offer;
    stored.currency = "EUR";
    return stored;
  }
  absl::StatusOr<storage::GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id,
                                                      bool preview, const storage::Actor& actor) override {
    Note("close " + sku_id + " " + offer_id, preview, actor);
    if (!error.ok()) return error;
    storage::GroupOffer closed;
    closed.sku_id = sku_id;
    closed.offer_id = offer_id;
    closed.closed_at = absl::FromUnixSeconds(1'800'000'000);
    return closed;
  }
  absl::StatusOr<std::vector<storage::GroupOffer>> ListGroupOffers(const std::string&) override {
    if (!list_error.ok()) return list_error;
    return std::vector<storage::GroupOffer>(offers);
  }
  absl::StatusOr<storage::Group> CancelGroup(const storage::Uuid& group_id, const std::string& sku_id,
                                             const std::string& reason, bool preview,
                                             const storage::Actor& actor) override {
    Note("cancel " + group_id.ToString() + " " + reason, preview, actor);
    asked_sku = sku_id;
    if (!error.ok()) return error;
    storage::Group cancelled = group;
    cancelled.group_id = group_id;
    cancelled.state = storage::GroupState::kCancelled;
    cancelled.reason = reason;
    return cancelled;
  }
  absl::StatusOr<storage::GroupWithMembers> GetGroup(const storage::Uuid&,
                                                     const storage::GroupLookup& lookup) override {
    asked_sku = lookup.sku_id;
    if (!get_error.ok()) return get_error;
    return storage::GroupWithMembers{group, {}};
  }
  absl::StatusOr<storage::GroupPage> ListGroups(const storage::GroupFilter&, const storage::GroupCursor&,
                                                int) override {
    return absl::UnimplementedError("not asked for");
  }
  absl::StatusOr<storage::GroupCounts> CountGroups() override { return absl::UnimplementedError("not asked for"); }
  absl::StatusOr<storage::ExpiredGroups> ExpireGroups(int) override {
    return absl::UnimplementedError("not asked for");
  }
  absl::StatusOr<int64_t> RetireGroups(absl::Duration, int) override {
    return absl::UnimplementedError("not asked for");
  }

  // "preview close ps5 trio by tester, because a test"
  std::vector<std::string> asked;
  storage::GroupOffer asked_offer;
  absl::Status error;                 // of the change
  std::string asked_sku = "nothing";  // of the group
  absl::Status list_error;            // of reads
  absl::Status get_error;
  size_t offers = 0;
  storage::Group group;

 private:
  void Note(const std::string& what, bool preview, const storage::Actor& actor) {
    asked.push_back((preview ? "preview " : "") + what + " by " + actor.name + ", because " + actor.reason);
  }
};

class GroupAdminHandlerTest : public ::testing::Test {
 protected:
  static constexpr char kGroupId[] = "0000aaaa-0000-4000-8000-000000000001";

  static v1::CreateGroupOfferRequest NewOffer() {
    v1::CreateGroupOfferRequest request;
    v1::GroupOffer& offer = *request.mutable_offer();
    offer.set_sku_id("ps5");
    offer.set_offer_id("trio");
    offer.set_seats(3);
    offer.set_price_minor(39'900);
    offer.mutable_open_for()->set_seconds(86'400);
    offer.mutable_pay_within()->set_seconds(900);
    offer.set_on_timeout(v1::GROUP_TIMEOUT_REFUND);
    return request;
  }
  static v1::CloseGroupOfferRequest CloseTrio() {
    v1::CloseGroupOfferRequest request;
    request.set_sku_id("ps5");
    request.set_offer_id("trio");
    return request;
  }
  static v1::CancelGroupRequest CancelIt() {
    v1::CancelGroupRequest request;
    request.set_group_id(kGroupId);
    request.set_reason("the supplier failed us");
    return request;
  }
  std::string LastAsked() const { return groups_.asked.empty() ? "nothing" : groups_.asked.back(); }

  const storage::Actor actor_{"tester", "a test"};
  storage::FakeClock clock_;
  GroupsThatAreTold groups_;
  GroupAdminHandler handler_{&groups_, &clock_};
};

TEST_F(GroupAdminHandlerTest, AnOfferIsMadeAsAskedFor) {
  const auto created = handler_.CreateOffer(NewOffer(), actor_);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(LastAsked(), "create by tester, because a test");
  EXPECT_EQ(groups_.asked_offer.seats, 3);
  EXPECT_EQ(groups_.asked_offer.open_for, absl::Hours(24));
  EXPECT_EQ(groups_.asked_offer.pay_within, absl::Minutes(15));
  EXPECT_EQ(created->offer().offer_id(), "trio");
  EXPECT_EQ(created->offer().price_minor(), 39'900);
  EXPECT_EQ(created->offer().currency(), "EUR") << "as it is stored";
}

TEST_F(GroupAdminHandlerTest, PreviewsAreTheLedgers) {
  v1::CreateGroupOfferRequest create = NewOffer();
  create.set_preview(true);
  EXPECT_TRUE(handler_.CreateOffer(create, actor_).ok());
  EXPECT_EQ(LastAsked(), "preview create by tester, because a test");
  v1::CloseGroupOfferRequest close = CloseTrio();
  close.set_preview(true);
  EXPECT_TRUE(handler_.CloseOffer(close, actor_).ok());
  EXPECT_EQ(LastAsked(), "preview close ps5 trio by tester, because a test");
  v1::CancelGroupRequest cancel = CancelIt();
  cancel.set_preview(true);
  EXPECT_TRUE(handler_.Cancel(cancel, actor_).ok());
  EXPECT_THAT(LastAsked(), HasSubstr("preview cancel"));
}

TEST_F(GroupAdminHandlerTest, WhatTheLedgerCannotTakeIsNotAskedFor) {
  v1::CreateGroupOfferRequest create = NewOffer();
  create.mutable_offer()->set_seats(1);
  EXPECT_EQ(MetadataOf(handler_.CreateOffer(create, actor_).status(), "field"), "offer.seats");
  EXPECT_EQ(MetadataOf(handler_.CreateOffer({}, actor_).status(), "field"), "offer.sku_id");

  v1::CloseGroupOfferRequest close = CloseTrio();
  close.set_sku_id("*");
  EXPECT_EQ(ReasonOf(handler_.CloseOffer(close, actor_).status()), "SKU_ID_MALFORMED");
  close = CloseTrio();
  close.clear_offer_id();
  EXPECT_EQ(MetadataOf(handler_.CloseOffer(close, actor_).status(), "field"), "offer_id");

  v1::CancelGroupRequest cancel = CancelIt();
  cancel.set_group_id("trio");
  EXPECT_EQ(MetadataOf(handler_.Cancel(cancel, actor_).status(), "field"), "group_id");
  for (const std::string& reason : {std::string(257, 'r'), std::string("two\nlines"), std::string("\xff")}) {
    cancel = CancelIt();
    cancel.set_reason(reason);
    EXPECT_EQ(MetadataOf(handler_.Cancel(cancel, actor_).status(), "field"), "reason") << reason;
  }
  EXPECT_EQ(LastAsked(), "nothing");
}

TEST_F(GroupAdminHandlerTest, AnOfferOfThisNameIsThere) {
  groups_.error = absl::AlreadyExistsError("other values");
  const absl::Status error = handler_.CreateOffer(NewOffer(), actor_).status();
  EXPECT_EQ(ReasonOf(error), "OFFER_EXISTS");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "ps5");
  EXPECT_EQ(MetadataOf(error, "offer_id"), "trio");
}

TEST_F(GroupAdminHandlerTest, ABusyLedgerIsToldFromASkuWithAllItsOffers) {
  groups_.error = absl::ResourceExhaustedError("too many");
  groups_.offers = storage::kMostOffers - 1;
  EXPECT_EQ(ReasonOf(handler_.CreateOffer(NewOffer(), actor_).status()), "OVERLOADED");
  groups_.list_error = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(handler_.CreateOffer(NewOffer(), actor_).status()), "OVERLOADED");
  groups_.list_error = absl::OkStatus();
  groups_.offers = storage::kMostOffers;
  const absl::Status full = handler_.CreateOffer(NewOffer(), actor_).status();
  EXPECT_EQ(ReasonOf(full), "TOO_MANY_OFFERS");
  EXPECT_EQ(MetadataOf(full, "sku_id"), "ps5");
}

TEST_F(GroupAdminHandlerTest, ASkuThatIsNotThereHasNoOffers) {
  groups_.error = absl::NotFoundError("no such SKU");
  const absl::Status create = handler_.CreateOffer(NewOffer(), actor_).status();
  EXPECT_EQ(ReasonOf(create), "SKU_NOT_FOUND");
  EXPECT_EQ(MetadataOf(create, "sku_id"), "ps5");
  EXPECT_EQ(ReasonOf(handler_.CloseOffer(CloseTrio(), actor_).status()), "SKU_NOT_FOUND");
}

TEST_F(GroupAdminHandlerTest, AnOfferIsClosed) {
  const auto closed = handler_.CloseOffer(CloseTrio(), actor_);
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(LastAsked(), "close ps5 trio by tester, because a test");
  EXPECT_EQ(closed->offer().offer_id(), "trio");
  EXPECT_TRUE(closed->offer().has_close_time());

  groups_.error = absl::FailedPreconditionError("none");
  const absl::Status none = handler_.CloseOffer(CloseTrio(), actor_).status();
  EXPECT_EQ(ReasonOf(none), "OFFER_NOT_FOUND");
  EXPECT_EQ(MetadataOf(none, "sku_id"), "ps5");
  EXPECT_EQ(MetadataOf(none, "offer_id"), "trio");
}

TEST_F(GroupAdminHandlerTest, AGroupIsCancelledWithItsReason) {
  groups_.group.sku_id = "ps5";
  groups_.group.seats = 3;
  groups_.group.seats_taken = 2;
  v1::CancelGroupRequest request = CancelIt();
  request.set_group_id("0000AAAA-0000-4000-8000-000000000001");
  const auto cancelled = handler_.Cancel(request, actor_);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(LastAsked(),
            "cancel 0000aaaa-0000-4000-8000-000000000001 the supplier failed us by tester, because a test");
  EXPECT_EQ(cancelled->group().group_id(), kGroupId);
  EXPECT_EQ(cancelled->group().state(), v1::GROUP_STATE_CANCELLED);
  EXPECT_EQ(cancelled->group().seats_taken(), 2);
  EXPECT_EQ(cancelled->group().cancel_reason(), "the supplier failed us");
}

TEST_F(GroupAdminHandlerTest, CancelledGroupsAreCounted) {
  v1::CancelGroupRequest request = CancelIt();
  request.set_preview(true);
  EXPECT_TRUE(handler_.Cancel(request, actor_).ok());
  EXPECT_EQ(handler_.cancelled(), 0) << "a preview";
  EXPECT_TRUE(handler_.Cancel(CancelIt(), actor_).ok());
  EXPECT_TRUE(handler_.Cancel(CancelIt(), actor_).ok());
  EXPECT_EQ(handler_.cancelled(), 1) << "a repeat";
  groups_.error = absl::FailedPreconditionError("filled");
  request = CancelIt();
  request.set_group_id("0000aaaa-0000-4000-8000-000000000002");
  EXPECT_FALSE(handler_.Cancel(request, actor_).ok());
  EXPECT_EQ(handler_.cancelled(), 1);
}

TEST(EndedGroupsTest, TheOldestAreForgotten) {
  EndedGroups groups;
  const auto note = [&](size_t number) {
    groups.Note({.bytes = {static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)}});
  };
  for (size_t i = 0; i < EndedGroups::kRemembered; ++i) note(i);
  for (size_t i = 0; i < EndedGroups::kRemembered; ++i) note(i);
  EXPECT_EQ(groups.count(), static_cast<int64_t>(EndedGroups::kRemembered));
  note(EndedGroups::kRemembered);
  note(1);
  EXPECT_EQ(groups.count(), static_cast<int64_t>(EndedGroups::kRemembered) + 1);
  note(0);
  EXPECT_EQ(groups.count(), static_cast<int64_t>(EndedGroups::kRemembered) + 2) << "memory is bounded";
}

// Two shards may have a group of one id.
TEST_F(GroupAdminHandlerTest, TheGroupOfTheSkuThatIsNamedIsCancelled) {
  EXPECT_TRUE(handler_.Cancel(CancelIt(), actor_).ok());
  EXPECT_EQ(groups_.asked_sku, "");
  v1::CancelGroupRequest request = CancelIt();
  request.set_sku_id("ps5");
  EXPECT_TRUE(handler_.Cancel(request, actor_).ok());
  EXPECT_EQ(groups_.asked_sku, "ps5");
  groups_.asked_sku = "nothing";
  groups_.error = absl::FailedPreconditionError("filled");
  EXPECT_EQ(ReasonOf(handler_.Cancel(request, actor_).status()), "GROUP_OVER");
  EXPECT_EQ(groups_.asked_sku, "ps5") << "its state, too";
  request.set_sku_id("a/b");
  EXPECT_EQ(ReasonOf(handler_.Cancel(request, actor_).status()), "SKU_ID_MALFORMED");
}

TEST_F(GroupAdminHandlerTest, AGroupThatIsOverStaysAsItIs) {
  groups_.error = absl::FailedPreconditionError("filled");
  groups_.group.state = storage::GroupState::kFilled;
  const absl::Status filled = handler_.Cancel(CancelIt(), actor_).status();
  EXPECT_EQ(ReasonOf(filled), "GROUP_OVER");
  EXPECT_EQ(MetadataOf(filled, "group_id"), kGroupId);
  EXPECT_EQ(MetadataOf(filled, "state"), "FILLED");
  EXPECT_THAT(std::string(filled.message()), HasSubstr("is FILLED"));

  groups_.get_error = absl::UnavailableError("down");
  const absl::Status unknown = handler_.Cancel(CancelIt(), actor_).status();
  EXPECT_EQ(ReasonOf(unknown), "GROUP_OVER");
  EXPECT_EQ(MetadataOf(unknown, "state"), "");

  groups_.error = absl::NotFoundError("no such group");
  const absl::Status none = handler_.Cancel(CancelIt(), actor_).status();
  EXPECT_EQ(ReasonOf(none), "GROUP_NOT_FOUND");
  EXPECT_EQ(MetadataOf(none, "group_id"), kGroupId);
}

TEST_F(GroupAdminHandlerTest, EveryChangeMayBeRepeatedWhenItsAnswerIsLost) {
  groups_.error = storage::UnknownCommitError("lost");
  for (const absl::Status& lost :
       {handler_.CreateOffer(NewOffer(), actor_).status(), handler_.CloseOffer(CloseTrio(), actor_).status(),
        handler_.Cancel(CancelIt(), actor_).status()}) {
    EXPECT_EQ(ReasonOf(lost), "COMMIT_UNKNOWN");
    EXPECT_EQ(lost.code(), absl::StatusCode::kUnavailable) << "so that clients repeat it";
  }
}

}  // namespace
}  // namespace tranche::server
