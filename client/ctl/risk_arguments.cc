#include "client/ctl/risk_arguments.h"

#include <google/protobuf/util/json_util.h>

#include <cstdint>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/ctl/parse.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::RiskPoints;
using tranche::v1::RiskRule;
using tranche::v1::RiskTier;

constexpr absl::Duration kOneDay = absl::Hours(24);
// A timestamp of protobuf begins in the year 1, some 739,000 days ago, and no account is so old.
constexpr int64_t kMostDays = 700'000;
// What counts where a policy does not say: front_door_service.proto.
constexpr int kUnscoredWithScorer = 50;
constexpr int kUnscoredWithoutScorer = 0;

// "7d" where it is whole days, otherwise as Go writes it: "36h".
std::string FormatYouth(const google::protobuf::Duration& message) {
  const absl::Duration length = absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
  absl::Duration rest;
  const int64_t days = absl::IDivDuration(length, kOneDay, &rest);
  return days > 0 && rest == absl::ZeroDuration() ? absl::StrCat(days, "d") : absl::FormatDuration(length);
}

// "1 tier", "3 tiers".
std::string CountOf(int count, absl::string_view what) { return absl::StrCat(count, " ", what, count == 1 ? "" : "s"); }

absl::StatusOr<int32_t> ParseCount(const std::string& text) {
  int32_t count = 0;
  if (absl::SimpleAtoi(text, &count)) return count;
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a whole number"));
}

}  // namespace

absl::StatusOr<RiskRule> ParseRiskJson(const std::string& json) {
  RiskRule rule;
  const auto parsed = google::protobuf::util::JsonStringToMessage(json, &rule);
  if (parsed.ok()) return rule;
  return absl::InvalidArgumentError(
      absl::StrCat("no risk rules in JSON, such as {\"tiers\": [{\"from_score\": 0}, {\"from_score\": 80, ",
                   "\"captcha\": true}]}: ", std::string(parsed.message())));
}

absl::Status CheckRiskIn(const tranche::v1::FrontPolicy& policy) {
  if (!policy.has_risk()) return absl::OkStatus();
  const auto refuse = [](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(why, ", or take the risk rules away: --no-risk"));
  };
  const auto& tiers = policy.risk().tiers();
  if (!policy.has_purchase_token()) {
    return refuse("risk rules need purchase tokens, which EnterSale gives: add --token");
  }
  const auto needs_challenge = [](const RiskTier& tier) { return tier.has_challenge_bits() || tier.captcha(); };
  if (!policy.has_challenge() && absl::c_any_of(tiers, needs_challenge)) {
    return refuse("a tier with challenge_bits or captcha needs a challenge: add --challenge 12");
  }
  const auto needs_lottery = [](const RiskTier& tier) { return tier.has_lottery_percent(); };
  if (!policy.has_lottery() && absl::c_any_of(tiers, needs_lottery)) {
    return refuse("a tier with lottery_percent needs a lottery: add --lottery 10%");
  }
  return absl::OkStatus();
}

std::string DescribeRisk(const RiskRule& rule) {
  std::string text = absl::StrCat(CountOf(rule.tiers_size(), "tier"), ", ", CountOf(rule.points_size(), "rule"));
  if (rule.ask_scorer()) absl::StrAppend(&text, ", asks the scorer");
  const int otherwise = rule.ask_scorer() ? kUnscoredWithScorer : kUnscoredWithoutScorer;
  absl::StrAppend(&text, ", unscored ", rule.has_unscored() ? rule.unscored() : otherwise);
  if (!rule.has_unscored()) absl::StrAppend(&text, " (default)");
  return text;
}

std::string DescribeTier(const RiskTier& tier) {
  if (tier.refuse()) return "refused";
  std::vector<std::string> asked;
  if (tier.captcha()) asked.push_back("captcha");
  if (tier.has_challenge_bits()) {
    const std::string challenge =
        tier.challenge_bits() == 0 ? "no challenge" : absl::StrCat("challenge of ", tier.challenge_bits(), " bits");
    asked.push_back(tier.captcha() ? absl::StrCat("otherwise ", challenge) : challenge);
  }
  if (tier.has_lottery_percent()) asked.push_back(absl::StrCat(tier.lottery_percent(), "% of the lottery"));
  if (tier.tries() > 1) asked.push_back(absl::StrCat("counts as ", tier.tries(), " tries"));
  return asked.empty() ? "as all" : absl::StrJoin(asked, ", ");
}

std::string DescribeRiskFact(const RiskPoints& points) {
  switch (points.rule_case()) {
    case RiskPoints::kAccountYoungerThan:
      return absl::StrCat("account younger than ", FormatYouth(points.account_younger_than()));
    case RiskPoints::kOrdersFewerThan:
      return absl::StrCat("fewer orders than ", points.orders_fewer_than());
    case RiskPoints::kLabel:
      return absl::StrCat("label ", points.label());
    case RiskPoints::kNoHints:
      return "no hints of the shop";
    case RiskPoints::kAddressRefusals:
      return absl::StrCat("network refused ", points.address_refusals(), " times");
    case RiskPoints::kWithoutScripts:
      return "browser without scripts";
    case RiskPoints::RULE_NOT_SET:
      break;
  }
  return "?";
}

std::map<std::string, std::string> PointsByFact(const RiskRule& rule) {
  std::map<std::string, std::string> by_fact;
  for (const RiskPoints& points : rule.points()) {
    std::string& told = by_fact[DescribeRiskFact(points)];
    absl::StrAppend(&told, told.empty() ? "" : " ", points.points() > 0 ? "+" : "", points.points());
  }
  return by_fact;
}

absl::StatusOr<absl::Duration> ParseAge(const std::string& text) {
  absl::string_view number = text;
  int64_t days = 0;
  const bool in_days = absl::ConsumeSuffix(&number, "d") && absl::SimpleAtoi(number, &days);
  if (in_days && days > 0 && days <= kMostDays) return kOneDay * days;
  if (const auto age = ParseDuration(text); age.ok() && *age <= kOneDay * kMostDays) return *age;
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not an age such as 3d, 90m or 1h30m"));
}

absl::StatusOr<tranche::v1::BuyerHints> HintsOf(const BuyerFlags& flags, absl::Time now) {
  tranche::v1::BuyerHints hints;
  if (!flags.risk_score.empty()) {
    ASSIGN_OR_RETURN(const int32_t score, OfFlag("--risk-score", ParseCount(flags.risk_score)));
    hints.set_risk_score(score);
  }
  if (!flags.account_age.empty()) {
    ASSIGN_OR_RETURN(const absl::Duration age, OfFlag("--account-age", ParseAge(flags.account_age)));
    const int64_t seconds = absl::ToUnixSeconds(now - age);
    hints.mutable_account_create_time()->set_seconds(seconds);
    const absl::Duration rest = now - age - absl::FromUnixSeconds(seconds);
    hints.mutable_account_create_time()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  }
  if (!flags.orders.empty()) {
    ASSIGN_OR_RETURN(const int32_t orders, OfFlag("--orders", ParseCount(flags.orders)));
    hints.set_earlier_orders(orders);
  }
  for (const std::string& label : flags.labels) hints.add_labels(label);
  return hints;
}

bool SaysAnything(const BuyerFlags& flags) {
  return !flags.risk_score.empty() || !flags.account_age.empty() || !flags.orders.empty() || !flags.labels.empty();
}

}  // namespace tranche::ctl
