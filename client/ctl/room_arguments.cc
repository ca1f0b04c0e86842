#include "client/ctl/room_arguments.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/ctl/parse.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::FrontPolicy;
using tranche::v1::RateLimit;
using tranche::v1::RoomRule;

// The bounds, and what counts where a policy does not say: front_door_service.proto.
constexpr int32_t kMostBuyersPerSecond = 1'000'000;
constexpr int32_t kLeastAheadPercent = 10;
constexpr int32_t kMostAheadPercent = 10'000;
constexpr int32_t kDefaultAheadPercent = 200;
constexpr absl::Duration kShortestPoll = absl::Seconds(2);
constexpr absl::Duration kLongestPoll = absl::Minutes(1);
constexpr absl::Duration kDefaultPoll = absl::Seconds(20);

absl::Duration PollOf(const RoomRule& rule) {
  return absl::Seconds(rule.poll_interval().seconds()) + absl::Nanoseconds(rule.poll_interval().nanos());
}

// "200/s"; "200/1s" is the same.
absl::Status ReadRoomRate(absl::string_view text, RoomRule& rule) {
  int32_t buyers = 0;
  absl::string_view number = text;
  const bool per_second = absl::ConsumeSuffix(&number, "/s") || absl::ConsumeSuffix(&number, "/1s");
  if (!per_second || !absl::SimpleAtoi(number, &buyers)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not BUYERS/s[,ahead=PERCENT][,poll=TIME], such as 200/s,ahead=200%,poll=20s"));
  }
  if (buyers < 0 || buyers > kMostBuyersPerSecond) {
    return absl::InvalidArgumentError(absl::StrCat("0 to ", kMostBuyersPerSecond, " buyers are let in each second"));
  }
  rule.set_buyers_per_second(buyers);
  return absl::OkStatus();
}

absl::Status ReadAhead(absl::string_view text, RoomRule& rule) {
  int32_t percent = 0;
  const bool is_percentage = absl::ConsumeSuffix(&text, "%");
  const bool good = is_percentage && absl::SimpleAtoi(text, &percent) && percent >= kLeastAheadPercent &&
                    percent <= kMostAheadPercent;
  if (!good) {
    return absl::InvalidArgumentError(absl::StrCat("ahead is a whole percentage from ", kLeastAheadPercent, "% to ",
                                                   kMostAheadPercent, "%, such as ahead=200%"));
  }
  rule.set_ahead_percent(percent);
  return absl::OkStatus();
}

absl::Status ReadPoll(absl::string_view text, RoomRule& rule) {
  const absl::StatusOr<absl::Duration> poll = ParseDuration(std::string(text));
  if (!poll.ok() || *poll < kShortestPoll || *poll > kLongestPoll) {
    return absl::InvalidArgumentError(absl::StrCat("poll is a time from ", absl::FormatDuration(kShortestPoll), " to ",
                                                   absl::FormatDuration(kLongestPoll), ", such as poll=20s"));
  }
  absl::Duration rest;
  rule.mutable_poll_interval()->set_seconds(absl::IDivDuration(*poll, absl::Seconds(1), &rest));
  rule.mutable_poll_interval()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return absl::OkStatus();
}

bool LimitsUsers(const FrontPolicy& policy) {
  return absl::c_any_of(policy.limits(), [](const RateLimit& limit) { return limit.key() == RateLimit::KEY_USER; });
}

}  // namespace

absl::StatusOr<RoomRule> ParseRoom(const std::string& text, RoomRule rule) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ',');
  RETURN_IF_ERROR(ReadRoomRate(parts[0], rule));
  for (size_t i = 1; i < parts.size(); ++i) {
    absl::string_view part = parts[i];
    if (absl::ConsumePrefix(&part, "ahead=")) {
      RETURN_IF_ERROR(ReadAhead(part, rule));
    } else if (absl::ConsumePrefix(&part, "poll=")) {
      RETURN_IF_ERROR(ReadPoll(part, rule));
    } else {
      return absl::InvalidArgumentError(absl::StrCat("\"", part, "\" is neither ahead=PERCENT nor poll=TIME"));
    }
  }
  return rule;
}

std::string FormatRoom(const RoomRule& rule) {
  std::string text = absl::StrCat(rule.buyers_per_second(), "/s");
  if (rule.ahead_percent() > 0) absl::StrAppend(&text, ",ahead=", rule.ahead_percent(), "%");
  if (rule.has_poll_interval()) absl::StrAppend(&text, ",poll=", absl::FormatDuration(PollOf(rule)));
  return text;
}

std::string DescribeRoom(const RoomRule& rule) {
  std::string text = FormatRoom(rule);
  if (rule.ahead_percent() == 0) absl::StrAppend(&text, ", ahead ", kDefaultAheadPercent, "% (default)");
  if (!rule.has_poll_interval()) {
    absl::StrAppend(&text, ", poll ", absl::FormatDuration(kDefaultPoll), " (default)");
  }
  if (rule.buyers_per_second() == 0) absl::StrAppend(&text, ", held: nobody is let in");
  return text;
}

absl::Status CheckRoomIn(const FrontPolicy& policy) {
  if (!policy.has_room()) return absl::OkStatus();
  const auto refuse = [](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("a waiting room ", why));
  };
  if (policy.has_lottery()) return refuse("goes with no lottery: --no-lottery takes that away, or --no-room the room");
  if (policy.has_draw()) return refuse("goes with no draw: --no-draw takes that away, or --no-room the room");
  if (!policy.has_purchase_token()) return refuse("needs purchase tokens, by which buyers are let in: add --token");
  if (!LimitsUsers(policy)) {
    return refuse("needs a limit by user, so that no buyer counts as many: add --limit user=10/10s");
  }
  return absl::OkStatus();
}

}  // namespace tranche::ctl
