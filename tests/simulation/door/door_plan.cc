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

  DoorTerms& challenge = plan.skus[kChallengeSku];
  challenge = WithToken(random);
  challenge.challenge_lifetime = absl::Seconds(random.Between(60, 600));

  DoorTerms& room = plan.skus[kRoomSku];
  room = WithToken(random);
  room.room = true;
  if (random.Chance(0.5)) room.limits.push_back(ChooseLimit(random, RateKeyKind::kSku));
  return plan;
}

}  // namespace tranche::simulation
