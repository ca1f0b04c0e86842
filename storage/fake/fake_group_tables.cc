#include "storage/fake/fake_group_tables.h"

#include "glog/logging.h"

namespace tranche::storage {

const Group* FakeGroupTables::Find(const Uuid& group_id) const {
  const auto found = groups_.find(group_id);
  return found == groups_.end() ? nullptr : &found->second;
}

Group* FakeGroupTables::Find(const Uuid& group_id) {
  const auto found = groups_.find(group_id);
  return found == groups_.end() ? nullptr : &found->second;
}

const Group& FakeGroupTables::Open(Group group) {
  due_.emplace(group.deadline_at, group.group_id);
  CHECK(openers_[group.sku_id].emplace(group.offer_id, group.opened_by).second) << "one open group per buyer and offer";
  const Uuid group_id = group.group_id;
  return groups_.emplace(group_id, std::move(group)).first->second;
}

void FakeGroupTables::End(Group& group, GroupState state, absl::Time now) {
  CHECK(group.state == GroupState::kForming) << "what has ended stays as it is";
  due_.erase({group.deadline_at, group.group_id});
  openers_[group.sku_id].erase({group.offer_id, group.opened_by});
  group.state = state;
  group.finished_at = now;
  ++group.revision;
}

void FakeGroupTables::Remove(const Uuid& group_id) {
  groups_.erase(group_id);
  std::erase_if(members_, [&](const auto& entry) { return entry.first.first == group_id; });
}

size_t FakeGroupTables::FormingOf(const std::string& sku_id) const {
  const auto of_sku = openers_.find(sku_id);
  return of_sku == openers_.end() ? 0 : of_sku->second.size();
}

bool FakeGroupTables::HasOpened(const std::string& sku_id, const std::string& offer_id,
                                const std::string& user_id) const {
  const auto of_sku = openers_.find(sku_id);
  return of_sku != openers_.end() && of_sku->second.contains({offer_id, user_id});
}

void FakeGroupTables::Enrol(const Uuid& group_id, GroupMember member) {
  const auto key = std::make_pair(group_id, member.user_id);
  members_.insert_or_assign(key, std::move(member));
}

std::vector<const GroupMember*> FakeGroupTables::MembersOf(const Uuid& group_id) const {
  std::vector<const GroupMember*> members;
  for (auto it = members_.lower_bound({group_id, ""}); it != members_.end() && it->first.first == group_id; ++it) {
    members.push_back(&it->second);
  }
  return members;
}

const GroupMember* FakeGroupTables::MemberOf(const Uuid& group_id, const std::string& user_id) const {
  const auto found = members_.find({group_id, user_id});
  return found == members_.end() ? nullptr : &found->second;
}

GroupMember* FakeGroupTables::MemberWith(const Uuid& group_id, const Reservation& reservation) {
  const auto found = members_.find({group_id, reservation.user_id});
  const bool is_this = found != members_.end() && found->second.reservation_id == reservation.reservation_id;
  return is_this ? &found->second : nullptr;
}

int32_t FakeGroupTables::FreeSeat(const Uuid& group_id) const {
  std::set<int32_t> taken;
  for (const GroupMember* member : MembersOf(group_id)) taken.insert(member->seat);
  int32_t seat = 1;
  while (taken.contains(seat)) ++seat;
  return seat;
}

}  // namespace tranche::storage
