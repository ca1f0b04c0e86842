// Events: log lines with a name and fields, for people who search logs and for programs that read them.
//
//   LogEvent("sale.sold_out", {{"sku", sku_id}, {"units", stock}, {"seconds", 2.4}});
//
// As text the line reads: event sale.sold_out sku=tv units=1000 seconds=2.4. As JSON the fields keep their types.
// Names and keys are constants of the code; values may be anything: they are quoted and cut so that none can break a
// line or look like another field.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"

namespace tranche {

// What a field holds, as text.
class LogValue {
 public:
  LogValue(bool value) : text_(value ? "true" : "false") {}  // NOLINT(google-explicit-constructor)
  LogValue(int value) : text_(absl::StrCat(value)) {}        // NOLINT(google-explicit-constructor)
  LogValue(int64_t value) : text_(absl::StrCat(value)) {}    // NOLINT(google-explicit-constructor)
  LogValue(double value)
      : text_(absl::StrCat(value)), is_word_(!std::isfinite(value)) {}      // NOLINT(google-explicit-constructor)
  LogValue(std::string value) : text_(std::move(value)), is_word_(true) {}  // NOLINT(google-explicit-constructor)
  LogValue(const char* value) : text_(value), is_word_(true) {}             // NOLINT(google-explicit-constructor)

  const std::string& text() const { return text_; }
  // Otherwise a literal of JSON: a number, true or false.
  bool is_word() const { return is_word_; }

 private:
  std::string text_;
  bool is_word_ = false;
};

struct LogField {
  const char* key;
  LogValue value;
};

struct LoggedEvent {
  const char* name;
  std::vector<LogField> fields;
};

// Longer values are cut.
inline constexpr size_t kMaxLogValueBytes = 256;
// Fields after these are left out.
inline constexpr size_t kMaxLogFields = 16;

inline absl::string_view CutLogValue(absl::string_view text) { return text.substr(0, kMaxLogValueBytes); }

// The value by itself if it is one word without quotes and signs that mean something here, else quoted as in C.
inline std::string LogWord(absl::string_view value) {
  const absl::string_view cut = CutLogValue(value);
  bool plain = !cut.empty() && cut.size() == value.size();
  for (const char c : cut) {
    plain = plain && absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '"' && c != '\\' && c != '=' &&
            c != '[' && c != ']';
  }
  if (plain) return std::string(cut);
  return absl::StrCat("\"", absl::CHexEscape(cut), cut.size() < value.size() ? "..." : "", "\"");
}

inline std::string LogValueText(const LogValue& value) {
  return value.is_word() ? LogWord(value.text()) : value.text();
}

inline std::string LogEventText(const LoggedEvent& event) {
  std::string text = absl::StrCat("event ", event.name);
  for (size_t i = 0; i < event.fields.size() && i < kMaxLogFields; ++i) {
    absl::StrAppend(&text, " ", event.fields[i].key, "=", LogValueText(event.fields[i].value));
  }
  return text;
}

// The event that this thread is logging; null while it logs another line. For the writer of the lines
// (server/process/log_format.h), which glog calls on the same thread.
inline const LoggedEvent*& EventBeingLogged() {
  static thread_local const LoggedEvent* event = nullptr;
  return event;
}

// Logs the event at INFO. Thread-safe.
inline void LogEvent(const char* name, std::vector<LogField> fields, const char* file = __builtin_FILE(),
                     int line = __builtin_LINE()) {
  if (google::GLOG_INFO < FLAGS_minloglevel) return;
  const LoggedEvent event{name, std::move(fields)};
  const std::string text = LogEventText(event);
  EventBeingLogged() = &event;
  // The line is written when the message goes.
  google::LogMessage(file, line, google::GLOG_INFO).stream() << text;
  EventBeingLogged() = nullptr;
}

}  // namespace tranche
