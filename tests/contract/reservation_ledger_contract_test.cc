// What every ReservationLedger does, on the fake and on PostgreSQL.
#include <algorithm>

#include "absl/time/clock.h"
#include "tests/contract/ledger_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::NewId;

class ReservationLedgerContract : public LedgerContractTest {
 protected:
  using enum CommitOutcome;
  using enum Refusal;
};
INSTANTIATE_TEST_SUITE_P(Both, ReservationLedgerContract, BothLedgers(), LedgerName);

TEST_P(ReservationLedgerContract, CreatesTheWholeReservation) {
  Sku sku = SkuOf("tv", 10, /*per_user_limit=*/3);
  sku.hold = absl::Seconds(90);
  Create(sku);
  const IncarnationId node = HolderOf("tv", 10);
  const ReservationClaim claim = Claim("tv", "alice", 3);
  const absl::Time before = absl::Now();
  const CommitResult result = Commit(node, {claim}).front();
  EXPECT_EQ(result.outcome, kCreated);
  EXPECT_EQ(result.reservation.reservation_id, claim.reservation_id);
  EXPECT_EQ(result.reservation.sku_id, "tv");
  EXPECT_EQ(result.reservation.user_id, "alice");
  EXPECT_EQ(result.reservation.quantity, 3);
  EXPECT_EQ(result.reservation.state, ReservationState::kPending);
  EXPECT_EQ(result.reservation.amount_minor, 3 * 1999);
  EXPECT_EQ(result.reservation.currency, "EUR");
  EXPECT_EQ(result.reservation.expires_at - result.reservation.created_at, absl::Seconds(90));
  EXPECT_LT(absl::AbsDuration(result.reservation.created_at - before), absl::Minutes(1));
  EXPECT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 0), std::pair(node, 7)));
}

TEST_P(ReservationLedgerContract, FindsWhatItCommitted) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const ReservationClaim claim = Claim("tv", "alice");
  const CommitResult created = Commit(node, {claim}).front();
  const auto found = reservations().FindReservation(claim.reservation_id);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->user_id, "alice");
  EXPECT_EQ(found->amount_minor, 1999);
  EXPECT_EQ(found->currency, "EUR");
  EXPECT_EQ(found->created_at, created.reservation.created_at);
  EXPECT_EQ(found->expires_at, created.reservation.expires_at);
  EXPECT_EQ(reservations().FindReservation(NewId()).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ReservationLedgerContract, EmptyBatchIsNothing) { EXPECT_THAT(Commit(Register(), {}), IsEmpty()); }

TEST_P(ReservationLedgerContract, ReplayReturnsTheOriginal) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 5);
  const IncarnationId other = HolderOf("tv", 5);
  const ReservationClaim claim = Claim("tv", "alice");
  const CommitResult created = Commit(node, {claim}).front();
  for (const LockMode mode : {LockMode::kWait, LockMode::kSkipLocked}) {
    const CommitResult replayed = Commit(other, {claim}, mode).front();
    EXPECT_EQ(replayed.outcome, kReplayed);
    EXPECT_EQ(replayed.reservation.created_at, created.reservation.created_at);
    EXPECT_EQ(replayed.reservation.expires_at, created.reservation.expires_at);
    EXPECT_EQ(replayed.reservation.amount_minor, created.reservation.amount_minor);
  }
  EXPECT_EQ(Remaining("tv")[other], 5);
}

TEST_P(ReservationLedgerContract, ReplayIsAnsweredWhenNothingElseIs) {
  Create(SkuOf("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim claim = Claim("tv", "alice");
  EXPECT_EQ(Outcome(node, claim), kCreated);
  EXPECT_EQ(Outcome(node, claim), kReplayed) << "sold out";
  ASSERT_TRUE(stock().ReclaimIncarnation(node).ok());
  EXPECT_EQ(Outcome(node, claim), kReplayed) << "not held any more";
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  EXPECT_EQ(Outcome(node, claim), kReplayed) << "closed";
}

TEST_P(ReservationLedgerContract, SameIdOtherPayloadIsAConflict) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/2));
  Create(SkuOf("radio", 10, /*per_user_limit=*/2));
  const IncarnationId node = HolderOf("tv", 10);
  Move("radio", {{node, 10}});
  const ReservationClaim claim = Claim("tv", "alice");
  EXPECT_EQ(Outcome(node, claim), kCreated);
  const Uuid id = claim.reservation_id;
  EXPECT_EQ(Outcome(node, {id, "tv", "alice", 2}), kReservationIdReused);
  EXPECT_EQ(Outcome(node, {id, "tv", "bob", 1}), kReservationIdReused);
  EXPECT_EQ(Outcome(node, {id, "radio", "alice", 1}), kReservationIdReused);
  EXPECT_EQ(Outcome(node, {id, "no-such-sku", "alice", 1}), kReservationIdReused);
  EXPECT_EQ(Remaining("tv")[node], 9);
  EXPECT_EQ(Remaining("radio")[node], 10);
}

TEST_P(ReservationLedgerContract, AnOrderReferenceStaysAndIsOfThePayload) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  ReservationClaim claim = Claim("tv", "alice");
  claim.order_reference = "A-1017 {\"x\", NULL}";
  const ReservationClaim plain = Claim("tv", "bob");
  const std::vector<CommitResult> created = Commit(node, {claim, plain});
  EXPECT_EQ(created[0].reservation.order_reference, claim.order_reference);
  EXPECT_EQ(created[1].reservation.order_reference, "");
  EXPECT_EQ(reservations().FindReservation(claim.reservation_id)->order_reference, claim.order_reference);
  EXPECT_EQ(reservations().FindReservation(plain.reservation_id)->order_reference, "");
  const CommitResult again = Commit(node, {claim}).front();
  EXPECT_EQ(again.outcome, kReplayed);
  EXPECT_EQ(again.reservation.order_reference, claim.order_reference);
  EXPECT_EQ(Outcome(node, plain), kReplayed);

  ReservationClaim other = claim;
  other.order_reference = "A-1018";
  EXPECT_EQ(Outcome(node, other), kReservationIdReused);
  other.order_reference = "";
  EXPECT_EQ(Outcome(node, other), kReservationIdReused);
  other = plain;
  other.order_reference = "A-1018";
  EXPECT_EQ(Outcome(node, other), kReservationIdReused);
}

TEST_P(ReservationLedgerContract, RefusesABatchThatRepeatsAnId) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const ReservationClaim claim = Claim("tv", "alice");
  const std::vector<ReservationClaim> batch = {claim, claim};
  EXPECT_EQ(reservations().CommitReservations(node, LockMode::kWait, batch).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Remaining("tv")[node], 10);
}

TEST_P(ReservationLedgerContract, MalformedBuyerFailsTheBatchWhole) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const std::vector<ReservationClaim> batch = {Claim("tv", "alice"), Claim("tv", std::string(129, 'x'))};
  EXPECT_EQ(reservations().CommitReservations(node, LockMode::kWait, batch).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Remaining("tv")[node], 10);
  EXPECT_TRUE(absl::IsNotFound(reservations().FindReservation(batch[0].reservation_id).status()));
}

TEST_P(ReservationLedgerContract, AnyTextIsABuyer) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const std::vector<std::string> users = {"a\"b", "a\\b", "{a,b}", "NULL", " ", "a\nb", "ä€😀", std::string(128, 'x')};
  std::vector<ReservationClaim> batch;
  for (const std::string& user : users) batch.push_back(Claim("tv", user));
  EXPECT_THAT(Outcomes(node, batch), Each(kCreated));
  for (size_t i = 0; i < users.size(); ++i) {
    EXPECT_EQ(reservations().FindReservation(batch[i].reservation_id)->user_id, users[i]);
  }
}

TEST_P(ReservationLedgerContract, RefusesWhatTheSkuForbids) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/2));
  Sku later = SkuOf("later", 10);
  later.opens_at = absl::Now() + absl::Hours(1);
  Create(later);
  Sku over = SkuOf("over", 10);
  over.opens_at = absl::Now() - absl::Hours(2);
  over.closes_at = absl::Now() - absl::Hours(1);
  Create(over);
  Create(SkuOf("closed", 10));
  Sku now = SkuOf("now", 10);
  now.opens_at = absl::Now() - absl::Hours(1);
  now.closes_at = absl::Now() + absl::Hours(1);
  Create(now);
  const IncarnationId node = Register();
  for (const char* sku : {"tv", "later", "over", "closed", "now"}) Move(sku, {{node, 10}});
  ASSERT_TRUE(stock().CloseSku("closed", "test").ok());

  for (const LockMode mode : {LockMode::kWait, LockMode::kSkipLocked}) {
    const std::string user = mode == LockMode::kWait ? "alice" : "bob";
    EXPECT_THAT(Outcomes(node,
                         {Claim("none", user), Claim("tv", user, 3), Claim("tv", user, 0), Claim("tv", user, -1),
                          Claim("later", user), Claim("over", user), Claim("closed", user), Claim("now", user)},
                         mode),
                ElementsAre(kSkuNotFound, kQuantityAboveUserLimit, kQuantityAboveUserLimit, kQuantityAboveUserLimit,
                            kSaleNotOpen, kSaleClosed, kSaleClosed, kCreated));
  }
}

TEST_P(ReservationLedgerContract, OneBuyerOnceInABatchAndAcrossBatches) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  EXPECT_THAT(Outcomes(node, {Claim("tv", "alice"), Claim("tv", "bob"), Claim("tv", "alice")}),
              ElementsAre(kCreated, kCreated, kUserLimitReached));
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kUserLimitReached);
  EXPECT_EQ(Outcome(HolderOf("tv", 0), Claim("tv", "bob")), kUserLimitReached);
  EXPECT_EQ(Remaining("tv")[node], 8);
}

TEST_P(ReservationLedgerContract, LimitIsPerSku) {
  Create(SkuOf("tv", 10));
  Create(SkuOf("radio", 10));
  const IncarnationId node = HolderOf("tv", 10);
  Move("radio", {{node, 10}});
  EXPECT_THAT(Outcomes(node, {Claim("tv", "alice"), Claim("radio", "alice"), Claim("radio", "alice")}),
              ElementsAre(kCreated, kCreated, kUserLimitReached));
}

TEST_P(ReservationLedgerContract, LimitCountsUnits) {
  Create(SkuOf("tv", 100, /*per_user_limit=*/5));
  const IncarnationId node = HolderOf("tv", 100);
  EXPECT_THAT(Outcomes(node, {Claim("tv", "alice", 2), Claim("tv", "alice", 2), Claim("tv", "bob", 5)}),
              ElementsAre(kCreated, kCreated, kCreated));
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 2)), kUserLimitReached);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 1)), kCreated);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 1)), kUserLimitReached);
  EXPECT_EQ(Remaining("tv")[node], 90);
}

TEST_P(ReservationLedgerContract, ClaimAboveTheBuyersRoomDoesNotTakeTheRoom) {
  Create(SkuOf("tv", 100, /*per_user_limit=*/3));
  const IncarnationId node = HolderOf("tv", 100);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 1)), kCreated);
  EXPECT_THAT(Outcomes(node, {Claim("tv", "alice", 3), Claim("tv", "alice", 2)}),
              ElementsAre(kUserLimitReached, kCreated));
  EXPECT_EQ(Remaining("tv")[node], 97);
}

TEST_P(ReservationLedgerContract, ShortOnlyWhenUnitsLackForEachClaim) {
  Create(SkuOf("tv", 4, /*per_user_limit=*/5));
  const IncarnationId node = HolderOf("tv", 4);
  // The large claim does not fit; it must not keep the small ones out.
  EXPECT_THAT(Outcomes(node, {Claim("tv", "a", 5), Claim("tv", "b", 2), Claim("tv", "c", 2)}),
              ElementsAre(kShort, kCreated, kCreated));
  EXPECT_EQ(Remaining("tv")[node], 0);
  EXPECT_EQ(Outcome(node, Claim("tv", "d", 1)), kShort);
}

TEST_P(ReservationLedgerContract, RepeatsDoNotTakeUnitsFromNewClaims) {
  Create(SkuOf("tv", 3));
  const IncarnationId node = HolderOf("tv", 3);
  const ReservationClaim first = Claim("tv", "alice");
  EXPECT_EQ(Outcome(node, first), kCreated);
  // Two units are left: neither the replay nor the buyer who has one already may use them up.
  EXPECT_THAT(Outcomes(node, {first, Claim("tv", "alice"), Claim("tv", "bob"), Claim("tv", "carol")}),
              ElementsAre(kReplayed, kUserLimitReached, kCreated, kCreated));
  EXPECT_EQ(Remaining("tv")[node], 0);
}

TEST_P(ReservationLedgerContract, SellsExactlyWhatTheSliceHas) {
  Create(SkuOf("tv", 100));
  const IncarnationId node = HolderOf("tv", 7);
  const std::vector<Answer> outcomes = Outcomes(node, ClaimsOf("tv", "u", 20));
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), kCreated), 7);
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), kShort), 13);
  EXPECT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 93), std::pair(node, 0)));
}

TEST_P(ReservationLedgerContract, LargestBatchIsCommitted) {
  Create(SkuOf("tv", 2000));
  const IncarnationId node = HolderOf("tv", 2000);
  EXPECT_THAT(Outcomes(node, ClaimsOf("tv", "u", kMaxBatch)), Each(kCreated));
  EXPECT_EQ(Remaining("tv")[node], 2000 - kMaxBatch);
}

TEST_P(ReservationLedgerContract, OnlyTheHolderSells) {
  Create(SkuOf("tv", 10));
  const IncarnationId holder = HolderOf("tv", 10);
  for (const LockMode mode : {LockMode::kWait, LockMode::kSkipLocked}) {
    EXPECT_EQ(Outcome(Register(), Claim("tv", "alice"), mode), kNotHeld) << "live, but holds nothing";
    EXPECT_EQ(Outcome(holder + 1000, Claim("tv", "alice"), mode), kNotHeld) << "never registered";
    EXPECT_EQ(Outcome(kPool, Claim("tv", "alice"), mode), kNotHeld) << "the pool is not a seller";
  }
  EXPECT_EQ(Remaining("tv")[holder], 10);
}

TEST_P(ReservationLedgerContract, ReclaimedIncarnationSellsNothing) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kCreated);
  ASSERT_TRUE(stock().ReclaimIncarnation(node).ok());
  for (const LockMode mode : {LockMode::kWait, LockMode::kSkipLocked}) {
    EXPECT_THAT(Outcomes(node, ClaimsOf("tv", "late", 5), mode), Each(kNotHeld));
  }
  EXPECT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 9)));
}

TEST_P(ReservationLedgerContract, WithdrawnSliceIsShortNotLost) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  Move("tv", {{node, -10}});
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kShort);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice"), LockMode::kSkipLocked), kBusy);
}

TEST_P(ReservationLedgerContract, WaitingModeSellsFromAllSlots) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/8, /*slots=*/4));
  const IncarnationId node = HolderOf("tv", 10);  // 3 3 2 2
  EXPECT_THAT(Outcomes(node, {Claim("tv", "alice", 8), Claim("tv", "bob", 2)}), Each(kCreated));
  EXPECT_EQ(Remaining("tv")[node], 0);
}

TEST_P(ReservationLedgerContract, SkippingModeSellsFromOneSlotAndIsBusyBeyond) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/8, /*slots=*/4));
  const IncarnationId node = HolderOf("tv", 10);  // 3 3 2 2
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 4), LockMode::kSkipLocked), kBusy);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 3), LockMode::kSkipLocked), kCreated);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 4), LockMode::kWait), kCreated);
  EXPECT_EQ(Remaining("tv")[node], 3);
}

TEST_P(ReservationLedgerContract, SkippingModeMixesSkus) {
  Create(SkuOf("tv", 10));
  Create(SkuOf("radio", 1));
  Create(SkuOf("phone", 5));
  const IncarnationId node = HolderOf("tv", 10);
  Move("radio", {{node, 1}});
  EXPECT_THAT(Outcomes(node,
                       {Claim("radio", "a"), Claim("tv", "a"), Claim("phone", "a"), Claim("radio", "b"),
                        Claim("tv", "b"), Claim("gone", "a")},
                       LockMode::kSkipLocked),
              ElementsAre(kCreated, kCreated, kNotHeld, kBusy, kCreated, kSkuNotFound));
}

}  // namespace
}  // namespace tranche::storage
