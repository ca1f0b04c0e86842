#include "tests/simulation/door/door_risk.h"

#include <algorithm>

#include "server/proto_time.h"

namespace tranche::simulation {
namespace {

using server::CaptchaVerdict;

// The table counts in whole numbers of its own unit.
constexpr absl::Duration kRefusalRounding = absl::Milliseconds(10);

absl::Duration RefusalIntervalOf(int32_t many) { return absl::Hours(1) / many; }

bool HasDoorLabel(const v1::BuyerHints& hints, const std::string& label) {
  return std::find(hints.labels().begin(), hints.labels().end(), label) != hints.labels().end();
}

bool DoorRuleHolds(const v1::RiskPoints& points, const DoorTry& asks, bool many_refusals, absl::Time now) {
  const v1::BuyerHints* const hints = asks.hints.has_value() ? &*asks.hints : nullptr;
  switch (points.rule_case()) {
    case v1::RiskPoints::kAccountYoungerThan:
      return hints != nullptr && hints->has_account_create_time() &&
             now - absl::FromUnixSeconds(hints->account_create_time().seconds()) <
                 absl::Seconds(points.account_younger_than().seconds());
    case v1::RiskPoints::kOrdersFewerThan:
      return hints != nullptr && hints->has_earlier_orders() && hints->earlier_orders() < points.orders_fewer_than();
    case v1::RiskPoints::kLabel:
      return hints != nullptr && HasDoorLabel(*hints, points.label());
    case v1::RiskPoints::kNoHints:
      return hints == nullptr;
    case v1::RiskPoints::kAddressRefusals:
      return many_refusals;
    case v1::RiskPoints::kWithoutScripts:
      return asks.without_scripts;
    case v1::RiskPoints::RULE_NOT_SET:
      break;
  }
  return false;
}

std::string ProblemOfCaptcha(CaptchaVerdict verdict) {
  if (verdict == CaptchaVerdict::kRefused) return "refused";
  if (verdict == CaptchaVerdict::kExpired) return "expired";
  return verdict == CaptchaVerdict::kUnknown ? "unknown" : "";
}

}  // namespace

void DoorRefusals::Add(int node, const std::string& sku_id, const std::string& network, int32_t many, absl::Time now,
                       bool certain) {
  Counted& counted = counted_[{node, sku_id, network}];
  const absl::Duration interval = RefusalIntervalOf(many);
  // A node counts up to twice as many, and one more may just have fitted in.
  counted.most = std::min(std::max(counted.most, now) + interval, now + 2 * many * interval);
  if (!certain) return;
  counted.fewest = std::min(std::max(counted.fewest, now) + interval, now + (2 * many - 1) * interval);
}

DoorSuspicion DoorRefusals::Of(int node, const std::string& sku_id, const std::string& network, int32_t many,
                               absl::Time now) const {
  const auto found = counted_.find({node, sku_id, network});
  if (found == counted_.end()) return {};
  const absl::Duration few = (many - 1) * RefusalIntervalOf(many);
  return {.possible = found->second.most - now > few - kRefusalRounding,
          .certain = found->second.fewest - now > few + kRefusalRounding};
}

int32_t DoorManyRefusals(const v1::RiskRule& rule) {
  for (const v1::RiskPoints& points : rule.points()) {
    if (points.rule_case() == v1::RiskPoints::kAddressRefusals) return points.address_refusals();
  }
  return 0;
}

int DoorScoreOf(const v1::RiskRule& rule, const DoorTry& asks, bool many_refusals, absl::Time now) {
  int score = 0;
  if (asks.hints.has_value() && asks.hints->has_risk_score()) {
    score = asks.hints->risk_score();
  } else if (asks.scored.has_value()) {
    score = *asks.scored;
  } else if (rule.has_unscored()) {
    score = rule.unscored();
  } else if (rule.ask_scorer()) {
    score = 50;
  }
  for (const v1::RiskPoints& points : rule.points()) {
    if (DoorRuleHolds(points, asks, many_refusals, now)) score += points.points();
  }
  return std::clamp(score, 0, 100);
}

int DoorTierOf(const v1::RiskRule& rule, int score) {
  int tier = rule.tiers_size() - 1;
  while (tier > 0 && score < rule.tiers(tier).from_score()) --tier;
  return tier;
}

DoorDues DoorDuesOf(const DoorTerms& terms, const v1::RiskTier* tier, const DoorTry& asks) {
  if (!terms.challenge_lifetime.has_value()) return {};
  const int bits = tier != nullptr && tier->has_challenge_bits() ? tier->challenge_bits() : kDoorChallengeBits;
  if (bits == 0) return {};
  const bool captcha = tier != nullptr && tier->captcha();
  if (!captcha && asks.without_scripts && terms.delay.has_value()) return {.kind = DoorDues::Kind::kDelay};
  if (!captcha) return {.kind = DoorDues::Kind::kChallenge, .bits = bits};
  return {.kind = asks.captcha_available ? DoorDues::Kind::kCaptcha : DoorDues::Kind::kChallenge,
          .bits = bits,
          .stands_in = !asks.captcha_available,
          .captcha_problem = ProblemOfCaptcha(asks.captcha)};
}

}  // namespace tranche::simulation
