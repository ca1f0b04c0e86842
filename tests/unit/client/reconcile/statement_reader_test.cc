// Statements in all variants: quotes, line ends, encodings, amounts, and malformed lines.
#include "client/reconcile/statement_reader.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "client/reconcile/record_reader.h"
#include "tests/unit/client/reconcile/memory_io.h"

namespace tranche::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kId[] = "01890a5d-ac96-774b-bcce-b302099a8057";
constexpr char kHeader[] = "reference,reservation_id,amount,currency,time,kind\n";

// "LINE:reference amount currency kind", or "LINE:MALFORMED_...".
std::vector<std::string> ReadAll(const std::string& text, StatementFormat format, size_t piece = 1 << 20) {
  MemorySource source(text, piece);
  auto reader = OpenStatement(&source, format);
  if (!reader.ok()) return {std::string(reader.status().message())};
  std::vector<std::string> read;
  StatementLine line;
  MalformedLine malformed;
  while (true) {
    const auto there = (*reader)->Next(&line, &malformed);
    EXPECT_TRUE(there.ok()) << there.status();
    if (!there.ok() || !*there) return read;
    if (malformed.reason != Malformed::kNone) {
      read.push_back(absl::StrCat(malformed.line_number, ":", NameOf(malformed.reason)));
    } else {
      read.push_back(absl::StrCat(line.line_number, ":", line.reference, " ", line.amount_minor, " ",
                                  line.currency.text(), line.kind == LineKind::kCharge ? " charge" : " refund"));
    }
  }
}
std::vector<std::string> Csv(const std::string& lines, size_t piece = 1 << 20) {
  return ReadAll(kHeader + lines, StatementFormat::kCsv, piece);
}
std::vector<std::string> Jsonl(const std::string& lines) { return ReadAll(lines, StatementFormat::kJsonl); }
// A good line, except for the given field.
std::string Row(const std::string& reference = "p", const std::string& amount = "1", const std::string& id = kId,
                const std::string& currency = "EUR", const std::string& time = "2026-11-27T09:00:00Z",
                const std::string& kind = "charge") {
  return absl::StrCat(reference, ",", id, ",", amount, ",", currency, ",", time, ",", kind, "\n");
}

TEST(CsvStatementTest, ReadsColumnsInAnyOrder) {
  EXPECT_THAT(ReadAll(absl::StrCat("\xEF\xBB\xBFKind, Currency,note,TIME,amount_minor,reservation_id,reference\r\n"
                                   "refund,eur,x,2026-11-27 09:00:00.5+01:00,1999,",
                                   kId, ",p1\r\n"),
                      StatementFormat::kCsv),
              ElementsAre("2:p1 1999 EUR refund"));
}

TEST(CsvStatementTest, AWrongHeaderEndsIt) {
  EXPECT_THAT(ReadAll("", StatementFormat::kCsv), ElementsAre(HasSubstr("is empty")));
  EXPECT_THAT(ReadAll("a,reference,kind\n", StatementFormat::kCsv),
              ElementsAre("the header lacks reservation_id, currency, time, amount (or amount_minor); it has a, "
                          "reference, kind"));
  EXPECT_THAT(ReadAll("kind,kind\n", StatementFormat::kCsv), ElementsAre("the header names kind twice"));
  EXPECT_THAT(ReadAll("\"kind\n", StatementFormat::kCsv), ElementsAre(HasSubstr("cannot be read")));
}

TEST(CsvStatementTest, Quotes) {
  for (const size_t piece : {1, 7, 1 << 20}) {
    EXPECT_THAT(Csv(Row("\"a,\"\"b\"\"\"") + Row("\"p\"", "\"19.99\"") + Row("p3"), piece),
                ElementsAre("2:a,\"b\" 100 EUR charge", "3:p 1999 EUR charge", "4:p3 100 EUR charge"));
  }
  // The last line without an end, its last field in quotes.
  EXPECT_THAT(Csv(absl::StrCat("p,", kId, ",1,EUR,2026-11-27T09:00:00Z,\"charge\"")),
              ElementsAre("2:p 100 EUR charge"));
}

TEST(CsvStatementTest, AFieldMayHoldALineEnd) {
  EXPECT_THAT(
      ReadAll(absl::StrCat("note,", kHeader, "\"two\r\nlines\",", Row("p1"), "x,", Row("p2")), StatementFormat::kCsv),
      ElementsAre("2:p1 100 EUR charge", "4:p2 100 EUR charge"));
}

TEST(CsvStatementTest, ABrokenQuoteCostsItsOwnLineOnly) {
  EXPECT_THAT(Csv(Row("\"open") + Row("p1") + Row("p2")),
              ElementsAre("2:MALFORMED_QUOTES", "3:p1 100 EUR charge", "4:p2 100 EUR charge"));
  EXPECT_THAT(Csv(Row("\"open") + Row("\"p1\"") + Row("p2")),
              ElementsAre("2:MALFORMED_QUOTES", "3:p1 100 EUR charge", "4:p2 100 EUR charge"));
  EXPECT_THAT(Csv(Row("in\"side") + Row("\"p\"x") + Row("p2")),
              ElementsAre("2:MALFORMED_QUOTES", "3:MALFORMED_QUOTES", "4:p2 100 EUR charge"));
  std::string many = Row("\"open");
  for (int i = 0; i < 1000; ++i) many += Row("p");
  const std::vector<std::string> read = Csv(many);
  ASSERT_EQ(read.size(), 1001U);
  EXPECT_EQ(read[1000], "1002:p 100 EUR charge");
}

TEST(CsvStatementTest, HugeLinesAreSkipped) {
  for (const size_t size : {size_t{20'000}, size_t{3'000'000}}) {
    EXPECT_THAT(Csv(Row(std::string(size, 'x')) + Row("p2") + std::string(size, '"')),
                ElementsAre("2:MALFORMED_TOO_LONG", "3:p2 100 EUR charge", "4:MALFORMED_TOO_LONG"));
  }
}

TEST(CsvStatementTest, EmptyLinesAreNone) {
  EXPECT_THAT(Csv("\n\r\n" + Row() + "\r\n"), ElementsAre("4:p 100 EUR charge"));
}

TEST(CsvStatementTest, EachFieldIsChecked) {
  EXPECT_THAT(Csv("a,b\n" + Row("p,x") + Row("") + Row("p", "1", "no-uuid") + Row("p", "1", kId, "EURO") +
                  Row("p", "1", kId, "EUR", "yesterday") + Row("p", "1", kId, "EUR", "2026-02-29T00:00:00Z") +
                  Row("p", "1", kId, "EUR", "2026-11-27T09:00:00Z", "payout") +
                  Row("p", "1", "00000000-0000-0000-0000-000000000000")),
              ElementsAre("2:MALFORMED_COLUMNS", "3:MALFORMED_COLUMNS", "4:MALFORMED_MISSING_FIELD",
                          "5:MALFORMED_RESERVATION_ID", "6:MALFORMED_CURRENCY", "7:MALFORMED_TIME", "8:MALFORMED_TIME",
                          "9:MALFORMED_KIND", "10:MALFORMED_RESERVATION_ID"));
}

TEST(CsvStatementTest, TextIsUtf8) {
  EXPECT_THAT(Csv(Row("p\xC3\xA4y\xF0\x9F\x92\xB6") + Row("\xFF") + Row("a\xC0\xAF") + Row("a\x01") +
                  Row("\xED\xA0\x80") + Row(std::string(128, 'x')) + Row(std::string(129, 'x'))),
              ElementsAre("2:p\xC3\xA4y\xF0\x9F\x92\xB6 100 EUR charge", "3:MALFORMED_REFERENCE",
                          "4:MALFORMED_REFERENCE", "5:MALFORMED_REFERENCE", "6:MALFORMED_REFERENCE",
                          absl::StrCat("7:", std::string(128, 'x'), " 100 EUR charge"), "8:MALFORMED_REFERENCE"));
}

TEST(CsvStatementTest, Refunds) {
  EXPECT_THAT(Csv(Row("p", "-5", kId, "EUR", "2026-11-27T09:00:00Z", "refund") +
                  Row("p", "5", kId, "EUR", "2026-11-27T09:00:00Z", "Chargeback") + Row("p", "-5")),
              ElementsAre("2:p 500 EUR refund", "3:p 500 EUR refund", "4:MALFORMED_AMOUNT"));
}

TEST(CsvStatementTest, AmountsHaveTheCurrencysDecimals) {
  EXPECT_THAT(Csv(Row("a", "500", kId, "JPY") + Row("b", "1.234", kId, "KWD") + Row("c", "1.2", kId, "EUR") +
                  Row("d", "1.2345", kId, "CLF") + Row("e", "500.00", kId, "JPY") + Row("f", "1.239", kId, "EUR")),
              ElementsAre("2:a 500 JPY charge", "3:b 1234 KWD charge", "4:c 120 EUR charge", "5:d 12345 CLF charge",
                          "6:e 500 JPY charge", "7:MALFORMED_AMOUNT"));
}

TEST(JsonlStatementTest, ReadsObjects) {
  const std::string rest =
      absl::StrCat(R"("reservation_id":")", kId, R"(","time":"2026-11-27T09:00:00Z","kind":"charge")");
  EXPECT_THAT(
      Jsonl(absl::StrCat(R"({"reference":"p1","amount":19.99,"currency":"EUR",)", rest, "}\r\n",
                         R"({"reference":"p\u00e4","amount":"0.10","currency":"EUR","more":{"amount":[1,{}]},)", rest,
                         "}\n", R"({"reference":"p3","amount_minor":7,"amount":1,"currency":"EUR",)", rest, "}\n",
                         // More digits than a double has.
                         R"({"reference":"p4","amount":9007199254740.93,"currency":"EUR",)", rest, "}\n")),
      ElementsAre("1:p1 1999 EUR charge", "2:p\xC3\xA4 10 EUR charge", "3:p3 7 EUR charge",
                  "4:p4 900719925474093 EUR charge"));
}

TEST(JsonlStatementTest, WhatIsNoObjectIsToldWithItsLine) {
  EXPECT_THAT(Jsonl("{\n[]\n\"x\"\n{} {}\n{}\n{\"reference\":\"\xFF\"}\n\n7\n" + std::string(100, '[') + "\n"),
              ElementsAre("1:MALFORMED_JSON", "2:MALFORMED_JSON", "3:MALFORMED_JSON", "4:MALFORMED_JSON",
                          "5:MALFORMED_MISSING_FIELD", "6:MALFORMED_JSON", "8:MALFORMED_JSON", "9:MALFORMED_JSON"));
  EXPECT_THAT(Jsonl(""), ElementsAre());
}

TEST(JsonlStatementTest, ExponentsAreNoAmounts) {
  const std::string rest = absl::StrCat(R"("currency":"EUR","reference":"p","reservation_id":")", kId,
                                        R"(","time":"2026-11-27T09:00:00Z","kind":"charge"})");
  EXPECT_THAT(
      Jsonl(R"({"amount":1e3,)" + rest + "\n" + R"({"amount_minor":1.5,)" + rest + "\n" + R"({"amount":null,)" + rest),
      ElementsAre("1:MALFORMED_AMOUNT", "2:MALFORMED_AMOUNT", "3:MALFORMED_MISSING_FIELD"));
}

TEST(ParseDecimalTest, IsExact) {
  EXPECT_EQ(ParseDecimal("0.01", 2), 1);
  EXPECT_EQ(ParseDecimal("-12", 2), -1200);
  EXPECT_EQ(ParseDecimal("+1.5", 3), 1500);
  EXPECT_EQ(ParseDecimal("10000000000000.00", 2), kMaxAmountMinor);
  EXPECT_EQ(ParseDecimal("10000000000000.01", 2), std::nullopt);
  EXPECT_EQ(ParseDecimal("1000000000000001", 2), std::nullopt);
  EXPECT_EQ(ParseDecimal("99999999999999999999999999", 0), std::nullopt);
  for (const char* text : {"", ".", "1.", ".5", "1,5", "1 5", "0x1", "--1", "1.2.3", "NaN"}) {
    EXPECT_EQ(ParseDecimal(text, 2), std::nullopt) << text;
  }
}

TEST(ParseTimeMicrosTest, IsRfc3339) {
  EXPECT_EQ(ParseTimeMicros("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ParseTimeMicros("1969-12-31T23:59:59.5Z"), -500000);
  EXPECT_EQ(ParseTimeMicros("2000-02-29T12:00:00.1234567+02:30"), 951816600123456);
  EXPECT_EQ(ParseTimeMicros("2026-11-27 09:00:00z"), ParseTimeMicros("2026-11-27T10:00:00+01:00"));
  for (const char* text :
       {"", "2026-11-27", "2026-11-27T09:00:00", "2026-11-27T24:00:00Z", "2026-13-01T00:00:00Z", "2100-02-29T00:00:00Z",
        "2026-11-27T09:00:00.Z", "2026-11-27T09:00:00Zx", "2026-11-27T09:00:00+0100", "1764234000"}) {
    EXPECT_EQ(ParseTimeMicros(text), std::nullopt) << text;
  }
}

TEST(ReservationIdTest, RoundTrip) {
  EXPECT_EQ(FormatReservationId(*ParseReservationId("01890A5D-AC96-774B-BCCE-B302099A8057")), kId);
  for (const char* text : {"", "01890a5dac96774bbcceb302099a8057", "01890a5d-ac96-774b-bcce-b302099a805g",
                           "01890a5d-ac96-774b-bcce-b302099a80577", "{1890a5d-ac96-774b-bcce-b302099a8057"}) {
    EXPECT_EQ(ParseReservationId(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tranche::reconcile
