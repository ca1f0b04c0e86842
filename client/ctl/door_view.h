// Shows what the front door asks, whom it knows, and what it would say.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/ctl/session.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// All policies, a row each.
void PrintPolicies(Session& session, const tranche::v1::ListFrontPoliciesResponse& policies);
// One policy, a row for each thing that it asks.
void PrintPolicy(Session& session, const tranche::v1::StoredFrontPolicy& policy);

// What a policy asks, by name, as text for people: "limit user" and "5/1s", ... The same names in the same order for
// every policy; "none" for what it does not ask. `stored` may be null: there is no policy.
std::vector<std::pair<std::string, std::string>> PolicyTerms(const tranche::v1::StoredFrontPolicy* stored);

// What a change of a policy would do or has done; for a preview, also how to apply it (on stderr).
void PrintPolicyChange(Session& session, const std::string& sku_id, const tranche::v1::SetFrontPolicyResponse& change,
                       bool preview);

void PrintRounds(Session& session, const tranche::v1::ListLotteryRoundsResponse& rounds);
void PrintAccessEntries(Session& session, const tranche::v1::ListAccessEntriesResponse& entries);

void PrintFrontKeys(Session& session, const tranche::v1::ListFrontKeysResponse& keys);
// Each key's use before and after.
void PrintKeyRotation(Session& session, const tranche::v1::ListFrontKeysResponse& before,
                      const tranche::v1::RotateFrontKeyResponse& after, bool preview);

// Whether no check refuses. That a purchase token was not given is no refusal: buyers get theirs by entering.
bool LetsIn(const tranche::v1::ExplainAdmissionResponse& opinion);
// Whether one is asked for, and was not given.
bool WantsToken(const tranche::v1::ExplainAdmissionResponse& opinion);
void PrintAdmission(Session& session, const tranche::v1::ExplainAdmissionResponse& opinion);

}  // namespace tranche::ctl
