// Which group a buyer wants: one of those that form, a new one, or now and then one that they cannot have.
#pragma once

#include <memory>
#include <string>

#include "storage/ledger/reservation_ledger.h"
#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

struct GroupWish {
  std::string sku_id;
  std::shared_ptr<const storage::GroupJoin> join;
};

// `new_id`: an id that nobody has used, for a group that is opened.
GroupWish ChooseGroup(const World& world, Random& random, const storage::Uuid& new_id);

}  // namespace tranche::simulation
