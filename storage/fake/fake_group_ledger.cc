// FakeLedger's part for offers, for what is read of groups, and for their retention and verification.
#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::storage {
namespace {

bool ValidOfferId(const std::string& id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

bool ValidTime(absl::Duration time) { return time >= absl::Seconds(1) && time <= kLongestGroup; }

// The CHECK constraints of the table group_offer.
absl::Status CheckOffer(const GroupOffer& offer) {
  constexpr int64_t kMostPrice = 1'000'000'000'000;
  const auto invalid = [&offer](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("offer ", offer.offer_id, ": invalid ", what));
  };
  if (!ValidOfferId(offer.offer_id)) return invalid("id");
  if (offer.seats < kLeastSeats || offer.seats > kMostSeats) return invalid("number of seats");
  if (offer.price_minor < 0 || offer.price_minor > kMostPrice) return invalid("price");
  if (!ValidTime(offer.open_for) || !ValidTime(offer.pay_within)) return invalid("time");
  if (offer.min_members < 1 || offer.min_members > offer.seats) return invalid("number of members");
  return absl::OkStatus();
}

bool IsAsAsked(const GroupOffer& offer, const GroupOffer& asked) {
  const auto values = [](const GroupOffer& one) {
    return std::make_tuple(one.seats, one.price_minor, one.open_for, one.pay_within, one.on_timeout, one.min_members);
  };
  return values(offer) == values(asked);
}

bool IsWanted(const Group& group, const GroupFilter& filter) {
  return group.sku_id == filter.sku_id && (filter.offer_id.empty() || group.offer_id == filter.offer_id) &&
         (filter.states.empty() || absl::c_linear_search(filter.states, group.state));
}

// Members are told in this order first: with a seat, live, and the others.
int RankOf(const GroupMember& member) {
  if (member.seat != 0) return 0;
  const bool live = member.reservation_state == ReservationState::kPending ||
                    member.reservation_state == ReservationState::kConfirmed;
  return live ? 1 : 2;
}

std::string OfferJson(const GroupOffer& offer) {
  return absl::StrCat("{\"offer\": \"", offer.offer_id,
                      "\", \"closed\": ", offer.closed_at.has_value() ? "true" : "false", "}");
}

}  // namespace

absl::StatusOr<GroupOffer> FakeLedger::CreateGroupOffer(const GroupOffer& offer, bool preview, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckOffer(offer));
  ASSIGN_OR_RETURN(const SkuState* const state, Find(offer.sku_id));
  GroupOffer asked = offer;
  asked.currency = state->sku.currency;
  asked.created_at = DatabaseNow();
  asked.closed_at.reset();
  const auto present = groups_.offers.find({offer.sku_id, offer.offer_id});
  if (present != groups_.offers.end()) {
    if (IsAsAsked(present->second, asked)) return present->second;
    return absl::AlreadyExistsError(absl::StrCat(offer.sku_id, " has another offer ", offer.offer_id));
  }
  const auto of_sku =
      absl::c_count_if(groups_.offers, [&](const auto& entry) { return entry.first.first == offer.sku_id; });
  if (of_sku >= kMostOffers) {
    return absl::ResourceExhaustedError(absl::StrCat(offer.sku_id, " has as many offers as it may"));
  }
  if (preview) return asked;
  Audit(actor, "create_group_offer", offer.sku_id, kPool, "{}", OfferJson(asked));
  return groups_.offers.emplace(std::make_pair(offer.sku_id, offer.offer_id), std::move(asked)).first->second;
}

absl::StatusOr<GroupOffer> FakeLedger::CloseGroupOffer(const std::string& sku_id, const std::string& offer_id,
                                                       bool preview, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(Find(sku_id).status());
  const auto present = groups_.offers.find({sku_id, offer_id});
  if (present == groups_.offers.end()) {
    return absl::FailedPreconditionError(absl::StrCat(sku_id, " has no offer ", offer_id));
  }
  if (present->second.closed_at.has_value()) return present->second;
  GroupOffer closed = present->second;
  closed.closed_at = DatabaseNow();
  if (preview) return closed;
  Audit(actor, "close_group_offer", sku_id, kPool, OfferJson(present->second), OfferJson(closed));
  present->second = closed;
  return closed;
}

absl::StatusOr<std::vector<GroupOffer>> FakeLedger::ListGroupOffers(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (!sku_id.empty()) RETURN_IF_ERROR(Find(sku_id).status());
  std::vector<GroupOffer> offers;
  for (const auto& [key, offer] : groups_.offers) {
    if (sku_id.empty() || key.first == sku_id) offers.push_back(offer);
  }
  return offers;
}

absl::StatusOr<GroupWithMembers> FakeLedger::GetGroup(const Uuid& group_id, const GroupLookup& lookup) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const Group* const group = groups_.Find(group_id);
  if (group == nullptr || (!lookup.sku_id.empty() && group->sku_id != lookup.sku_id)) {
    return absl::NotFoundError(absl::StrCat("no group ", group_id.ToString()));
  }
  GroupWithMembers told{.group = *group, .members = {}};
  if (lookup.members == GroupLookup::Members::kNone) return told;
  for (const GroupMember* stored : groups_.MembersOf(group_id)) {
    if (lookup.members == GroupLookup::Members::kOne && stored->user_id != lookup.user_id) continue;
    GroupMember member = *stored;
    if (const StoredReservation* hold = FindStored(member.reservation_id); hold != nullptr) {
      member.quantity = hold->reservation.quantity;
      member.reservation_state = hold->reservation.state;
    }
    told.members.push_back(std::move(member));
  }
  absl::c_stable_sort(told.members, [](const GroupMember& a, const GroupMember& b) {
    return std::make_pair(RankOf(a), a.joined_at) < std::make_pair(RankOf(b), b.joined_at);
  });
  if (told.members.size() > size_t{kMaxGroupPage}) told.members.resize(size_t{kMaxGroupPage});
  return told;
}

absl::StatusOr<GroupPage> FakeLedger::ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) {
  CHECK(limit >= 1 && limit <= kMaxGroupPage);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(Find(filter.sku_id).status());
  const auto place = [](const Group& group) { return std::make_pair(group.deadline_at, group.group_id); };
  GroupPage page;
  for (const auto& [_, group] : groups_.groups()) {
    const bool comes_after = std::make_pair(after.deadline_at, after.group_id) < place(group);
    if (comes_after && IsWanted(group, filter)) page.groups.push_back(group);
  }
  absl::c_sort(page.groups, [&](const Group& a, const Group& b) { return place(a) < place(b); });
  if (page.groups.size() <= static_cast<size_t>(limit)) return page;
  page.groups.resize(static_cast<size_t>(limit));
  page.next = GroupCursor{.deadline_at = page.groups.back().deadline_at, .group_id = page.groups.back().group_id};
  return page;
}

absl::StatusOr<GroupCounts> FakeLedger::CountGroups() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time overdue = DatabaseNow() - kGroupOverdue;
  GroupCounts counts;
  counts.forming = static_cast<int64_t>(groups_.due().size());
  counts.overdue = absl::c_count_if(groups_.due(), [&](const auto& entry) { return entry.first <= overdue; });
  for (const Uuid& group_id : groups_.unsettled) {
    if (*groups_.Find(group_id)->finished_at <= overdue) ++counts.overdue;
  }
  counts.forming = std::min<int64_t>(counts.forming, kMostCounted);
  counts.overdue = std::min<int64_t>(counts.overdue, kMostCounted);
  return counts;
}

absl::StatusOr<int64_t> FakeLedger::RetireGroups(absl::Duration age, int limit) {
  CHECK_GE(limit, 1);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (age < kLeastRetention) return absl::InvalidArgumentError("groups are kept for a day");
  std::vector<std::pair<absl::Time, Uuid>> old;
  for (const auto& [group_id, group] : groups_.groups()) {
    const bool ended_then = group.finished_at.has_value() && *group.finished_at < DatabaseNow() - age;
    if (ended_then && !groups_.unsettled.contains(group_id)) old.emplace_back(*group.finished_at, group_id);
  }
  absl::c_sort(old);
  if (old.size() > static_cast<size_t>(limit)) old.resize(static_cast<size_t>(limit));
  for (const auto& [_, group_id] : old) groups_.Remove(group_id);
  return static_cast<int64_t>(old.size());
}

bool FakeLedger::IsWhatWasPaid(const Group& group, const GroupMember& seated, const Reservation& row) const {
  switch (group.state) {
    case GroupState::kForming:
      return row.state == ReservationState::kPending;
    case GroupState::kFilled:
      return row.state == ReservationState::kConfirmed && row.payment_reference == seated.payment_reference;
    case GroupState::kFailed:
    case GroupState::kCancelled:
      break;
  }
  return row.state == ReservationState::kCancelled &&
         late_payments_.contains({row.reservation_id, seated.payment_reference});
}

// The rules of verify_groups.sql, without those that cannot be broken here.
void FakeLedger::VerifyGroups(const std::string& sku_id, const Violated& violated) const {
  for (const auto& [group_id, group] : groups_.groups()) {
    if (group.sku_id != sku_id) continue;
    const std::string name = absl::StrCat("group ", group_id.ToString());
    int32_t paid = 0;
    for (const GroupMember* member : groups_.MembersOf(group_id)) {
      const bool seated = member->seat != 0;
      paid += seated ? 1 : 0;
      const auto hold = reservations_.find(member->reservation_id);
      if (hold == reservations_.end()) continue;
      const Reservation& row = hold->second.reservation;
      const std::string of = absl::StrCat(row.reservation_id.ToString(), " of ", name);
      if (seated && !IsWhatWasPaid(group, *member, row)) violated("group_payment", of);
      if (!seated && row.state == ReservationState::kConfirmed) violated("group_member", of);
      const bool settled = group.state != GroupState::kForming && !groups_.unsettled.contains(group_id);
      if (settled && row.state == ReservationState::kPending) violated("group_settled", of);
    }
    if (paid != group.seats_taken || paid > group.seats) {
      violated("group_seats", absl::StrCat(name, ": ", group.seats_taken, " seats are taken, and ", paid, " paid"));
    }
  }
}

}  // namespace tranche::storage
