#include "client/ctl/risk_view.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/risk_arguments.h"

namespace tranche::ctl {
namespace {

using tranche::v1::FrontPolicy;

// A policy has no more: front_door_service.proto.
constexpr int kMostTiers = 4;
constexpr char kNoSuchRule[] = "none";

std::string PointsOf(const std::map<std::string, std::string>& by_fact, const std::string& fact) {
  const auto found = by_fact.find(fact);
  return found == by_fact.end() ? kNoSuchRule : found->second;
}

}  // namespace

void PrintRisk(Session& session, const tranche::v1::RiskRule& risk) {
  Table tiers({"TIER", "FROM SCORE", "ASKED"});
  for (int i = 0; i < risk.tiers_size(); ++i) {
    tiers.AddRow({absl::StrCat(i + 1), absl::StrCat(risk.tiers(i).from_score()), DescribeTier(risk.tiers(i))});
  }
  session.Print(tiers);
  if (risk.points().empty()) return;
  session.out() << "\n";
  Table points({"POINTS", "WHERE"});
  for (const tranche::v1::RiskPoints& rule : risk.points()) {
    points.AddRow({absl::StrCat(rule.points() > 0 ? "+" : "", rule.points()), DescribeRiskFact(rule)});
  }
  session.Print(points);
}

std::vector<std::pair<std::string, std::string>> TierTerms(const FrontPolicy& policy) {
  std::vector<std::pair<std::string, std::string>> terms;
  for (int i = 0; i < kMostTiers; ++i) {
    std::string text = kNoSuchRule;
    if (i < policy.risk().tiers_size()) {
      const tranche::v1::RiskTier& tier = policy.risk().tiers(i);
      text = absl::StrCat("from ", tier.from_score(), ": ", DescribeTier(tier));
    }
    terms.emplace_back(absl::StrCat("risk tier ", i + 1), std::move(text));
  }
  return terms;
}

std::vector<std::pair<std::string, std::string>> PointChanges(const FrontPolicy& before, const FrontPolicy& after) {
  const std::map<std::string, std::string> old_points = PointsByFact(before.risk());
  const std::map<std::string, std::string> new_points = PointsByFact(after.risk());
  std::map<std::string, std::string> all = old_points;
  all.insert(new_points.begin(), new_points.end());
  std::vector<std::pair<std::string, std::string>> changes;
  for (const auto& known : all) {
    const std::string was = PointsOf(old_points, known.first);
    const std::string is = PointsOf(new_points, known.first);
    if (was != is) changes.emplace_back(absl::StrCat("points: ", known.first), Arrow(was, is));
  }
  return changes;
}

}  // namespace tranche::ctl
