#include "server/handlers/change_handler.h"

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/base/log_trace.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/door_fixture.h"
#include "tests/unit/server/error_matchers.h"
#include "tests/unit/server/happened.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

using storage::ChangeOutcome;
using storage::ChangeResult;
using storage::Refusal;

constexpr char kId[] = "01890a5d-ac96-774b-bcce-b302099a8057";
constexpr storage::Uuid kGroup = {.bytes = {7}};

// A handler whose pipeline answers as told and remembers what it was asked.
class ChangeHandlerTest : public ::testing::Test {
 protected:
  ChangeHandlerTest() {
    answer_.reservation.reservation_id = *storage::Uuid::Parse(kId);
    answer_.reservation.sku_id = "tv";
    answer_.reservation.amount_minor = 49900;
    answer_.reservation.currency = "EUR";
    answer_.reservation.extensions = 1;
    answer_.reservation.state = storage::ReservationState::kConfirmed;
    answer_.outcome = ChangeOutcome::kDone;
    late_ = answer_;
  }

  // Books that answer as told and remember what they were asked.
  class Books : public tranche::testing::StubBooks {
   public:
    explicit Books(ChangeHandlerTest* test) : test_(test) {}

    void Apply(const std::string& shard, storage::Change change, absl::Time deadline,
               storage::ChangeDone done) override {
      test_->shard_hint_ = shard;
      test_->change_ = std::move(change);
      test_->deadline_ = deadline;
      ++test_->calls_;
      if (!test_->error_.ok()) return done(test_->error_);
      done(test_->answer_);
    }
    void ConfirmLate(storage::Payment payment, const std::string& sku_id, absl::Time deadline,
                     storage::ChangeDone done) override {
      test_->late_sku_ = sku_id;
      ++test_->late_calls_;
      test_->late_payment_ = std::move(payment);
      test_->late_deadline_ = deadline;
      if (!test_->late_error_.ok()) return done(test_->late_error_);
      done(test_->late_);
    }

    void Find(const storage::Uuid& id, storage::Assurance, absl::Time, FindDone done) override {
      ++test_->finds_;
      EXPECT_EQ(id.ToString(), kId);
      done(test_->found_);
    }

   private:
    ChangeHandlerTest* const test_;
  };

  static v1::ConfirmReservationRequest Payment() {
    v1::ConfirmReservationRequest request;
    request.set_reservation_id(kId);
    request.set_payment_reference("pay-1");
    request.set_amount_minor(49900);
    request.set_currency("EUR");
    return request;
  }
  static v1::CancelReservationRequest Cancellation() {
    v1::CancelReservationRequest request;
    request.set_reservation_id(kId);
    request.set_reason("changed their mind");
    return request;
  }
  static v1::ExtendReservationRequest Extension() {
    v1::ExtendReservationRequest request;
    request.set_reservation_id(kId);
    request.mutable_extend_by()->set_seconds(600);
    request.set_extension(1);
    return request;
  }

  template <typename Response, typename Request>
  absl::StatusOr<Response> Run(void (ChangeHandler::*method)(const Request&, absl::Time, ChangeHandler::Done<Response>),
                               const Request& request) {
    std::optional<absl::StatusOr<Response>> result;
    (handler_.*method)(request, clock_.Now() + absl::Seconds(2), [&](absl::StatusOr<Response> response) {
      EXPECT_FALSE(result.has_value()) << "answered twice";
      result = std::move(response);
    });
    if (!result.has_value()) return absl::InternalError("not answered");
    return *std::move(result);
  }
  auto Confirm(const v1::ConfirmReservationRequest& request) { return Run(&ChangeHandler::Confirm, request); }
  auto Cancel(const v1::CancelReservationRequest& request) { return Run(&ChangeHandler::Cancel, request); }
  auto Extend(const v1::ExtendReservationRequest& request) { return Run(&ChangeHandler::Extend, request); }

  storage::FakeClock clock_;
  Books books_{this};
  quota::SliceTable slices_;
  DoorOfTest door_{&clock_};
  ChangeHandler handler_{&books_, &slices_, &clock_, &door_.door(),
                         [this](const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time, auto done) {
                           ++group_reads_;
                           EXPECT_EQ(id, kGroup);
                           EXPECT_EQ(lookup.members, storage::GroupLookup::Members::kOne);
                           EXPECT_EQ(lookup.user_id, "alice");
                           done(group_);
                         }};

  ChangeResult answer_;
  absl::Status error_;
  ChangeResult late_;
  absl::Status late_error_;

  int calls_ = 0;
  std::string shard_hint_;
  absl::Time deadline_;
  storage::Change change_;
  absl::StatusOr<storage::Reservation> found_ = absl::UnavailableError("the test expects no look");
  int finds_ = 0;
  absl::StatusOr<storage::GroupWithMembers> group_ = absl::UnavailableError("the test expects no look");
  int group_reads_ = 0;
  int late_calls_ = 0;
  storage::Payment late_payment_;
  std::string late_sku_;
  absl::Time late_deadline_;
};

TEST_F(ChangeHandlerTest, PassesGoodRequestsOn) {
  slices_.Begin(1);
  slices_.FindOrAdd("tv")->SetTerms({.shard = "east"});
  v1::ConfirmReservationRequest payment = Payment();
  payment.set_sku_id("tv");
  const auto confirmed = Confirm(payment);
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_EQ(confirmed->outcome(), v1::CONFIRM_OUTCOME_CONFIRMED);
  EXPECT_EQ(confirmed->reservation().reservation_id(), kId);
  EXPECT_FALSE(confirmed->replayed());
  const auto& confirmation = std::get<storage::Payment>(change_);
  EXPECT_EQ(confirmation.reservation_id.ToString(), kId);
  EXPECT_EQ(confirmation.payment_reference, "pay-1");
  EXPECT_EQ(confirmation.amount_minor, 49900);
  EXPECT_EQ(confirmation.currency, "EUR");
  EXPECT_EQ(shard_hint_, "east");
  EXPECT_EQ(deadline_, clock_.Now() + absl::Seconds(2));

  answer_.outcome = ChangeOutcome::kReplayed;
  const auto cancelled = Cancel(Cancellation());
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_TRUE(cancelled->replayed());
  EXPECT_EQ(std::get<storage::Cancellation>(change_).reason, "changed their mind");
  EXPECT_EQ(shard_hint_, "");

  const auto extended = Extend(Extension());
  ASSERT_TRUE(extended.ok()) << extended.status();
  EXPECT_TRUE(extended->replayed());
  EXPECT_EQ(std::get<storage::Extension>(change_).number, 1);
  EXPECT_EQ(std::get<storage::Extension>(change_).by, absl::Minutes(10));
  EXPECT_EQ(late_calls_, 0);
}

// So that the message about the change has it, also when a payment turns out to be late on another thread.
TEST_F(ChangeHandlerTest, EachChangeHasTheTraceOfItsCall) {
  const auto trace = std::make_shared<const LogTrace>(LogTrace{.trace_id = "aa", .request_id = "r-17"});
  answer_ = storage::RefusedChange(Refusal::kReservationState);
  {
    const ScopedTrace scope(trace);
    Confirm(Payment()).IgnoreError();
    EXPECT_EQ(storage::TraceOf(change_), trace);
    EXPECT_EQ(late_payment_.trace, trace);
    Cancel(Cancellation()).IgnoreError();
    EXPECT_EQ(storage::TraceOf(change_), trace);
    Extend(Extension()).IgnoreError();
    EXPECT_EQ(storage::TraceOf(change_), trace);
  }
  Cancel(Cancellation()).IgnoreError();
  EXPECT_EQ(storage::TraceOf(change_), nullptr);
}

TEST_F(ChangeHandlerTest, EveryBadFieldIsNamed) {
  const std::pair<const char*, void (*)(v1::ConfirmReservationRequest&)> payments[] = {
      {"reservation_id", [](auto& r) { r.clear_reservation_id(); }},
      {"reservation_id", [](auto& r) { r.set_reservation_id("17"); }},
      {"payment_reference", [](auto& r) { r.clear_payment_reference(); }},
      {"payment_reference", [](auto& r) { r.set_payment_reference(std::string(129, 'p')); }},
      {"payment_reference", [](auto& r) { r.set_payment_reference("a\nb"); }},
      {"amount_minor", [](auto& r) { r.set_amount_minor(-1); }},
      {"currency", [](auto& r) { r.set_currency("eur"); }},
      {"currency", [](auto& r) { r.set_currency("EURO"); }},
      {"sku_id", [](auto& r) { r.set_sku_id("a/b"); }},
  };
  for (const auto& [field, spoil] : payments) {
    v1::ConfirmReservationRequest request = Payment();
    spoil(request);
    const absl::Status error = Confirm(request).status();
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_EQ(MetadataOf(error, "field"), field);
  }
  v1::CancelReservationRequest cancellation = Cancellation();
  cancellation.set_reason(std::string(257, 'r'));
  EXPECT_EQ(MetadataOf(Cancel(cancellation).status(), "field"), "reason");
  for (const char* of_groups : {"GROUP_FULL", "GROUP_OVER", "GROUP_FAILED", "GROUP_CANCELLED"}) {
    cancellation.set_reason(of_groups);
    EXPECT_EQ(ReasonOf(Cancel(cancellation).status()), "FIELD_INVALID") << of_groups;
    EXPECT_EQ(MetadataOf(Cancel(cancellation).status(), "field"), "reason") << of_groups;
  }
  const std::pair<const char*, void (*)(v1::ExtendReservationRequest&)> extensions[] = {
      {"extension", [](auto& r) { r.clear_extension(); }},
      {"extension", [](auto& r) { r.set_extension(-1); }},
      {"extend_by", [](auto& r) { r.clear_extend_by(); }},
      {"extend_by", [](auto& r) { r.mutable_extend_by()->set_seconds(-1); }},
      {"extend_by", [](auto& r) { r.mutable_extend_by()->set_nanos(1); }},
      {"extend_by", [](auto& r) { r.mutable_extend_by()->set_seconds(30 * 24 * 3600 + 1); }},
  };
  for (const auto& [field, spoil] : extensions) {
    v1::ExtendReservationRequest request = Extension();
    spoil(request);
    EXPECT_EQ(MetadataOf(Extend(request).status(), "field"), field);
  }
  EXPECT_EQ(calls_, 0) << "a bad request reached the ledger";
}

TEST_F(ChangeHandlerTest, TheLimitsThemselvesAreAllowed) {
  v1::ConfirmReservationRequest payment = Payment();
  payment.set_payment_reference(std::string(128, 'p'));
  payment.set_amount_minor(0);
  EXPECT_TRUE(Confirm(payment).ok());
  v1::CancelReservationRequest cancellation = Cancellation();
  cancellation.set_reason(std::string(256, 'r'));
  EXPECT_TRUE(Cancel(cancellation).ok());
  cancellation.clear_reason();
  EXPECT_TRUE(Cancel(cancellation).ok());
  cancellation.set_reason("GROUP_FULL, it seems");
  EXPECT_TRUE(Cancel(cancellation).ok());
  v1::ExtendReservationRequest extension = Extension();
  extension.mutable_extend_by()->set_seconds(30 * 24 * 3600);
  EXPECT_TRUE(Extend(extension).ok());
}

TEST_F(ChangeHandlerTest, OutcomesBecomeErrorsWithTheirVariables) {
  answer_.bound = 7;
  answer_.reservation.reservation_id = {};
  answer_.reservation.state = storage::ReservationState::kConfirmed;
  struct Case {
    Refusal refusal;
    const char* reason;
    absl::StatusCode code;
    const char* key;
    const char* value;
  };
  const Case cases[] = {
      {Refusal::kReservationNotFound, "RESERVATION_NOT_FOUND", absl::StatusCode::kNotFound, "", ""},
      {Refusal::kReservationState, "RESERVATION_STATE", absl::StatusCode::kFailedPrecondition, "state", "CONFIRMED"},
      {Refusal::kTooManyExtensions, "TOO_MANY_EXTENSIONS", absl::StatusCode::kFailedPrecondition, "max_extensions",
       "7"},
      {Refusal::kHoldTooLong, "HOLD_TOO_LONG", absl::StatusCode::kFailedPrecondition, "max_hold_seconds", "7"},
      {Refusal::kExtensionOutOfOrder, "EXTENSION_OUT_OF_ORDER", absl::StatusCode::kFailedPrecondition, "extensions",
       "1"},
      {Refusal::kSkuMoving, "SKU_MOVING", absl::StatusCode::kUnavailable, "", ""},
  };
  for (const Case& one : cases) {
    answer_.outcome = ChangeOutcome::kRefused;
    answer_.refusal = one.refusal;
    const absl::Status error = Extend(Extension()).status();
    EXPECT_EQ(ReasonOf(error), one.reason);
    EXPECT_EQ(error.code(), one.code) << one.reason;
    EXPECT_EQ(MetadataOf(error, one.key), one.value) << one.reason;
    EXPECT_EQ(MetadataOf(error, "reservation_id"), kId) << one.reason;
    EXPECT_EQ(MetadataOf(error, "refund_requested"), "") << one.reason;
  }
  answer_.outcome = ChangeOutcome::kRefused;
  answer_.refusal = Refusal::kPaymentMismatch;
  const absl::Status mismatch = Confirm(Payment()).status();
  EXPECT_EQ(ReasonOf(mismatch), "PAYMENT_MISMATCH");
  EXPECT_EQ(MetadataOf(mismatch, "amount_minor"), "49900");
  EXPECT_EQ(MetadataOf(mismatch, "currency"), "EUR");
}

TEST_F(ChangeHandlerTest, ErrorsOfThePipelineKeepTheirMeaning) {
  const std::pair<absl::Status, const char*> errors[] = {
      {absl::ResourceExhaustedError(""), "OVERLOADED"},    {absl::DeadlineExceededError(""), "DEADLINE_PASSED"},
      {absl::UnavailableError(""), "LEDGER_UNAVAILABLE"},  {absl::CancelledError(""), "DRAINING"},
      {storage::UnknownCommitError(""), "COMMIT_UNKNOWN"}, {absl::InternalError(""), "INTERNAL"},
  };
  for (const auto& [error, reason] : errors) {
    error_ = error;
    EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), reason);
    EXPECT_EQ(ReasonOf(Cancel(Cancellation()).status()), reason);
  }
}

TEST_F(ChangeHandlerTest, APaymentThatComesTooLateIsDecidedByItself) {
  answer_.outcome = ChangeOutcome::kRefused;
  answer_.refusal = Refusal::kReservationState;
  answer_.reservation.state = storage::ReservationState::kExpired;
  answer_.reservation.sku_id = "tv";
  late_.outcome = ChangeOutcome::kRebooked;
  late_.rebooked = late_.reservation;
  late_.rebooked->rebooked_from = late_.reservation.reservation_id;
  const auto rebooked = Confirm(Payment());
  ASSERT_TRUE(rebooked.ok()) << rebooked.status();
  EXPECT_EQ(rebooked->outcome(), v1::CONFIRM_OUTCOME_REBOOKED);
  EXPECT_EQ(rebooked->rebooked().rebooked_from(), kId);
  EXPECT_FALSE(rebooked->replayed());
  EXPECT_EQ(late_payment_.payment_reference, "pay-1");
  EXPECT_EQ(late_sku_, "tv");
  EXPECT_EQ(late_deadline_, deadline_);

  late_.outcome = ChangeOutcome::kPaidUnfulfilled;
  late_.rebooked.reset();
  late_.replayed = true;
  const auto unfulfilled = Confirm(Payment());
  ASSERT_TRUE(unfulfilled.ok()) << unfulfilled.status();
  EXPECT_EQ(unfulfilled->outcome(), v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
  EXPECT_TRUE(unfulfilled->replayed());
  EXPECT_FALSE(unfulfilled->has_rebooked());

  late_.outcome = ChangeOutcome::kRefused;
  late_.refusal = Refusal::kReservationState;
  late_.reservation.state = storage::ReservationState::kCancelled;
  const absl::Status cancelled = Confirm(Payment()).status();
  EXPECT_EQ(ReasonOf(cancelled), "RESERVATION_STATE");
  EXPECT_EQ(MetadataOf(cancelled, "state"), "CANCELLED");
  EXPECT_EQ(MetadataOf(cancelled, "refund_requested"), "true");
}

TEST_F(ChangeHandlerTest, APaymentForWhatIsNotFoundMayBeLateToo) {
  answer_.outcome = ChangeOutcome::kRefused;
  answer_.refusal = Refusal::kReservationNotFound;
  answer_.reservation = {};
  late_.outcome = ChangeOutcome::kPaidUnfulfilled;
  const auto retired = Confirm(Payment());
  ASSERT_TRUE(retired.ok()) << retired.status();
  EXPECT_EQ(retired->outcome(), v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
  EXPECT_EQ(retired->reservation().reservation_id(), kId);

  late_.reservation = {};
  EXPECT_FALSE(Confirm(Payment())->has_reservation()) << "dropped: only the payment is known";
  late_.outcome = ChangeOutcome::kRefused;
  late_.refusal = Refusal::kReservationNotFound;
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "RESERVATION_NOT_FOUND");
}

TEST_F(ChangeHandlerTest, ALatePaymentMeetsTheSameTroubles) {
  answer_.outcome = ChangeOutcome::kRefused;
  answer_.refusal = Refusal::kReservationState;
  late_error_ = storage::RetryTransactionError("deadlock");
  const absl::Status overloaded = Confirm(Payment()).status();
  EXPECT_EQ(ReasonOf(overloaded), "OVERLOADED");
  EXPECT_EQ(MetadataOf(overloaded, "sku_id"), "tv") << "by now the SKU is known";
  late_error_ = storage::UnknownCommitError("");
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "COMMIT_UNKNOWN");
  late_error_ = absl::UnavailableError("");
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "LEDGER_UNAVAILABLE");
  late_error_ = absl::DeadlineExceededError("");
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "DEADLINE_PASSED");
}

TEST_F(ChangeHandlerTest, APaidSeatInAGroupThatIsNotFullWaits) {
  answer_.reservation.state = storage::ReservationState::kPending;
  const auto first = Confirm(Payment());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->outcome(), v1::CONFIRM_OUTCOME_GROUP_WAITING);
  EXPECT_EQ(first->reservation().state(), v1::RESERVATION_STATE_PENDING);
  EXPECT_FALSE(first->replayed());
  answer_.outcome = ChangeOutcome::kReplayed;
  const auto again = Confirm(Payment());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->outcome(), v1::CONFIRM_OUTCOME_GROUP_WAITING);
  EXPECT_TRUE(again->replayed());
  answer_.reservation.state = storage::ReservationState::kConfirmed;
  EXPECT_EQ(Confirm(Payment())->outcome(), v1::CONFIRM_OUTCOME_CONFIRMED) << "another one has taken the last seat";
  EXPECT_EQ(late_calls_, 0);
  EXPECT_THAT(Happened(handler_.confirmed()), ElementsAre(Pair("group_waiting", 1), Pair("replayed", 2)));
}

// Payments of one batch may take its last seats together: each of them is told CONFIRMED.
TEST_F(ChangeHandlerTest, AGroupThatPaymentsFillIsCountedOnce) {
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(handler_.groups_filled(), 0) << "it was nobody's member";
  answer_.reservation.group_id = kGroup;
  answer_.reservation.state = storage::ReservationState::kPending;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(handler_.groups_filled(), 0) << "it waits for others";
  answer_.reservation.state = storage::ReservationState::kConfirmed;
  answer_.outcome = ChangeOutcome::kReplayed;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(handler_.groups_filled(), 0) << "it was filled before";
  answer_.outcome = ChangeOutcome::kDone;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(handler_.groups_filled(), 1);
  answer_.reservation.group_id->bytes[0] = 8;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(handler_.groups_filled(), 2) << "another one";
}

TEST_F(ChangeHandlerTest, APaymentThatFindsNoSeatIsDecidedAsALateOne) {
  answer_ = storage::RefusedChange(Refusal::kGroupOver, answer_.reservation);
  answer_.reservation.state = storage::ReservationState::kPending;
  late_.outcome = ChangeOutcome::kPaidUnfulfilled;
  late_.reservation.state = storage::ReservationState::kCancelled;
  const auto refunded = Confirm(Payment());
  ASSERT_TRUE(refunded.ok()) << refunded.status();
  EXPECT_EQ(refunded->outcome(), v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
  EXPECT_EQ(refunded->reservation().state(), v1::RESERVATION_STATE_CANCELLED);
  EXPECT_EQ(late_sku_, "tv");
  EXPECT_EQ(late_payment_.payment_reference, "pay-1");
  // Somebody has left meanwhile.
  late_.outcome = ChangeOutcome::kDone;
  late_.reservation.state = storage::ReservationState::kPending;
  const auto seated = Confirm(Payment());
  ASSERT_TRUE(seated.ok()) << seated.status();
  EXPECT_EQ(seated->outcome(), v1::CONFIRM_OUTCOME_GROUP_WAITING);
}

// It found all seats taken, and then one that somebody had given up.
TEST_F(ChangeHandlerTest, AGroupThatALatePaymentFillsIsCounted) {
  answer_ = storage::RefusedChange(Refusal::kGroupOver, answer_.reservation);
  late_.reservation.group_id = kGroup;
  late_.reservation.state = storage::ReservationState::kPending;
  EXPECT_TRUE(Confirm(Payment()).ok());
  late_.reservation.state = storage::ReservationState::kCancelled;
  late_.outcome = ChangeOutcome::kPaidUnfulfilled;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(handler_.groups_filled(), 0);
  late_.reservation.state = storage::ReservationState::kConfirmed;
  late_.outcome = ChangeOutcome::kReplayed;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(handler_.groups_filled(), 0) << "it was filled before";
  late_.outcome = ChangeOutcome::kDone;
  const auto sold = Confirm(Payment());
  ASSERT_TRUE(sold.ok()) << sold.status();
  EXPECT_EQ(sold->outcome(), v1::CONFIRM_OUTCOME_CONFIRMED);
  EXPECT_EQ(handler_.groups_filled(), 1);
}

TEST_F(ChangeHandlerTest, AHoldOfAGroupIsNotExtended) {
  answer_ = storage::RefusedChange(Refusal::kInGroup, answer_.reservation);
  const absl::Status error = Extend(Extension()).status();
  EXPECT_EQ(ReasonOf(error), "IN_GROUP");
  EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MetadataOf(error, "reservation_id"), kId);
  EXPECT_THAT(Happened(handler_.extended()), ElementsAre(Pair("IN_GROUP", 1)));
}

TEST_F(ChangeHandlerTest, OthersThanConfirmAreNeverLate) {
  answer_.outcome = ChangeOutcome::kRefused;
  answer_.refusal = Refusal::kReservationState;
  EXPECT_EQ(ReasonOf(Cancel(Cancellation()).status()), "RESERVATION_STATE");
  EXPECT_EQ(ReasonOf(Extend(Extension()).status()), "RESERVATION_STATE");
  EXPECT_EQ(late_calls_, 0);
}

TEST_F(ChangeHandlerTest, Draining) {
  handler_.SetAccepting(false);
  EXPECT_EQ(ReasonOf(Cancel(Cancellation()).status()), "DRAINING");
  handler_.SetAccepting(true);
  EXPECT_TRUE(Cancel(Cancellation()).ok());
}

TEST_F(ChangeHandlerTest, ChangesOnlyLimitsNone) {
  door_.SetMode(storage::ServiceMode::Kind::kChangesOnly);
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_TRUE(Cancel(Cancellation()).ok());
  EXPECT_TRUE(Extend(Extension()).ok());
  EXPECT_EQ(finds_, 0) << "no payment costs a look more";
}

TEST_F(ChangeHandlerTest, ReadOnlyRefusesChangesOfWhatIsHeld) {
  door_.SetMode(storage::ServiceMode::Kind::kReadOnly, "Back soon.");
  found_ = answer_.reservation;
  found_->state = storage::ReservationState::kPending;
  for (const absl::Status& error :
       {Confirm(Payment()).status(), Cancel(Cancellation()).status(), Extend(Extension()).status()}) {
    EXPECT_EQ(ReasonOf(error), "SERVICE_LIMITED");
    EXPECT_EQ(MetadataOf(error, "mode"), "READ_ONLY");
    EXPECT_EQ(MetadataOf(error, "service_reason"), "Back soon.");
  }
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(late_calls_, 0);
  door_.SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(calls_, 1);
}

TEST_F(ChangeHandlerTest, ReadOnlyStillNotesPaymentsThatComeLateAndAnswersRepeatedOnes) {
  door_.SetMode(storage::ServiceMode::Kind::kReadOnly);
  found_ = answer_.reservation;
  found_->state = storage::ReservationState::kConfirmed;
  answer_.outcome = ChangeOutcome::kReplayed;
  const auto repeated = Confirm(Payment());
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_TRUE(repeated->replayed());
  EXPECT_EQ(late_calls_, 0);

  found_->state = storage::ReservationState::kExpired;
  answer_.outcome = ChangeOutcome::kRefused;
  answer_.refusal = Refusal::kReservationState;
  late_.outcome = ChangeOutcome::kPaidUnfulfilled;
  const auto late = Confirm(Payment());
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->outcome(), v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
  EXPECT_EQ(late_calls_, 1);

  // Retention may have taken it.
  found_ = absl::NotFoundError("");
  answer_.refusal = Refusal::kReservationNotFound;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(late_calls_, 2);

  found_ = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(late_calls_, 2);
}

// A seat is paid for: what comes for it is a repeat, or a second payment.
TEST_F(ChangeHandlerTest, ReadOnlyAnswersPaymentsOfSeatsThatWaitForTheirGroups) {
  door_.SetMode(storage::ServiceMode::Kind::kReadOnly);
  answer_.reservation.state = storage::ReservationState::kPending;
  answer_.reservation.user_id = "alice";
  answer_.reservation.group_id = kGroup;
  found_ = answer_.reservation;
  storage::GroupMember member{
      .user_id = "alice", .reservation_id = answer_.reservation.reservation_id, .joined_at = clock_.Now(), .seat = 1};
  group_ = storage::GroupWithMembers{};
  group_->members = {member};
  answer_.outcome = ChangeOutcome::kReplayed;
  const auto repeated = Confirm(Payment());
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_TRUE(repeated->replayed());
  EXPECT_EQ(repeated->outcome(), v1::CONFIRM_OUTCOME_GROUP_WAITING);
  EXPECT_EQ(calls_, 1);

  // Without a seat, or with that of a membership since, nothing is paid.
  group_->members[0].seat = 0;
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "SERVICE_LIMITED");
  group_->members[0].seat = 1;
  group_->members[0].reservation_id = kGroup;
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "SERVICE_LIMITED");
  group_ = absl::NotFoundError("no such group");
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "SERVICE_LIMITED");
  group_ = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Confirm(Payment()).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(group_reads_, 5);

  door_.SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_EQ(group_reads_, 5) << "no payment costs a look more";
}

TEST_F(ChangeHandlerTest, OperatorsChangeWhatBuyersMayNotAndAreCountedWithThem) {
  door_.SetMode(storage::ServiceMode::Kind::kReadOnly);
  ChangeHandler operators = handler_.ForOperators();
  bool done = false;
  operators.Cancel(Cancellation(), clock_.Now() + absl::Seconds(2),
                   [&done](const absl::StatusOr<v1::CancelReservationResponse>& response) {
                     done = true;
                     EXPECT_TRUE(response.ok()) << response.status();
                   });
  EXPECT_TRUE(done);
  EXPECT_EQ(calls_, 1);
  int64_t cancelled = 0;
  handler_.cancelled().ForEach([&cancelled](const std::string& outcome, int64_t count) {
    if (outcome == "cancelled") cancelled = count;
  });
  EXPECT_EQ(cancelled, 1);
  handler_.SetAccepting(false);
  operators.Cancel(Cancellation(), clock_.Now() + absl::Seconds(2),
                   [](const absl::StatusOr<v1::CancelReservationResponse>& response) {
                     EXPECT_EQ(ReasonOf(response.status()), "DRAINING");
                   });
}

TEST_F(ChangeHandlerTest, EveryChangeIsCountedByKindAndOutcome) {
  answer_.outcome = ChangeOutcome::kDone;
  EXPECT_TRUE(Confirm(Payment()).ok());
  EXPECT_TRUE(Cancel(Cancellation()).ok());
  EXPECT_TRUE(Extend(Extension()).ok());
  answer_.outcome = ChangeOutcome::kReplayed;
  EXPECT_TRUE(Cancel(Cancellation()).ok());
  error_ = absl::UnavailableError("down");
  EXPECT_FALSE(Extend(Extension()).ok());
  error_ = absl::OkStatus();
  // Late payments.
  answer_ = {.outcome = ChangeOutcome::kRefused, .refusal = storage::Refusal::kReservationState};
  for (const ChangeOutcome late : {ChangeOutcome::kRebooked, ChangeOutcome::kPaidUnfulfilled}) {
    late_.outcome = late;
    EXPECT_TRUE(Confirm(Payment()).ok());
  }
  handler_.SetAccepting(false);
  EXPECT_FALSE(Confirm(Payment()).ok());
  EXPECT_THAT(Happened(handler_.confirmed()),
              ElementsAre(Pair("DRAINING", 1), Pair("confirmed", 1), Pair("paid_unfulfilled", 1), Pair("rebooked", 1)));
  EXPECT_THAT(Happened(handler_.cancelled()), ElementsAre(Pair("cancelled", 1), Pair("replayed", 1)));
  EXPECT_THAT(Happened(handler_.extended()), ElementsAre(Pair("LEDGER_UNAVAILABLE", 1), Pair("extended", 1)));
}

}  // namespace
}  // namespace tranche::server
