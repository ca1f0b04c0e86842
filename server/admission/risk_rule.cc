#include "server/admission/risk_rule.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/admission/challenge.h"
#include "server/admission/front_policy.h"
#include "server/admission/policy_checks.h"
#include "server/errors.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// The bounds that front_door_service.proto promises.
constexpr int kMostPointRules = 32;
constexpr int32_t kMostPoints = 100;
constexpr absl::Duration kLeastAccountAge = absl::Seconds(1);
constexpr absl::Duration kMostAccountAge = absl::Hours(24 * 10'000);
constexpr int32_t kMostOrders = 1'000'000;
constexpr int32_t kMostRefusals = 10'000;
constexpr int kMostTiers = 4;
constexpr int32_t kAllPercent = 100;
constexpr int32_t kMostTriesOfTier = 100;
constexpr int kMostLabels = 8;
constexpr size_t kMostLabelBytes = 32;

constexpr int kUnscored = 0;
// Of who should have been scored.
constexpr int kUnscoredByScorer = 50;

absl::Status CheckLabel(absl::string_view label, const std::string& field) {
  const bool good = !label.empty() && label.size() <= kMostLabelBytes && absl::c_all_of(label, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return absl::ascii_islower(byte) || absl::ascii_isdigit(byte) || c == '_' || c == '-';
  });
  if (good) return absl::OkStatus();
  return InvalidField(field,
                      absl::StrCat("must be 1 to ", kMostLabelBytes, " characters of a-z, 0-9, \"_\" and \"-\""));
}

// A rule that holds where something is not so is none.
absl::Status CheckRuleIsTrue(bool value, const std::string& field) {
  return value ? absl::OkStatus() : InvalidField(field, "must be true, or absent");
}

absl::Status CheckRiskPoints(const v1::RiskPoints& points, const std::string& field) {
  RETURN_IF_ERROR(CheckRange(points.points(), -kMostPoints, kMostPoints, field + ".points"));
  if (points.points() == 0) return InvalidField(field + ".points", "must not be 0: the rule would do nothing");
  switch (points.rule_case()) {
    case v1::RiskPoints::kAccountYoungerThan:
      return CheckLength(points.account_younger_than(), kLeastAccountAge, kMostAccountAge,
                         field + ".account_younger_than");
    case v1::RiskPoints::kOrdersFewerThan:
      return CheckRange(points.orders_fewer_than(), 1, kMostOrders, field + ".orders_fewer_than");
    case v1::RiskPoints::kLabel:
      return CheckLabel(points.label(), field + ".label");
    case v1::RiskPoints::kNoHints:
      return CheckRuleIsTrue(points.no_hints(), field + ".no_hints");
    case v1::RiskPoints::kAddressRefusals:
      return CheckRange(points.address_refusals(), 1, kMostRefusals, field + ".address_refusals");
    case v1::RiskPoints::kWithoutScripts:
      return CheckRuleIsTrue(points.without_scripts(), field + ".without_scripts");
    case v1::RiskPoints::RULE_NOT_SET:
      break;
  }
  return InvalidField(field + ".rule",
                      "must be one of account_younger_than, orders_fewer_than, label, no_hints, address_refusals and "
                      "without_scripts");
}

absl::Status CheckAllRiskPoints(const v1::RiskRule& risk) {
  if (risk.points_size() > kMostPointRules) {
    return InvalidField("policy.risk.points", absl::StrCat("must be at most ", kMostPointRules));
  }
  bool refusals_asked = false;
  for (int i = 0; i < risk.points_size(); ++i) {
    const std::string field = absl::StrCat("policy.risk.points[", i, "]");
    RETURN_IF_ERROR(CheckRiskPoints(risk.points(i), field));
    if (!risk.points(i).has_address_refusals()) continue;
    // A network's refusals are counted once, against one number.
    if (refusals_asked) return InvalidField(field + ".address_refusals", "is asked for by another rule, too");
    refusals_asked = true;
  }
  return absl::OkStatus();
}

// More than may come at once would never be let in.
absl::Status CheckTriesOfTier(const v1::FrontPolicy& policy, int32_t tries, const std::string& field) {
  RETURN_IF_ERROR(CheckRange(tries, 0, kMostTriesOfTier, field));
  for (const v1::RateLimit& limit : policy.limits()) {
    if (limit.key() != v1::RateLimit::KEY_USER && limit.key() != v1::RateLimit::KEY_ADDRESS) continue;
    const int64_t burst = BurstOf(limit);
    if (tries <= burst) continue;
    return InvalidField(field, absl::StrCat("must be at most ", burst, ": the limit with ",
                                            v1::RateLimit::Key_Name(limit.key()), " lets no more come at once"));
  }
  return absl::OkStatus();
}

absl::Status CheckEffort(const v1::FrontPolicy& policy, const v1::RiskTier& tier, const std::string& field) {
  if (tier.has_challenge_bits()) {
    const int32_t bits = tier.challenge_bits();
    if (bits != 0 && (bits < kLeastChallengeBits || bits > kMostChallengeBits)) {
      return InvalidField(field + ".challenge_bits", absl::StrCat("must be ", kLeastChallengeBits, " to ",
                                                                  kMostChallengeBits, ", or 0 for no challenge"));
    }
    if (!policy.has_challenge()) return InvalidField(field + ".challenge_bits", "needs challenge");
    if (bits == 0 && tier.captcha()) {
      return InvalidField(field + ".challenge_bits",
                          "must not be 0 with captcha: the challenge stands in for a captcha that cannot be asked for");
    }
  }
  if (tier.captcha() && !policy.has_challenge()) {
    return InvalidField(field + ".captcha",
                        "needs challenge: it is asked for while the captcha's provider cannot be asked");
  }
  return absl::OkStatus();
}

absl::Status CheckTier(const v1::FrontPolicy& policy, const v1::RiskTier& tier, const std::string& field) {
  RETURN_IF_ERROR(CheckRange(tier.from_score(), 0, kMostRiskScore, field + ".from_score"));
  if (tier.has_lottery_percent()) {
    RETURN_IF_ERROR(CheckRange(tier.lottery_percent(), 0, kAllPercent, field + ".lottery_percent"));
    if (!policy.has_lottery()) return InvalidField(field + ".lottery_percent", "needs lottery");
  }
  RETURN_IF_ERROR(CheckEffort(policy, tier, field));
  RETURN_IF_ERROR(CheckTriesOfTier(policy, tier.tries(), field + ".tries"));
  const bool asks_more = tier.has_lottery_percent() || tier.has_challenge_bits() || tier.captcha() || tier.tries() != 0;
  if (tier.refuse() && asks_more) {
    return InvalidField(field + ".refuse", "goes with from_score alone: nothing else is asked of who is refused");
  }
  return absl::OkStatus();
}

absl::Status CheckTiers(const v1::FrontPolicy& policy) {
  const v1::RiskRule& risk = policy.risk();
  if (risk.tiers_size() < 1 || risk.tiers_size() > kMostTiers) {
    return InvalidField("policy.risk.tiers", absl::StrCat("must be 1 to ", kMostTiers));
  }
  for (int i = 0; i < risk.tiers_size(); ++i) {
    const std::string field = absl::StrCat("policy.risk.tiers[", i, "]");
    RETURN_IF_ERROR(CheckTier(policy, risk.tiers(i), field));
    if (i == 0 && risk.tiers(0).from_score() != 0) {
      return InvalidField(field + ".from_score", "must be 0: every score has a tier");
    }
    if (i > 0 && risk.tiers(i).from_score() <= risk.tiers(i - 1).from_score()) {
      return InvalidField(field + ".from_score", "must be above that of the tier before it");
    }
  }
  return absl::OkStatus();
}

RiskPointRule CompilePoints(const v1::RiskPoints& points) {
  return {.kind = points.rule_case(),
          .points = points.points(),
          .younger_than = FromDuration(points.account_younger_than()).value_or(absl::ZeroDuration()),
          .orders_fewer_than = points.orders_fewer_than(),
          .label = points.label()};
}

DoorTier CompileTier(const v1::RiskTier& tier, int number) {
  DoorTier compiled;
  compiled.number = number;
  compiled.from_score = tier.from_score();
  if (tier.has_lottery_percent()) compiled.lottery_percent = tier.lottery_percent();
  if (tier.has_challenge_bits()) compiled.challenge_bits = tier.challenge_bits();
  compiled.captcha = tier.captcha();
  compiled.tries = std::max(1, tier.tries());
  compiled.refuse = tier.refuse();
  return compiled;
}

// Also hints without any part.
bool SaysNothing(const v1::BuyerHints* hints) {
  return hints == nullptr || (!hints->has_risk_score() && !hints->has_account_create_time() &&
                              !hints->has_earlier_orders() && hints->labels().empty());
}

bool IsYounger(const v1::BuyerHints* hints, absl::Duration age, absl::Time now) {
  if (hints == nullptr || !hints->has_account_create_time()) return false;
  const std::optional<absl::Time> created = FromTimestamp(hints->account_create_time());
  return created.has_value() && now - *created < age;
}

bool RuleHolds(const RiskPointRule& rule, const RiskFacts& facts, absl::Time now) {
  switch (rule.kind) {
    case v1::RiskPoints::kAccountYoungerThan:
      return IsYounger(facts.hints, rule.younger_than, now);
    case v1::RiskPoints::kOrdersFewerThan:
      return facts.hints != nullptr && facts.hints->has_earlier_orders() &&
             facts.hints->earlier_orders() < rule.orders_fewer_than;
    case v1::RiskPoints::kLabel:
      return facts.hints != nullptr && absl::c_linear_search(facts.hints->labels(), rule.label);
    case v1::RiskPoints::kNoHints:
      return SaysNothing(facts.hints);
    case v1::RiskPoints::kAddressRefusals:
      return facts.many_refusals;
    case v1::RiskPoints::kWithoutScripts:
      return facts.without_scripts;
    case v1::RiskPoints::RULE_NOT_SET:
      break;
  }
  return false;
}

}  // namespace

absl::Status CheckRiskRule(const v1::FrontPolicy& policy) {
  if (!policy.has_risk()) return absl::OkStatus();
  // Claims are not judged: without a token, whom EnterSale refuses would claim.
  if (!policy.has_purchase_token()) {
    return InvalidField("policy.risk", "needs purchase_token: EnterSale judges, and claims show its token");
  }
  RETURN_IF_ERROR(CheckAllRiskPoints(policy.risk()));
  RETURN_IF_ERROR(CheckTiers(policy));
  if (!policy.risk().has_unscored()) return absl::OkStatus();
  return CheckRange(policy.risk().unscored(), 0, kMostRiskScore, "policy.risk.unscored");
}

DoorRisk CompileRisk(const v1::RiskRule& rule) {
  DoorRisk risk;
  for (const v1::RiskPoints& points : rule.points()) {
    risk.points.push_back(CompilePoints(points));
    if (points.has_address_refusals()) risk.address_refusals = points.address_refusals();
  }
  for (const v1::RiskTier& tier : rule.tiers()) {
    risk.tiers.push_back(CompileTier(tier, static_cast<int>(risk.tiers.size()) + 1));
  }
  risk.ask_scorer = rule.ask_scorer();
  risk.unscored = rule.ask_scorer() ? kUnscoredByScorer : kUnscored;
  if (rule.has_unscored()) risk.unscored = rule.unscored();
  return risk;
}

int RiskScore(const DoorRisk& risk, const RiskFacts& facts, absl::Time now) {
  int score = facts.scored.value_or(risk.unscored);
  if (facts.hints != nullptr && facts.hints->has_risk_score()) score = facts.hints->risk_score();
  for (const RiskPointRule& rule : risk.points) {
    if (RuleHolds(rule, facts, now)) score += rule.points;
  }
  // Only now: in between it may be outside, so the order of the rules does not count.
  return std::clamp(score, 0, kMostRiskScore);
}

const DoorTier& TierOf(const DoorRisk& risk, int score) {
  const DoorTier* reached = &risk.tiers.front();
  for (const DoorTier& tier : risk.tiers) {
    if (tier.from_score <= score) reached = &tier;
  }
  return *reached;
}

absl::Status CheckBuyerHints(const v1::BuyerHints& hints) {
  if (hints.has_risk_score()) {
    RETURN_IF_ERROR(CheckRange(hints.risk_score(), 0, kMostRiskScore, "hints.risk_score"));
  }
  if (hints.has_account_create_time() && !FromTimestamp(hints.account_create_time()).has_value()) {
    return InvalidField("hints.account_create_time", "must be a valid time of the years 1 to 9999");
  }
  if (hints.earlier_orders() < 0) return InvalidField("hints.earlier_orders", "must not be negative");
  if (hints.labels_size() > kMostLabels) {
    return InvalidField("hints.labels", absl::StrCat("must be at most ", kMostLabels));
  }
  for (int i = 0; i < hints.labels_size(); ++i) {
    RETURN_IF_ERROR(CheckLabel(hints.labels(i), absl::StrCat("hints.labels[", i, "]")));
  }
  return absl::OkStatus();
}

}  // namespace tranche::server
