// Groups of a test, and a ledger that has them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/group_ledger.h"
#include "storage/uuid.h"

namespace tranche::server {

inline storage::Uuid GroupIdOf(int number) {
  return *storage::Uuid::Parse(absl::StrFormat("01890a5d-ac96-774b-8000-%012d", number));
}

// Of "tv" with the offer "three": three seats, of which one is paid.
inline storage::Group FormingGroup(int number, absl::Time now) {
  storage::Group group;
  group.group_id = GroupIdOf(number);
  group.sku_id = "tv";
  group.offer_id = "three";
  group.seats = 3;
  group.seats_taken = 1;
  group.price_minor = 39900;
  group.currency = "EUR";
  group.opened_by = "alice";
  group.created_at = now;
  group.deadline_at = now + absl::Hours(1);
  return group;
}

inline storage::GroupMember MemberOf(const std::string& user_id, int seat, absl::Time now) {
  storage::GroupMember member;
  member.user_id = user_id;
  member.reservation_id = GroupIdOf(1000 + seat);
  member.quantity = 2;
  member.reservation_state = storage::ReservationState::kPending;
  member.joined_at = now;
  member.seat = seat;
  if (seat > 0) {
    member.paid_at = now;
    member.payment_reference = "pay-1";
  }
  return member;
}

// Has the groups that it is given. Thread-safe.
class GroupsOfTest : public storage::GroupLedger {
 public:
  void Put(const storage::Group& group) {
    absl::MutexLock lock(&mutex_);
    groups_[{group.group_id, group.sku_id}] = {group, {}};
  }
  // Its groups answer so from now on; OK: as they are.
  void Fail(const absl::Status& error) {
    absl::MutexLock lock(&mutex_);
    error_ = error;
  }
  void FailFor(const storage::Uuid& id) {
    absl::MutexLock lock(&mutex_);
    silent_ = id;
  }
  std::vector<storage::Uuid> reads() {
    absl::MutexLock lock(&mutex_);
    return reads_;
  }

  absl::StatusOr<storage::GroupWithMembers> GetGroup(const storage::Uuid& id,
                                                     const storage::GroupLookup& lookup) override {
    absl::MutexLock lock(&mutex_);
    reads_.push_back(id);
    if (!error_.ok()) return error_;
    if (id == silent_) return absl::UnavailableError("its shard does not answer");
    const auto found = groups_.lower_bound({id, lookup.sku_id});
    const bool is_meant = found != groups_.end() && found->first.first == id &&
                          (lookup.sku_id.empty() || found->first.second == lookup.sku_id);
    if (!is_meant) return absl::NotFoundError("no such group");
    return found->second;
  }

  absl::StatusOr<storage::GroupOffer> CreateGroupOffer(const storage::GroupOffer&, bool,
                                                       const storage::Actor&) override {
    return NotOfThisTest();
  }
  absl::StatusOr<storage::GroupOffer> CloseGroupOffer(const std::string&, const std::string&, bool,
                                                      const storage::Actor&) override {
    return NotOfThisTest();
  }
  absl::StatusOr<std::vector<storage::GroupOffer>> ListGroupOffers(const std::string&) override {
    return NotOfThisTest();
  }
  absl::StatusOr<storage::Group> CancelGroup(const storage::Uuid&, const std::string&, const std::string&, bool,
                                             const storage::Actor&) override {
    return NotOfThisTest();
  }
  absl::StatusOr<storage::GroupPage> ListGroups(const storage::GroupFilter&, const storage::GroupCursor&,
                                                int) override {
    return NotOfThisTest();
  }
  absl::StatusOr<storage::GroupCounts> CountGroups() override { return NotOfThisTest(); }
  absl::StatusOr<storage::ExpiredGroups> ExpireGroups(int) override { return NotOfThisTest(); }
  absl::StatusOr<int64_t> RetireGroups(absl::Duration, int) override { return NotOfThisTest(); }

 private:
  static absl::Status NotOfThisTest() { return absl::InternalError("the test does not expect this call"); }

  absl::Mutex mutex_;
  // By id and SKU: as if each SKU were on a shard of its own.
  std::map<std::pair<storage::Uuid, std::string>, storage::GroupWithMembers> groups_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  storage::Uuid silent_ ABSL_GUARDED_BY(mutex_);
  std::vector<storage::Uuid> reads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
