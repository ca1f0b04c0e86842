// Ten thousand groups of two on real servers, and for the last seat of each two or three payments at two nodes at the
// same moment; together with members who leave, operators who cancel, and deadlines. Each seat is sold once, and each
// payment has a unit or a refund.
//
// TRANCHE_TEST_SEED repeats the shares and the order of another run; what the servers make of it differs.
#include <gmock/gmock.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tests/integration/group_race_fixture.h"

namespace tranche::testing {
namespace {

constexpr size_t kMostWrongTold = 20;

uint32_t SeedOfRaces() {
  const char* const given = std::getenv("TRANCHE_TEST_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::stoul(given)) : std::random_device()();
}

// By race, how many groups ended so; and how many answers of each kind members had.
struct RaceSums {
  std::map<std::pair<std::string, std::string>, int> ends = {};
  std::map<std::string, int> answers = {};
  int64_t sold = 0;
  int64_t refunds = 0;
};

RaceSums SumsOf(const std::vector<RacedGroup>& raced, const GroupRows& rows) {
  RaceSums sums;
  for (const RacedGroup& group : raced) {
    const auto opener = rows.find(group.members.at(0).reservation_id);
    if (opener != rows.end()) ++sums.ends[{NameOf(group.race), opener->second.group_state}];
    for (const RacingMember& member : group.members) {
      if (!member.paid.empty()) ++sums.answers["pays: " + member.paid];
      if (!member.left.empty()) ++sums.answers["leaves: " + member.left];
    }
  }
  for (const auto& [id, row] : rows) {
    sums.sold += row.state == "CONFIRMED" ? 1 : 0;
    sums.refunds += row.refunds;
  }
  return sums;
}

void Print(const RaceSums& sums, const std::vector<RacedGroup>& raced, absl::Duration took) {
  size_t members = 0;
  for (const RacedGroup& group : raced) members += group.members.size();
  const double seconds = absl::ToDoubleSeconds(took);
  std::cout << absl::StrFormat("%d groups with %d members raced in %.1f s: %.0f groups and %.0f members a second\n",
                               raced.size(), members, seconds, static_cast<double>(raced.size()) / seconds,
                               static_cast<double>(members) / seconds);
  for (const auto& [end, count] : sums.ends) {
    std::cout << absl::StrFormat("  %-20s %-10s %6d groups\n", end.first, end.second, count);
  }
  for (const auto& [answer, count] : sums.answers) std::cout << absl::StrFormat("  %-31s %6d\n", answer, count);
}

class GroupRaceTest : public GroupRaceFixture {};

TEST_F(GroupRaceTest, OfTenThousandLastSeatsEachIsSoldOnce) {
  const uint32_t seed = SeedOfRaces();
  std::cout << "TRANCHE_TEST_SEED=" << seed << "\n";
  SCOPED_TRACE(absl::StrCat("TRANCHE_TEST_SEED=", seed));
  OpenRaces();
  ASSERT_FALSE(HasFailure());
  const absl::Time began = absl::Now();
  const std::vector<RacedGroup> raced = RunRaces(seed);
  const absl::Duration took = absl::Now() - began;
  const GroupRows rows = RowsWhenAllAreOver();

  size_t wrong = 0;
  for (const RacedGroup& group : raced) {
    for (const std::string& text : WrongAbout(group, rows)) {
      if (++wrong > kMostWrongTold) continue;
      ADD_FAILURE() << "group " << group.group_id << " (" << NameOf(group.race) << "): " << text;
    }
  }
  EXPECT_EQ(wrong, 0u) << "in all";
  RaceSums sums = SumsOf(raced, rows);
  Print(sums, raced, took);
  EXPECT_EQ(raced.size(), static_cast<size_t>(kRacedGroups));
  int64_t unsold = 0;
  for (const char* sku : kRaceSkus) unsold += UnsoldOf(sku);
  EXPECT_EQ(unsold, static_cast<int64_t>(kRaceSkus.size()) * kRaceStock - sums.sold) << "no unit is lost";
  const std::string messages = "SELECT count(*) FROM tranche.outbox WHERE sink = 'default' AND kind = ";
  EXPECT_EQ(Count(messages + "'reservation.confirmed'"), sums.sold) << "each is told once to ship it";
  EXPECT_EQ(Count(messages + "'payment.refund_requested'"), sums.refunds) << "and to pay it back";
  // Otherwise it proves less than it says.
  EXPECT_GT((sums.ends[{NameOf(GroupRace::kOperatorCancels), "CANCELLED"}]), 0);
  EXPECT_GT((sums.ends[{NameOf(GroupRace::kDeadline), "FAILED"}]), 0);
  EXPECT_GT((sums.ends[{NameOf(GroupRace::kDeadline), "FILLED"}]), 0);
  EXPECT_GT(sums.answers["pays: PAID_UNFULFILLED"], 0);
  EXPECT_GT(sums.answers[absl::StrCat("leaves: ", kLeft)], 0);
}

}  // namespace
}  // namespace tranche::testing
