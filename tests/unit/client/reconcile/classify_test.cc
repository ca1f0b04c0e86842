// Every class of difference, alone and together with others.
#include "client/reconcile/classify.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/client/reconcile/memory_io.h"

namespace tranche::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr Window kWindow = {1000, 2000};
constexpr int64_t kBefore = 500;
constexpr int64_t kBehind = 2500;
constexpr LineKind kCharge = LineKind::kCharge;
constexpr LineKind kRefund = LineKind::kRefund;

StatementLine Charge(const std::string& reference, int64_t amount = 500, int64_t time_us = 1000,
                     const char* currency = "EUR") {
  return Line(1, reference, kCharge, amount, time_us, currency);
}
StatementLine Refund(const std::string& reference, int64_t amount = 500, int64_t time_us = 1000,
                     const char* currency = "EUR") {
  return Line(1, reference, kRefund, amount, time_us, currency);
}

LedgerEntry Entry(EntryState state, const std::string& reference = "", int64_t finished_us = 1500) {
  LedgerEntry entry;
  entry.reservation_id = Id(1);
  entry.state = state;
  entry.sku_id = "tv";
  entry.quantity = 2;
  entry.amount_minor = 500;
  entry.currency = Cur("EUR");
  entry.reference = reference;
  entry.finished_us = state == EntryState::kConfirmed ? finished_us : 0;
  return entry;
}
LedgerEntry Confirmed(const std::string& reference = "p", int64_t finished_us = 1500) {
  return Entry(EntryState::kConfirmed, reference, finished_us);
}
// A member of a group that is not full yet.
LedgerEntry Waiting(const std::string& reference = "p", int64_t paid_us = 1500) {
  LedgerEntry entry = Entry(EntryState::kPending, reference);
  entry.finished_us = paid_us;
  return entry;
}
LedgerEntry Late(LedgerEntry entry, const std::string& reference, bool rebooked, int64_t received_us = 1500,
                 int64_t refunded_us = 0) {
  entry.late_payments.push_back({reference, 500, Cur("EUR"), rebooked, received_us, refunded_us});
  return entry;
}
LedgerEntry Archived(LedgerEntry entry) {
  entry.archived = true;
  return entry;
}

// "CLASS reference amount", followed by "!" when a correction is proposed.
std::vector<std::string> Classes(std::vector<StatementLine> lines, const LedgerEntry* entry) {
  std::stable_sort(lines.begin(), lines.end(), [](const StatementLine& a, const StatementLine& b) {
    return std::pair(a.reference, a.time_us) < std::pair(b.reference, b.time_us);
  });
  std::vector<Difference> differences;
  Classify(kWindow, lines, entry, &differences);
  std::vector<std::string> told;
  for (const Difference& difference : differences) {
    EXPECT_FALSE(difference.advice.empty());
    EXPECT_EQ(difference.reservation_id, Id(1));
    told.push_back(absl::StrCat(NameOf(difference.kind), " ", difference.reference, " ", difference.amount_minor,
                                difference.correction == Correction::kNeedsPerson ? "" : " !"));
  }
  return told;
}
std::vector<std::string> Classes(std::vector<StatementLine> lines, const LedgerEntry& entry) {
  return Classes(std::move(lines), &entry);
}

TEST(ClassifyTest, ThatTheyAgree) {
  EXPECT_THAT(Classes({Charge("p")}, Confirmed()), IsEmpty());
  EXPECT_THAT(Classes({Charge("p", 500, kBefore)}, Confirmed()), IsEmpty()) << "charged before the window";
  EXPECT_THAT(Classes({Charge("p")}, Confirmed("p", kBehind)), IsEmpty()) << "the ledger learned of it later";
  EXPECT_THAT(Classes({Charge("p")}, Late(Entry(EntryState::kExpired), "p", true)), IsEmpty()) << "rebooked";
  EXPECT_THAT(Classes({Charge("p"), Refund("p")}, Late(Entry(EntryState::kCancelled), "p", false, 1500, 1600)),
              IsEmpty())
      << "paid back";
  EXPECT_THAT(Classes({Charge("p"), Charge("q"), Refund("q")}, Late(Confirmed(), "q", false, 1500, 1600)), IsEmpty());
  EXPECT_THAT(Classes({Charge("p")}, Archived(Confirmed())), IsEmpty());
  EXPECT_THAT(Classes({}, Confirmed("p", kBefore)), IsEmpty()) << "before the window";
  EXPECT_THAT(Classes({}, Confirmed("p", kBehind)), IsEmpty()) << "behind the window";
  LedgerEntry rebooking = Confirmed();
  rebooking.is_rebooking = true;
  EXPECT_THAT(Classes({}, rebooking), IsEmpty()) << "its payment is under the other reservation's id";
}

TEST(ClassifyTest, WhatIsPaidBackInFullIsNoDifference) {
  EXPECT_THAT(Classes({Charge("p"), Refund("p")}, nullptr), IsEmpty());
  EXPECT_THAT(Classes({Charge("p"), Refund("p")}, Entry(EntryState::kPending)), IsEmpty());
  EXPECT_THAT(Classes({Charge("p"), Charge("q"), Refund("q")}, Confirmed()), IsEmpty());
  EXPECT_THAT(Classes({Charge("p"), Charge("p"), Refund("p")}, Confirmed()), IsEmpty()) << "the duplicate";
  EXPECT_THAT(Classes({Charge("p"), Refund("p", 200), Refund("p", 300)}, nullptr), IsEmpty()) << "in two parts";
}

TEST(ClassifyTest, MissingHere) {
  EXPECT_THAT(Classes({Charge("p")}, nullptr), ElementsAre("MISSING_HERE p 500"));
  EXPECT_THAT(Classes({Charge("p"), Charge("q", 100)}, nullptr),
              ElementsAre("MISSING_HERE p 500", "DUPLICATE_CHARGE q 100"));
  EXPECT_THAT(Classes({Charge("p", 500, kBefore)}, nullptr), IsEmpty()) << "outside of the window";
}

TEST(ClassifyTest, MissingThere) {
  EXPECT_THAT(Classes({}, Confirmed()), ElementsAre("CONFIRMED_BUT_UNPAID p 500"));
  EXPECT_THAT(Classes({}, Late(Entry(EntryState::kExpired), "p", true)), ElementsAre("MISSING_THERE p 500"));
  EXPECT_THAT(Classes({}, Late(Entry(EntryState::kCancelled), "p", false)), ElementsAre("MISSING_THERE p 500"));
  EXPECT_THAT(Classes({}, Late(Entry(EntryState::kCancelled), "p", false, 1500, 1600)), IsEmpty());
  EXPECT_THAT(Classes({}, Late(Entry(EntryState::kGone), "p", true)), ElementsAre("MISSING_THERE p 500"));
}

TEST(ClassifyTest, PaidAndNotConfirmed) {
  EXPECT_THAT(Classes({Charge("p")}, Entry(EntryState::kPending)), ElementsAre("PAID_BUT_PENDING p 500 !"));
  EXPECT_THAT(Classes({Charge("p")}, Entry(EntryState::kCancelled)), ElementsAre("PAID_BUT_CANCELLED p 500 !"));
  EXPECT_THAT(Classes({Charge("p")}, Entry(EntryState::kExpired)), ElementsAre("PAID_BUT_EXPIRED p 500 !"));
  EXPECT_THAT(Classes({Charge("p")}, Archived(Entry(EntryState::kExpired))), ElementsAre("PAID_BUT_EXPIRED p 500"));
  EXPECT_THAT(Classes({Charge("p", 400)}, Entry(EntryState::kPending)),
              ElementsAre("PAID_BUT_PENDING p 400", "AMOUNT_DIFFERS p -100"));
  EXPECT_THAT(Classes({Charge("p", 500, 1000, "USD")}, Entry(EntryState::kExpired)),
              ElementsAre("PAID_BUT_EXPIRED p 500", "CURRENCY_DIFFERS p 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("p", 100)}, Entry(EntryState::kPending)),
              ElementsAre("PAID_BUT_PENDING p 500", "AMOUNT_DIFFERS p -100"));
}

TEST(ClassifyTest, APaidSeatInAGroupIsAPayment) {
  EXPECT_THAT(Classes({Charge("p")}, Waiting()), IsEmpty());
  EXPECT_THAT(Classes({}, Waiting("p", kBefore)), IsEmpty()) << "before the window";
  EXPECT_THAT(Classes({}, Waiting()), ElementsAre("CONFIRMED_BUT_UNPAID p 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("p")}, Waiting()), ElementsAre("REFUNDED_BUT_LIVE p 500"));
  EXPECT_THAT(Classes({Charge("p", 600)}, Waiting()), ElementsAre("AMOUNT_DIFFERS p 100"));
  EXPECT_THAT(Classes({Charge("p"), Charge("q")}, Waiting()), ElementsAre("DUPLICATE_CHARGE q 500 !"));
  EXPECT_THAT(Classes({Charge("q")}, Waiting()), ElementsAre("REFERENCE_DIFFERS q 500"));
}

TEST(ClassifyTest, AmountAndCurrency) {
  EXPECT_THAT(Classes({Charge("p", 600)}, Confirmed()), ElementsAre("AMOUNT_DIFFERS p 100"));
  EXPECT_THAT(Classes({Charge("p", 500, 1000, "USD")}, Confirmed()), ElementsAre("CURRENCY_DIFFERS p 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("p", 100)}, Confirmed()), ElementsAre("AMOUNT_DIFFERS p -100"));
  EXPECT_THAT(Classes({Refund("p", 100)}, Confirmed("p", kBefore)), ElementsAre("AMOUNT_DIFFERS p -100"))
      << "a part of what was charged earlier";
  EXPECT_THAT(Classes({Charge("p", 400)}, Late(Entry(EntryState::kExpired), "p", true)),
              ElementsAre("AMOUNT_DIFFERS p -100"));
}

TEST(ClassifyTest, Reference) {
  EXPECT_THAT(Classes({Charge("q")}, Confirmed()), ElementsAre("REFERENCE_DIFFERS q 500"));
  EXPECT_THAT(Classes({Charge("q", 400)}, Confirmed()),
              ElementsAre("REFERENCE_DIFFERS q 400", "AMOUNT_DIFFERS q -100"));
  EXPECT_THAT(Classes({Charge("q")}, Late(Entry(EntryState::kExpired), "p", true)),
              ElementsAre("REFERENCE_DIFFERS q 500"));
  EXPECT_THAT(Classes({Charge("q")}, Late(Entry(EntryState::kExpired), "p", false)),
              ElementsAre("REFERENCE_DIFFERS q 500", "UNFULFILLED_NOT_REFUNDED p 500"));
}

TEST(ClassifyTest, DuplicateCharge) {
  EXPECT_THAT(Classes({Charge("p"), Charge("q")}, Confirmed()), ElementsAre("DUPLICATE_CHARGE q 500 !"));
  EXPECT_THAT(Classes({Charge("p"), Charge("q", 400)}, Confirmed()), ElementsAre("DUPLICATE_CHARGE q 400"));
  EXPECT_THAT(Classes({Charge("q")}, Confirmed("p", kBefore)), ElementsAre("DUPLICATE_CHARGE q 500 !"))
      << "the first charge is in an earlier statement";
  EXPECT_THAT(Classes({Charge("p"), Charge("p")}, Confirmed()), ElementsAre("DUPLICATE_CHARGE p 500"))
      << "by the same reference: the ledger cannot tell them apart";
  EXPECT_THAT(Classes({Charge("p", 400), Charge("p")}, Confirmed()), ElementsAre("DUPLICATE_CHARGE p 400"))
      << "the one that is as it should be counts";
  EXPECT_THAT(Classes({Charge("p"), Charge("q")}, Archived(Confirmed())), ElementsAre("DUPLICATE_CHARGE q 500"));
  EXPECT_THAT(Classes({Charge("q", 500, 1001), Charge("r", 500, 1000)}, Entry(EntryState::kPending)),
              ElementsAre("PAID_BUT_PENDING r 500 !", "DUPLICATE_CHARGE q 500 !"))
      << "the earlier one counts";
  EXPECT_THAT(Classes({Charge("q", 400, 1000), Charge("r", 500, 1001)}, Entry(EntryState::kPending)),
              ElementsAre("PAID_BUT_PENDING r 500 !", "DUPLICATE_CHARGE q 400"))
      << "the one that can be accepted counts";
  EXPECT_THAT(Classes({Charge("p"), Charge("q")}, Late(Entry(EntryState::kExpired), "p", true)),
              ElementsAre("DUPLICATE_CHARGE q 500 !"));
}

TEST(ClassifyTest, Refunds) {
  EXPECT_THAT(Classes({Charge("p"), Refund("p")}, Confirmed()), ElementsAre("REFUNDED_BUT_LIVE p 500"));
  EXPECT_THAT(Classes({Refund("p")}, Confirmed("p", kBefore)), ElementsAre("REFUNDED_BUT_LIVE p 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("p")}, Late(Entry(EntryState::kExpired), "p", true)),
              ElementsAre("REFUNDED_BUT_LIVE p 500"));
  EXPECT_THAT(Classes({Charge("p")}, Late(Entry(EntryState::kExpired), "p", false)),
              ElementsAre("UNFULFILLED_NOT_REFUNDED p 500"));
  EXPECT_THAT(Classes({}, Late(Entry(EntryState::kExpired), "p", false, kBefore)),
              ElementsAre("UNFULFILLED_NOT_REFUNDED p 500"))
      << "from before the window, and still open";
  EXPECT_THAT(Classes({Charge("p"), Refund("p")}, Late(Entry(EntryState::kCancelled), "p", false)),
              ElementsAre("REFUND_NOT_RECORDED p 500 !"));
  EXPECT_THAT(Classes({Refund("p")}, Late(Entry(EntryState::kGone), "p", false, kBefore)),
              ElementsAre("REFUND_NOT_RECORDED p 500 !"));
  EXPECT_THAT(Classes({Charge("p"), Charge("q"), Refund("q")}, Late(Confirmed(), "q", false)),
              ElementsAre("REFUND_NOT_RECORDED q 500 !"));
}

TEST(ClassifyTest, RefundWithoutCharge) {
  EXPECT_THAT(Classes({Refund("p")}, nullptr), ElementsAre("REFUND_WITHOUT_CHARGE p 500"));
  EXPECT_THAT(Classes({Refund("p")}, Entry(EntryState::kPending)), ElementsAre("REFUND_WITHOUT_CHARGE p 500"));
  EXPECT_THAT(Classes({Refund("p")}, Confirmed()),
              ElementsAre("REFUND_WITHOUT_CHARGE p 500", "REFUNDED_BUT_LIVE p 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("q")}, Confirmed()), ElementsAre("REFUND_WITHOUT_CHARGE q 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("p", 500, 1000, "USD")}, Confirmed()),
              ElementsAre("REFUND_WITHOUT_CHARGE p 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("p"), Refund("p")}, Confirmed()),
              ElementsAre("REFUND_WITHOUT_CHARGE p 500", "REFUNDED_BUT_LIVE p 500"));
  EXPECT_THAT(Classes({Charge("p"), Refund("p", 700)}, Confirmed()),
              ElementsAre("REFUND_WITHOUT_CHARGE p 200", "REFUNDED_BUT_LIVE p 700"));
}

TEST(ClassifyTest, SeveralAtOnce) {
  EXPECT_THAT(Classes({Charge("p", 400), Charge("p", 300), Charge("q"), Refund("r", 5)}, Late(Confirmed(), "s", true)),
              UnorderedElementsAre("DUPLICATE_CHARGE p 300", "AMOUNT_DIFFERS p -100", "REFERENCE_DIFFERS q 500",
                                   "REFUND_WITHOUT_CHARGE r 5"));
}

}  // namespace
}  // namespace tranche::reconcile
