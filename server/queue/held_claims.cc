#include "server/queue/held_claims.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

// Neither id has such a byte.
constexpr char kBetweenIds[] = "\n";

std::string TurnOf(const storage::ReservationClaim& line) {
  return absl::StrCat(line.user_id, kBetweenIds, line.sku_id);
}

// Null: it neither opens nor joins one. Such a claim has no other line.
const storage::GroupJoin* JoinOf(const HeldClaim& held) { return held.claim.lines.front().group.get(); }

}  // namespace

HeldClaims::HeldClaims(int prefetch) : most_waiting_joins_(static_cast<size_t>(std::max(1, prefetch / 4))) {}

HeldClaim& HeldClaims::Add(HeldClaim held) {
  held.number = next_number_++;
  for (const storage::ReservationClaim& line : held.claim.lines) turns_[TurnOf(line)].insert(held.number);
  AddToGroup(held);
  const uint64_t number = held.number;
  return all_.emplace(number, std::move(held)).first->second;
}

HeldClaim* HeldClaims::Find(uint64_t number) {
  const auto found = all_.find(number);
  return found == all_.end() ? nullptr : &found->second;
}

bool HeldClaims::HasTurn(const HeldClaim& held) const {
  if (const storage::GroupJoin* const join = JoinOf(held); join != nullptr) {
    const auto group = groups_.find(join->group_id);
    if (group != groups_.end() && group->second.joins.contains(held.number)) return false;
  }
  return std::all_of(held.claim.lines.begin(), held.claim.lines.end(), [&](const storage::ReservationClaim& line) {
    const auto turns = turns_.find(TurnOf(line));
    return turns == turns_.end() || *turns->second.begin() == held.number;
  });
}

std::vector<uint64_t> HeldClaims::Remove(uint64_t number) {
  std::vector<uint64_t> next;
  const auto found = all_.find(number);
  if (found == all_.end()) return next;
  for (const storage::ReservationClaim& line : found->second.claim.lines) {
    const auto turns = turns_.find(TurnOf(line));
    // A cart may have several lines of one SKU.
    if (turns == turns_.end() || turns->second.erase(number) == 0) continue;
    if (turns->second.empty()) {
      turns_.erase(turns);
    } else {
      next.push_back(*turns->second.begin());
    }
  }
  RemoveFromGroup(found->second, next);
  all_.erase(found);
  return next;
}

bool HeldClaims::AnotherOpensGroupOf(const HeldClaim& held) const {
  const storage::GroupJoin* const join = JoinOf(held);
  if (join == nullptr) return false;
  const auto group = groups_.find(join->group_id);
  if (group == groups_.end()) return false;
  const std::set<uint64_t>& openings = group->second.openings;
  const std::string& user_id = held.claim.lines.front().user_id;
  return std::any_of(openings.begin(), openings.end(),
                     [&](uint64_t number) { return all_.at(number).claim.lines.front().user_id != user_id; });
}

void HeldClaims::AddToGroup(const HeldClaim& held) {
  const storage::GroupJoin* const join = JoinOf(held);
  if (join == nullptr) return;
  if (!join->offer_id.empty()) {
    groups_[join->group_id].openings.insert(held.number);
    return;
  }
  const auto group = groups_.find(join->group_id);
  if (group == groups_.end()) return;
  // Each opening that is here came before it. What waits is not tried, and so not refused, whatever keeps the opening:
  // without a bound, joins alone could fill the prefetch.
  size_t& waiting = waiting_joins_[held.queue];
  if (waiting >= most_waiting_joins_) return;
  ++waiting;
  group->second.joins.insert(held.number);
}

// Who joined the group while it was about to be opened may have their turn now.
void HeldClaims::RemoveFromGroup(const HeldClaim& held, std::vector<uint64_t>& next) {
  const storage::GroupJoin* const join = JoinOf(held);
  if (join == nullptr) return;
  const auto found = groups_.find(join->group_id);
  if (found == groups_.end()) return;
  OfGroup& group = found->second;
  if (group.joins.erase(held.number) > 0) --waiting_joins_[held.queue];
  group.openings.erase(held.number);
  while (!group.joins.empty()) {
    const uint64_t first = *group.joins.begin();
    if (!group.openings.empty() && *group.openings.begin() < first) break;
    group.joins.erase(first);
    --waiting_joins_[all_.at(first).queue];
    next.push_back(first);
  }
  if (group.openings.empty()) groups_.erase(found);
}

}  // namespace tranche::server
