// Expiry and retention, on the fake and on PostgreSQL.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::ElementsAre;

class UpkeepLedgerContract : public LifecycleContractTest {
 protected:
  static Sku WithHold(Sku sku, absl::Duration hold) {
    sku.hold = hold;
    return sku;
  }
  int64_t Retire(absl::Duration age = kLeastRetention, int limit = 1000, Retired retired = Retired::kArchive) {
    const auto count = upkeep().RetireReservations(age, limit, retired);
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(-1);
  }
  RemindedHolds Remind(absl::Duration within, int limit = 1000) {
    const auto holds = upkeep().RemindHolds(within, limit);
    EXPECT_TRUE(holds.ok()) << holds.status();
    return holds.value_or(RemindedHolds{});
  }
  void DeliverAll() {
    const auto claimed = outbox().ListMessages("default", OutboxState::kPending, {}, 10'000);
    ASSERT_TRUE(claimed.ok()) << claimed.status();
    std::vector<OutboxKey> keys;
    for (const OutboxMessage& message : *claimed) keys.push_back(message.key);
    ASSERT_TRUE(outbox().MarkDelivered(keys).ok());
  }
  bool Exists(const Uuid& id) { return reservations().FindReservation(id).ok(); }
};
INSTANTIATE_TEST_SUITE_P(Both, UpkeepLedgerContract, BothLedgers(), LedgerName);

TEST_P(UpkeepLedgerContract, NothingIsDueWhereNothingIsHeld) {
  const ExpiredHolds none = Expire();
  EXPECT_EQ(none.expired, 0);
  EXPECT_FALSE(none.more);
  EXPECT_EQ(none.until_next, absl::InfiniteDuration());
}

TEST_P(UpkeepLedgerContract, ExpiresHoldsFromASecondToAWeekWhenTheirTimeIsOver) {
  Create(WithHold(SkuOf("second", 5), absl::Seconds(1)));
  Create(WithHold(SkuOf("week", 5), absl::Hours(24 * 7)));
  const IncarnationId node = HolderOf("second", 5);
  Move("week", {{node, 5}});
  const Reservation week = Hold(node, "week", "alice");
  ExpiredHolds holds = Expire();
  EXPECT_EQ(holds.expired, 0);
  EXPECT_GT(holds.until_next, absl::Hours(24 * 7) - absl::Minutes(1));
  EXPECT_LE(holds.until_next, absl::Hours(24 * 7));
  const Reservation second = Hold(node, "second", "alice");
  const ExpiredHolds at_once = Expire();
  // On a busy machine the second may be over already.
  if (at_once.expired == 0) {
    EXPECT_LE(at_once.until_next, absl::Seconds(1));
    LetPass(absl::Seconds(1));
  }
  holds = Expire();
  EXPECT_EQ(at_once.expired + holds.expired, 1);
  EXPECT_FALSE(holds.more);
  const Reservation lapsed = Read(second.reservation_id);
  EXPECT_EQ(lapsed.state, ReservationState::kExpired);
  EXPECT_EQ(lapsed.revision, 2);
  EXPECT_TRUE(lapsed.finished_at.has_value());
  EXPECT_THAT(Remaining("second"), ElementsAre(std::pair(kPool, 1), std::pair(node, 4))) << "sellable again";
  EXPECT_EQ(Read(week.reservation_id).state, ReservationState::kPending);
  EXPECT_EQ(Expire().expired, 0) << "once";
  LetPass(absl::Hours(24 * 7));
  EXPECT_EQ(Expire().expired, 1);
  EXPECT_THAT(Kinds(week.reservation_id), ElementsAre("reservation.expired"));
}

TEST_P(UpkeepLedgerContract, ExpiresNoMoreThanItIsAllowed) {
  Create(WithHold(SkuOf("tv", 10), absl::Seconds(10)));
  const IncarnationId node = HolderOf("tv", 10);
  Commit(node, ClaimsOf("tv", "u", 7));
  LetPass(absl::Seconds(10));
  for (const bool more : {true, true, false}) {
    const ExpiredHolds holds = Expire(/*limit=*/3);
    EXPECT_EQ(holds.expired, more ? 3 : 1);
    EXPECT_EQ(holds.more, more);
    EXPECT_EQ(holds.until_next, more ? absl::ZeroDuration() : absl::InfiniteDuration());
  }
  EXPECT_EQ(Remaining("tv")[kPool], 7);
  EXPECT_EQ(stock().GetSku("tv")->holds_may_lapse, false);
}

TEST_P(UpkeepLedgerContract, ExpiresNeitherPaidNorCancelledOnes) {
  Create(WithHold(SkuOf("tv", 10), absl::Seconds(10)));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation paid = Hold(node, "tv", "alice"), cancelled = Hold(node, "tv", "bob");
  Confirm(PaymentOf(paid));
  Cancel(cancelled);
  LetPass(absl::Hours(1));
  EXPECT_EQ(Expire().expired, 0);
  EXPECT_EQ(Read(paid.reservation_id).state, ReservationState::kConfirmed);
  EXPECT_EQ(Remaining("tv")[kPool], 1);
}

TEST_P(UpkeepLedgerContract, TellsOnceOfEachEndOfAHold) {
  Create(WithHold(SkuOf("tv", 10), absl::Hours(1)));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation told = Hold(node, "tv", "alice"), extended = Hold(node, "tv", "bob"),
                    paid = Hold(node, "tv", "carol");
  constexpr absl::Duration kSoon = absl::Minutes(10);
  EXPECT_EQ(Remind(kSoon).reminded, 0) << "none lapses soon";
  Confirm(PaymentOf(paid));
  LetPass(absl::Minutes(55));
  EXPECT_EQ(Remind(kSoon).reminded, 2);
  EXPECT_EQ(Remind(kSoon).reminded, 0) << "once";
  EXPECT_EQ(Read(told.reservation_id).revision, 2);
  EXPECT_EQ(Read(told.reservation_id).state, ReservationState::kPending);
  Extend(Read(extended.reservation_id), 1, absl::Hours(1));
  EXPECT_EQ(Remind(kSoon).reminded, 0);
  LetPass(absl::Hours(1));
  EXPECT_EQ(Remind(kSoon).reminded, 1) << "its new end; the other one's time is over";
  EXPECT_THAT(Kinds(told.reservation_id), ElementsAre("reservation.lapses_soon"));
  EXPECT_THAT(Kinds(extended.reservation_id),
              ElementsAre("reservation.lapses_soon", "reservation.extended", "reservation.lapses_soon"));
  EXPECT_THAT(Kinds(paid.reservation_id), ElementsAre("reservation.confirmed"));
}

TEST_P(UpkeepLedgerContract, TellsOfNoHoldThatIsShortAnyway) {
  Create(WithHold(SkuOf("short", 10), absl::Minutes(2)));
  Create(WithHold(SkuOf("long", 10), absl::Minutes(20)));
  const IncarnationId node = HolderOf("short", 10);
  Move("long", {{node, 10}});
  const Reservation held_long = Hold(node, "long", "alice");
  LetPass(absl::Minutes(15));
  const Reservation held_short = Hold(node, "short", "bob");
  EXPECT_EQ(Remind(absl::Minutes(10)).reminded, 1);
  EXPECT_THAT(Kinds(held_long.reservation_id), ElementsAre("reservation.lapses_soon"));
  EXPECT_THAT(Kinds(held_short.reservation_id), ElementsAre());
}

TEST_P(UpkeepLedgerContract, TellsOfNoMoreHoldsThanItIsAllowed) {
  Create(WithHold(SkuOf("tv", 10), absl::Minutes(10)));
  const IncarnationId node = HolderOf("tv", 10);
  Commit(node, ClaimsOf("tv", "u", 7));
  LetPass(absl::Minutes(9));
  for (const bool more : {true, true, false}) {
    const RemindedHolds holds = Remind(absl::Minutes(2), /*limit=*/3);
    EXPECT_EQ(holds.reminded, more ? 3 : 1);
    EXPECT_EQ(holds.more, more);
  }
  EXPECT_EQ(Remind(absl::Minutes(2)).reminded, 0);
}

TEST_P(UpkeepLedgerContract, KeepsReservationsForADayAtLeast) {
  EXPECT_EQ(upkeep().RetireReservations(kLeastRetention - absl::Seconds(1), 10, Retired::kDrop).status().code(),
            absl::StatusCode::kInvalidArgument);
  Create(SkuOf("tv", 10));
  const Reservation cancelled = Cancel(Hold(HolderOf("tv", 10), "tv", "alice")).reservation;
  DeliverAll();
  LetPass(absl::Hours(23));
  EXPECT_EQ(Retire(), 0);
  EXPECT_TRUE(Exists(cancelled.reservation_id));
  LetPass(absl::Hours(2));
  EXPECT_EQ(Retire(absl::Hours(48)), 0);
  EXPECT_EQ(Retire(), 1);
  EXPECT_FALSE(Exists(cancelled.reservation_id));
}

TEST_P(UpkeepLedgerContract, TheBooksBalanceWithoutWhatWasRetired) {
  Create(SkuOf("over", 10, /*per_user_limit=*/3));
  Create(SkuOf("running", 10, /*per_user_limit=*/3));
  const IncarnationId node = HolderOf("over", 8);
  Move("running", {{node, 8}});
  for (const char* sku_id : {"over", "running"}) {
    Confirm(PaymentOf(Hold(node, sku_id, "alice", 2)));
    Cancel(Hold(node, sku_id, "bob", 3));
    Hold(node, sku_id, "carol");
  }
  ASSERT_TRUE(stock().CloseSku("over", "test").ok());
  LetPass(absl::Hours(25));
  EXPECT_EQ(Expire().expired, 2);
  EXPECT_EQ(Retire(), 0) << "with messages that nobody has got yet";
  DeliverAll();
  EXPECT_EQ(Retire(kLeastRetention, /*limit=*/2, Retired::kDrop), 2);
  EXPECT_EQ(Retire(), 1) << "two cancelled ones, and the confirmed one of the sale that is over";
  EXPECT_EQ(Retire(), 0);
  ExpectConserved();
  EXPECT_EQ(stock().GetSku("over")->unsold, 8);
  EXPECT_EQ(stock().GetSku("running")->unsold, 8);
  EXPECT_EQ(Outcome(node, Claim("running", "alice", 2)), Refusal::kUserLimitReached) << "theirs are not retired";
}

TEST_P(UpkeepLedgerContract, ALaterPaymentOfARetiredHoldIsToBeRefunded) {
  Create(SkuOf("tv", 10));
  const Reservation lapsed = Expired(HolderOf("tv", 10), "tv", "alice");
  DeliverAll();
  LetPass(absl::Hours(25));
  ASSERT_EQ(Retire(), 1);
  EXPECT_EQ(Confirm(PaymentOf(lapsed)).refusal, Refusal::kReservationNotFound);
  const ChangeResult late = ConfirmLate(PaymentOf(lapsed));
  EXPECT_EQ(late.outcome, ChangeOutcome::kPaidUnfulfilled);
  EXPECT_EQ(late.reservation.state, ReservationState::kExpired);
  EXPECT_TRUE(ConfirmLate(PaymentOf(lapsed)).replayed);
  EXPECT_THAT(Kinds(lapsed.reservation_id), ::testing::ElementsAre("payment.refund_requested"));
}

// The sale is over by its window, and the buyer's paid reservation is retired, so that the limit cannot be judged any
// more. One with an undelivered message is still there to be paid.
TEST_P(UpkeepLedgerContract, ALatePaymentBuysNoSecondUnitOnceTheFirstIsRetired) {
  Sku sku = SkuOf("tv", 10);
  sku.closes_at = absl::Now() + absl::Hours(2);
  Create(sku);
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation lapsed = Expired(node, "tv", "alice");
  const Reservation paid = Hold(node, "tv", "alice");
  Confirm(PaymentOf(paid));
  const auto messages = outbox().ListMessages("default", OutboxState::kPending, {}, 100);
  for (const OutboxMessage& message : *messages) {
    if (message.key.reservation_id != paid.reservation_id) continue;
    ASSERT_TRUE(outbox().MarkDelivered({message.key}).ok());
  }
  LetPass(absl::Hours(25));
  ASSERT_EQ(Retire(), 1);
  ASSERT_TRUE(Exists(lapsed.reservation_id));
  EXPECT_EQ(ConfirmLate(PaymentOf(lapsed)).outcome, ChangeOutcome::kPaidUnfulfilled);
  ExpectConserved();
}

TEST_P(UpkeepLedgerContract, ALaterPaymentOfADroppedHoldIsUnknown) {
  Create(SkuOf("tv", 10));
  const Reservation lapsed = Expired(HolderOf("tv", 10), "tv", "alice");
  DeliverAll();
  LetPass(absl::Hours(25));
  ASSERT_EQ(Retire(kLeastRetention, /*limit=*/10, Retired::kDrop), 1);
  EXPECT_EQ(ConfirmLate(PaymentOf(lapsed)).refusal, Refusal::kReservationNotFound);
}

}  // namespace
}  // namespace tranche::storage
