// Members of many groups who race for the last seat, at two nodes, from many threads; and what else happens to their
// groups meanwhile. All that they were told is kept.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/time/time.h"
#include "tests/integration/group_fixture.h"
#include "tests/integration/group_verdict.h"

namespace tranche::testing {

// Several, so that the end of groups of one SKU does not keep those of all others waiting.
inline constexpr std::array<const char*, 4> kRaceSkus = {"north", "east", "south", "west"};
inline constexpr int64_t kRaceStock = 60'000;  // of each; at each node more than its buyers want
inline constexpr int kRacedGroups = 10'000;

class GroupRaceFixture : public GroupFixture {
 protected:
  // Puts the SKUs on sale, with their offers.
  void OpenRaces();
  // Returns when every call is answered; groups whose deadline has not come may still form. The same seed makes the
  // same choices. Fails the test if it was too slow for races at deadlines.
  std::vector<RacedGroup> RunRaces(uint32_t seed);
  // Of all SKUs. Fails the test if some group does not end.
  GroupRows RowsWhenAllAreOver();
  int64_t Count(const std::string& query);

 private:
  using Random = std::mt19937;

  // Held, before anything races.
  struct Prepared {
    RacedGroup group = {};
    std::vector<JoinedGroup> held = {};  // as group.members
    absl::Time deadline = absl::InfiniteFuture();
    int pay = 0;  // so many of the racers, who are all but the opener
  };

  // Two racers, sometimes three, at two nodes. The opener has paid.
  Prepared Prepare(GroupRace race, int number, Random& random);
  // How many answers Fire brings.
  static int ActionsOf(const Prepared& prepared);
  void PayNow(Prepared& prepared, size_t member, absl::BlockingCounter& answers);
  void LeaveNow(Prepared& prepared, size_t member, int node, absl::BlockingCounter& answers);
  // Returns at once. `prepared` stays where it is until all is answered.
  void Fire(Prepared& prepared, Random& random, absl::BlockingCounter& answers);
  // Asks again while something is locked: the answer is that the group is cancelled, or that it is over.
  std::string Cancel(const RacedGroup& group);
  void RaceNow(Prepared& prepared, Random& random);
  // All of these groups are there before the first deadline. Each payment comes within some milliseconds of its own.
  void RaceAtDeadlines(int first, Random& random, std::vector<RacedGroup>& raced);
  // One thread's groups. Their deadlines come at another moment for each thread.
  std::vector<RacedGroup> RunThread(int thread, uint32_t seed);

  std::unique_ptr<v1::AdminService::Stub> operator_;
  // Something was not prepared, and the test has failed: the threads need not go on.
  std::atomic<bool> broken_ = false;
  // Groups that were to race at their deadline, and whose turn came only after it: all of their payments are late. Not
  // those that are fired after it on purpose.
  std::atomic<int> past_deadline_ = 0;
};

}  // namespace tranche::testing
