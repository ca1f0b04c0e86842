// FakeLedger's side of stock and quota.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/fake_ledger.h"

namespace tranche::storage {
namespace {

constexpr int64_t kMaxStock = 1'000'000'000;
constexpr size_t kMaxViolations = 1000;

bool ValidSkuId(const std::string& id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

bool ValidCurrency(const std::string& currency) {
  return currency.size() == 3 && std::all_of(currency.begin(), currency.end(), absl::ascii_isupper);
}

bool Between(int64_t value, int64_t low, int64_t high) { return low <= value && value <= high; }

// The CHECK constraints of the table sku.
absl::Status CheckSku(const Sku& sku) {
  const auto invalid = [&sku](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("SKU ", sku.sku_id, ": invalid ", what));
  };
  if (!ValidSkuId(sku.sku_id)) return invalid("id");
  if (sku.title.size() > 256) return invalid("title");
  if (!Between(sku.price_minor, 0, 1'000'000'000'000)) return invalid("price");
  if (!ValidCurrency(sku.currency)) return invalid("currency");
  if (!Between(sku.stock, 0, kMaxStock)) return invalid("stock");
  if (!Between(sku.per_user_limit, 1, 1000)) return invalid("per-user limit");
  if (!Between(absl::ToInt64Seconds(sku.hold), 1, 604800)) return invalid("hold");
  if (!Between(sku.slots_per_slice, 1, 64)) return invalid("number of slots per slice");
  if (sku.opens_at >= sku.closes_at) return invalid("sale window");
  return absl::OkStatus();
}

absl::Status CheckDeltas(absl::Span<const QuotaDelta> deltas) {
  std::vector<IncarnationId> holders;
  for (const QuotaDelta& delta : deltas) holders.push_back(delta.holder);
  std::sort(holders.begin(), holders.end());
  const bool distinct = std::adjacent_find(holders.begin(), holders.end()) == holders.end();
  if (distinct && (holders.empty() || holders.front() > 0)) return absl::OkStatus();
  return absl::InvalidArgumentError("holders must be distinct incarnations");
}

absl::Status CheckUnits(int64_t units) {
  return units >= 1 ? absl::OkStatus() : absl::InvalidArgumentError("units must be at least 1");
}

}  // namespace

bool FakeLedger::IsLive(IncarnationId incarnation) const {
  const auto found = incarnations_.find(incarnation);
  return found != incarnations_.end() && !found->second.reclaimed;
}

absl::StatusOr<FakeLedger::SkuState*> FakeLedger::Find(const std::string& sku_id) {
  const auto found = skus_.find(sku_id);
  if (found == skus_.end()) return absl::NotFoundError(absl::StrCat("no SKU ", sku_id));
  return &found->second;
}

Sku FakeLedger::Read(const SkuState& state) {
  Sku sku = state.sku;
  for (const auto& [number, slot] : state.slots) sku.unsold += slot.remaining;
  sku.holds_may_lapse = state.pending > 0;
  return sku;
}

QuotaSnapshot FakeLedger::Quota(const SkuState& state) {
  std::map<IncarnationId, Slice> slices;
  for (const auto& [number, slot] : state.slots) {
    Slice& slice = slices[slot.holder];
    slice.holder = slot.holder;
    slice.allotted += slot.allotted;
    slice.remaining += slot.remaining;
    slice.version = std::max(slice.version, slot.version);
  }
  QuotaSnapshot quota{state.sku.sku_id, state.sku.quota_version, state.sku.closed, {}};
  for (const auto& [holder, slice] : slices) quota.slices.push_back(slice);
  return quota;
}

absl::StatusOr<Sku> FakeLedger::CreateSku(const Sku& sku, const std::string& actor) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  if (absl::Status valid = CheckSku(sku); !valid.ok()) return valid;
  const auto [position, inserted] = skus_.try_emplace(sku.sku_id);
  if (!inserted) return absl::AlreadyExistsError(absl::StrCat("SKU ", sku.sku_id, " exists"));
  SkuState& state = position->second;
  state.sku = sku;
  state.sku.hold = absl::Seconds(absl::ToInt64Seconds(sku.hold));
  state.sku.closed = false;
  state.sku.unsold = 0;
  state.sku.quota_version = 1;
  state.sku.holds_may_lapse = false;
  state.slots[0].Move(sku.stock, 1);
  return Read(state);
}

absl::StatusOr<Sku> FakeLedger::GetSku(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  const auto state = Find(sku_id);
  if (!state.ok()) return state.status();
  return Read(**state);
}

absl::StatusOr<std::vector<Sku>> FakeLedger::ListSkus(const std::string& after, int limit) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  std::vector<Sku> skus;
  for (auto it = skus_.upper_bound(after); it != skus_.end() && static_cast<int>(skus.size()) < limit; ++it) {
    skus.push_back(Read(it->second));
  }
  return skus;
}

absl::StatusOr<Sku> FakeLedger::CloseSku(const std::string& sku_id, const std::string& actor) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  const auto state = Find(sku_id);
  if (!state.ok()) return state.status();
  Sku& sku = (*state)->sku;
  if (!sku.closed) {
    sku.closed = true;
    ++sku.quota_version;
  }
  return Read(**state);
}

absl::StatusOr<Sku> FakeLedger::AddStock(const std::string& sku_id, int64_t units, const std::string& actor) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  if (absl::Status valid = CheckUnits(units); !valid.ok()) return valid;
  const auto state = Find(sku_id);
  if (!state.ok()) return state.status();
  Sku& sku = (*state)->sku;
  if (units > kMaxStock - sku.stock) return absl::InvalidArgumentError("more stock than a SKU may have");
  sku.stock += units;
  ++sku.quota_version;
  (*state)->slots[0].Move(units, sku.quota_version);
  return Read(**state);
}

absl::StatusOr<ReducedStock> FakeLedger::ReduceStock(const std::string& sku_id, int64_t units,
                                                     const std::string& actor) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  if (absl::Status valid = CheckUnits(units); !valid.ok()) return valid;
  const auto state = Find(sku_id);
  if (!state.ok()) return state.status();
  Sku& sku = (*state)->sku;
  ++sku.quota_version;
  std::vector<std::pair<int, Slot*>> order;
  for (auto& [number, slot] : (*state)->slots) order.emplace_back(number, &slot);
  // The pool first, then the fullest; by number where they are equal.
  std::stable_sort(order.begin() + 1, order.end(),
                   [](const auto& a, const auto& b) { return a.second->remaining > b.second->remaining; });
  int64_t taken = 0;
  for (auto& [number, slot] : order) {
    const int64_t from_slot = std::min(slot->remaining, units - taken);
    if (from_slot == 0) continue;
    slot->Move(-from_slot, sku.quota_version);
    taken += from_slot;
  }
  sku.stock -= taken;
  return ReducedStock{Read(**state), taken};
}

absl::StatusOr<QuotaSnapshot> FakeLedger::ReadQuota(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  const auto state = Find(sku_id);
  if (!state.ok()) return state.status();
  return Quota(**state);
}

void FakeLedger::Withdraw(SkuState& state, const QuotaDelta& delta) {
  std::vector<Slot*> held;
  for (auto& [number, slot] : state.slots) {
    if (number != 0 && slot.holder == delta.holder) held.push_back(&slot);
  }
  std::stable_sort(held.begin(), held.end(), [](const Slot* a, const Slot* b) { return a->remaining > b->remaining; });
  int64_t wanted = -delta.units;
  for (Slot* slot : held) {
    const int64_t units = std::min(wanted, slot->remaining);
    if (units == 0) continue;
    slot->Move(-units, state.sku.quota_version);
    state.slots[0].Move(units, state.sku.quota_version);
    wanted -= units;
  }
}

void FakeLedger::Deposit(SkuState& state, const QuotaDelta& delta) {
  std::vector<Slot*> held;
  for (auto& [number, slot] : state.slots) {
    if (number != 0 && slot.holder == delta.holder) held.push_back(&slot);
  }
  // A slice gets all its slots at its first deposit.
  const bool first = held.empty();
  for (int i = 0; first && i < state.sku.slots_per_slice; ++i) {
    Slot& slot = state.slots[state.slots.rbegin()->first + 1];
    slot = Slot{delta.holder, 0, 0, state.sku.quota_version};
    held.push_back(&slot);
  }
  const int64_t units = std::min(delta.units, state.slots[0].remaining);
  if (units == 0) return;
  std::stable_sort(held.begin(), held.end(), [](const Slot* a, const Slot* b) { return a->remaining < b->remaining; });
  const int64_t count = static_cast<int64_t>(held.size());
  for (int64_t i = 0; i < count; ++i) {
    held[static_cast<size_t>(i)]->Move(units / count + (i < units % count ? 1 : 0), state.sku.quota_version);
  }
  state.slots[0].Move(-units, state.sku.quota_version);
}

absl::StatusOr<QuotaSnapshot> FakeLedger::MoveUnits(const std::string& sku_id, absl::Span<const QuotaDelta> deltas,
                                                    std::optional<int64_t> expected_quota_version,
                                                    const std::string& actor) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  if (absl::Status valid = CheckDeltas(deltas); !valid.ok()) return valid;
  const auto state = Find(sku_id);
  if (!state.ok()) return state.status();
  Sku& sku = (*state)->sku;
  if (expected_quota_version.has_value() && *expected_quota_version != sku.quota_version) {
    return absl::AbortedError(absl::StrCat("the quota of ", sku_id, " has changed meanwhile"));
  }
  ++sku.quota_version;
  (*state)->slots[0].version = sku.quota_version;
  for (const QuotaDelta& delta : deltas) {
    if (delta.units < 0) Withdraw(**state, delta);
  }
  for (const QuotaDelta& delta : deltas) {
    if (delta.units > 0 && IsLive(delta.holder)) Deposit(**state, delta);
  }
  return Quota(**state);
}

absl::StatusOr<std::vector<std::string>> FakeLedger::ListPooledSkus(const std::string& after, int limit) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  std::vector<std::string> pooled;
  for (auto it = skus_.upper_bound(after); it != skus_.end() && static_cast<int>(pooled.size()) < limit; ++it) {
    const SkuState& state = it->second;
    if (!state.sku.closed && state.slots.at(0).remaining > 0) pooled.push_back(it->first);
  }
  return pooled;
}

absl::StatusOr<std::vector<std::pair<std::string, Slice>>> FakeLedger::ListSlices(IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  std::vector<std::pair<std::string, Slice>> slices;
  for (const auto& [sku_id, state] : skus_) {
    for (const Slice& slice : Quota(state).slices) {
      if (slice.holder == incarnation && slice.holder != kPool) slices.emplace_back(sku_id, slice);
    }
  }
  return slices;
}

absl::StatusOr<IncarnationId> FakeLedger::RegisterIncarnation(const std::string& node_name,
                                                              const std::string& address) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  if (node_name.empty() || node_name.size() > 128) return absl::InvalidArgumentError("malformed node name");
  if (address.empty() || address.size() > 256) return absl::InvalidArgumentError("malformed address");
  const IncarnationId id = static_cast<IncarnationId>(incarnations_.size()) + 1;
  incarnations_[id].incarnation =
      Incarnation{id, node_name, address, absl::FromUnixMicros(absl::ToUnixMicros(clock_->Now()))};
  return id;
}

absl::StatusOr<std::vector<Incarnation>> FakeLedger::ListLiveIncarnations() {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  std::vector<Incarnation> live;
  for (const auto& [id, stored] : incarnations_) {
    if (!stored.reclaimed) live.push_back(stored.incarnation);
  }
  return live;
}

absl::StatusOr<std::vector<std::string>> FakeLedger::ReclaimIncarnation(IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  if (const auto found = incarnations_.find(incarnation); found != incarnations_.end()) found->second.reclaimed = true;
  std::vector<std::string> changed;
  for (auto& [sku_id, state] : skus_) {
    int64_t freed = 0;
    const size_t erased = std::erase_if(state.slots, [incarnation, &freed](const auto& entry) {
      if (entry.first == 0 || entry.second.holder != incarnation) return false;
      freed += entry.second.remaining;
      return true;
    });
    if (erased == 0) continue;
    ++state.sku.quota_version;
    state.slots[0].Move(freed, state.sku.quota_version);
    changed.push_back(sku_id);
  }
  return changed;
}

void FakeLedger::VerifySku(const SkuState& state, VerifyReport& report) const {
  const auto violated = [&](const char* rule, const std::string& detail) {
    if (report.violations.size() < kMaxViolations) report.violations.push_back({rule, state.sku.sku_id, detail});
  };
  int64_t live = 0;
  std::map<IncarnationId, int64_t> sold;
  std::map<std::string, int64_t> per_user;
  for (const auto& [id, stored] : reservations_) {
    const Reservation& reservation = stored.reservation;
    if (reservation.sku_id != state.sku.sku_id) continue;
    ++report.reservations_checked;
    sold[stored.incarnation] += reservation.quantity;
    live += reservation.quantity;
    per_user[reservation.user_id] += reservation.quantity;
  }
  int64_t unsold = 0;
  for (const Slice& slice : Quota(state).slices) {
    unsold += slice.remaining;
    if (slice.remaining < 0) violated("remaining", absl::StrCat("incarnation ", slice.holder, " has less than 0"));
    if (slice.holder == kPool) continue;
    if (!IsLive(slice.holder)) violated("live_holder", absl::StrCat("incarnation ", slice.holder, " has ended"));
    if (slice.allotted - slice.remaining != sold[slice.holder]) {
      violated("slice_spent", absl::StrCat("incarnation ", slice.holder, " sold ", sold[slice.holder]));
    }
  }
  if (state.sku.stock != unsold + live) {
    violated("conservation", absl::StrCat("stock ", state.sku.stock, " <> unsold ", unsold, " + reserved ", live));
  }
  for (const auto& [user, units] : per_user) {
    if (units > state.sku.per_user_limit) violated("user_limit", absl::StrCat("user ", user, " has ", units));
  }
}

absl::StatusOr<VerifyReport> FakeLedger::Verify(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status entered = Enter(); !entered.ok()) return entered;
  VerifyReport report;
  for (const auto& [id, state] : skus_) {
    if (!sku_id.empty() && sku_id != id) continue;
    ++report.skus_checked;
    VerifySku(state, report);
  }
  return report;
}

}  // namespace tranche::storage
