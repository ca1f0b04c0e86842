#include "client/reconcile/report_writer.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/reconcile/line_fields.h"

namespace tranche::reconcile {
namespace {

// Also the keys of JSONL, where numbers are strings, like in all JSON of the tools.
enum ReportColumn {
  kClass,
  kReservationId,
  kReference,
  kAmountMinor,
  kCurrency,
  kLine,
  kStatementKind,
  kStatementAmountMinor,
  kStatementCurrency,
  kStatementTime,
  kState,
  kSkuId,
  kQuantity,
  kLedgerReference,
  kLedgerAmountMinor,
  kLedgerCurrency,
  kLedgerTime,
  kCorrection,
  kAdvice,
  kColumnCount,
};
constexpr const char* kNames[] = {
    "class",
    "reservation_id",
    "reference",
    "amount_minor",
    "currency",
    "statement_line",
    "statement_kind",
    "statement_amount_minor",
    "statement_currency",
    "statement_time",
    "state",
    "sku_id",
    "quantity",
    "ledger_reference",
    "ledger_amount_minor",
    "ledger_currency",
    "ledger_time",
    "correction",
    "advice",
};
static_assert(std::size(kNames) == kColumnCount);

std::string TimeText(int64_t time_us) {
  return absl::FormatTime(absl::RFC3339_full, absl::FromUnixMicros(time_us), absl::UTCTimeZone());
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace

ReportWriter::ReportWriter(std::ostream* out, ReportFormat format) : out_(out), format_(format) {
  if (format_ != ReportFormat::kCsv) return;
  for (int i = 0; i < kColumnCount; ++i) *out_ << (i > 0 ? "," : "") << kNames[i];
  *out_ << "\r\n";
}

absl::Status ReportWriter::WriteRow(const std::string* values) {
  if (format_ == ReportFormat::kCsv) {
    for (int i = 0; i < kColumnCount; ++i) *out_ << (i > 0 ? "," : "") << CsvField(values[i]);
    *out_ << "\r\n";
  } else {
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    for (int i = 0; i < kColumnCount; ++i) {
      if (!values[i].empty()) row[kNames[i]] = values[i];
    }
    // Invalid UTF-8 is replaced, instead of throwing an exception.
    *out_ << row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  }
  return out_->good() ? absl::OkStatus() : absl::DataLossError("the report cannot be written");
}

absl::Status ReportWriter::Write(const Difference& difference) {
  std::string values[kColumnCount];
  values[kClass] = std::string(NameOf(difference.kind));
  values[kReservationId] = FormatReservationId(difference.reservation_id);
  values[kReference] = difference.reference;
  values[kAmountMinor] = absl::StrCat(difference.amount_minor);
  values[kCurrency] = std::string(difference.currency.text());
  if (difference.line.has_value()) {
    const StatementLine& line = *difference.line;
    values[kLine] = absl::StrCat(line.line_number);
    values[kStatementKind] = line.kind == LineKind::kCharge ? "charge" : "refund";
    values[kStatementAmountMinor] = absl::StrCat(line.amount_minor);
    values[kStatementCurrency] = std::string(line.currency.text());
    values[kStatementTime] = TimeText(line.time_us);
  }
  if (difference.in_ledger) {
    values[kState] = std::string(NameOf(difference.state));
    values[kSkuId] = difference.sku_id;
    values[kQuantity] = absl::StrCat(difference.quantity);
    values[kLedgerReference] = difference.ledger_reference;
    values[kLedgerAmountMinor] = absl::StrCat(difference.ledger_amount_minor);
    values[kLedgerCurrency] = std::string(difference.ledger_currency.text());
    if (difference.ledger_time_us != 0) values[kLedgerTime] = TimeText(difference.ledger_time_us);
  }
  values[kCorrection] = std::string(NameOf(difference.correction));
  values[kAdvice] = difference.advice;
  return WriteRow(values);
}

absl::Status ReportWriter::Write(const MalformedLine& line) {
  if (++malformed_ > kMaxMalformedReported) return absl::OkStatus();
  std::string values[kColumnCount];
  values[kClass] = std::string(NameOf(line.reason));
  values[kLine] = absl::StrCat(line.line_number);
  values[kCorrection] = std::string(NameOf(Correction::kNeedsPerson));
  values[kAdvice] = absl::StrCat("the line cannot be used: ", line.beginning);
  return WriteRow(values);
}

}  // namespace tranche::reconcile
