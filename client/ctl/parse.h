// Parses what people type: durations, times, prices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace tranche::ctl {

// "90s", "15m", "1h30m"; above zero.
absl::StatusOr<absl::Duration> ParseDuration(const std::string& text);
// The same in seconds, of which there must be a whole number.
absl::StatusOr<int64_t> ParseWholeSeconds(const std::string& text);
// RFC 3339, such as 2026-11-27T09:00:00Z.
absl::StatusOr<absl::Time> ParseTime(const std::string& text);
// A time, or how long ago it was: "2h".
absl::StatusOr<absl::Time> ParseWhen(const std::string& text, absl::Time now);
// Why a change is made: at most 200 characters of UTF-8 without control characters.
absl::StatusOr<std::string> ParseReason(const std::string& text);
// "19.99" in EUR is 1999; "500" in JPY is 500. No more decimals than the currency has.
absl::StatusOr<int64_t> ParsePriceMinor(const std::string& text, const std::string& currency);

// "10.0.0.1:7401, 10.0.0.2:7401": at least one HOST:PORT.
absl::StatusOr<std::vector<std::string>> ParseEndpoints(const std::string& text);

// "node-1=3": a node's name or incarnation and its weight.
struct NodeWeight {
  std::string node;
  int64_t weight = 0;
};
absl::StatusOr<NodeWeight> ParseNodeWeight(const std::string& text);

// "tv=2": a SKU and how many of it; "tv" is one.
struct SkuQuantity {
  std::string sku;
  int32_t quantity = 1;
};
absl::StatusOr<SkuQuantity> ParseSkuQuantity(const std::string& text);

// What a flag's text was parsed to; an error names the flag.
template <typename T>
absl::StatusOr<T> OfFlag(absl::string_view flag, absl::StatusOr<T> parsed) {
  if (parsed.ok()) return parsed;
  return absl::Status(parsed.status().code(), absl::StrCat(flag, ": ", parsed.status().message()));
}

// The reverse of ParsePriceMinor: "19.99 EUR".
std::string FormatPrice(int64_t minor, const std::string& currency);
// "2026-11-27T09:00:00Z".
std::string FormatTime(const google::protobuf::Timestamp& time);
// "15m", in whole seconds.
std::string FormatHold(absl::Duration hold);
// "0.4s", "1m30s": how long ago something was, to a tenth of a second below a minute.
std::string FormatAge(absl::Duration age);

}  // namespace tranche::ctl
