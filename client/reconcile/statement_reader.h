// Reads a payment provider's statement line by line, in either format.
//
// CSV (RFC 4180): the header names the columns, in any order and case; unknown ones are ignored. JSONL: one object per
// line with the same names; an amount may be a number or a string. Names: reference, reservation_id, amount (decimal)
// or amount_minor (minor units; used if both are given), currency, time, kind.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/reconcile/io.h"
#include "client/reconcile/line_fields.h"
#include "client/reconcile/statement_line.h"

namespace tranche::reconcile {

enum class StatementFormat { kCsv, kJsonl };

struct MalformedLine {
  Malformed reason = Malformed::kNone;
  uint64_t line_number = 0;
  std::string beginning;  // at most 200 bytes, with those that are not printable ASCII replaced
};

// Not thread-safe.
class StatementReader {
 public:
  virtual ~StatementReader() = default;
  // False at the end; an error when the source fails. Either `line` is set, or `malformed` says why not
  // (`malformed->reason` is kNone for a good line). Reuse `line`: it keeps its memory.
  virtual absl::StatusOr<bool> Next(StatementLine* line, MalformedLine* malformed) = 0;
};

// `source` outlives the reader. A CSV header that lacks a column gives an InvalidArgument that names it.
absl::StatusOr<std::unique_ptr<StatementReader>> OpenStatement(ByteSource* source, StatementFormat format);

}  // namespace tranche::reconcile
