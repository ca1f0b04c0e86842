#include "tests/simulation/door/door_plan.h"

namespace tranche::simulation {
namespace {

using server::RateKeyKind;

// Three sets: nearly all keys meet.
constexpr size_t kTightTableBytes = 512;
// 4,000 slots for a few hundred keys.
constexpr size_t kRoomyTableBytes = 64 * 1024;

DoorLimitTerms ChooseLimit(Random& random, RateKeyKind kind) {
  const bool of_many = kind == RateKeyKind::kAddress || kind == RateKeyKind::kSku;
  return {.kind = kind,
          .interval = absl::Milliseconds(of_many ? random.Between(50, 500) : random.Between(500, 5000)),
          .burst = of_many ? random.Between(5, 40) : random.Between(2, 12)};
}

// Those of which a token is asked for have a limit by user: two of them need it.
DoorTerms WithToken(Random& random) {
  DoorTerms terms;
  terms.limits = {ChooseLimit(random, RateKeyKind::kUser)};
  terms.token_lifetime = absl::Seconds(random.Between(30, 600));
  return terms;
}

v1::RiskPoints* AddPoints(int points, v1::RiskRule* rule) {
  v1::RiskPoints* const added = rule->add_points();
  added->set_points(points);
  return added;
}

v1::RiskTier* AddTier(int64_t from_score, v1::RiskRule* rule) {
  v1::RiskTier* const tier = rule->add_tiers();
  tier->set_from_score(static_cast<int32_t>(from_score));
  return tier;
}

// Without tiers. Door_people knows what the rules may add to the scores of the last buyers.
v1::RiskRule ChoosePoints(Random& random) {
  v1::RiskRule rule;
  AddPoints(30, &rule)->mutable_account_younger_than()->set_seconds(24 * 3600);
  AddPoints(10, &rule)->set_orders_fewer_than(1);
  AddPoints(-40, &rule)->set_label("vip");
  AddPoints(20, &rule)->set_no_hints(true);
  AddPoints(10, &rule)->set_without_scripts(true);
  if (random.Chance(0.7)) AddPoints(40, &rule)->set_address_refusals(static_cast<int32_t>(random.Between(1, 20)));
  rule.set_ask_scorer(random.Chance(0.7));
  if (random.Chance(0.5)) rule.set_unscored(static_cast<int32_t>(random.Between(0, 70)));
  return rule;
}

// Of a policy with a challenge. A limit by user admits two tries at once, or more.
v1::RiskRule ChooseTiers(Random& random) {
  v1::RiskRule rule = ChoosePoints(random);
  v1::RiskTier* const trusted = AddTier(0, &rule);
  if (random.Chance(0.5)) trusted->set_challenge_bits(0);
  AddTier(random.Between(15, 35), &rule)->set_challenge_bits(static_cast<int32_t>(random.Between(5, 6)));
  v1::RiskTier* const doubtful = AddTier(random.Between(40, 75), &rule);
  doubtful->set_captcha(true);
  doubtful->set_tries(static_cast<int32_t>(random.Between(0, 2)));
  AddTier(random.Between(91, 98), &rule)->set_refuse(true);
  return rule;
}

v1::RiskRule ChooseLotteryTiers(Random& random) {
  v1::RiskRule rule = ChoosePoints(random);
  AddTier(0, &rule);
  AddTier(random.Between(20, 60), &rule)->set_lottery_percent(static_cast<int32_t>(random.Between(1, 99)));
  AddTier(random.Between(70, 100), &rule)->set_refuse(true);
  return rule;
}

}  // namespace

std::vector<DoorLimitTerms> DoorLimitsLike(Random& random, const std::vector<DoorLimitTerms>& limits) {
  std::vector<DoorLimitTerms> others;
  for (const DoorLimitTerms& limit : limits) others.push_back(ChooseLimit(random, limit.kind));
  return others;
}

DoorPlan DoorPlanFor(Random& random) {
  DoorPlan plan;
  plan.nodes = static_cast<int>(random.Between(2, 8));
  plan.roomy = random.Chance(0.7);
  plan.table_bytes = plan.roomy ? kRoomyTableBytes : kTightTableBytes;
  plan.room_opens_after = absl::Minutes(random.Between(2, 10));

  DoorTerms& limited = plan.skus[kLimitedSku];
  if (random.Chance(0.3)) limited = WithToken(random);
  limited.limits.clear();
  for (const RateKeyKind kind : {RateKeyKind::kUser, RateKeyKind::kAddress, RateKeyKind::kSku}) {
    limited.limits.push_back(ChooseLimit(random, kind));
  }
  if (limited.token_lifetime.has_value()) limited.limits.push_back(ChooseLimit(random, RateKeyKind::kToken));

  DoorTerms& lottery = plan.skus[kLotterySku];
  if (random.Chance(0.5)) lottery = WithToken(random);
  lottery.admitted_per_million = static_cast<int32_t>(random.Between(100'000, 600'000));
  if (lottery.token_lifetime.has_value() && random.Chance(0.5)) lottery.risk = ChooseLotteryTiers(random);

  DoorTerms& challenge = plan.skus[kChallengeSku];
  challenge = WithToken(random);
  challenge.challenge_lifetime = absl::Seconds(random.Between(60, 600));

  DoorTerms& room = plan.skus[kRoomSku];
  room = WithToken(random);
  room.room = true;
  if (random.Chance(0.5)) room.limits.push_back(ChooseLimit(random, RateKeyKind::kSku));

  DoorTerms& tiered = plan.skus[kTieredSku];
  tiered = WithToken(random);
  tiered.limits.push_back(ChooseLimit(random, RateKeyKind::kAddress));
  tiered.challenge_lifetime = absl::Seconds(random.Between(60, 600));
  if (random.Chance(0.7)) tiered.delay = absl::Seconds(random.Between(5, 60));
  tiered.risk = ChooseTiers(random);
  return plan;
}

}  // namespace tranche::simulation
