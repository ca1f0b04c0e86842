// Reading what people type: durations, times, prices.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tranche::ctl {

// "90s", "15m", "1h30m"; above zero.
absl::StatusOr<absl::Duration> ParseDuration(const std::string& text);
// RFC 3339, such as 2026-11-27T09:00:00Z.
absl::StatusOr<absl::Time> ParseTime(const std::string& text);
// "19.99" of EUR is 1999; "500" of JPY is 500. No more decimals than the currency has.
absl::StatusOr<int64_t> ParsePriceMinor(const std::string& text, const std::string& currency);

// The reverse: "19.99 EUR".
std::string FormatPrice(int64_t minor, const std::string& currency);
// "15m", in whole seconds.
std::string FormatHold(absl::Duration hold);

}  // namespace tranche::ctl
