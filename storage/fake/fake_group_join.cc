// FakeLedger's part for claims that join groups: as join_groups.sql.
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "absl/types/span.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::storage {
namespace {

// What claims of a batch that may join have asked for before, whatever becomes of them.
class EarlierOfBatch {
 public:
  // Notes the claim, which opens its group or joins it. True: its answer depends on what becomes of an earlier one.
  bool Awaits(const ReservationClaim& claim, bool opens) {
    const auto& [group_id, offer_id] = *claim.group;
    const bool joins_again = !joins_.emplace(group_id, claim.user_id).second;
    if (!opens) return joins_again;
    const auto offer = std::make_pair(claim.sku_id, offer_id);
    const bool other_offer = offers_.emplace(group_id, offer).first->second != offer;
    const auto opened = opened_.emplace(std::make_pair(offer, claim.user_id), group_id).first;
    return joins_again || other_offer || opened->second != group_id;
  }
  bool Opens(const Uuid& group_id) const { return offers_.contains(group_id); }

 private:
  using SkuAndOffer = std::pair<std::string, std::string>;
  std::set<std::pair<Uuid, std::string>> joins_;
  std::map<Uuid, SkuAndOffer> offers_;  // of the groups that are opened
  std::map<std::pair<SkuAndOffer, std::string>, Uuid> opened_;
};

absl::Status CheckDistinctIds(absl::Span<const ReservationClaim> claims) {
  std::set<Uuid> ids;
  for (const ReservationClaim& claim : claims) ids.insert(claim.reservation_id);
  if (ids.size() == claims.size()) return absl::OkStatus();
  return absl::InvalidArgumentError("reservation ids of a batch must be distinct");
}

// What was refused so to a buyer is refused for all of their claims for the SKU that ask for no less.
bool HoldsForOthers(const CommitResult& result) {
  const bool refused = result.outcome == CommitOutcome::kRefused && result.refusal != Refusal::kReservationIdReused;
  return refused || result.outcome == CommitOutcome::kShort || result.outcome == CommitOutcome::kNotHeld;
}

// Of those of these claims that were refused to the buyer of `claim`, the one for the fewest units, if it asks for no
// more: null if there is none.
const CommitResult* RefusedToBuyer(const ReservationClaim& claim, absl::Span<const ReservationClaim> sent,
                                   absl::Span<const CommitResult> results) {
  const CommitResult* refused = nullptr;
  int64_t units = int64_t{claim.quantity} + 1;
  for (size_t i = 0; i < sent.size(); ++i) {
    const bool alike = sent[i].sku_id == claim.sku_id && sent[i].user_id == claim.user_id;
    if (!alike || sent[i].quantity >= units || !HoldsForOthers(results[i])) continue;
    refused = &results[i];
    units = sent[i].quantity;
  }
  return refused;
}

}  // namespace

Refusal FakeLedger::LookAtOffer(const ReservationClaim& claim) const {
  const std::string& offer_id = claim.group->offer_id;
  const auto offer = groups_.offers.find({claim.sku_id, offer_id});
  if (offer == groups_.offers.end()) return Refusal::kOfferNotFound;
  if (offer->second.closed_at.has_value()) return Refusal::kOfferClosed;
  const bool most_form = groups_.FormingOf(claim.sku_id) >= static_cast<size_t>(kMostFormingGroups);
  return most_form || HasOpened(claim) ? Refusal::kTooManyGroups : Refusal::kNone;
}

bool FakeLedger::HasOpened(const ReservationClaim& claim) const {
  return groups_.HasOpened(claim.sku_id, claim.group->offer_id, claim.user_id);
}

Refusal FakeLedger::LookAtGroup(const ReservationClaim& claim) const {
  const GroupJoin& join = *claim.group;
  const Group* const group = groups_.Find(join.group_id);
  if (group == nullptr) return join.offer_id.empty() ? Refusal::kGroupNotFound : LookAtOffer(claim);
  const bool other_offer = !join.offer_id.empty() && join.offer_id != group->offer_id;
  if (group->sku_id != claim.sku_id || other_offer) return Refusal::kGroupNotFound;
  if (group->seats_taken == group->seats) return Refusal::kGroupFull;
  if (group->state != GroupState::kForming || group->deadline_at <= DatabaseNow()) return Refusal::kGroupOver;
  const GroupMember* const before = groups_.MemberOf(join.group_id, claim.user_id);
  const auto held = before == nullptr ? reservations_.end() : reservations_.find(before->reservation_id);
  const bool lives = held != reservations_.end() && (held->second.reservation.state == ReservationState::kPending ||
                                                     held->second.reservation.state == ReservationState::kConfirmed);
  return lives ? Refusal::kAlreadyInGroup : Refusal::kNone;
}

absl::StatusOr<std::vector<CommitResult>> FakeLedger::Join(IncarnationId incarnation, LockMode mode,
                                                           absl::Span<const ReservationClaim> claims) {
  RETURN_IF_ERROR(CheckDistinctIds(claims));
  std::vector<CommitResult> results(claims.size());
  std::vector<ReservationClaim> passed;
  std::vector<size_t> places;  // of those that have passed
  EarlierOfBatch earlier;
  for (size_t i = 0; i < claims.size(); ++i) {
    const ReservationClaim& claim = claims[i];
    Refusal refusal = Refusal::kNone;
    bool awaits = false;
    // Commit has the answers about ids that exist and SKUs that do not.
    const bool is_new = !reservations_.contains(claim.reservation_id) && skus_.contains(claim.sku_id);
    if (claim.group != nullptr && is_new) {
      refusal = LookAtGroup(claim);
      const bool opens = groups_.Find(claim.group->group_id) == nullptr;
      const bool may_join_then =
          refusal == Refusal::kGroupNotFound || (refusal == Refusal::kTooManyGroups && HasOpened(claim));
      awaits = refusal == Refusal::kNone ? earlier.Awaits(claim, opens)
                                         : may_join_then && earlier.Opens(claim.group->group_id);
    }
    if (awaits) {
      results[i].outcome = CommitOutcome::kDepends;
    } else if (refusal != Refusal::kNone) {
      results[i] = RefusedClaim(refusal);
      if (refusal == Refusal::kTooManyGroups) results[i].about = HasOpened(claim) ? "user" : "sku";
    } else {
      passed.push_back(claim);
      places.push_back(i);
    }
  }
  ASSIGN_OR_RETURN(auto booked, Commit(incarnation, mode, passed));
  for (size_t i = 0; i < passed.size(); ++i) {
    CommitResult& result = results[places[i]];
    result = booked[i];
    const bool joined = passed[i].group != nullptr && result.outcome == CommitOutcome::kCreated;
    if (joined) Enrol(passed[i], &result.reservation);
  }
  for (size_t i = 0; i < claims.size(); ++i) {
    if (results[i].outcome != CommitOutcome::kDepends) continue;
    const CommitResult* const refused = RefusedToBuyer(claims[i], passed, booked);
    if (refused != nullptr) results[i] = *refused;
  }
  return results;
}

void FakeLedger::Enrol(const ReservationClaim& claim, Reservation* answer) {
  const GroupJoin& join = *claim.group;
  Reservation& row = FindStored(claim.reservation_id)->reservation;
  const Group* group = groups_.Find(join.group_id);
  if (group == nullptr) {
    const GroupOffer& offer = groups_.offers.at({claim.sku_id, join.offer_id});
    group = &groups_.Open({.group_id = join.group_id,
                           .sku_id = claim.sku_id,
                           .offer_id = join.offer_id,
                           .seats = offer.seats,
                           .price_minor = offer.price_minor,
                           .currency = row.currency,
                           .opened_by = claim.user_id,
                           .created_at = row.created_at,
                           .deadline_at = row.created_at + offer.open_for});
  }
  const GroupOffer& offer = groups_.offers.at({group->sku_id, group->offer_id});
  row.group_id = group->group_id;
  due_.erase({row.expires_at, row.reservation_id});
  row.amount_minor = offer.price_minor * row.quantity;
  row.expires_at = std::min(row.created_at + offer.pay_within, group->deadline_at);
  due_.insert({row.expires_at, row.reservation_id});
  groups_.Enrol(group->group_id,
                {.user_id = row.user_id, .reservation_id = row.reservation_id, .joined_at = row.created_at});
  *answer = row;
}

}  // namespace tranche::storage
