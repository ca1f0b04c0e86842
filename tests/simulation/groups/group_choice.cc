#include "tests/simulation/groups/group_choice.h"

#include <utility>
#include <vector>

namespace tranche::simulation {
namespace {

// With so many that form, buyers would rather join one.
constexpr size_t kEnoughForm = 3;

GroupWish Wish(const std::string& sku_id, storage::GroupJoin join) {
  return {.sku_id = sku_id, .join = std::make_shared<const storage::GroupJoin>(std::move(join))};
}

}  // namespace

GroupWish ChooseGroup(const World& world, Random& random, const storage::Uuid& new_id) {
  const std::vector<GroupChecker::Seen> forming = world.groups.Forming();
  const storage::GroupOffer& offer = random.Pick(world.scenario.offers);
  // A link to a group that nobody opened, or no longer is.
  if (random.Chance(0.03)) return Wish(offer.sku_id, {.group_id = new_id});
  const double opens = forming.empty() ? 1 : forming.size() < kEnoughForm ? 0.4 : 0.1;
  if (random.Chance(opens)) return Wish(offer.sku_id, {.group_id = new_id, .offer_id = offer.offer_id});
  const GroupChecker::Seen& seen = random.Pick(forming);
  // As whoever opens a group that exists by now; and with what does not belong to it.
  const bool names_offer = random.Chance(0.2);
  const std::string offer_id = random.Chance(0.1) ? offer.offer_id : seen.offer_id;
  const std::string sku_id = random.Chance(0.03) ? offer.sku_id : seen.sku_id;
  return Wish(sku_id, {.group_id = seen.group_id, .offer_id = names_offer ? offer_id : ""});
}

}  // namespace tranche::simulation
