// Of DoorChecker: whom the lottery or the room lets in.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/door/door_checker.h"

namespace tranche::simulation {
namespace {

constexpr uint64_t kFirstRankOfTheLate = uint64_t{1} << 63;

}  // namespace

DoorChecker::Place DoorChecker::PlaceOf(const Case& about) const {
  Place place;
  const Node& node = nodes_[static_cast<size_t>(about.node)];
  if (const auto told = node.told.find({about.asks.sku_id, about.terms.round}); told != node.told.end()) {
    place.threshold = told->second;
  }
  const auto kept = tickets_.find(about.asks.ticket);
  if (IsGood(tickets_, about.asks.ticket, about) && kept->second.round == about.terms.round) {
    place.ticket = kept->second;
    place.ticket.shuffled = place.ticket.shuffled || !about.asks.sale_open;
  } else {
    place.ticket = {.sku_id = about.asks.sku_id,
                    .user_id = about.asks.user_id,
                    .round = about.terms.round,
                    .shuffled = !about.asks.sale_open,
                    .joined_at = about.now};
  }
  // It is sealed again at each try.
  place.ticket.key = about.books.current_key;
  place.rank = place.ticket.shuffled
                   ? about.terms.RankOf(about.asks.sku_id, about.asks.user_id) >> 1
                   : kFirstRankOfTheLate + static_cast<uint64_t>(absl::ToUnixMicros(place.ticket.joined_at));
  return place;
}

void DoorChecker::CheckPlace(const Case& about, const Place& right, const server::RoomPlace& place) {
  if (place.rank != right.rank || place.shuffled != right.ticket.shuffled) {
    return Violated("rank", absl::StrCat(Told(about), ": has rank ", place.rank, " instead of ", right.rank));
  }
  if (place.threshold != right.threshold) {
    return Violated("threshold", absl::StrCat(Told(about), ": goes by ", place.threshold, " after it was told ",
                                              right.threshold, " in this round"));
  }
  const bool let_in = about.asks.sale_open && right.rank < right.threshold;
  if (place.let_in != let_in) {
    return Violated(let_in ? "kept out" : "let in",
                    absl::StrCat(Told(about), ": rank ", right.rank, ", threshold ", right.threshold));
  }
  if (let_in != (place.retry_after == absl::ZeroDuration())) {
    return Violated("reason",
                    absl::StrCat(Told(about), ": told to come again after ", absl::FormatDuration(place.retry_after)));
  }
  tickets_[place.ticket] = right.ticket;
}

// Who is on the list does not wait; but before the opening, nobody is let in.
bool DoorChecker::Waits(const Case& about) { return about.terms.room && !(about.listed && about.asks.sale_open); }

bool DoorChecker::IsAdmitted(const Case& about, const v1::RiskTier* tier) const {
  if (Waits(about)) {
    const Place place = PlaceOf(about);
    return about.asks.sale_open && place.rank < place.threshold;
  }
  if (about.listed || !about.terms.admitted_per_million.has_value()) return true;
  const int percent = tier != nullptr && tier->has_lottery_percent() ? tier->lottery_percent() : 100;
  return about.terms.Admits(about.terms.RankOf(about.asks.sku_id, about.asks.user_id), percent);
}

void DoorChecker::CheckAdmission(const Case& about, const v1::RiskTier* tier, const server::DoorEntry& entry) {
  const bool waits = Waits(about);
  if (entry.place.has_value() != waits) {
    return Violated("reason", absl::StrCat(Told(about), waits ? ": has no place" : ": has a place in a room"));
  }
  if (waits) CheckPlace(about, PlaceOf(about), *entry.place);
  if (about.terms.admitted_per_million.has_value()) {
    const uint64_t rank = about.terms.RankOf(about.asks.sku_id, about.asks.user_id);
    if (entry.rank != rank) Violated("rank", absl::StrCat(Told(about), ": ", entry.rank, " instead of ", rank));
  }
  const bool admitted = IsAdmitted(about, tier);
  if (entry.admitted == admitted) return;
  Violated(admitted ? "kept out" : "let in", absl::StrCat(Told(about), ": EnterSale goes by neither rank nor list"));
}

}  // namespace tranche::simulation
