#include "server/admission/door_risk.h"

#include <algorithm>
#include <string>

#include "server/admission/buyer_address.h"
#include "server/admission/earned_entry.h"
#include "server/admission/limit_tries.h"
#include "server/admission/lottery.h"
#include "server/admission/network_refusals.h"
#include "server/admission/room_entry.h"

namespace tranche::server {
namespace {

bool TierAsksForCaptcha(const DoorPolicy& policy, const DoorTier& tier, const DoorVisit& visit) {
  return !tier.refuse && TaskOf(policy, &tier, visit.without_scripts).kind == EntryTask::Kind::kCaptcha;
}

bool LimitLetsThrough(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, const DoorLimit& limit,
                      int tries, absl::Time now) {
  switch (limit.kind) {
    case RateKeyKind::kUser:
      return LookAtLimit(view, policy, limit, visit.user_id, now, tries).taken;
    case RateKeyKind::kAddress: {
      const std::string network = NetworkOf(visit.address);
      return network.empty() || LookAtLimit(view, policy, limit, network, now, tries).taken;
    }
    case RateKeyKind::kToken:
    case RateKeyKind::kSku:
      break;
  }
  return true;
}

// Whether anything is left to decide for somebody of whom so much is asked before.
bool GetsSoFar(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, int tries, int lottery_percent,
               absl::Time now) {
  return std::all_of(
             policy.limits.begin(), policy.limits.end(),
             [&](const DoorLimit& limit) { return LimitLetsThrough(view, policy, visit, limit, tries, now); }) &&
         MayBeAdmitted(view, policy, visit, lottery_percent, now);
}

}  // namespace

JudgedRisk JudgeRisk(const DoorView& view, const DoorPolicy& policy, RiskFacts facts, absl::string_view address,
                     absl::Time now) {
  const DoorRisk& risk = *policy.risk;
  facts.many_refusals = HasManyRefusals(view, policy, address, now);
  const int score = RiskScore(risk, facts, now);
  return {score, &TierOf(risk, score)};
}

bool NeedsScore(const DoorRisk& risk, const DoorVisit& visit) {
  const bool said = visit.hints != nullptr && visit.hints->has_risk_score();
  return risk.ask_scorer && !said && !visit.scored.has_value();
}

RiskFacts FactsOf(const DoorVisit& visit) {
  return {.hints = visit.hints, .scored = visit.scored, .without_scripts = visit.without_scripts};
}

bool MayBeAdmitted(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, int lottery_percent,
                   absl::Time now) {
  if (policy.room.has_value()) return WouldLetIn(policy, *view.state->keys, *view.rooms, RoomVisitOf(visit), now);
  if (!policy.lottery.has_value()) return true;
  const DoorLottery& lottery = *policy.lottery;
  return Admits(PartOfThreshold(lottery.threshold, lottery_percent),
                Rank(lottery.key, policy.sku_id, lottery.round, visit.user_id));
}

bool IsScoredLater(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, absl::Time now) {
  return NeedsScore(*policy.risk, visit) && !MayBeAdmitted(view, policy, visit, kWholeLottery, now);
}

DoorNeeds NeedsOfVisit(const DoorView& view, const DoorVisit& visit, absl::Time now) {
  const DoorPolicy* const policy = view.state->PolicyOf(visit.sku_id);
  if (policy == nullptr || !policy->risk.has_value() || !policy->unreadable.empty()) return {};
  if (policy->token_lifetime.has_value() && view.state->keys->current() == nullptr) return {};
  if (view.state->access->Find(visit.user_id, visit.address, now) != AccessVerdict::kNone) return {};
  const DoorTier& tier = *JudgeRisk(view, *policy, FactsOf(visit), visit.address, now).tier;
  // A score may make another tier of it: before it is known, nothing of the tier counts.
  return {.score = NeedsScore(*policy->risk, visit) && GetsSoFar(view, *policy, visit, 1, kWholeLottery, now),
          .captcha = TierAsksForCaptcha(*policy, tier, visit) &&
                     GetsSoFar(view, *policy, visit, tier.tries, tier.lottery_percent, now)};
}

}  // namespace tranche::server
