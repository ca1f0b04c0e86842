// FakeLedger's part for SKUs, their stock, the audit log and verification.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::storage {
namespace {

constexpr int64_t kMaxStock = 1'000'000'000;
constexpr size_t kMaxViolations = 1000;

absl::Status CheckUnits(int64_t units) {
  return units >= 1 ? absl::OkStatus() : absl::InvalidArgumentError("units must be at least 1");
}

absl::Status CheckExpected(const Sku& sku, std::optional<int64_t> expected_stock) {
  if (!expected_stock.has_value() || *expected_stock == sku.stock) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("the stock of ", sku.sku_id, " is ", sku.stock, ", not ", *expected_stock));
}

std::string StockJson(int64_t stock) { return absl::StrCat("{\"stock\": ", stock, "}"); }

// Of a SKU that begins paused, the last member of its JSON.
std::string PauseReasonOf(const Sku& sku) {
  if (!sku.paused) return "";
  const std::string text = sku.pause_reason.empty() ? "null" : absl::StrCat("\"", sku.pause_reason, "\"");
  return absl::StrCat(", \"pause_reason\": ", text);
}

// Of a SKU whose claims are not all decided at once.
std::string PathOf(const Sku& sku) {
  if (sku.claim_path == ClaimPath::kDirect) return "";
  return absl::StrCat(", \"claim_path\": \"", ClaimPathName(sku.claim_path), "\"");
}

const char* BoolText(bool value) { return value ? "true" : "false"; }

}  // namespace

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

absl::StatusOr<Sku> FakeLedger::CreateSku(const Sku& sku, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckSku(sku));
  const auto [position, inserted] = skus_.try_emplace(sku.sku_id);
  if (!inserted) return absl::AlreadyExistsError(absl::StrCat("SKU ", sku.sku_id, " exists"));
  SkuState& state = position->second;
  state.sku = sku;
  state.sku.hold = absl::Seconds(absl::ToInt64Seconds(sku.hold));
  state.sku.max_hold = absl::Seconds(absl::ToInt64Seconds(sku.max_hold));
  state.sku.closed = false;
  if (!sku.paused) state.sku.pause_reason.clear();
  state.sku.terms_version = 1;
  state.highest_limit = sku.per_user_limit;
  state.sku.quota_frozen = false;
  state.sku.unsold = 0;
  state.sku.quota_version = 1;
  state.sku.holds_may_lapse = false;
  state.slots[0].Move(sku.stock, 1);
  ListIfPooled(state);
  Audit(actor, "create_sku", sku.sku_id, kPool, "{}",
        absl::StrCat("{\"stock\": ", sku.stock, sku.paused ? ", \"paused\": true" : "",
                     ", \"presplit\": ", BoolText(sku.presplit), PathOf(sku), ", \"price_minor\": ", sku.price_minor,
                     PauseReasonOf(sku), "}"));
  return Read(state);
}

absl::StatusOr<Sku> FakeLedger::GetSku(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  return Read(*state);
}

absl::StatusOr<std::vector<Sku>> FakeLedger::ListSkus(const std::string& after, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<Sku> skus;
  for (auto it = skus_.upper_bound(after); it != skus_.end() && static_cast<int>(skus.size()) < limit; ++it) {
    skus.push_back(Read(it->second));
  }
  return skus;
}

absl::StatusOr<Sku> FakeLedger::CloseSku(const std::string& sku_id, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  Sku& sku = state->sku;
  if (!sku.closed) {
    sku.closed = true;
    NoteNewTerms(*state);
    Audit(actor, "close_sku", sku_id, kPool, "{\"state\": \"OPEN\"}", "{\"state\": \"CLOSED\"}");
  }
  return Read(*state);
}

absl::StatusOr<Sku> FakeLedger::AddStock(const std::string& sku_id, int64_t units,
                                         std::optional<int64_t> expected_stock, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckUnits(units));
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  Sku& sku = state->sku;
  RETURN_IF_ERROR(CheckExpected(sku, expected_stock));
  if (units > kMaxStock - sku.stock) return absl::InvalidArgumentError("more stock than a SKU may have");
  sku.stock += units;
  ++sku.quota_version;
  state->pool().Move(units, sku.quota_version);
  ListIfPooled(*state);
  Audit(actor, "add_stock", sku_id, kPool, StockJson(sku.stock - units), StockJson(sku.stock));
  return Read(*state);
}

absl::StatusOr<ReducedStock> FakeLedger::ReduceStock(const std::string& sku_id, int64_t units,
                                                     std::optional<int64_t> expected_stock, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckUnits(units));
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  Sku& sku = state->sku;
  RETURN_IF_ERROR(CheckExpected(sku, expected_stock));
  const int64_t taken = TakeUnits(*state, units);
  sku.stock -= taken;
  ListIfPooled(*state);
  Audit(actor, "reduce_stock", sku_id, kPool, StockJson(sku.stock + taken),
        absl::StrCat("{\"asked\": ", units, ", \"stock\": ", sku.stock, "}"));
  return ReducedStock{Read(*state), taken};
}

int64_t FakeLedger::TakeUnits(SkuState& state, int64_t units) {
  ++state.sku.quota_version;
  std::vector<std::pair<int, Slot*>> order;
  for (auto& [number, slot] : state.slots) order.emplace_back(number, &slot);
  // The pool first, then the fullest; by number where they are equal.
  std::stable_sort(order.begin() + 1, order.end(),
                   [](const auto& a, const auto& b) { return a.second->remaining > b.second->remaining; });
  int64_t taken = 0;
  for (auto& [number, slot] : order) {
    const int64_t from_slot = std::min(slot->remaining, units - taken);
    if (from_slot == 0) continue;
    slot->Move(-from_slot, state.sku.quota_version);
    taken += from_slot;
  }
  return taken;
}

absl::StatusOr<Sku> FakeLedger::SetQuotaFrozen(const std::string& sku_id, bool frozen, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  Sku& sku = state->sku;
  if (sku.quota_frozen != frozen) {
    sku.quota_frozen = frozen;
    ++sku.quota_version;
    ListIfPooled(*state);
    Audit(actor, frozen ? "freeze_quota" : "thaw_quota", sku_id, kPool,
          absl::StrCat("{\"quota_frozen\": ", BoolText(!frozen), "}"),
          absl::StrCat("{\"quota_frozen\": ", BoolText(frozen), "}"));
  }
  return Read(*state);
}

absl::StatusOr<Sku> FakeLedger::RaiseVersion(const std::string& sku_id, int64_t above, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  const int64_t before = state->sku.quota_version;
  if (!MayRaise(before, above)) return absl::InvalidArgumentError("no version is raised that far");
  const int64_t version = std::max(before, above) + 1;
  state->sku.quota_version = version;
  for (auto& [number, slot] : state->slots) slot.version = version;
  Audit(actor, "raise_version", sku_id, kPool, absl::StrCat("{\"quota_version\": ", before, "}"),
        absl::StrCat("{\"quota_version\": ", version, "}"));
  return Read(*state);
}

void FakeLedger::VerifySku(const SkuState& state, const SoldUnits& sold, VerifyReport& report) const {
  const Sku& sku = state.sku;
  const auto violated = [&](const char* rule, const std::string& detail) {
    if (report.violations.size() < kMaxViolations) report.violations.push_back({rule, sku.sku_id, detail});
  };
  ++report.skus_checked;
  report.reservations_checked += sold.reservations;
  int64_t unsold = 0;
  for (const HeldSlice& slice : Quota(state).slices) {
    unsold += slice.remaining;
    if (slice.remaining < 0) violated("remaining", absl::StrCat("incarnation ", slice.holder, " has less than 0"));
    if (slice.holder == kPool) continue;
    if (!IsLive(slice.holder)) violated("live_holder", absl::StrCat("incarnation ", slice.holder, " has ended"));
    const auto spent = sold.by_incarnation.find(slice.holder);
    const int64_t units = spent == sold.by_incarnation.end() ? 0 : spent->second;
    if (slice.allotted - slice.remaining != units) {
      violated("slice_spent", absl::StrCat("incarnation ", slice.holder, " sold ", units));
    }
  }
  if (sku.stock != unsold + sold.live_units) {
    violated("conservation", absl::StrCat("stock ", sku.stock, " <> unsold ", unsold, " + reserved ", sold.live_units));
  }
  if (pooled_.contains(sku.sku_id) != IsPooled(state)) {
    violated("pool_waiting", absl::StrCat("the pool has ", state.pool().remaining));
  }
  for (const auto& [user, units] : sold.live_by_user) {
    if (units > state.highest_limit) violated("user_limit", absl::StrCat("user ", user, " has ", units));
  }
  VerifyGroups(sku.sku_id, violated);
}

std::map<std::string, FakeLedger::SoldUnits> FakeLedger::SoldBySku() const {
  std::map<std::string, SoldUnits> sold;
  for (const auto& [id, stored] : reservations_) {
    const Reservation& reservation = stored.reservation;
    SoldUnits& of_sku = sold[reservation.sku_id];
    ++of_sku.reservations;
    of_sku.by_incarnation[stored.incarnation] += reservation.quantity;
    if (reservation.state != ReservationState::kPending && reservation.state != ReservationState::kConfirmed) continue;
    of_sku.live_units += reservation.quantity;
    of_sku.live_by_user[reservation.user_id] += reservation.quantity;
  }
  for (const auto& [key, retired] : retired_) {
    SoldUnits& of_sku = sold[key.first];
    of_sku.by_incarnation[key.second] += retired.units;
    of_sku.live_units += retired.live_units;
  }
  return sold;
}

absl::StatusOr<VerifyReport> FakeLedger::Verify(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::map<std::string, SoldUnits> sold = SoldBySku();
  VerifyReport report;
  for (const auto& [id, state] : skus_) {
    if (sku_id.empty() || sku_id == id) VerifySku(state, sold[id], report);
  }
  return report;
}

absl::StatusOr<VerifyReport> FakeLedger::VerifyPage(const VerifyPosition& after, int max_skus) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::map<std::string, SoldUnits> sold = SoldBySku();
  VerifyReport report;
  auto next = skus_.upper_bound(after.sku_id);
  std::string last;
  for (; next != skus_.end() && report.skus_checked < max_skus; ++next) {
    last = next->first;
    VerifySku(next->second, sold[last], report);
  }
  report.skus_left = std::distance(next, skus_.end());
  if (report.skus_left > 0) report.next = VerifyPosition{.shard = kHomeShard, .sku_id = last};
  return report;
}

}  // namespace tranche::storage
