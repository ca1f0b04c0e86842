// FakeLedger's part for its health: who runs, and what waits.
#include <algorithm>

#include "absl/algorithm/container.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kForgetBeats = absl::Hours(24);
constexpr absl::Duration kTellOfEnded = absl::Hours(1);

void Add(std::optional<absl::Duration>* since, absl::Duration passed) {
  if (since->has_value()) **since += passed;
}

}  // namespace

absl::Status FakeLedger::Beat(const Heartbeat& heartbeat) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time now = DatabaseNow();
  const auto known = beats_.find(heartbeat.instance);
  const absl::Time started_at = known == beats_.end() ? now : known->second.heartbeat.started_at;
  StoredBeat& stored = beats_[heartbeat.instance];
  stored = {.heartbeat = heartbeat, .beat_at = now};
  stored.heartbeat.started_at = started_at;
  stored.heartbeat.ended = false;
  std::erase_if(beats_, [&](const auto& entry) { return entry.second.beat_at < now - kForgetBeats; });
  return absl::OkStatus();
}

absl::Status FakeLedger::EndBeat(Heartbeat::Kind kind, const Uuid& instance) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto found = beats_.find(instance);
  if (found == beats_.end() || found->second.heartbeat.kind != kind) return absl::OkStatus();
  found->second.beat_at = DatabaseNow();
  found->second.heartbeat.ended = true;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Heartbeat>> FakeLedger::Heartbeats() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<Heartbeat> heartbeats;
  for (const auto& [instance, stored] : beats_) {
    Heartbeat heartbeat = stored.heartbeat;
    heartbeat.age = DatabaseNow() - stored.beat_at;
    heartbeat.leads = heartbeat.leads && !heartbeat.ended;
    for (auto* since : {&heartbeat.since_expiry, &heartbeat.since_led, &heartbeat.since_round, &heartbeat.leads_for}) {
      Add(since, heartbeat.age);
    }
    if (heartbeat.leads) heartbeat.since_led = absl::ZeroDuration();
    if (!heartbeat.leads) heartbeat.leads_for.reset();
    heartbeats.push_back(std::move(heartbeat));
  }
  absl::c_stable_sort(heartbeats, [](const Heartbeat& a, const Heartbeat& b) { return a.age < b.age; });
  return heartbeats;
}

std::vector<const Reservation*> FakeLedger::OverdueHolds() const {
  std::vector<const Reservation*> overdue;
  for (const auto& [due_at, id] : due_) {
    if (due_at > DatabaseNow()) break;
    const Reservation& hold = reservations_.at(id).reservation;
    if (hold.state == ReservationState::kPending) overdue.push_back(&hold);
  }
  return overdue;
}

int64_t FakeLedger::UnitsHeldBy(IncarnationId incarnation) const {
  int64_t units = 0;
  for (const auto& [sku_id, state] : skus_) {
    const auto slice = state.slices.find(incarnation);
    if (slice != state.slices.end()) units += SumOf(incarnation, slice->second).remaining;
  }
  return units;
}

absl::Status FakeLedger::Ping() {
  absl::MutexLock lock(&mutex_);
  return Enter();
}

absl::StatusOr<LedgerHealth> FakeLedger::Health() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time now = DatabaseNow();
  LedgerHealth health;
  const std::vector<const Reservation*> overdue = OverdueHolds();
  health.overdue_holds = std::min<int64_t>(static_cast<int64_t>(overdue.size()), kMostCounted);
  if (!overdue.empty()) health.oldest_overdue = now - overdue.front()->expires_at;
  for (const auto& [key, decision] : late_payments_) {
    if (decision.rebooked_as.has_value()) continue;
    ++health.refunds_waiting;
    health.oldest_refund = std::max(health.oldest_refund, now - decision.received_at);
  }
  for (const auto& [id, stored] : incarnations_) {
    if (stored.reclaimed) health.stranded_units += UnitsHeldBy(id);
  }
  for (const auto& [sku_id, state] : skus_) {
    ++health.skus;
    const Sku sku = Read(state);
    if (sku.closed || now < sku.opens_at || now >= sku.closes_at) continue;
    if (sku.paused) {
      ++health.paused_skus;
      continue;
    }
    ++health.open_skus;
    if (sku.unsold == 0) ++health.sold_out_skus;
  }
  if (settings_.frozen) {
    health.frozen = true;
    health.frozen_at = settings_.changed_at;
    health.frozen_by = settings_.changed_by;
  }
  health.claims_paused = settings_.claims_paused;
  for (const std::string& sku_id : pooled_) {
    if (health.pools.size() == kMostPoolsTold) break;
    const Slot& pool = skus_.at(sku_id).pool();
    health.pools.push_back({sku_id, pool.version, pool.remaining});
  }
  if (outbox_ == nullptr) return health;
  ASSIGN_OR_RETURN(health.sinks, outbox_->Depths());
  return health;
}

absl::StatusOr<std::vector<GoneIncarnation>> FakeLedger::GoneIncarnations(absl::Span<const IncarnationId> serving) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<GoneIncarnation> gone;
  for (auto it = incarnations_.rbegin(); it != incarnations_.rend() && gone.size() < kMostGoneTold; ++it) {
    const auto& [id, stored] = *it;
    if (!stored.reclaimed && absl::c_linear_search(serving, id)) continue;
    const int64_t units = UnitsHeldBy(id);
    const bool long_ago = stored.reclaimed && DatabaseNow() - stored.reclaimed_at >= kTellOfEnded;
    if (long_ago && units == 0) continue;
    gone.push_back({.id = id,
                    .node_name = stored.incarnation.node_name,
                    .address = stored.incarnation.address,
                    .started_at = stored.incarnation.started_at,
                    .ended_at = stored.reclaimed ? std::optional(stored.reclaimed_at) : std::nullopt,
                    .units = units});
  }
  return gone;
}

absl::StatusOr<std::vector<SkuHolds>> FakeLedger::CountHolds(absl::Span<const std::string> sku_ids) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::map<std::string, SkuHolds> holds;
  for (const std::string& sku_id : sku_ids) holds[sku_id].sku_id = sku_id;
  for (const auto& [id, stored] : reservations_) {
    const auto found = holds.find(stored.reservation.sku_id);
    if (found == holds.end() || stored.reservation.state != ReservationState::kPending) continue;
    found->second.pending += stored.reservation.quantity;
  }
  for (const Reservation* hold : OverdueHolds()) {
    const auto found = holds.find(hold->sku_id);
    if (found != holds.end()) found->second.overdue += hold->quantity;
  }
  std::vector<SkuHolds> counted;
  for (auto& [_, one] : holds) counted.push_back(std::move(one));
  return counted;
}

}  // namespace tranche::storage
