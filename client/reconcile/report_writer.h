// Writes the findings of a reconciliation, one line each: as JSONL, or as CSV.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>

#include "absl/status/status.h"
#include "client/reconcile/difference.h"
#include "client/reconcile/statement_reader.h"

namespace tranche::reconcile {

enum class ReportFormat { kCsv, kJsonl };

// Malformed lines beyond these are counted, not written.
inline constexpr int64_t kMaxMalformedReported = 1000;

// Not thread-safe. `out` outlives it.
class ReportWriter {
 public:
  ReportWriter(std::ostream* out, ReportFormat format);

  // kDataLoss when it cannot be written (a full disk).
  absl::Status Write(const Difference& difference);
  absl::Status Write(const MalformedLine& line);

 private:
  absl::Status WriteRow(const std::string* values);

  std::ostream* const out_;
  const ReportFormat format_;
  int64_t malformed_ = 0;
};

}  // namespace tranche::reconcile
