// Shows a policy's risk rules, and what a change does to them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/ctl/session.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// A row for each tier, and a row for each rule that adds points.
void PrintRisk(Session& session, const tranche::v1::RiskRule& risk);

// "risk tier 1" and "from 0: as all", ...: the same names for every policy, as PolicyTerms (door_view.h).
std::vector<std::pair<std::string, std::string>> TierTerms(const tranche::v1::FrontPolicy& policy);
// Of rules whose points differ: "points: label vip" and "none -> -20". Their order counts for nothing.
std::vector<std::pair<std::string, std::string>> PointChanges(const tranche::v1::FrontPolicy& before,
                                                              const tranche::v1::FrontPolicy& after);

}  // namespace tranche::ctl
