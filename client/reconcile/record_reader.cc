#include "client/reconcile/record_reader.h"

#include <algorithm>
#include <cstring>

#include "storage/base/status_macros.h"

namespace tranche::reconcile {
namespace {

constexpr size_t kBufferBytes = 1 << 20;
static_assert(kBufferBytes >= 4 * kMaxRecordBytes);
constexpr size_t kNone = std::string::npos;
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

// What a CSV record looks like so far.
enum class Place { kFieldStart, kUnquoted, kQuoted, kAfterQuote };

}  // namespace

RecordReader::RecordReader(ByteSource* source, Quoting quoting)
    : source_(source), quoting_(quoting), buffer_(kBufferBytes) {}

absl::StatusOr<bool> RecordReader::Fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  ASSIGN_OR_RETURN(const size_t got, source_->Read(buffer_.data() + end_, buffer_.size() - end_));
  end_ += got;
  at_end_ = got == 0;
  return !at_end_;
}

absl::StatusOr<size_t> RecordReader::FindLineEnd(size_t from) {
  while (true) {
    const char* const start = buffer_.data() + begin_;
    const size_t size = end_ - begin_;
    if (from < size) {
      const void* const found = std::memchr(start + from, '\n', size - from);
      if (found != nullptr) return static_cast<size_t>(static_cast<const char*>(found) - start);
    }
    if (size > kMaxRecordBytes) return kNone;
    from = size;
    ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) return kNone;
  }
}

absl::StatusOr<size_t> RecordReader::FindQuotedEnd() {
  Place place = Place::kFieldStart;
  for (size_t at = 0; at <= kMaxRecordBytes; ++at) {
    if (at >= end_ - begin_) {
      ASSIGN_OR_RETURN(const bool more, Fill());
      if (!more) return place == Place::kQuoted ? kNone : at;
    }
    const char c = buffer_[begin_ + at];
    if (place == Place::kQuoted) {
      if (c == '"') place = Place::kAfterQuote;
      continue;
    }
    if (c == '\n') return at;
    if (c == ',') {
      place = Place::kFieldStart;
    } else if (place == Place::kFieldStart) {
      place = c == '"' ? Place::kQuoted : Place::kUnquoted;
    } else if (place == Place::kAfterQuote) {
      if (c == '"') {
        place = Place::kQuoted;  // an escaped quote
      } else if (c != '\r') {
        return kNone;
      }
    } else if (c == '"') {
      return kNone;  // in the middle of a field without quotes
    }
  }
  return kNone;
}

absl::Status RecordReader::SkipRestOfLine() {
  while (true) {
    const void* const found = std::memchr(buffer_.data() + begin_, '\n', end_ - begin_);
    if (found != nullptr) {
      begin_ = static_cast<size_t>(static_cast<const char*>(found) - buffer_.data()) + 1;
      return absl::OkStatus();
    }
    begin_ = end_;
    ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) return absl::OkStatus();
  }
}

// The record is from begin_ to `end`, where its line end is, or the end of the source.
void RecordReader::Take(size_t end, TextRecord* record) {
  record->data = buffer_.data() + begin_;
  record->size = end;
  record->line_number = line_number_;
  if (record->has_quotes) {
    line_number_ += static_cast<uint64_t>(std::count(record->data, record->data + end, '\n'));
  }
  ++line_number_;
  begin_ = std::min(begin_ + end + 1, end_);
  if (record->size > 0 && record->data[record->size - 1] == '\r') --record->size;
}

absl::StatusOr<bool> RecordReader::Next(TextRecord* record) {
  if (!started_) {
    started_ = true;
    while (end_ < kByteOrderMark.size()) {
      ASSIGN_OR_RETURN(const bool more, Fill());
      if (!more) break;
    }
    if (end_ >= kByteOrderMark.size() && absl::string_view(buffer_.data(), kByteOrderMark.size()) == kByteOrderMark) {
      begin_ = kByteOrderMark.size();
    }
  }
  while (true) {
    *record = TextRecord();
    ASSIGN_OR_RETURN(const size_t end, FindLineEnd(0));
    const size_t size = end_ - begin_;
    if (end == kNone && size == 0) return false;
    if (end == kNone && !at_end_) {
      record->problem = TextRecord::Problem::kTooLong;
      record->line_number = line_number_++;
      RETURN_IF_ERROR(SkipRestOfLine());
      return true;
    }
    const size_t line_end = end == kNone ? size : end;
    if (line_end > kMaxRecordBytes) record->problem = TextRecord::Problem::kTooLong;
    record->has_quotes = quoting_ == Quoting::kCsv && record->problem == TextRecord::Problem::kNone &&
                         std::memchr(buffer_.data() + begin_, '"', line_end) != nullptr;
    size_t record_end = line_end;
    if (record->has_quotes) {
      ASSIGN_OR_RETURN(const size_t quoted_end, FindQuotedEnd());
      if (quoted_end == kNone) {
        record->problem = TextRecord::Problem::kQuotes;
      } else {
        record_end = quoted_end;
      }
    }
    Take(record_end, record);
    if (record->size > 0 || record->problem != TextRecord::Problem::kNone) return true;
  }
}

void SplitCsv(const TextRecord& record, std::vector<absl::string_view>* fields) {
  fields->clear();
  char* at = record.data;
  char* const end = record.data + record.size;
  while (true) {
    if (at == end || *at != '"') {
      const void* const comma = std::memchr(at, ',', static_cast<size_t>(end - at));
      char* const field_end = comma == nullptr ? end : at + (static_cast<const char*>(comma) - at);
      fields->emplace_back(at, static_cast<size_t>(field_end - at));
      if (comma == nullptr) return;
      at = field_end + 1;
      continue;
    }
    char* const field = ++at;
    char* out = field;
    for (; at != end; ++at) {
      if (*at == '"' && (at + 1 == end || *++at != '"')) break;
      *out++ = *at;
    }
    fields->emplace_back(field, static_cast<size_t>(out - field));
    // A closing quote at the very end leaves `at` on it.
    if (at == end || *at != ',') return;
    ++at;
  }
}

}  // namespace tranche::reconcile
