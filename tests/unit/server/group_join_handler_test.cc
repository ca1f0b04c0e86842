#include "server/handlers/group_join_handler.h"

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/base/log_trace.h"
#include "storage/ledger/claim_refusal.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/error_matchers.h"
#include "tests/unit/server/happened.h"

namespace tranche::server {
namespace {

using storage::Refusal;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr char kJoiningId[] = "01890a5d-ac96-774b-bcce-b302099a8057";
constexpr char kJoinedGroup[] = "01890a5d-ac96-774b-bcce-b302099a8058";

// A handler whose seller and pipeline answer as told, and remember what they were asked.
class GroupJoinHandlerTest : public ::testing::Test {
 protected:
  GroupJoinHandlerTest() { claims_.StartServing(); }

  class Books : public tranche::testing::StubBooks {
   public:
    void Apply(const std::string&, storage::Change change, absl::Time, storage::ChangeDone done) override {
      change_ = std::move(change);
      done(answer_);
    }
    void Find(const storage::Uuid&, storage::Assurance, absl::Time, FindDone done) override {
      if (finds_hang_) {
        hanging_.push_back(std::move(done));
      } else {
        done(found_);
      }
    }
    bool finds_hang_ = false;
    std::vector<FindDone> hanging_;
    absl::StatusOr<storage::Reservation> found_ = absl::NotFoundError("retired");
    storage::Change change_;
    storage::ChangeResult answer_;
  };

  template <typename Request>
  static void FillClaim(Request* request) {
    request->set_group_id(kJoinedGroup);
    request->set_reservation_id(kJoiningId);
    request->set_sku_id("tv");
    request->set_user_id("alice");
    request->set_quantity(2);
    request->set_order_reference("order-1");
    request->set_purchase_token("a token");
  }
  static v1::OpenGroupRequest Opening() {
    v1::OpenGroupRequest request;
    FillClaim(&request);
    request.set_offer_id("three");
    return request;
  }
  static v1::JoinGroupRequest Joining() {
    v1::JoinGroupRequest request;
    FillClaim(&request);
    return request;
  }

  template <typename Response, typename Request>
  absl::StatusOr<Response> Run(void (GroupJoinHandler::*method)(const Request&, absl::Time, std::string,
                                                                GroupJoinHandler::Done<Response>),
                               const Request& request) {
    absl::StatusOr<Response> result = absl::InternalError("not answered");
    (handler_.*method)(request, clock_.Now() + absl::Seconds(2), "203.0.113.7",
                       [&](absl::StatusOr<Response> response) { result = std::move(response); });
    return result;
  }
  auto Open(const v1::OpenGroupRequest& request) { return Run(&GroupJoinHandler::Open, request); }
  auto Join(const v1::JoinGroupRequest& request) { return Run(&GroupJoinHandler::Join, request); }
  absl::StatusOr<v1::LeaveGroupResponse> Leave(const std::string& reason = "found a better one") {
    v1::LeaveGroupRequest request;
    request.set_reservation_id(kJoiningId);
    request.set_reason(reason);
    absl::StatusOr<v1::LeaveGroupResponse> result = absl::InternalError("not answered");
    handler_.Leave(request, clock_.Now() + absl::Seconds(2),
                   [&](absl::StatusOr<v1::LeaveGroupResponse> response) { result = std::move(response); });
    return result;
  }

  storage::FakeClock clock_;
  Books books_;
  quota::SliceTable slices_;
  quota::SaleResult answer_ = quota::Sold{};
  std::optional<storage::ReservationClaim> claim_;
  quota::Visitor visitor_;
  absl::Time deadline_;
  bool may_exist_ = false;
  ReservationHandler claims_{[this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist,
                                    quota::SaleDone done, quota::Visitor visitor) {
                               claim_ = std::move(claim);
                               deadline_ = deadline;
                               may_exist_ = may_exist;
                               visitor_ = std::move(visitor);
                               done(answer_);
                             },
                             &books_, &clock_};
  ChangeHandler changes_{&books_, &slices_, &clock_};
  GroupJoinHandler handler_{&claims_, &changes_};
};

TEST_F(GroupJoinHandlerTest, WhoOpensClaimsWithTheGroupAndItsOffer) {
  quota::Sold sold;
  sold.replayed = true;
  sold.reservation.reservation_id = *storage::Uuid::Parse(kJoiningId);
  sold.reservation.amount_minor = 79800;
  answer_ = sold;
  const auto trace = std::make_shared<const LogTrace>(LogTrace{.trace_id = "aa", .request_id = ""});
  const ScopedTrace scope(trace);
  v1::OpenGroupRequest request = Opening();
  request.set_may_exist(true);
  const auto opened = Open(request);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->reservation().reservation_id(), kJoiningId);
  EXPECT_EQ(opened->reservation().amount_minor(), 79800);
  EXPECT_TRUE(opened->replayed());
  ASSERT_TRUE(claim_.has_value());
  EXPECT_EQ(claim_->reservation_id.ToString(), kJoiningId);
  EXPECT_EQ(claim_->sku_id, "tv");
  EXPECT_EQ(claim_->user_id, "alice");
  EXPECT_EQ(claim_->quantity, 2);
  EXPECT_EQ(claim_->order_reference, "order-1");
  EXPECT_EQ(claim_->trace, trace);
  ASSERT_NE(claim_->group, nullptr);
  EXPECT_EQ(claim_->group->group_id.ToString(), kJoinedGroup);
  EXPECT_EQ(claim_->group->offer_id, "three");
  EXPECT_EQ(visitor_.address, "203.0.113.7");
  EXPECT_EQ(visitor_.purchase_token, "a token");
  EXPECT_FALSE(visitor_.accept_queued);
  EXPECT_EQ(deadline_, clock_.Now() + absl::Seconds(2));
  EXPECT_TRUE(may_exist_);
}

TEST_F(GroupJoinHandlerTest, WhoJoinsNamesNoOffer) {
  const auto joined = Join(Joining());
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_FALSE(joined->replayed());
  ASSERT_NE(claim_->group, nullptr);
  EXPECT_EQ(claim_->group->group_id.ToString(), kJoinedGroup);
  EXPECT_EQ(claim_->group->offer_id, "");
  EXPECT_FALSE(may_exist_);
}

TEST_F(GroupJoinHandlerTest, EveryBadFieldIsNamed) {
  const std::pair<const char*, void (*)(v1::OpenGroupRequest&)> cases[] = {
      {"group_id", [](auto& r) { r.clear_group_id(); }},
      {"group_id", [](auto& r) { r.set_group_id("17"); }},
      {"group_id", [](auto& r) { r.set_group_id("00000000-0000-0000-0000-000000000000"); }},
      {"offer_id", [](auto& r) { r.clear_offer_id(); }},
      {"offer_id", [](auto& r) { r.set_offer_id("a/b"); }},
      {"reservation_id", [](auto& r) { r.clear_reservation_id(); }},
      {"sku_id", [](auto& r) { r.set_sku_id("a/b"); }},
      {"user_id", [](auto& r) { r.clear_user_id(); }},
      {"quantity", [](auto& r) { r.set_quantity(0); }},
      {"order_reference", [](auto& r) { r.set_order_reference("a\nb"); }},
      {"purchase_token", [](auto& r) { r.set_purchase_token(std::string(513, 't')); }},
      {"buyer_address", [](auto& r) { r.set_buyer_address("203.0.113.7:80"); }},
      {"request", [](auto& r) { r.set_user_id(std::string(5000, 'u')); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::OpenGroupRequest request = Opening();
    spoil(request);
    const absl::Status error = Open(request).status();
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_EQ(MetadataOf(error, "field"), field);
  }
  v1::JoinGroupRequest joining = Joining();
  joining.clear_group_id();
  EXPECT_EQ(MetadataOf(Join(joining).status(), "field"), "group_id");
  EXPECT_FALSE(claim_.has_value()) << "a bad request reached the seller";
}

TEST_F(GroupJoinHandlerTest, RefusalsTellWhichGroupOrOffer) {
  struct Case {
    Refusal refusal;
    const char* reason;
    std::string group_id;
    std::string offer_id;
    std::string sku_id;
  };
  const Case cases[] = {
      {Refusal::kGroupNotFound, "GROUP_NOT_FOUND", kJoinedGroup, "", ""},
      {Refusal::kGroupOver, "GROUP_OVER", kJoinedGroup, "", ""},
      {Refusal::kGroupFull, "GROUP_FULL", kJoinedGroup, "", ""},
      {Refusal::kAlreadyInGroup, "ALREADY_IN_GROUP", kJoinedGroup, "", ""},
      {Refusal::kOfferNotFound, "OFFER_NOT_FOUND", "", "three", "tv"},
      {Refusal::kOfferClosed, "OFFER_CLOSED", "", "three", "tv"},
      {Refusal::kTooManyGroups, "TOO_MANY_GROUPS", "", "", "tv"},
      {Refusal::kSoldOut, "SOLD_OUT", "", "", "tv"},
      {Refusal::kDraining, "DRAINING", "", "", ""},
  };
  for (const Case& one : cases) {
    answer_ = quota::Refused{.refusal = one.refusal};
    const absl::Status error = Open(Opening()).status();
    EXPECT_EQ(ReasonOf(error), one.reason);
    EXPECT_EQ(MetadataOf(error, "group_id"), one.group_id) << one.reason;
    EXPECT_EQ(MetadataOf(error, "offer_id"), one.offer_id) << one.reason;
    EXPECT_EQ(MetadataOf(error, "sku_id"), one.sku_id) << one.reason;
  }
  answer_ = quota::Refused{.refusal = Refusal::kReservationIdReused};
  EXPECT_EQ(MetadataOf(Join(Joining()).status(), "reservation_id"), kJoiningId);
}

TEST_F(GroupJoinHandlerTest, WhoAcceptsItMayBeQueued) {
  answer_ = quota::Queued{.ticket = "t", .ahead = 3, .poll_after = absl::Seconds(2), .decide_at = clock_.Now()};
  v1::OpenGroupRequest opening = Opening();
  opening.set_accept_queued(true);
  const auto opened = Open(opening);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(visitor_.accept_queued);
  EXPECT_FALSE(opened->has_reservation());
  EXPECT_EQ(opened->queued().ticket(), "t");
  EXPECT_EQ(opened->queued().ahead(), 3);
  EXPECT_EQ(opened->queued().poll_after().seconds(), 2);
  v1::JoinGroupRequest joining = Joining();
  joining.set_accept_queued(true);
  const auto joined = Join(joining);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_TRUE(visitor_.accept_queued);
  EXPECT_EQ(joined->queued().ticket(), "t");
  EXPECT_THAT(Happened(claims_.outcomes()), ElementsAre(Pair("queued", 2)));
}

TEST_F(GroupJoinHandlerTest, WhoDoesNotAcceptItIsToldHowTo) {
  answer_ = quota::Refused{.refusal = Refusal::kClaimsAreQueued};
  const absl::Status error = Join(Joining()).status();
  EXPECT_EQ(ReasonOf(error), "CLAIMS_ARE_QUEUED");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  EXPECT_NE(error.message().find("accept_queued"), absl::string_view::npos) << error;
}

// It was queued before, and the ledger has a row that says so.
TEST_F(GroupJoinHandlerTest, WhoRepeatsAJoinThatWasRefusedForGoodIsToldWhy) {
  quota::Sold sold{.reservation = {}, .replayed = true};
  sold.reservation.state = storage::ReservationState::kCancelled;
  sold.reservation.cancel_reason = storage::ToCancelReason(Refusal::kGroupFull);
  sold.reservation.created_at = sold.reservation.expires_at = clock_.Now();
  answer_ = sold;
  const absl::Status error = Join(Joining()).status();
  EXPECT_EQ(ReasonOf(error), "GROUP_FULL");
  EXPECT_EQ(MetadataOf(error, "group_id"), kJoinedGroup);
}

TEST_F(GroupJoinHandlerTest, JoinsAreCountedAsTheClaimsThatTheyAre) {
  EXPECT_TRUE(Open(Opening()).ok());
  answer_ = quota::Sold{.reservation = {}, .replayed = true};
  EXPECT_TRUE(Join(Joining()).ok());
  answer_ = quota::Refused{.refusal = Refusal::kGroupFull};
  EXPECT_FALSE(Join(Joining()).ok());
  v1::OpenGroupRequest bad = Opening();
  bad.clear_offer_id();
  EXPECT_FALSE(Open(bad).ok());
  EXPECT_THAT(Happened(claims_.outcomes()),
              ElementsAre(Pair("FIELD_INVALID", 1), Pair("GROUP_FULL", 1), Pair("created", 1), Pair("replayed", 1)));
}

TEST_F(GroupJoinHandlerTest, ANodeThatDoesNotServeYetSendsWhoJoinsElsewhere) {
  ReservationHandler starting{[](auto, auto, auto, auto, auto) { FAIL() << "it sells too early"; }, &books_, &clock_};
  GroupJoinHandler handler(&starting, &changes_);
  absl::Status error;
  handler.Join(Joining(), absl::InfiniteFuture(), "",
               [&](const absl::StatusOr<v1::JoinGroupResponse>& response) { error = response.status(); });
  EXPECT_EQ(ReasonOf(error), "EXHAUSTED_HERE");
}

TEST_F(GroupJoinHandlerTest, WhoLeavesCancels) {
  books_.answer_.outcome = storage::ChangeOutcome::kReplayed;
  books_.answer_.reservation.reservation_id = *storage::Uuid::Parse(kJoiningId);
  books_.answer_.reservation.state = storage::ReservationState::kCancelled;
  books_.answer_.reservation.group_id = *storage::Uuid::Parse(kJoinedGroup);
  books_.found_ = books_.answer_.reservation;
  const auto left = Leave();
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->reservation().reservation_id(), kJoiningId);
  EXPECT_EQ(left->reservation().state(), v1::RESERVATION_STATE_CANCELLED);
  EXPECT_TRUE(left->replayed());
  const auto& cancellation = std::get<storage::Cancellation>(books_.change_);
  EXPECT_EQ(cancellation.reservation_id.ToString(), kJoiningId);
  EXPECT_EQ(cancellation.reason, "found a better one");
  EXPECT_THAT(Happened(changes_.cancelled()), ElementsAre(Pair("replayed", 1)));

  books_.answer_ = storage::RefusedChange(Refusal::kReservationState, books_.answer_.reservation);
  books_.answer_.reservation.state = storage::ReservationState::kConfirmed;
  const absl::Status filled = Leave().status();
  EXPECT_EQ(ReasonOf(filled), "RESERVATION_STATE");
  EXPECT_EQ(MetadataOf(filled, "state"), "CONFIRMED");
  EXPECT_EQ(MetadataOf(Leave("GROUP_FULL").status(), "field"), "reason") << "that is not theirs to say";
  changes_.SetAccepting(false);
  EXPECT_EQ(ReasonOf(Leave().status()), "DRAINING");
}

TEST_F(GroupJoinHandlerTest, AReservationThatWasMadeForNoGroupIsNotLeft) {
  books_.found_ = storage::Reservation{.reservation_id = *storage::Uuid::Parse(kJoiningId),
                                       .sku_id = "tv",
                                       .user_id = "alice",
                                       .quantity = 1,
                                       .currency = "EUR",
                                       .created_at = clock_.Now(),
                                       .expires_at = clock_.Now() + absl::Minutes(1)};
  books_.change_ = storage::Payment{};
  const absl::Status refused = Leave().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused), "NOT_IN_GROUP");
  EXPECT_EQ(MetadataOf(refused, "reservation_id"), kJoiningId);
  EXPECT_FALSE(std::holds_alternative<storage::Cancellation>(books_.change_)) << "nothing is cancelled";
  EXPECT_THAT(Happened(changes_.cancelled()), ElementsAre(Pair("NOT_IN_GROUP", 1)));
}

TEST_F(GroupJoinHandlerTest, WhetherItIsAMembersTheLedgerMustTell) {
  books_.found_ = absl::UnavailableError("gone");
  EXPECT_EQ(ReasonOf(Leave().status()), "LEDGER_UNAVAILABLE");
  // Of one that is not found, what the cancellation says.
  books_.found_ = absl::NotFoundError("retired");
  books_.answer_ = storage::RefusedChange(Refusal::kReservationNotFound);
  EXPECT_EQ(ReasonOf(Leave().status()), "RESERVATION_NOT_FOUND");
}

TEST_F(GroupJoinHandlerTest, WhoeverLeavesWaitsForTheirTurnAndOnlySoManyDo) {
  books_.finds_hang_ = true;
  books_.answer_ = storage::RefusedChange(Refusal::kReservationNotFound);
  v1::LeaveGroupRequest request;
  request.set_reservation_id(kJoiningId);
  size_t answered = 0;
  constexpr size_t kMost = ChangeHandler::kMostLeaveReads + ChangeHandler::kMostWaitToLeave;
  for (size_t i = 0; i < kMost; ++i) {
    handler_.Leave(request, absl::InfiniteFuture(), [&](const absl::StatusOr<v1::LeaveGroupResponse>& response) {
      EXPECT_EQ(ReasonOf(response.status()), "RESERVATION_NOT_FOUND");
      ++answered;
    });
  }
  EXPECT_EQ(books_.hanging_.size(), ChangeHandler::kMostLeaveReads) << "so many looks at a time";
  EXPECT_EQ(ReasonOf(Leave().status()), "OVERLOADED");
  EXPECT_EQ(answered, 0u);
  books_.finds_hang_ = false;
  for (Books::FindDone& done : std::exchange(books_.hanging_, {})) done(books_.found_);
  EXPECT_EQ(answered, kMost) << "nobody is forgotten";
  EXPECT_EQ(Happened(changes_.cancelled()).size(), 2u) << "both ends are counted";
}

TEST_F(GroupJoinHandlerTest, WhoseDeadlineHasPassedInTheQueueLeavesNothing) {
  books_.finds_hang_ = true;
  books_.change_ = storage::Payment{};
  v1::LeaveGroupRequest request;
  request.set_reservation_id(kJoiningId);
  std::vector<std::string> told;
  std::vector<absl::Duration> patience(ChangeHandler::kMostLeaveReads, absl::Seconds(60));
  patience.push_back(absl::Seconds(1));
  for (const absl::Duration one : patience) {
    handler_.Leave(request, clock_.Now() + one, [&](const absl::StatusOr<v1::LeaveGroupResponse>& response) {
      told.push_back(ReasonOf(response.status()));
    });
  }
  clock_.AdvanceBy(absl::Seconds(2));
  books_.answer_ = storage::RefusedChange(Refusal::kReservationNotFound);
  for (Books::FindDone& done : std::exchange(books_.hanging_, {})) done(absl::UnavailableError("gone"));
  std::vector<std::string> expected(ChangeHandler::kMostLeaveReads, "LEDGER_UNAVAILABLE");
  expected.emplace_back("DEADLINE_PASSED");
  EXPECT_THAT(told, ::testing::UnorderedElementsAreArray(expected));
  EXPECT_TRUE(books_.hanging_.empty()) << "it is not even looked for";
  EXPECT_FALSE(std::holds_alternative<storage::Cancellation>(books_.change_));
}

}  // namespace
}  // namespace tranche::server
