#include "quota/balancer/sale_events.h"

#include <iterator>

namespace tranche::quota {
namespace {

bool IsOver(SaleState state) { return state == SaleState::kClosed || state == SaleState::kEnded; }

bool HasBegun(SaleState state) { return state == SaleState::kOnSale || state == SaleState::kSoldOut; }

// What it is called that a sale goes from one state to another; nullptr: that is no event.
const char* EventName(SaleState from, bool opened, SaleState to) {
  switch (to) {
    case SaleState::kNotYet:
      return nullptr;
    case SaleState::kPaused:
      return HasBegun(from) ? "sale.paused" : nullptr;
    case SaleState::kOnSale:
      if (from == SaleState::kSoldOut) return "sale.on_sale_again";
      return from == SaleState::kPaused && opened ? "sale.resumed" : "sale.opened";
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
  } else if (sku.paused) {
    sight.state = SaleState::kPaused;
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
    if (IsOver(sight.state)) return events;
    if (full()) {
      ++passed_over_;
      passed_over_in_ = pass_;
      return events;
    }
    sku = Learn(sight, now);
  }
  sku->second.seen = sight;
  sku->second.pass = pass_;
  Follow(sku, now, events);
  return events;
}

SaleEvents::Skus::iterator SaleEvents::Learn(const SaleSight& sight, absl::Time now) {
  const auto sku = skus_.try_emplace(sight.sku_id).first;
  // Room may have come for one that was passed over before.
  const bool may_be_old = passed_over_ > 0 && pass_ <= passed_over_in_ + 1;
  if (!learning_ && !may_be_old) return sku;
  Known& known = sku->second;
  known.told = sight.state;
  known.told_held = sight.held;
  // Of one that is paused, it is not known whether it was before its window began, too.
  known.opened = sight.opens_at <= now;
  if (known.opened) known.opened_at = sight.opens_at;
  return sku;
}

std::vector<SaleEvent> SaleEvents::Tick(absl::Time now) {
  std::vector<SaleEvent> events;
  for (size_t i = 0; i < kMostPerTick && !due_.empty() && due_.begin()->first <= now; ++i) {
    const auto sku = skus_.find(due_.begin()->second);
    SaleSight& seen = sku->second.seen;
    seen.state = seen.unsold > 0 ? SaleState::kOnSale : SaleState::kSoldOut;
    Follow(sku, now, events);
  }
  return events;
}

// Tells what has changed since it was last told.
void SaleEvents::Follow(Skus::iterator sku, absl::Time now, std::vector<SaleEvent>& events) {
  Known& known = sku->second;
  const SaleState state = known.seen.state;
  if (IsNews(known, now)) {
    // It opened, or was resumed, and was sold out between two looks.
    if (!HasBegun(known.told) && state == SaleState::kSoldOut) {
      Tell(EventName(known.told, known.opened, SaleState::kOnSale), known, now, events);
      known.told = SaleState::kOnSale;
    }
    if (Repeats(known)) known.quiet_until = now + kQuiet;
    const char* const name = EventName(known.told, known.opened, state);
    if (name != nullptr) Tell(name, known, now, events);
    if (state == SaleState::kNotYet) known.opened = false;
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
  return !Repeats(known) || now >= known.quiet_until || now < known.quiet_until - kQuiet;
}

// A unit that comes back and is sold again is news only now and then.
bool SaleEvents::Repeats(const Known& known) { return known.told == SaleState::kSoldOut && HasBegun(known.seen.state); }

void SaleEvents::Tell(const char* name, Known& known, absl::Time now, std::vector<SaleEvent>& events) {
  const SaleSight& seen = known.seen;
  const bool opens = !known.opened && HasBegun(seen.state);
  // A pause may have kept it from opening when its window began.
  const bool late = known.told == SaleState::kPaused || seen.opens_at == absl::InfinitePast();
  if (opens) known.opened_at = late ? now : seen.opens_at;
  known.opened |= opens;
  SaleEvent event{.name = name, .sku_id = seen.sku_id, .units = seen.stock, .unsold = seen.unsold, .held = seen.held};
  if (!opens && known.opened_at != absl::InfinitePast()) event.since_opened = now - known.opened_at;
  events.push_back(std::move(event));
}

void SaleEvents::SetDue(Skus::iterator sku) {
  Known& known = sku->second;
  const absl::Time due = known.seen.state == SaleState::kNotYet ? known.seen.opens_at : absl::InfiniteFuture();
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
