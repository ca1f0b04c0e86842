// The risk rules of a policy as people write them: --risk, and how views show them; and what `door test` says of a
// buyer.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// A RiskRule as protobuf's JSON, such as `door show -o json` prints it within a policy. What this version does not know
// is an error. Bounds are checked by the cluster.
absl::StatusOr<tranche::v1::RiskRule> ParseRiskJson(const std::string& json);

// Whether the rest of the policy goes with its risk rules. What is wrong comes with the flag that mends it.
absl::Status CheckRiskIn(const tranche::v1::FrontPolicy& policy);

// "3 tiers, 2 rules, asks the scorer, unscored 50 (default)".
std::string DescribeRisk(const tranche::v1::RiskRule& rule);
// What a tier asks, without its score: "challenge of 14 bits, 50% of the lottery, counts as 3 tries".
std::string DescribeTier(const tranche::v1::RiskTier& tier);
// When the rule holds: "account younger than 7d".
std::string DescribeRiskFact(const tranche::v1::RiskPoints& points);
// What holds -> "+30". Of rules that hold at the same time, all: "+30 +5".
std::map<std::string, std::string> PointsByFact(const tranche::v1::RiskRule& rule);

// As ParseDuration, and in days: "3d".
absl::StatusOr<absl::Duration> ParseAge(const std::string& text);

// What `door test` is told of a buyer. "" and empty: nothing.
struct BuyerFlags {
  std::string risk_score;
  std::string account_age;  // as ParseAge takes it
  std::string orders;
  std::vector<std::string> labels;
};
// Without any, a message without any. An error names the flag. Bounds are checked by the cluster.
absl::StatusOr<tranche::v1::BuyerHints> HintsOf(const BuyerFlags& flags, absl::Time now);
// Whether the flags say anything.
bool SaysAnything(const BuyerFlags& flags);

}  // namespace tranche::ctl
