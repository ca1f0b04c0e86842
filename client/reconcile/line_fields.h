// Parses the fields of a statement line.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "client/reconcile/statement_line.h"

namespace tranche::reconcile {

// Why a line could not be used.
enum class Malformed {
  kNone,
  kTooLong,        // longer than kMaxRecordBytes
  kQuotes,         // a quote is not closed, or closed in the middle of a field
  kColumns,        // more or fewer columns than the header
  kJson,           // not one JSON object
  kMissingField,   // a field that the JSON object lacks, or an empty one
  kText,           // not UTF-8, or control characters, or too long
  kReservationId,  // not a UUID, or the nil UUID
  kAmount,         // not a number, more decimals than the currency has, negative, or too large
  kCurrency,       // not three letters
  kTime,           // not RFC 3339
  kKind,           // neither charge nor refund nor chargeback
  kCount,
};

// Such as "MALFORMED_AMOUNT".
absl::string_view NameOf(Malformed reason);

// Views into the line. `amount_minor` (minor units) is used unless empty, otherwise `amount` (decimal).
struct LineFields {
  absl::string_view reference;
  absl::string_view reservation_id;
  absl::string_view amount;
  absl::string_view amount_minor;
  absl::string_view currency;
  absl::string_view time;
  absl::string_view kind;
};

// kNone: `line` is set, except for its number.
Malformed ReadLine(const LineFields& fields, StatementLine* line);

// Microseconds since the Unix epoch of an RFC 3339 time (a space may stand for the T); nullopt if it is none. Digits
// below microseconds are cut off.
std::optional<int64_t> ParseTimeMicros(absl::string_view text);

// "19.99" with 2 decimals is 1999. A sign may precede it; zeros beyond the decimals are accepted.
std::optional<int64_t> ParseDecimal(absl::string_view text, int decimals);

// UTF-8 without control characters, 1 to kMaxReferenceBytes bytes.
bool IsReference(absl::string_view text);

}  // namespace tranche::reconcile
