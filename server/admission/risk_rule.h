// How far a buyer is trusted when they ask to enter a sale: facts -> score -> tier. Pure; the rules are a table in the
// policy (RiskRule of front_door_service.proto).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

inline constexpr int kMostRiskScore = 100;

// What is known of a buyer.
struct RiskFacts {
  // As the shop sent them; null: it said nothing. Checked (CheckBuyerHints).
  const v1::BuyerHints* hints = nullptr;
  // The scorer's; nullopt: it was not asked, or has not answered. Does not count if the hints have one.
  std::optional<int> scored = {};
  bool without_scripts = false;
  // The buyer's network has had as many tries refused as address_refusals says.
  bool many_refusals = false;
};

struct RiskPointRule {
  v1::RiskPoints::RuleCase kind = v1::RiskPoints::RULE_NOT_SET;
  int points = 0;
  absl::Duration younger_than = absl::ZeroDuration();
  int32_t orders_fewer_than = 0;
  std::string label = {};
};

// What a tier asks for.
struct DoorTier {
  int number = 1;  // from 1, for operators
  int from_score = 0;
  int lottery_percent = 100;
  std::optional<int> challenge_bits = {};  // nullopt: as the policy's challenge says; 0: none
  bool captcha = false;
  int tries = 1;  // that an EnterSale counts as
  bool refuse = false;
};

// What a policy says of risk. Immutable.
struct DoorRisk {
  std::vector<RiskPointRule> points;
  std::vector<DoorTier> tiers;  // at least one; by rising from_score, the first with 0
  bool ask_scorer = false;
  int unscored = 0;
  // Of address_refusals; 0: no rule asks.
  int address_refusals = 0;
};

// OK, or INVALID_ARGUMENT (FIELD_INVALID) with the field, such as "policy.risk.tiers[1].from_score". Of a policy whose
// other parts CheckFrontPolicy takes. One without risk rules is OK.
absl::Status CheckRiskRule(const v1::FrontPolicy& policy);
// Of a rule that CheckRiskRule takes.
DoorRisk CompileRisk(const v1::RiskRule& rule);

// 0 to 100.
int RiskScore(const DoorRisk& risk, const RiskFacts& facts, absl::Time now);
const DoorTier& TierOf(const DoorRisk& risk, int score);

// What a buyer's hints may be, by front_door_service.proto: INVALID_ARGUMENT with the field, such as "hints.labels[2]".
absl::Status CheckBuyerHints(const v1::BuyerHints& hints);

}  // namespace tranche::server
