#include "server/process/log_format.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/log_identity.h"

namespace tranche::server {
namespace {

constexpr absl::string_view kCut = "...[cut]";

// The length of the UTF-8 character that the text begins with; 0 if it is none (overlong and surrogate forms are none).
// `*is_control` says whether it is one of the C1 controls.
size_t Utf8LengthAt(absl::string_view text, bool* is_control) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0);
  *is_control = false;
  size_t length = 0;
  unsigned low = 0x80, high = 0xbf;  // of the second byte
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
    *is_control = first == 0xc2 && byte(1) < 0xa0;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  } else {
    return first < 0x80 ? 1 : 0;
  }
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return length;
}

// How one character is written, or one byte that is none: `piece` is it, `plain` whether it may stay as it is.
using EscapePiece = std::string (*)(absl::string_view piece, bool plain);

std::string EscapeAll(absl::string_view text, size_t most, EscapePiece escape) {
  if (most < kCut.size()) return "";
  std::string escaped;
  size_t cut_at = 0;  // up to here there is room for the mark, too
  for (size_t at = 0; at < text.size();) {
    bool is_control = false;
    const size_t length = Utf8LengthAt(text.substr(at), &is_control);
    const absl::string_view piece = text.substr(at, std::max<size_t>(1, length));
    is_control = is_control || (length == 1 && absl::ascii_iscntrl(static_cast<unsigned char>(piece[0])));
    absl::StrAppend(&escaped, escape(piece, length > 0 && !is_control));
    if (escaped.size() > most) return absl::StrCat(escaped.substr(0, cut_at), kCut);
    if (escaped.size() + kCut.size() <= most) cut_at = escaped.size();
    at += piece.size();
  }
  return escaped;
}

std::string AsText(absl::string_view piece, bool plain) { return plain ? std::string(piece) : absl::CHexEscape(piece); }

std::string AsJson(absl::string_view piece, bool plain) {
  if (piece == "\"" || piece == "\\") return absl::StrCat("\\", piece);
  if (plain) return std::string(piece);
  const auto first = static_cast<unsigned char>(piece[0]);
  if (first < 0x80) return absl::StrCat("\\u", absl::Hex(first, absl::kZeroPad4));
  // A C1 control is U+0080 to U+009F; what remains is no character.
  return piece.size() == 2 ? absl::StrCat("\\u", absl::Hex(static_cast<unsigned char>(piece[1]), absl::kZeroPad4))
                           : "\\ufffd";
}

std::string Quoted(absl::string_view text, size_t most) { return absl::StrCat("\"", EscapeJson(text, most), "\""); }

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone()); }

std::string JsonValue(const LogValue& value) {
  return value.is_word() ? Quoted(CutLogValue(value.text()), 2 * kMaxLogValueBytes) : value.text();
}

std::string JsonEvent(const LoggedEvent& event) {
  std::string fields;
  for (size_t i = 0; i < event.fields.size() && i < kMaxLogFields; ++i) {
    const LogField& field = event.fields[i];
    absl::StrAppend(&fields, i == 0 ? "" : ",", Quoted(field.key, kMaxLogValueBytes), ":", JsonValue(field.value));
    // Room for the rest of the line, whatever the values are.
    if (fields.size() > kMaxLogLineBytes / 2) break;
  }
  return absl::StrCat(",\"event\":", Quoted(event.name, kMaxLogValueBytes), ",\"fields\":{", fields, "}");
}

std::string JsonLine(const LogLine& line) {
  std::string json = absl::StrCat("{\"time\":\"", TimeText(line.time), "\",\"level\":\"", line.level,
                                  "\",\"program\":", Quoted(line.program, kMaxLogValueBytes));
  if (!line.node.empty()) absl::StrAppend(&json, ",\"node\":", Quoted(line.node, 2 * kMaxLogValueBytes));
  if (line.incarnation != 0) absl::StrAppend(&json, ",\"incarnation\":", line.incarnation);
  absl::StrAppend(&json, ",\"source\":", Quoted(absl::StrCat(line.file, ":", line.line), kMaxLogValueBytes));
  if (line.trace != nullptr) {
    const std::string &trace_id = line.trace->trace_id, &request_id = line.trace->request_id;
    if (!trace_id.empty()) absl::StrAppend(&json, ",\"trace\":", Quoted(trace_id, kMaxLogValueBytes));
    if (!request_id.empty()) absl::StrAppend(&json, ",\"request\":", Quoted(request_id, 2 * kMaxLogValueBytes));
  }
  if (line.event != nullptr) absl::StrAppend(&json, JsonEvent(*line.event));
  absl::StrAppend(&json, ",\"message\":\"");
  constexpr absl::string_view kEnd = "\"}\n";
  return absl::StrCat(json, EscapeJson(line.message, kMaxLogLineBytes - json.size() - kEnd.size()), kEnd);
}

std::string TextLine(const LogLine& line) {
  std::string text = absl::StrCat(TimeText(line.time), " ", line.level, " ", line.program, " ",
                                  line.node.empty() ? "-" : LogWord(line.node));
  if (line.incarnation != 0) absl::StrAppend(&text, "/", line.incarnation);
  absl::StrAppend(&text, " ", CutLogValue(line.file), ":", line.line);
  if (line.trace != nullptr) {
    const std::string &trace_id = line.trace->trace_id, &request_id = line.trace->request_id;
    if (!trace_id.empty()) absl::StrAppend(&text, " trace=", LogWord(trace_id));
    if (!request_id.empty()) absl::StrAppend(&text, " request=", LogWord(request_id));
  }
  absl::StrAppend(&text, "] ");
  return absl::StrCat(text, EscapeLogText(line.message, kMaxLogLineBytes - text.size() - 1), "\n");
}

// Called by glog on the thread that logs, one line at a time.
class StderrSink : public google::LogSink {
 public:
  StderrSink(LogFormat format, const char* program) : format_(format), program_(program) {}

  using google::LogSink::send;
  void send(google::LogSeverity severity, const char*, const char* file, int line, const google::LogMessageTime& time,
            const char* message, size_t size) override {
    const std::string text =
        FormatLogLine(format_, {.time = absl::FromTimeT(time.timestamp()) + absl::Microseconds(time.usec()),
                                .level = google::GetLogSeverityName(severity),
                                .program = program_,
                                .node = LogNode(),
                                .incarnation = LogIncarnation(),
                                .file = file,
                                .line = line,
                                .message = {message, size},
                                .trace = CurrentTrace().get(),
                                .event = EventBeingLogged()});
    Write(text);
  }

 private:
  // There is nobody to tell when it fails.
  static void Write(absl::string_view text) {
    while (!text.empty()) {
      const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      text.remove_prefix(static_cast<size_t>(written));
    }
  }

  const LogFormat format_;
  const char* const program_;
};

}  // namespace

std::string EscapeLogText(absl::string_view text, size_t most) { return EscapeAll(text, most, AsText); }
std::string EscapeJson(absl::string_view text, size_t most) { return EscapeAll(text, most, AsJson); }

std::string FormatLogLine(LogFormat format, const LogLine& line) {
  return format == LogFormat::kJson ? JsonLine(line) : TextLine(line);
}

void WriteLogToStderr(LogFormat format, const char* program) {
  // Neither files nor glog's own lines on stderr.
  FLAGS_logtostderr = false;
  FLAGS_alsologtostderr = false;
  FLAGS_stderrthreshold = google::NUM_SEVERITIES;
  FLAGS_log_prefix = false;
  for (int severity = 0; severity < google::NUM_SEVERITIES; ++severity) google::SetLogDestination(severity, "");
  // For as long as the process: other threads may log while it ends.
  static StderrSink* const sink = new StderrSink(format, program);
  google::AddLogSink(sink);
}

}  // namespace tranche::server
