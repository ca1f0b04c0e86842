// The whole engine: random books with random mutations, each of which must be reported exactly; windows; both sides'
// sums.
#include "client/reconcile/reconciler.h"

#include <gmock/gmock.h>

#include <random>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/reconcile/report_writer.h"
#include "tests/unit/client/reconcile/memory_io.h"

namespace tranche::reconcile {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  absl::StatusOr<Totals> totals = absl::UnknownError("not run");
  std::multiset<std::string> differences;  // "ID CLASS"
  int64_t corrections = 0;
};

Outcome RunAll(std::vector<StatementLine> lines, PaymentBooks* books, ReconcileOptions options = {}) {
  Outcome outcome;
  ListedStatement statement(std::move(lines));
  const ReconcileSinks sinks = {
      .difference =
          [&](const Difference& difference) {
            outcome.differences.insert(
                absl::StrCat(FormatReservationId(difference.reservation_id), " ", NameOf(difference.kind)));
            outcome.corrections += difference.correction != Correction::kNeedsPerson;
            return absl::OkStatus();
          },
      .malformed = [](const MalformedLine&) { return absl::OkStatus(); },
      .progress = [](absl::string_view, uint64_t) {},
  };
  outcome.totals = Reconcile(&statement, books, InMemory(), options, sinks);
  return outcome;
}

LedgerEntry ConfirmedEntry(uint32_t n) {
  LedgerEntry entry;
  entry.reservation_id = Id(n);
  entry.state = EntryState::kConfirmed;
  entry.sku_id = "tv";
  entry.quantity = 1 + static_cast<int32_t>(n % 3);
  entry.amount_minor = 500 + n;
  entry.currency = Cur(n % 2 == 0 ? "EUR" : "JPY");
  entry.reference = absl::StrCat("pay-", n);
  entry.finished_us = 1000 + n;
  return entry;
}

StatementLine ChargeOf(const LedgerEntry& entry) {
  StatementLine line;
  line.reservation_id = entry.reservation_id;
  line.reference = entry.reference;
  line.amount_minor = entry.amount_minor;
  line.currency = entry.currency;
  line.time_us = entry.finished_us - 1;
  return line;
}

// One reservation's lines and entry, changed so that exactly `expected` differs.
struct Case {
  std::vector<StatementLine> lines;
  std::optional<LedgerEntry> entry;
  std::vector<DifferenceClass> expected;
};

void MakeLate(LedgerEntry* entry, EntryState state, bool rebooked, int64_t refunded_us) {
  entry->late_payments.push_back(
      {entry->reference, entry->amount_minor, entry->currency, rebooked, entry->finished_us, refunded_us});
  entry->state = state;
  entry->reference.clear();
  entry->finished_us = 0;
}

Case Mutated(uint32_t n, int mutation) {
  LedgerEntry entry = ConfirmedEntry(n);
  StatementLine charge = ChargeOf(entry);
  StatementLine refund = charge;
  refund.kind = LineKind::kRefund;
  using enum DifferenceClass;
  switch (mutation) {
    case 0:
      return {{charge}, std::nullopt, {kMissingHere}};
    case 1:
      return {{}, entry, {kConfirmedButUnpaid}};
    case 2:
    case 3:
    case 4: {
      constexpr EntryState kStates[] = {EntryState::kPending, EntryState::kCancelled, EntryState::kExpired};
      constexpr DifferenceClass kClasses[] = {kPaidButPending, kPaidButCancelled, kPaidButExpired};
      entry.state = kStates[mutation - 2];
      entry.reference.clear();
      entry.finished_us = 0;
      return {{charge}, entry, {kClasses[mutation - 2]}};
    }
    case 5:
      charge.amount_minor += 7;
      return {{charge}, entry, {kAmountDiffers}};
    case 6:
      charge.currency = Cur("USD");
      return {{charge}, entry, {kCurrencyDiffers}};
    case 7:
      charge.reference += "x";
      return {{charge}, entry, {kReferenceDiffers}};
    case 8: {
      StatementLine second = charge;
      second.reference += "x";
      return {{second, charge}, entry, {kDuplicateCharge}};
    }
    case 9:
      return {{charge, charge, charge}, entry, {kDuplicateCharge, kDuplicateCharge}};
    case 10:
      return {{refund, charge}, entry, {kRefundedButLive}};
    case 11:
      MakeLate(&entry, EntryState::kExpired, false, 0);
      return {{charge}, entry, {kUnfulfilledNotRefunded}};
    case 12:
      MakeLate(&entry, EntryState::kCancelled, false, 0);
      return {{charge, refund}, entry, {kRefundNotRecorded}};
    case 13:
      refund.reference += "x";
      return {{charge, refund}, entry, {kRefundWithoutCharge}};
    case 14:
      MakeLate(&entry, EntryState::kExpired, true, 0);
      return {{}, entry, {kMissingThere}};
    case 15:
      MakeLate(&entry, EntryState::kExpired, true, 0);
      return {{charge}, entry, {}};
    case 16:
      MakeLate(&entry, EntryState::kGone, false, entry.finished_us + 1);
      return {{charge, refund}, entry, {}};
    default:
      return {{charge}, entry, {}};
  }
}
constexpr int kMutations = 17;

TEST(ReconcilerTest, RandomBooksWithRandomMutationsAreToldExactly) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<StatementLine> lines;
    std::map<ReservationId, LedgerEntry> entries;
    std::multiset<std::string> expected;
    int64_t units = 0;
    for (uint32_t n = 0; n < 3000; ++n) {
      // Most agree, as in real statements; the first and the last do, so that removing others does not change the
      // window.
      const bool edge = n == 0 || n == 2999;
      Case made = Mutated(n, edge || random() % 4 != 0 ? kMutations : static_cast<int>(random() % kMutations));
      if (edge) made.lines.front().time_us = n == 0 ? 0 : 10000;
      lines.insert(lines.end(), made.lines.begin(), made.lines.end());
      if (made.entry.has_value()) {
        units += made.entry->quantity * std::count_if(made.lines.begin(), made.lines.end(),
                                                      [](const auto& line) { return line.kind == LineKind::kCharge; });
        entries[made.entry->reservation_id] = *std::move(made.entry);
      }
      for (const DifferenceClass kind : made.expected) {
        expected.insert(absl::StrCat(FormatReservationId(Id(n)), " ", NameOf(kind)));
      }
    }
    std::shuffle(lines.begin(), lines.end(), random);
    ListedBooks books(entries, 1 + seed % 4);
    ReconcileOptions options;
    options.sorter = {.run_bytes = seed % 2 == 0 ? size_t{10000} : size_t{32 << 20}, .merge_bytes = 1};
    const size_t line_count = lines.size();
    const Outcome outcome = RunAll(std::move(lines), &books, options);
    ASSERT_TRUE(outcome.totals.ok()) << outcome.totals.status();
    EXPECT_EQ(outcome.differences, expected) << "seed " << seed;
    EXPECT_EQ(outcome.totals->difference_count, static_cast<int64_t>(expected.size()));
    EXPECT_EQ(outcome.totals->correctable, outcome.corrections);
    EXPECT_EQ(outcome.totals->charges.count + outcome.totals->refunds.count, static_cast<int64_t>(line_count));
    EXPECT_EQ(outcome.totals->charges.units, units);
  }
}

TEST(ReconcilerTest, TheSameFromTwoShardsCountsOnce) {
  const LedgerEntry entry = ConfirmedEntry(1);
  std::vector<std::unique_ptr<EntryStream>> streams;
  for (int i = 0; i < 3; ++i) {
    streams.push_back(std::make_unique<ListedEntries>(std::vector<LedgerEntry>{entry, ConfirmedEntry(2 + i)}));
  }
  const auto merged = MergeEntries(std::move(streams));
  std::vector<ReservationId> ids;
  LedgerEntry got;
  while (*merged->Next(&got)) ids.push_back(got.reservation_id);
  EXPECT_THAT(ids, ::testing::ElementsAre(Id(1), Id(2), Id(3), Id(4)));
}

TEST(ReconcilerTest, TheWindow) {
  std::map<ReservationId, LedgerEntry> entries;
  for (uint32_t n = 0; n < 100; ++n) entries[Id(n)] = ConfirmedEntry(n);
  // Of the ledger's payments at 1000 to 1099 the statement has those charged at 1020 to 1079.
  std::vector<StatementLine> lines;
  for (uint32_t n = 21; n <= 80; ++n) lines.push_back(ChargeOf(entries[Id(n)]));
  ListedBooks books(entries);
  const Outcome whole = RunAll(lines, &books);
  ASSERT_TRUE(whole.totals.ok());
  // The one of 1020 was charged before the statement begins, as far as can be known, and is only just in the window.
  EXPECT_EQ(whole.differences, (std::multiset<std::string>{FormatReservationId(Id(20)) + " CONFIRMED_BUT_UNPAID"}));
  EXPECT_EQ(whole.totals->window.from_us, 1020);
  EXPECT_EQ(whole.totals->window.to_us, 1079);
  EXPECT_EQ(books.looked_up, 1U) << "the last one: the ledger learned of it behind the window";

  const Outcome narrow = RunAll(lines, &books, {.from_us = 1030, .to_us = 1070, .sorter = {}});
  ASSERT_TRUE(narrow.totals.ok());
  EXPECT_TRUE(narrow.totals->clean());
  EXPECT_EQ(narrow.totals->charges.count, 41);
  EXPECT_EQ(narrow.totals->payments.count, 41);
  EXPECT_EQ(narrow.totals->lines_outside_window, 19);

  const Outcome wide = RunAll(lines, &books, {.from_us = 0, .to_us = 9999, .sorter = {}});
  ASSERT_TRUE(wide.totals.ok());
  EXPECT_EQ(wide.totals->differences[static_cast<int>(DifferenceClass::kConfirmedButUnpaid)].count, 40);
}

TEST(ReconcilerTest, AnEmptyStatementNeedsAWindow) {
  ListedBooks books({{Id(1), ConfirmedEntry(1)}});
  EXPECT_EQ(RunAll({}, &books).totals.status().code(), absl::StatusCode::kInvalidArgument);
  const Outcome outcome = RunAll({}, &books, {.from_us = 0, .to_us = 9999, .sorter = {}});
  ASSERT_TRUE(outcome.totals.ok());
  EXPECT_EQ(outcome.totals->difference_count, 1);
}

TEST(ReconcilerTest, ThousandsOfLinesOfOneReservationAreBounded) {
  const LedgerEntry entry = ConfirmedEntry(1);
  ListedBooks books({{Id(1), entry}});
  const Outcome outcome = RunAll(std::vector<StatementLine>(5000, ChargeOf(entry)), &books);
  ASSERT_TRUE(outcome.totals.ok());
  EXPECT_EQ(outcome.totals->differences[static_cast<int>(DifferenceClass::kDuplicateCharge)].count, 4999);
  EXPECT_EQ(outcome.totals->charges.count, 5000);
}

TEST(TotalsTest, SumsDoNotOverflow) {
  Sum sum;
  for (int i = 0; i < 100000; ++i) sum.Add(1, kMaxAmountMinor, Cur(i % 2 == 0 ? "EUR" : "JPY"));
  EXPECT_EQ(ToText(sum.amounts[Cur("EUR")]), "50000000000000000000");
  EXPECT_EQ(FormatAmount(-sum.amounts[Cur("EUR")], Cur("EUR")), "-500000000000000000.00");
  EXPECT_EQ(FormatAmount(5, Cur("KWD")), "0.005");
  EXPECT_EQ(FormatAmount(500, Cur("JPY")), "500");
}

TEST(ReportWriterTest, WritesBothFormats) {
  std::vector<Difference> differences;
  const LedgerEntry entry = ConfirmedEntry(4);
  StatementLine line = ChargeOf(entry);
  line.reference = "a,\"b\"";
  line.line_number = 7;
  Classify({0, 9999}, {&line, 1}, &entry, &differences);
  ASSERT_EQ(differences.size(), 1U);
  std::ostringstream csv;
  ReportWriter csv_writer(&csv, ReportFormat::kCsv);
  EXPECT_TRUE(csv_writer.Write(differences[0]).ok());
  EXPECT_THAT(csv.str(), HasSubstr("class,reservation_id,reference,"));
  EXPECT_THAT(csv.str(), HasSubstr("REFERENCE_DIFFERS,00000000-0000-0000-0000-000000000004,\"a,\"\"b\"\"\",504,EUR,7,"
                                   "charge,504,EUR,1970-01-01T00:00:00.001003+00:00,CONFIRMED,tv,2,pay-4,504,EUR,"
                                   "1970-01-01T00:00:00.001004+00:00,NEEDS_PERSON,"));
  std::ostringstream jsonl;
  ReportWriter jsonl_writer(&jsonl, ReportFormat::kJsonl);
  EXPECT_TRUE(jsonl_writer.Write(differences[0]).ok());
  EXPECT_TRUE(jsonl_writer.Write(MalformedLine{Malformed::kAmount, 9, "x\xFF"}).ok());
  EXPECT_THAT(jsonl.str(), HasSubstr(R"({"class":"REFERENCE_DIFFERS",)"));
  EXPECT_THAT(jsonl.str(), HasSubstr(R"("statement_line":"9")"));
  jsonl.setstate(std::ios::badbit);
  EXPECT_EQ(jsonl_writer.Write(differences[0]).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tranche::reconcile
