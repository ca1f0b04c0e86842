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

HeldClaim& HeldClaims::Add(HeldClaim held) {
  held.number = next_number_++;
  for (const storage::ReservationClaim& line : held.claim.lines) turns_[TurnOf(line)].insert(held.number);
  if (const storage::GroupJoin* const join = JoinOf(held); join != nullptr) {
    OfGroup& group = groups_[join->group_id];
    (join->offer_id.empty() ? group.joins : group.openings).insert(held.number);
  }
  const uint64_t number = held.number;
  return all_.emplace(number, std::move(held)).first->second;
}

HeldClaim* HeldClaims::Find(uint64_t number) {
  const auto found = all_.find(number);
  return found == all_.end() ? nullptr : &found->second;
}

bool HeldClaims::HasTurn(const HeldClaim& held) const {
  if (const storage::GroupJoin* const join = JoinOf(held); join != nullptr && join->offer_id.empty()) {
    const auto group = groups_.find(join->group_id);
    const bool opens_first =
        group != groups_.end() && !group->second.openings.empty() && *group->second.openings.begin() < held.number;
    if (opens_first) return false;
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

// Who joined the group while it was about to be opened may have their turn now.
void HeldClaims::RemoveFromGroup(const HeldClaim& held, std::vector<uint64_t>& next) {
  const storage::GroupJoin* const join = JoinOf(held);
  if (join == nullptr) return;
  const auto found = groups_.find(join->group_id);
  if (found == groups_.end()) return;
  OfGroup& group = found->second;
  group.joins.erase(held.number);
  if (group.openings.erase(held.number) > 0) next.insert(next.end(), group.joins.begin(), group.joins.end());
  if (group.joins.empty() && group.openings.empty()) groups_.erase(found);
}

}  // namespace tranche::server
