// What the seed decides of a run at the front door before it begins.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/simulation/door/door_books.h"
#include "tests/simulation/random.h"

namespace tranche::simulation {

struct DoorPlan {
  int nodes = 2;
  // All keys have a place of their own in the nodes' rate tables; otherwise they get in each other's way.
  bool roomy = true;
  size_t table_bytes = 0;
  absl::Duration length = absl::Minutes(30);  // longer than a key must live before it is rotated
  absl::Duration room_opens_after = absl::Minutes(5);
  absl::Duration between_visits = absl::Seconds(4);
  absl::Duration between_changes = absl::Seconds(40);
  std::map<std::string, DoorTerms> skus = {};
};

// One SKU has limits of all kinds, one a lottery, one a challenge, one a waiting room, one tiers of
// buyers; the lottery may have tiers, too.
inline constexpr char kLimitedSku[] = "limited";
inline constexpr char kLotterySku[] = "lottery";
inline constexpr char kChallengeSku[] = "challenge";
inline constexpr char kRoomSku[] = "room";
inline constexpr char kTieredSku[] = "tiered";

DoorPlan DoorPlanFor(Random& random);
// Other limits of the same kinds.
std::vector<DoorLimitTerms> DoorLimitsLike(Random& random, const std::vector<DoorLimitTerms>& limits);

}  // namespace tranche::simulation
