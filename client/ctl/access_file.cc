#include "client/ctl/access_file.h"

#include <arpa/inet.h>

#include <optional>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/ctl/parse.h"
#include "client/reconcile/line_fields.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AccessEntry;

constexpr size_t kProblemsTold = 10;
constexpr size_t kMostColumns = 5;
constexpr size_t kBytesAroundAnEntry = 8;          // its tag and its length, at most
constexpr char kColumns[] = "verdict,kind,value";  // and those that may be missing
constexpr char kFileMark[] = "\xEF\xBB\xBF";       // of UTF-8, which some programs write first

// nullopt: a quote is not closed, or closed in the middle of a field.
std::optional<std::vector<std::string>> SplitCsv(absl::string_view line) {
  std::vector<std::string> fields;
  size_t at = 0;
  while (true) {
    std::string& field = fields.emplace_back();
    if (at < line.size() && line[at] == '"') {
      for (++at; at < line.size() && (line[at] != '"' || (at + 1 < line.size() && line[at + 1] == '"')); ++at) {
        if (line[at] == '"') ++at;  // two of them stand for one
        field.push_back(line[at]);
      }
      if (at++ >= line.size()) return std::nullopt;
    } else {
      while (at < line.size() && line[at] != ',') field.push_back(line[at++]);
      absl::StripAsciiWhitespace(&field);
    }
    if (at >= line.size()) return fields;
    if (line[at++] != ',') return std::nullopt;
  }
}

// As SplitCsv reads it.
std::string QuotedIfNeeded(const std::string& field) {
  const bool as_it_is = !absl::StrContains(field, ',') && !absl::StrContains(field, '"') &&
                        absl::StripAsciiWhitespace(field).size() == field.size();
  return as_it_is ? field : absl::StrCat("\"", absl::StrReplaceAll(field, {{"\"", "\"\""}}), "\"");
}

// To the microsecond, which is how precise the cluster is: another time would be another entry.
std::string FormatExpiry(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ",
                          absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()), absl::UTCTimeZone());
}

struct Prefix {
  std::string bytes;  // 16: an IPv4 address as IPv6 maps it
  int length = 0;     // of these, in bits
};

// "203.0.113.7", "2001:db8::/48".
std::optional<Prefix> ParsePrefix(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  Prefix prefix{std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0", sizeof(in6_addr)), 8 * sizeof(in6_addr)};
  const size_t v4_at = sizeof(in6_addr) - sizeof(in_addr);
  const bool v4 = inet_pton(AF_INET, address.c_str(), prefix.bytes.data() + v4_at) == 1;
  if (!v4 && inet_pton(AF_INET6, address.c_str(), prefix.bytes.data()) != 1) return std::nullopt;
  if (slash == std::string::npos) return prefix;
  const int bits_before = v4 ? 8 * static_cast<int>(v4_at) : 0;
  int length = 0;
  if (!absl::SimpleAtoi(text.substr(slash + 1), &length) || length < 0) return std::nullopt;
  if (length > prefix.length - bits_before) return std::nullopt;
  prefix.length = bits_before + length;
  return prefix;
}

absl::Status SetSubject(const std::string& kind, const std::string& value, AccessEntry& entry) {
  if (absl::EqualsIgnoreCase(kind, "user")) {
    if (!reconcile::IsReference(value)) {
      return absl::InvalidArgumentError("a user is 1 to 128 bytes of UTF-8 without control characters");
    }
    entry.set_user_id(value);
    return absl::OkStatus();
  }
  if (!absl::EqualsIgnoreCase(kind, "address")) {
    return absl::InvalidArgumentError(absl::StrCat("\"", kind, "\" is neither user nor address"));
  }
  if (!ParsePrefix(value).has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", value, "\" is not an address or a prefix such as 203.0.113.0/24"));
  }
  entry.set_address(value);
  return absl::OkStatus();
}

absl::StatusOr<AccessEntry> EntryOf(absl::string_view line, absl::Time now) {
  const std::optional<std::vector<std::string>> split = SplitCsv(line);
  if (!split.has_value()) return absl::InvalidArgumentError("its quotes do not match");
  std::vector<std::string> fields = *split;
  if (fields.size() < 3 || fields.size() > kMostColumns) {
    return absl::InvalidArgumentError("it is not verdict,kind,value[,expires[,reason]]");
  }
  fields.resize(kMostColumns);
  return MakeAccessEntry(fields[0], fields[1], fields[2], fields[3], fields[4], now);
}

// Two entries about the same thing have the same one, however an address is written.
std::string KeyOf(const AccessEntry& entry) {
  if (entry.has_user_id()) return absl::StrCat("user ", entry.user_id());
  const std::optional<Prefix> prefix = ParsePrefix(entry.address());
  return prefix.has_value() ? absl::StrCat("address ", prefix->bytes, "/", prefix->length) : entry.address();
}

// For people.
std::string NameOf(const AccessEntry& entry) {
  return entry.has_user_id() ? absl::StrCat("user ", entry.user_id()) : absl::StrCat("address ", entry.address());
}

// Reads a file line by line, and keeps what is wrong with it.
class AccessLineReader {
 public:
  explicit AccessLineReader(absl::Time now) : now_(now) {}

  void Take(std::string line) {
    if (++number_ == 1 && absl::StartsWith(line, kFileMark)) line.erase(0, sizeof(kFileMark) - 1);
    absl::StripAsciiWhitespace(&line);
    if (line.empty() || line[0] == '#' || IsHeader(line)) return;
    absl::StatusOr<AccessEntry> entry = EntryOf(line, now_);
    if (!entry.ok()) return Complain(std::string(entry.status().message()));
    const auto [known, is_new] = lines_of_.try_emplace(KeyOf(*entry), number_);
    if (!is_new) return Complain(absl::StrCat("the same ", NameOf(*entry), " is in line ", known->second));
    lines_.push_back({number_, *std::move(entry)});
  }
  // No more lines need be read.
  bool has_enough() const { return problems_.size() >= kProblemsTold || lines_.size() > kMostAccessLines; }

  absl::StatusOr<std::vector<AccessLine>> Finish() {
    if (!problems_.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems_, "\n"));
    if (lines_.size() > kMostAccessLines) {
      return absl::InvalidArgumentError(absl::StrCat("more than ", kMostAccessLines, " entries"));
    }
    return std::move(lines_);
  }

 private:
  bool IsHeader(const std::string& line) const { return lines_.empty() && absl::StartsWithIgnoreCase(line, kColumns); }
  void Complain(const std::string& problem) { problems_.push_back(absl::StrCat("line ", number_, ": ", problem)); }

  const absl::Time now_;
  int64_t number_ = 0;
  std::vector<AccessLine> lines_;
  std::unordered_map<std::string, int64_t> lines_of_;  // by subject
  std::vector<std::string> problems_;
};

}  // namespace

absl::StatusOr<absl::Time> ParseExpiry(const std::string& text, absl::Time now) {
  if (const auto time = ParseTime(text); time.ok()) return time;
  if (const auto later = ParseDuration(text); later.ok()) return now + *later;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is neither a time such as 2026-11-27T09:00:00Z, nor a duration such as 24h"));
}

absl::StatusOr<AccessEntry> MakeAccessEntry(const std::string& verdict, const std::string& kind,
                                            const std::string& value, const std::string& expires,
                                            const std::string& reason, absl::Time now) {
  AccessEntry entry;
  if (absl::EqualsIgnoreCase(verdict, "allow")) {
    entry.set_verdict(AccessEntry::VERDICT_ALLOW);
  } else if (absl::EqualsIgnoreCase(verdict, "deny")) {
    entry.set_verdict(AccessEntry::VERDICT_DENY);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("\"", verdict, "\" is neither allow nor deny"));
  }
  RETURN_IF_ERROR(SetSubject(kind, value, entry));
  if (!expires.empty()) {
    ASSIGN_OR_RETURN(const absl::Time end, ParseExpiry(expires, now));
    const int64_t micros = absl::ToUnixMicros(end);
    entry.mutable_expire_time()->set_seconds(micros / 1'000'000);
    entry.mutable_expire_time()->set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
  }
  ASSIGN_OR_RETURN(std::string checked, ParseReason(reason));
  entry.set_reason(std::move(checked));
  return entry;
}

std::string AccessLineHeader() { return absl::StrCat(kColumns, ",expires,reason"); }

std::string FormatAccessLine(const AccessEntry& entry) {
  return absl::StrCat(
      entry.verdict() == AccessEntry::VERDICT_ALLOW ? "allow" : "deny", ",", entry.has_user_id() ? "user" : "address",
      ",", QuotedIfNeeded(entry.has_user_id() ? entry.user_id() : entry.address()), ",",
      entry.has_expire_time() ? FormatExpiry(entry.expire_time()) : "", ",", QuotedIfNeeded(entry.reason()));
}

size_t EndOfPart(const std::vector<AccessLine>& lines, size_t begin) {
  size_t bytes = 0;
  size_t end = begin;
  while (end < lines.size() && end - begin < kMostLinesOfAPart) {
    bytes += lines[end].entry.ByteSizeLong() + kBytesAroundAnEntry;
    if (bytes > kMostBytesOfAPart && end > begin) break;
    ++end;
  }
  return end;
}

absl::StatusOr<std::vector<AccessLine>> ReadAccessLines(std::istream& in, absl::Time now) {
  AccessLineReader reader(now);
  for (std::string line; !reader.has_enough() && std::getline(in, line);) reader.Take(std::move(line));
  if (in.bad()) return absl::UnavailableError("cannot be read to its end");
  return reader.Finish();
}

}  // namespace tranche::ctl
