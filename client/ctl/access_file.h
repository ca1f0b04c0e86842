// A file of those whom the front door always lets in, or never: one a line.
//
//   verdict,kind,value,expires,reason
//   deny,user,bob,2026-12-01T00:00:00Z,"bought with stolen cards, twice"
//   allow,address,203.0.113.0/24
//
// CSV (RFC 4180) without line breaks in fields. The line with the names may be missing; expires and reason may be empty
// or missing. Empty lines and those that begin with # are left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// As many as the cluster keeps.
inline constexpr size_t kMostAccessLines = 200'000;
// As many as it takes in one call.
inline constexpr size_t kMostLinesOfAPart = 1'000;
inline constexpr size_t kMostBytesOfAPart = 32 * 1024;

struct AccessLine {
  int64_t line = 0;  // from 1
  tranche::v1::AccessEntry entry;
};

// When an entry ends: a time (RFC 3339), or how long from `now`, such as 24h.
absl::StatusOr<absl::Time> ParseExpiry(const std::string& text, absl::Time now);

// An entry about a buyer or about an address. `expires` and `reason` may be empty. Checks what it can: whether an
// address is one, but not whether a prefix has bits behind its length.
absl::StatusOr<tranche::v1::AccessEntry> MakeAccessEntry(const std::string& verdict, const std::string& kind,
                                                         const std::string& value, const std::string& expires,
                                                         const std::string& reason, absl::Time now);

// Where the part ends that begins there and goes into one call: as many entries as the cluster takes, and no more bytes
// than half of what a node takes by default (--max-message-bytes), but at least one entry.
size_t EndOfPart(const std::vector<AccessLine>& lines, size_t begin);

// The names of a line's columns, and an entry as such a line: what ReadAccessLines makes the same entry of. Without
// line breaks. The entry has a verdict and a subject.
std::string AccessLineHeader();
std::string FormatAccessLine(const tranche::v1::AccessEntry& entry);

// All entries, in their order. An error names the first lines that are wrong, and why; a subject may be there once.
absl::StatusOr<std::vector<AccessLine>> ReadAccessLines(std::istream& in, absl::Time now);

}  // namespace tranche::ctl
