#include "quota/balancer/sale_events.h"

#include <iterator>

namespace tranche::quota {
namespace {

bool IsOver(SaleState state) { return state == SaleState::kClosed || state == SaleState::kEnded; }

// What it is called that a sale goes from one state to another; nullptr: that is no event.
const char* EventName(SaleState from, SaleState to) {
  switch (to) {
    case SaleState::kNotYet:
      return nullptr;
    case SaleState::kOnSale:
      return from == SaleState::kSoldOut ? "sale.on_sale_again" : "sale.opened";
    case SaleState::kSoldOut:
      return "sale.sold_out";
    case SaleState::kClosed:
      return "sale.closed";
    case SaleState::kEnded:
      return "sale.ended";
  }
  return nullptr;
}

}  // namespace

SaleSight SightOf(const storage::Sku& sku, absl::Time now) {
  SaleSight sight{.sku_id = sku.sku_id,
                  .stock = sku.stock,
                  .unsold = sku.unsold,
                  .held = sku.holds_may_lapse,
                  .opens_at = sku.opens_at,
                  .closes_at = sku.closes_at};
  if (sku.closed) {
    sight.state = SaleState::kClosed;
  } else if (now >= sku.closes_at) {
    sight.state = SaleState::kEnded;
  } else if (now >= sku.opens_at) {
    sight.state = sku.unsold > 0 ? SaleState::kOnSale : SaleState::kSoldOut;
  }
  return sight;
}

void SaleEvents::BeginPass() { in_pass_ = true; }

void SaleEvents::EndPass() {
  // One that was under way when we began to lead has not seen all.
  if (!in_pass_) return;
  in_pass_ = false;
  learning_ = false;
  for (auto sku = skus_.begin(); sku != skus_.end();) {
    const auto next = std::next(sku);
    if (sku->second.pass != pass_) Drop(sku);
    sku = next;
  }
  ++pass_;
}

void SaleEvents::Forget() {
  skus_.clear();
  due_.clear();
  learning_ = true;
  in_pass_ = false;
}

std::vector<SaleEvent> SaleEvents::See(const SaleSight& sight, absl::Time now) {
  std::vector<SaleEvent> events;
  auto sku = skus_.find(sight.sku_id);
  if (sku == skus_.end()) {
    // One whose sale is over has nothing more to tell, and there may be very many.
    if (IsOver(sight.state) || full()) return events;
    sku = Learn(sight);
  }
  sku->second.seen = sight;
  sku->second.pass = pass_;
  Follow(sku, now, events);
  return events;
}

SaleEvents::Skus::iterator SaleEvents::Learn(const SaleSight& sight) {
  const auto sku = skus_.try_emplace(sight.sku_id).first;
  if (!learning_) return sku;
  Known& known = sku->second;
  known.told = sight.state;
  known.told_held = sight.held;
  if (sight.state != SaleState::kNotYet) known.opened_at = sight.opens_at;
  return sku;
}

std::vector<SaleEvent> SaleEvents::Tick(absl::Time now) {
  std::vector<SaleEvent> events;
  for (size_t i = 0; i < kMostPerTick && !due_.empty() && due_.begin()->first <= now; ++i) {
    const auto sku = skus_.find(due_.begin()->second);
    SaleSight& seen = sku->second.seen;
    if (now >= seen.closes_at) {
      seen.state = SaleState::kEnded;
    } else {
      seen.state = seen.unsold > 0 ? SaleState::kOnSale : SaleState::kSoldOut;
    }
    Follow(sku, now, events);
  }
  return events;
}

// Tells what has changed since it was last told.
void SaleEvents::Follow(Skus::iterator sku, absl::Time now, std::vector<SaleEvent>& events) {
  Known& known = sku->second;
  const SaleState state = known.seen.state;
  if (IsNews(known, now)) {
    // It opened and was sold out between two looks.
    if (known.told == SaleState::kNotYet && state == SaleState::kSoldOut) {
      Tell(EventName(known.told, SaleState::kOnSale), known, now, events);
      known.told = SaleState::kOnSale;
    }
    const bool repeats = known.told == SaleState::kSoldOut && !IsOver(state);
    if (repeats) known.quiet_until = now + kQuiet;
    if (const char* const name = EventName(known.told, state); name != nullptr) Tell(name, known, now, events);
    known.told = state;
    known.told_held = known.seen.held;
  }
  if (IsOver(state)) return Drop(sku);
  SetDue(sku);
}

bool SaleEvents::IsNews(const Known& known, absl::Time now) const {
  const SaleState state = known.seen.state;
  const bool all_paid = state == SaleState::kSoldOut && known.told_held && !known.seen.held;
  if (state == known.told && !all_paid) return false;
  // A unit that comes back and is sold again is news only now and then.
  const bool repeats = known.told == SaleState::kSoldOut && !IsOver(state);
  return !repeats || now >= known.quiet_until || now < known.quiet_until - kQuiet;
}

void SaleEvents::Tell(const char* name, Known& known, absl::Time now, std::vector<SaleEvent>& events) {
  const SaleSight& seen = known.seen;
  const bool opens = known.told == SaleState::kNotYet && !IsOver(seen.state);
  if (opens) known.opened_at = seen.opens_at == absl::InfinitePast() ? now : seen.opens_at;
  SaleEvent event{.name = name, .sku_id = seen.sku_id, .units = seen.stock, .unsold = seen.unsold, .held = seen.held};
  if (!opens && known.opened_at != absl::InfinitePast()) event.since_opened = now - known.opened_at;
  events.push_back(std::move(event));
}

void SaleEvents::SetDue(Skus::iterator sku) {
  Known& known = sku->second;
  const absl::Time due = known.seen.state == SaleState::kNotYet ? known.seen.opens_at : known.seen.closes_at;
  if (due == known.due) return;
  if (known.due != absl::InfiniteFuture()) due_.erase({known.due, sku->first});
  known.due = due;
  if (due != absl::InfiniteFuture()) due_.insert({due, sku->first});
}

void SaleEvents::Drop(Skus::iterator sku) {
  if (sku->second.due != absl::InfiniteFuture()) due_.erase({sku->second.due, sku->first});
  skus_.erase(sku);
}

}  // namespace tranche::quota
