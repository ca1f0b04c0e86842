// Splits a text into records: lines, or CSV records whose quoted fields may contain line ends (RFC 4180).
//
// Memory is bounded: a record longer than kMaxRecordBytes is skipped and reported. A quote that is never closed, or is
// followed by something other than a comma, costs only its own line: reading continues at the next one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/reconcile/io.h"

namespace tranche::reconcile {

inline constexpr size_t kMaxRecordBytes = 16 * 1024;

enum class Quoting { kNone, kCsv };

struct TextRecord {
  enum class Problem { kNone, kTooLong, kQuotes };

  // Without the line end; valid until the next call of Next. Writable, so that a field can be unescaped in place.
  char* data = nullptr;
  size_t size = 0;
  uint64_t line_number = 0;  // where it begins, from 1
  bool has_quotes = false;
  Problem problem = Problem::kNone;  // if not kNone, `data` holds the beginning of the record

  absl::string_view text() const { return {data, size}; }
};

// Not thread-safe.
class RecordReader {
 public:
  RecordReader(ByteSource* source, Quoting quoting);

  // False at the end. Skips empty lines, and a byte order mark at the start.
  absl::StatusOr<bool> Next(TextRecord* record);

 private:
  // Appends more of the source. False at the end of the source.
  absl::StatusOr<bool> Fill();
  // The next line end at or after `from` (an offset from begin_), or npos when the rest of the source, or more than
  // kMaxRecordBytes, has none.
  absl::StatusOr<size_t> FindLineEnd(size_t from);
  // The end of the record with quotes that begins at begin_; npos when it is malformed.
  absl::StatusOr<size_t> FindQuotedEnd();
  absl::Status SkipRestOfLine();
  void Take(size_t end, TextRecord* record);

  ByteSource* const source_;
  const Quoting quoting_;
  std::vector<char> buffer_;
  size_t begin_ = 0;  // of what is not taken yet
  size_t end_ = 0;    // of what was read
  bool at_end_ = false;
  bool started_ = false;
  uint64_t line_number_ = 1;  // of begin_
};

// The fields of a CSV record without a problem; unescapes them in place.
void SplitCsv(const TextRecord& record, std::vector<absl::string_view>* fields);

}  // namespace tranche::reconcile
