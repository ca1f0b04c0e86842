#include "client/ctl/door_policy_arguments.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/ctl/parse.h"
#include "client/ctl/risk_arguments.h"
#include "client/ctl/room_arguments.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::FrontPolicy;
using tranche::v1::RateLimit;

constexpr size_t kShareDecimals = 4;  // of a percentage: that is a millionth
constexpr int kPerMillionOfAPercent = 10'000;
constexpr char kOfAMillion[] = "/1000000";
constexpr int32_t kLargestPercentage = 100;

// What the cluster goes by where a policy does not say: front_door_service.proto.
constexpr absl::Duration kDefaultBurst = absl::Milliseconds(100);
constexpr absl::Duration kDefaultTokenLifetime = absl::Minutes(2);

struct LimitKeyWord {
  RateLimit::Key key;
  absl::string_view word;
};
constexpr LimitKeyWord kLimitKeyWords[] = {
    {RateLimit::KEY_USER, "user"},
    {RateLimit::KEY_ADDRESS, "address"},
    {RateLimit::KEY_TOKEN, "token"},
    {RateLimit::KEY_SKU, "sku"},
};

absl::StatusOr<RateLimit::Key> ParseLimitKey(absl::string_view text) {
  for (const LimitKeyWord& known : kLimitKeyWords) {
    if (absl::EqualsIgnoreCase(text, known.word)) return known.key;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is none of user, address, token and sku"));
}

void SetLength(absl::Duration length, google::protobuf::Duration* message) {
  absl::Duration rest;
  message->set_seconds(absl::IDivDuration(length, absl::Seconds(1), &rest));
  message->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

absl::Duration LengthIn(const google::protobuf::Duration& message) {
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

std::string FormatLength(const google::protobuf::Duration& message) { return absl::FormatDuration(LengthIn(message)); }

// How many may come at once by a limit that does not say.
int64_t DefaultBurst(const RateLimit& limit) {
  const absl::Duration per = LengthIn(limit.per());
  const bool of_one_buyer = limit.key() == RateLimit::KEY_USER || limit.key() == RateLimit::KEY_TOKEN;
  if (of_one_buyer || per <= absl::ZeroDuration()) return limit.tries();
  return std::max<int64_t>(1, kDefaultBurst * limit.tries() / per);
}

absl::Status NoLimit(const std::string& text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not KEY=TRIES/TIME[,burst=N][,wait=TIME], such as user=5/1s,burst=3,wait=2s"));
}

// "5/1s"; "5/s" is the same.
bool ReadRate(absl::string_view text, RateLimit& limit) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  int32_t tries = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &tries)) return false;
  absl::StatusOr<absl::Duration> per = ParseDuration(parts[1]);
  if (!per.ok()) per = ParseDuration(absl::StrCat("1", parts[1]));
  if (!per.ok()) return false;
  limit.set_tries(tries);
  SetLength(*per, limit.mutable_per());
  return true;
}

// "burst=3" or "wait=2s".
bool ReadLimitOption(absl::string_view text, RateLimit& limit) {
  if (absl::ConsumePrefix(&text, "burst=")) {
    int32_t burst = 0;
    if (!absl::SimpleAtoi(text, &burst) || burst < 1) return false;
    limit.set_burst(burst);
    return true;
  }
  if (!absl::ConsumePrefix(&text, "wait=")) return false;
  const absl::StatusOr<absl::Duration> wait = ParseDuration(std::string(text));
  if (!wait.ok()) return false;
  SetLength(*wait, limit.mutable_max_wait());
  return true;
}

void RemoveLimit(FrontPolicy& policy, RateLimit::Key key) {
  auto& limits = *policy.mutable_limits();
  limits.erase(std::remove_if(limits.begin(), limits.end(), [key](const auto& limit) { return limit.key() == key; }),
               limits.end());
}

// The new limit takes the place of the old one.
void SetLimit(FrontPolicy& policy, const RateLimit& limit) {
  for (RateLimit& known : *policy.mutable_limits()) {
    if (known.key() == limit.key()) {
      known = limit;
      return;
    }
  }
  *policy.add_limits() = limit;
}

absl::Status ApplyLimits(const PolicyFlags& flags, FrontPolicy& policy) {
  for (const std::string& text : flags.no_limits) {
    ASSIGN_OR_RETURN(const RateLimit::Key key, OfFlag("--no-limit", ParseLimitKey(text)));
    RemoveLimit(policy, key);
  }
  std::vector<RateLimit::Key> named;
  for (const std::string& text : flags.limits) {
    ASSIGN_OR_RETURN(const RateLimit limit, OfFlag("--limit", ParseRateLimit(text)));
    if (absl::c_linear_search(named, limit.key())) {
      return absl::InvalidArgumentError(
          absl::StrCat("--limit: there is one limit for each key: ", RateLimitKeyName(limit.key()), " is there twice"));
    }
    named.push_back(limit.key());
    SetLimit(policy, limit);
  }
  return absl::OkStatus();
}

absl::Status ApplyToken(const PolicyFlags& flags, FrontPolicy& policy) {
  if (flags.no_token) policy.clear_purchase_token();
  if (flags.token.empty()) return absl::OkStatus();
  tranche::v1::PurchaseTokenRule& rule = *policy.mutable_purchase_token();
  if (flags.token == kTokenOfAnyLifetime) return absl::OkStatus();
  ASSIGN_OR_RETURN(const absl::Duration lifetime, OfFlag("--token", ParseDuration(flags.token)));
  SetLength(lifetime, rule.mutable_lifetime());
  return absl::OkStatus();
}

// "lifetime=5m", "delay=60s" or "delay=none".
absl::Status ReadChallengeOption(absl::string_view text, tranche::v1::ChallengeRule& rule) {
  if (text == "delay=none") {
    rule.clear_delay();
    return absl::OkStatus();
  }
  absl::string_view time = text;
  const bool is_delay = absl::ConsumePrefix(&time, "delay=");
  if (!is_delay && !absl::ConsumePrefix(&time, "lifetime=")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--challenge: \"", text, "\" is none of lifetime=TIME, delay=TIME and delay=none"));
  }
  ASSIGN_OR_RETURN(const absl::Duration length, OfFlag("--challenge", ParseDuration(std::string(time))));
  SetLength(length, is_delay ? rule.mutable_delay() : rule.mutable_lifetime());
  return absl::OkStatus();
}

absl::Status ApplyChallenge(const PolicyFlags& flags, FrontPolicy& policy) {
  if (flags.no_challenge) policy.clear_challenge();
  if (flags.challenge.empty()) return absl::OkStatus();
  const std::vector<std::string> parts = absl::StrSplit(flags.challenge, ',');
  int32_t bits = 0;
  if (!absl::SimpleAtoi(parts[0], &bits)) {
    return absl::InvalidArgumentError(absl::StrCat("--challenge: \"", flags.challenge,
                                                   "\" is not BITS[,lifetime=TIME][,delay=TIME], such as 12 or ",
                                                   "12,lifetime=5m,delay=60s"));
  }
  tranche::v1::ChallengeRule& rule = *policy.mutable_challenge();
  rule.set_bits(bits);
  for (size_t i = 1; i < parts.size(); ++i) RETURN_IF_ERROR(ReadChallengeOption(parts[i], rule));
  return absl::OkStatus();
}

absl::Status ApplyRisk(const PolicyFlags& flags, FrontPolicy& policy) {
  if (flags.no_risk) policy.clear_risk();
  if (flags.risk.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*policy.mutable_risk(), OfFlag("--risk", ParseRiskJson(flags.risk)));
  return absl::OkStatus();
}

absl::Status ApplyRoom(const PolicyFlags& flags, FrontPolicy& policy) {
  if (flags.no_room) policy.clear_room();
  if (flags.hold_room) {
    if (!policy.has_room()) {
      return absl::InvalidArgumentError(
          "--hold-room: the policy has no waiting room; --room 0/s makes one that is held");
    }
    policy.mutable_room()->set_buyers_per_second(0);
  }
  if (flags.room.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*policy.mutable_room(), OfFlag("--room", ParseRoom(flags.room, policy.room())));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RateLimit> ParseRateLimit(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return NoLimit(text);
  RateLimit limit;
  ASSIGN_OR_RETURN(const RateLimit::Key key, ParseLimitKey(text.substr(0, equals)));
  limit.set_key(key);
  const std::vector<std::string> parts = absl::StrSplit(text.substr(equals + 1), ',');
  if (!ReadRate(parts[0], limit)) return NoLimit(text);
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!ReadLimitOption(parts[i], limit)) return NoLimit(text);
  }
  return limit;
}

std::string FormatRateLimit(const RateLimit& limit) {
  std::string text = absl::StrCat(RateLimitKeyName(limit.key()), "=", limit.tries(), "/", FormatLength(limit.per()));
  if (limit.burst() > 0) absl::StrAppend(&text, ",burst=", limit.burst());
  const bool waits = limit.max_wait().seconds() > 0 || limit.max_wait().nanos() > 0;
  if (waits) absl::StrAppend(&text, ",wait=", FormatLength(limit.max_wait()));
  return text;
}

std::string DescribeRateLimit(const RateLimit& limit) {
  const std::string text = FormatRateLimit(limit);
  return limit.burst() > 0 ? text : absl::StrCat(text, ", burst ", DefaultBurst(limit), " (default)");
}

absl::StatusOr<int32_t> ParseShare(const std::string& text) {
  const absl::Status error = absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is neither a percentage such as 10% or 0.25%, nor of a million, as 2500/1000000"));
  int32_t per_million = 0;
  if (!absl::EndsWith(text, "%")) {
    absl::string_view number = text;
    const bool says_of_what = absl::ConsumeSuffix(&number, kOfAMillion);
    if (!absl::SimpleAtoi(number, &per_million) || per_million < 0) return error;
    if (says_of_what || per_million > kLargestPercentage) return per_million;
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is that many of a million buyers: ", text, "%? Otherwise ", text, kOfAMillion));
  }
  const std::vector<std::string> parts = absl::StrSplit(absl::StripSuffix(text, "%"), '.');
  const auto digits = [](const std::string& part) {
    return !part.empty() &&
           absl::c_all_of(part, [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
  };
  if (parts.size() > 2 || !absl::c_all_of(parts, digits) || parts[0].size() > 3) return error;
  std::string decimals = parts.size() == 2 ? parts[1] : "";
  if (decimals.size() > kShareDecimals) return error;
  decimals.resize(kShareDecimals, '0');
  if (!absl::SimpleAtoi(absl::StrCat(parts[0], decimals), &per_million)) return error;
  return per_million;
}

std::string FormatShare(int32_t per_million) {
  std::string decimals = absl::StrCat(kPerMillionOfAPercent + per_million % kPerMillionOfAPercent).substr(1);
  decimals.erase(decimals.find_last_not_of('0') + 1);
  return absl::StrCat(per_million / kPerMillionOfAPercent, decimals.empty() ? "" : ".", decimals, "%");
}

std::string FormatTokenRule(const tranche::v1::PurchaseTokenRule& rule) {
  if (rule.has_lifetime()) return FormatLength(rule.lifetime());
  return absl::StrCat(absl::FormatDuration(kDefaultTokenLifetime), " (default)");
}

std::string FormatChallenge(const tranche::v1::ChallengeRule& rule) {
  std::string text = absl::StrCat(rule.bits(), " bits");
  if (rule.has_lifetime()) absl::StrAppend(&text, ", lifetime ", FormatLength(rule.lifetime()));
  if (rule.has_delay()) absl::StrAppend(&text, ", delay ", FormatLength(rule.delay()));
  return text;
}

std::string RateLimitKeyName(RateLimit::Key key) {
  for (const LimitKeyWord& known : kLimitKeyWords) {
    if (known.key == key) return std::string(known.word);
  }
  return "?";
}

std::vector<RateLimit::Key> RateLimitKeys() {
  std::vector<RateLimit::Key> keys;
  for (const LimitKeyWord& known : kLimitKeyWords) keys.push_back(known.key);
  return keys;
}

bool PolicyFlags::Any() const {
  return !limits.empty() || !no_limits.empty() || !lottery.empty() || no_lottery || !token.empty() || no_token ||
         !challenge.empty() || no_challenge || draw || no_draw || !room.empty() || no_room || hold_room ||
         !risk.empty() || no_risk;
}

absl::StatusOr<FrontPolicy> ApplyPolicyFlags(FrontPolicy policy, const PolicyFlags& flags) {
  RETURN_IF_ERROR(ApplyLimits(flags, policy));
  if (flags.no_lottery) policy.clear_lottery();
  if (!flags.lottery.empty()) {
    ASSIGN_OR_RETURN(const int32_t per_million, OfFlag("--lottery", ParseShare(flags.lottery)));
    policy.mutable_lottery()->set_admitted_per_million(per_million);
  }
  if (flags.no_draw) policy.clear_draw();
  if (flags.draw) policy.mutable_draw();
  RETURN_IF_ERROR(ApplyToken(flags, policy));
  RETURN_IF_ERROR(ApplyChallenge(flags, policy));
  RETURN_IF_ERROR(ApplyRoom(flags, policy));
  RETURN_IF_ERROR(ApplyRisk(flags, policy));
  RETURN_IF_ERROR(CheckRoomIn(policy));
  RETURN_IF_ERROR(CheckRiskIn(policy));
  return policy;
}

absl::StatusOr<FrontPolicy> ParsePolicyJson(const std::string& json) {
  FrontPolicy policy;
  const auto parsed = google::protobuf::util::JsonStringToMessage(json, &policy);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("not a policy in JSON: ", std::string(parsed.message())));
  }
  return policy;
}

}  // namespace tranche::ctl
