#include "server/admission/door_state.h"

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace tranche::server {
namespace {

DoorState StateWith(DoorPolicy policy) {
  DoorState state;
  state.policies.emplace("tv", std::make_shared<const DoorPolicy>(std::move(policy)));
  return state;
}

TEST(DoorStateTest, ATableIsNeededWhereTriesAreCounted) {
  EXPECT_FALSE(DoorState().NeedsTable());
  EXPECT_FALSE(StateWith({}).NeedsTable());
  DoorPolicy limited;
  limited.limits.emplace_back();
  EXPECT_TRUE(StateWith(limited).NeedsTable());
  DoorPolicy judging;
  judging.risk.emplace();
  EXPECT_FALSE(StateWith(judging).NeedsTable());
  judging.risk->address_refusals = 1;
  EXPECT_TRUE(StateWith(judging).NeedsTable()) << "a network's refused tries";
}

TEST(DoorStateTest, EachCheckHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int check = 0; check < kDoorChecks; ++check) {
    names.insert(std::string(DoorCheckName(static_cast<DoorCheck>(check))));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kDoorChecks));
  EXPECT_EQ(names.count(""), 0u);
  EXPECT_EQ(DoorCheckName(DoorCheck::kRisk), "risk");
}

}  // namespace
}  // namespace tranche::server
