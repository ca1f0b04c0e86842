// A ledger of groups that answers what a test says to those who end, retire and count groups; other calls fail.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/clock.h"
#include "storage/ledger/group_ledger.h"

namespace tranche::testing {

class ScriptedGroups : public storage::GroupLedger {
 public:
  explicit ScriptedGroups(storage::FakeClock* clock) : clock_(clock) {}

  absl::StatusOr<storage::ExpiredGroups> ExpireGroups(int limit) override {
    limits.push_back(limit);
    clock_->AdvanceBy(takes);
    return Next(&expired);
  }
  absl::StatusOr<int64_t> RetireGroups(absl::Duration age, int limit) override {
    ages.push_back(age);
    limits.push_back(limit);
    return Next(&retired);
  }
  absl::StatusOr<storage::GroupCounts> CountGroups() override { return counts; }

  absl::StatusOr<storage::GroupOffer> CreateGroupOffer(const storage::GroupOffer&, bool,
                                                       const storage::Actor&) override {
    return NotScripted();
  }
  absl::StatusOr<storage::GroupOffer> CloseGroupOffer(const std::string&, const std::string&, bool,
                                                      const storage::Actor&) override {
    return NotScripted();
  }
  absl::StatusOr<std::vector<storage::GroupOffer>> ListGroupOffers(const std::string&) override {
    return NotScripted();
  }
  absl::StatusOr<storage::Group> CancelGroup(const storage::Uuid&, const std::string&, const std::string&, bool,
                                             const storage::Actor&) override {
    return NotScripted();
  }
  absl::StatusOr<storage::GroupWithMembers> GetGroup(const storage::Uuid&, const storage::GroupLookup&) override {
    return NotScripted();
  }
  absl::StatusOr<storage::GroupPage> ListGroups(const storage::GroupFilter&, const storage::GroupCursor&,
                                                int) override {
    return NotScripted();
  }

  absl::Duration takes;  // each call of ExpireGroups
  std::deque<absl::StatusOr<storage::ExpiredGroups>> expired;
  std::deque<absl::StatusOr<int64_t>> retired;
  absl::StatusOr<storage::GroupCounts> counts = storage::GroupCounts{};
  std::vector<int> limits;
  std::vector<absl::Duration> ages;

 private:
  template <typename Answer>
  static Answer Next(std::deque<Answer>* answers) {
    if (answers->empty()) return NotScripted();
    Answer answer = std::move(answers->front());
    answers->pop_front();
    return answer;
  }
  static absl::Status NotScripted() {
    ADD_FAILURE() << "the test did not say what to answer";
    return absl::InternalError("not scripted");
  }

  storage::FakeClock* const clock_;
};

}  // namespace tranche::testing
