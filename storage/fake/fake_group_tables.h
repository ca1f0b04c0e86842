// The tables of group buying in memory, with the indexes of sql/migrations/0026_groups.sql. FakeLedger has the rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/uuid.h"

namespace tranche::storage {

// Not thread-safe. Copies are backups.
class FakeGroupTables {
 public:
  // By SKU and name.
  std::map<std::pair<std::string, std::string>, GroupOffer> offers;
  // Over, and unpaid members may still hold units.
  std::set<Uuid> unsettled;

  const std::map<Uuid, Group>& groups() const { return groups_; }
  // Null: there is no such group.
  const Group* Find(const Uuid& group_id) const;
  Group* Find(const Uuid& group_id);
  // A group that forms from now on, of an offer that is in the table.
  const Group& Open(Group group);
  // It forms no more.
  void End(Group& group, GroupState state, absl::Time now);
  // With its members.
  void Remove(const Uuid& group_id);

  // Those that form, by deadline.
  const std::set<std::pair<absl::Time, Uuid>>& due() const { return due_; }
  size_t FormingOf(const std::string& sku_id) const;
  bool HasOpened(const std::string& sku_id, const std::string& offer_id, const std::string& user_id) const;

  // A buyer's last membership of the group takes the place of the one before.
  void Enrol(const Uuid& group_id, GroupMember member);
  // By buyer.
  std::vector<const GroupMember*> MembersOf(const Uuid& group_id) const;
  // Null: the buyer never joined, or was forgotten with the group.
  const GroupMember* MemberOf(const Uuid& group_id, const std::string& user_id) const;
  // The membership that this reservation of the group stands for. Null: its buyer has joined again with another one.
  GroupMember* MemberWith(const Uuid& group_id, const Reservation& reservation);
  // The lowest that nobody has.
  int32_t FreeSeat(const Uuid& group_id) const;

 private:
  std::map<Uuid, Group> groups_;
  std::map<std::pair<Uuid, std::string>, GroupMember> members_;  // by group and buyer
  std::set<std::pair<absl::Time, Uuid>> due_;
  // Of groups that form, by SKU: the offer and who has opened it.
  std::map<std::string, std::set<std::pair<std::string, std::string>>> openers_;
};

}  // namespace tranche::storage
