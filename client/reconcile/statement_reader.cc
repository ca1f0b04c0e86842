#include "client/reconcile/statement_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/reconcile/record_reader.h"
#include "storage/base/status_macros.h"

namespace tranche::reconcile {
namespace {

struct Column {
  absl::string_view name;
  absl::string_view LineFields::*field;
};
constexpr Column kColumns[] = {
    {"reference", &LineFields::reference}, {"reservation_id", &LineFields::reservation_id},
    {"amount", &LineFields::amount},       {"amount_minor", &LineFields::amount_minor},
    {"currency", &LineFields::currency},   {"time", &LineFields::time},
    {"kind", &LineFields::kind},
};

std::string Beginning(absl::string_view text) {
  constexpr size_t kMost = 200;
  std::string printable(text.substr(0, kMost));
  for (char& c : printable) {
    if (c < 0x20 || c == 0x7F) c = '?';
  }
  return printable;
}

void Tell(const TextRecord& record, Malformed reason, absl::string_view text, MalformedLine* malformed) {
  malformed->reason = reason;
  malformed->line_number = record.line_number;
  malformed->beginning = Beginning(text);
}

// True when the record itself is broken.
bool TellProblem(const TextRecord& record, MalformedLine* malformed) {
  if (record.problem == TextRecord::Problem::kNone) return false;
  Tell(record, record.problem == TextRecord::Problem::kTooLong ? Malformed::kTooLong : Malformed::kQuotes,
       record.text(), malformed);
  return true;
}

class CsvStatement : public StatementReader {
 public:
  explicit CsvStatement(ByteSource* source) : records_(source, Quoting::kCsv) {}

  absl::Status ReadHeader() {
    TextRecord record;
    ASSIGN_OR_RETURN(const bool there, records_.Next(&record));
    if (!there) return absl::InvalidArgumentError("the statement is empty: a CSV begins with a header");
    if (record.problem != TextRecord::Problem::kNone) {
      return absl::InvalidArgumentError("the header cannot be read: it is too long, or has a quote that is not closed");
    }
    SplitCsv(record, &values_);
    columns_.assign(values_.size(), nullptr);
    std::vector<std::string> names;
    for (size_t i = 0; i < values_.size(); ++i) {
      names.push_back(absl::AsciiStrToLower(absl::StripAsciiWhitespace(values_[i])));
      for (const Column& column : kColumns) {
        if (names[i] == column.name) columns_[i] = column.field;
      }
      const bool known = columns_[i] != nullptr;
      if (known && std::count(names.begin(), names.end(), names[i]) > 1) {
        return absl::InvalidArgumentError(absl::StrCat("the header names ", names[i], " twice"));
      }
    }
    return CheckNames(names);
  }

  absl::StatusOr<bool> Next(StatementLine* line, MalformedLine* malformed) override {
    TextRecord record;
    ASSIGN_OR_RETURN(const bool there, records_.Next(&record));
    if (!there) return false;
    malformed->reason = Malformed::kNone;
    line->line_number = record.line_number;
    if (TellProblem(record, malformed)) return true;
    // Unescaping rewrites the record, so the part to report is saved first.
    if (record.has_quotes) raw_.assign(record.data, std::min<size_t>(record.size, 200));
    SplitCsv(record, &values_);
    Malformed reason = Malformed::kColumns;
    if (values_.size() == columns_.size()) {
      LineFields fields;
      for (size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i] != nullptr) fields.*columns_[i] = values_[i];
      }
      reason = ReadLine(fields, line);
    }
    if (reason != Malformed::kNone) {
      Tell(record, reason, record.has_quotes ? absl::string_view(raw_) : record.text(), malformed);
    }
    return true;
  }

 private:
  static absl::Status CheckNames(const std::vector<std::string>& names) {
    std::vector<std::string> missing;
    const auto lacks = [&](absl::string_view name) {
      return std::find(names.begin(), names.end(), name) == names.end();
    };
    for (const Column& column : kColumns) {
      if (column.field == &LineFields::amount || column.field == &LineFields::amount_minor) continue;
      if (lacks(column.name)) missing.emplace_back(column.name);
    }
    if (lacks("amount") && lacks("amount_minor")) missing.emplace_back("amount (or amount_minor)");
    if (missing.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the header lacks ", absl::StrJoin(missing, ", "), "; it has ",
                                                   Beginning(absl::StrJoin(names, ", "))));
  }

  RecordReader records_;
  // By the column's place; nullptr: not needed.
  std::vector<absl::string_view LineFields::*> columns_;
  std::vector<absl::string_view> values_;
  std::string raw_;
};

// Keeps the texts of an object's own fields; numbers stay as they are written.
class FieldCollector : public nlohmann::json_sax<nlohmann::json> {
 public:
  void Clear() {
    depth_ = 0;
    wanted_ = -1;
    is_object_ = true;
    for (std::string& text : texts_) text.clear();
  }
  bool is_object() const { return is_object_; }
  LineFields Fields() const {
    LineFields fields;
    for (size_t i = 0; i < std::size(kColumns); ++i) fields.*kColumns[i].field = texts_[i];
    return fields;
  }

  bool key(string_t& name) override {
    wanted_ = -1;
    if (depth_ != 1) return true;
    for (size_t i = 0; i < std::size(kColumns); ++i) {
      if (absl::string_view(name) == kColumns[i].name) wanted_ = static_cast<int>(i);
    }
    return true;
  }
  bool string(string_t& text) override {
    if (IsWanted()) texts_[static_cast<size_t>(wanted_)].swap(text);
    return Scalar();
  }
  bool number_float(number_float_t, const string_t& text) override {
    if (IsWanted()) texts_[static_cast<size_t>(wanted_)] = text;
    return Scalar();
  }
  bool number_integer(number_integer_t value) override {
    if (IsWanted()) texts_[static_cast<size_t>(wanted_)] = absl::StrCat(value);
    return Scalar();
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (IsWanted()) texts_[static_cast<size_t>(wanted_)] = absl::StrCat(value);
    return Scalar();
  }
  bool null() override { return Scalar(); }
  bool boolean(bool) override { return Scalar(); }
  bool binary(binary_t&) override { return Scalar(); }
  bool start_object(size_t) override { return Open(); }
  bool start_array(size_t) override {
    if (depth_ == 0) is_object_ = false;
    return Open();
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  bool IsWanted() const { return depth_ == 1 && wanted_ >= 0; }
  bool Scalar() {
    if (depth_ == 0) is_object_ = false;
    return true;
  }
  bool Open() {
    ++depth_;
    return true;
  }
  bool Close() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  int wanted_ = -1;  // the column of the next value
  bool is_object_ = true;
  std::string texts_[std::size(kColumns)];
};

class JsonlStatement : public StatementReader {
 public:
  explicit JsonlStatement(ByteSource* source) : records_(source, Quoting::kNone) {}

  absl::StatusOr<bool> Next(StatementLine* line, MalformedLine* malformed) override {
    TextRecord record;
    ASSIGN_OR_RETURN(const bool there, records_.Next(&record));
    if (!there) return false;
    malformed->reason = Malformed::kNone;
    line->line_number = record.line_number;
    if (TellProblem(record, malformed)) return true;
    collector_.Clear();
    const bool parsed = nlohmann::json::sax_parse(record.data, record.data + record.size, &collector_);
    const Malformed reason = parsed && collector_.is_object() ? ReadLine(collector_.Fields(), line) : Malformed::kJson;
    if (reason != Malformed::kNone) Tell(record, reason, record.text(), malformed);
    return true;
  }

 private:
  RecordReader records_;
  FieldCollector collector_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StatementReader>> OpenStatement(ByteSource* source, StatementFormat format) {
  if (format == StatementFormat::kJsonl) return std::make_unique<JsonlStatement>(source);
  auto csv = std::make_unique<CsvStatement>(source);
  RETURN_IF_ERROR(csv->ReadHeader());
  return csv;
}

}  // namespace tranche::reconcile
