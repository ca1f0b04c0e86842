// FakeLedger's part for quota and incarnations.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"
#include "storage/mutation.h"

namespace tranche::storage {
namespace {

absl::Status CheckDeltas(absl::Span<const QuotaDelta> deltas) {
  std::vector<IncarnationId> holders;
  for (const QuotaDelta& delta : deltas) holders.push_back(delta.holder);
  std::sort(holders.begin(), holders.end());
  const bool distinct = std::adjacent_find(holders.begin(), holders.end()) == holders.end();
  if (distinct && (holders.empty() || holders.front() > 0)) return absl::OkStatus();
  return absl::InvalidArgumentError("holders must be distinct incarnations");
}

// Positions of the moves in the order in which they are made: ascending by SKU.
absl::StatusOr<std::vector<size_t>> MoveOrder(absl::Span<const QuotaMove> moves) {
  std::vector<size_t> order;
  for (size_t i = 0; i < moves.size(); ++i) {
    RETURN_IF_ERROR(CheckDeltas(moves[i].deltas));
    order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [moves](size_t a, size_t b) { return moves[a].sku_id < moves[b].sku_id; });
  const auto repeated = std::adjacent_find(order.begin(), order.end(),
                                           [moves](size_t a, size_t b) { return moves[a].sku_id == moves[b].sku_id; });
  if (repeated != order.end()) return absl::InvalidArgumentError("SKUs of a batch must be distinct");
  return order;
}

// As jsonb is printed.
std::string DrainJson(bool draining, const std::optional<bool>& exit) {
  const auto text = [](bool value) { return value ? "true" : "false"; };
  return absl::StrCat("{", exit.has_value() ? absl::StrCat("\"exit\": ", text(*exit), ", ") : "",
                      "\"draining\": ", text(draining), "}");
}

}  // namespace

bool FakeLedger::IsLive(IncarnationId incarnation) const {
  const auto found = incarnations_.find(incarnation);
  return found != incarnations_.end() && !found->second.reclaimed;
}

bool FakeLedger::IsPooled(const SkuState& state) {
  return state.sku.presplit && !state.sku.closed && !state.sku.quota_frozen && state.pool().remaining > 0;
}

void FakeLedger::ListIfPooled(const SkuState& state) {
  if (IsPooled(state)) {
    pooled_.insert(state.sku.sku_id);
  } else {
    pooled_.erase(state.sku.sku_id);
  }
}

HeldSlice FakeLedger::SumOf(IncarnationId holder, absl::Span<Slot* const> slots) {
  HeldSlice slice{.holder = holder};
  for (const Slot* slot : slots) {
    slice.allotted += slot->allotted;
    slice.remaining += slot->remaining;
    slice.version = std::max(slice.version, slot->version);
  }
  return slice;
}

QuotaSnapshot FakeLedger::Quota(const SkuState& state) {
  QuotaSnapshot quota{state.sku.sku_id, state.sku.quota_version, state.sku.closed, {}};
  quota.slices.reserve(state.slices.size() + 1);
  const Slot& pool = state.pool();
  quota.slices.push_back({kPool, pool.allotted, pool.remaining, pool.version});
  for (const auto& [holder, slots] : state.slices) quota.slices.push_back(SumOf(holder, slots));
  return quota;
}

absl::StatusOr<std::vector<SkuQuota>> FakeLedger::ReadQuotas(absl::Span<const std::string> sku_ids) {
  CHECK_LE(sku_ids.size(), static_cast<size_t>(kMaxQuotaBatch));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const std::set<std::string> wanted(sku_ids.begin(), sku_ids.end());
  std::vector<SkuQuota> quotas;
  for (const std::string& sku_id : wanted) {
    const auto found = skus_.find(sku_id);
    if (found != skus_.end()) quotas.push_back({Read(found->second), Quota(found->second)});
  }
  return quotas;
}

void FakeLedger::Withdraw(SkuState& state, const QuotaDelta& delta) {
  const auto slice = state.slices.find(delta.holder);
  if (slice == state.slices.end()) return;
  std::vector<Slot*> held = slice->second;
  std::stable_sort(held.begin(), held.end(), [](const Slot* a, const Slot* b) { return a->remaining > b->remaining; });
  int64_t wanted = -delta.units;
  for (Slot* slot : held) {
    const int64_t units = std::min(wanted, slot->remaining);
    if (units == 0) continue;
    slot->Move(-units, state.sku.quota_version);
    state.pool().Move(units, state.sku.quota_version);
    wanted -= units;
  }
}

// A slice gets all its slots at its first deposit; new slices are numbered in the order of their holders.
void FakeLedger::AddSlots(SkuState& state, absl::Span<const QuotaDelta> deltas) {
  std::set<IncarnationId> receivers;
  for (const QuotaDelta& delta : deltas) {
    if (delta.units > 0 && IsLive(delta.holder) && !state.slices.contains(delta.holder)) receivers.insert(delta.holder);
  }
  for (const IncarnationId holder : receivers) {
    held_skus_[holder].insert(state.sku.sku_id);
    std::vector<Slot*>& slice = state.slices[holder];
    for (int i = 0; i < state.sku.slots_per_slice; ++i) {
      const int number = state.slots.rbegin()->first + 1;
      Slot& slot = state.slots[number];
      slot = Slot{number, holder, 0, 0, state.sku.quota_version};
      slice.push_back(&slot);
    }
  }
}

void FakeLedger::Deposit(SkuState& state, const QuotaDelta& delta) {
  const int64_t units = std::min(delta.units, state.pool().remaining);
  if (units == 0) return;
  std::vector<Slot*> held = state.slices.at(delta.holder);
  std::stable_sort(held.begin(), held.end(), [](const Slot* a, const Slot* b) { return a->remaining < b->remaining; });
  const int64_t count = static_cast<int64_t>(held.size());
  for (int64_t i = 0; i < count; ++i) {
    held[static_cast<size_t>(i)]->Move(units / count + (i < units % count ? 1 : 0), state.sku.quota_version);
  }
  state.pool().Move(Mutated(Mutation::kMoveLosesUnits) ? -units - 1 : -units, state.sku.quota_version);
}

std::string FakeLedger::Holdings(const SkuState& state, absl::Span<const QuotaDelta> deltas) {
  std::vector<IncarnationId> holders;
  for (const QuotaDelta& delta : deltas) holders.push_back(delta.holder);
  std::sort(holders.begin(), holders.end());
  std::string json = absl::StrCat("{\"0\": ", state.pool().remaining);
  for (const IncarnationId holder : holders) {
    const auto slice = state.slices.find(holder);
    if (slice == state.slices.end()) continue;
    absl::StrAppend(&json, ", \"", holder, "\": ", SumOf(holder, slice->second).remaining);
  }
  json.push_back('}');
  return json;
}

absl::StatusOr<SkuQuota> FakeLedger::Move(const QuotaMove& move, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto found, Find(move.sku_id));
  SkuState& state = *found;
  const bool checked = move.expected_quota_version.has_value() && !Mutated(Mutation::kNoExpectedVersion);
  if (checked && *move.expected_quota_version != state.sku.quota_version) {
    return absl::AbortedError(absl::StrCat("the quota of ", move.sku_id, " has changed meanwhile"));
  }
  std::string before = actor.empty() ? "" : Holdings(state, move.deltas);
  ++state.sku.quota_version;
  state.pool().version = state.sku.quota_version;
  for (const QuotaDelta& delta : move.deltas) {
    if (delta.units < 0) Withdraw(state, delta);
  }
  AddSlots(state, move.deltas);
  for (const QuotaDelta& delta : move.deltas) {
    if (delta.units > 0 && IsLive(delta.holder)) Deposit(state, delta);
  }
  ListIfPooled(state);
  if (!actor.empty()) {
    Audit(actor, "move_units", move.sku_id, kPool, std::move(before), Holdings(state, move.deltas));
  }
  return SkuQuota{Read(state), Quota(state)};
}

absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> FakeLedger::MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                                 const Actor& actor) {
  CHECK_LE(moves.size(), static_cast<size_t>(kMaxQuotaBatch));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto order, MoveOrder(moves));
  std::vector<absl::StatusOr<SkuQuota>> results(moves.size());
  for (const size_t i : order) results[i] = Move(moves[i], actor);
  return results;
}

absl::StatusOr<PoolTake> FakeLedger::TakeFromPool(const PoolRequest& request) {
  CHECK_GE(request.wanted, 1);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto found, Find(request.sku_id));
  SkuState& state = *found;
  PoolTake take;
  const auto asks = incarnations_.find(request.incarnation);
  take.ended = asks != incarnations_.end() && asks->second.reclaimed;
  const bool may_take =
      IsLive(request.incarnation) && !asks->second.incarnation.draining && !state.sku.closed && !state.sku.quota_frozen;
  if (may_take && state.pool().remaining >= request.wanted) {
    const int64_t nodes = std::count_if(incarnations_.begin(), incarnations_.end(),
                                        [](const auto& entry) { return !entry.second.reclaimed; });
    take.taken = std::max(request.wanted, state.pool().remaining / (2 * nodes));
    RETURN_IF_ERROR(Move({request.sku_id, {{request.incarnation, take.taken}}, std::nullopt}, "").status());
  }
  take.sku = Read(state);
  const auto slice = state.slices.find(request.incarnation);
  take.slice = slice == state.slices.end() ? HeldSlice{request.incarnation} : SumOf(request.incarnation, slice->second);
  return take;
}

absl::StatusOr<std::vector<std::string>> FakeLedger::ListPooledSkus(const std::string& after, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<std::string> pooled;
  for (auto it = pooled_.upper_bound(after); it != pooled_.end() && static_cast<int>(pooled.size()) < limit; ++it) {
    pooled.push_back(*it);
  }
  return pooled;
}

absl::StatusOr<std::vector<std::string>> FakeLedger::ListReturnedSkus(const std::string& after, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<std::string> returned;
  for (auto it = returned_.upper_bound(after); it != returned_.end() && static_cast<int>(returned.size()) < limit;
       ++it) {
    returned.push_back(*it);
  }
  return returned;
}

absl::Status FakeLedger::AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  for (const auto& [sku_id, version] : announced) {
    const auto found = skus_.find(sku_id);
    if (found != skus_.end() && found->second.sku.quota_version == version) returned_.erase(sku_id);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> FakeLedger::ListSlices(IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<std::pair<std::string, HeldSlice>> slices;
  const auto held = held_skus_.find(incarnation);
  if (held == held_skus_.end()) return slices;
  for (const std::string& sku_id : held->second) {
    slices.emplace_back(sku_id, SumOf(incarnation, skus_.at(sku_id).slices.at(incarnation)));
  }
  return slices;
}

absl::StatusOr<IncarnationId> FakeLedger::RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                              bool draining) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (node_name.empty() || node_name.size() > 128) return absl::InvalidArgumentError("malformed node name");
  if (address.empty() || address.size() > 256) return absl::InvalidArgumentError("malformed address");
  const IncarnationId id = next_incarnation_++;
  incarnations_[id].incarnation = Incarnation{id, node_name, address, DatabaseNow(), draining};
  if (draining) {
    Audit(Actor::Process(node_name), "register_incarnation", "", id, "{}", "{\"draining\": true}");
  }
  return id;
}

absl::StatusOr<LedgerMark> FakeLedger::Mark(const std::optional<LedgerMark>& earlier) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  LedgerMark mark{.line = line_, .count = marks_};
  const bool goes_on = !earlier.has_value() || (IsSameHistory(*earlier, mark) && earlier->count <= mark.count);
  if (goes_on || Mutated(Mutation::kMarkCountsRegardless)) mark.count = ++marks_;
  return mark;
}

absl::StatusOr<IncarnationId> FakeLedger::BeginHistory(IncarnationId above, const Actor& actor) {
  constexpr IncarnationId kUnheard = 1000;
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (above > kMostBelievedIncarnation) return absl::InvalidArgumentError("no incarnation has a number like that");
  const IncarnationId last = next_incarnation_;
  next_incarnation_ = std::max(above, last) + kUnheard;
  const int64_t chance = histories_++ % (int64_t{1} << kChanceBits);
  marks_ = ((chance << kHistoryBits) | next_incarnation_ % (int64_t{1} << kHistoryBits)) << kMarkBits;
  Audit(actor, "begin_history", "", kPool, absl::StrCat("{\"last_incarnation\": ", last, "}"),
        absl::StrCat("{\"first_incarnation\": ", next_incarnation_, "}"));
  return next_incarnation_;
}

absl::StatusOr<std::vector<Incarnation>> FakeLedger::ListLiveIncarnations() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<Incarnation> live;
  for (const auto& [id, stored] : incarnations_) {
    if (!stored.reclaimed) live.push_back(stored.incarnation);
  }
  return live;
}

absl::StatusOr<Incarnation> FakeLedger::SetDraining(IncarnationId incarnation, bool draining, const Actor& actor,
                                                    const DrainTelling& telling) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (!IsLive(incarnation)) return absl::NotFoundError(absl::StrCat("no live incarnation ", incarnation));
  Incarnation& stored = incarnations_.at(incarnation).incarnation;
  if (stored.draining != draining || telling.exit != telling.told_exit) {
    Audit(actor, draining ? "drain_incarnation" : "undrain_incarnation", "", incarnation,
          DrainJson(stored.draining, telling.told_exit), DrainJson(draining, telling.exit));
    stored.draining = draining;
  }
  return stored;
}

absl::StatusOr<std::vector<std::string>> FakeLedger::ReclaimIncarnation(IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (const auto found = incarnations_.find(incarnation); found != incarnations_.end()) {
    if (!found->second.reclaimed) found->second.reclaimed_at = DatabaseNow();
    found->second.reclaimed = !Mutated(Mutation::kReclaimLeavesLive);
  }
  const auto held = held_skus_.extract(incarnation);
  if (held.empty()) return std::vector<std::string>();
  for (const std::string& sku_id : held.mapped()) {
    SkuState& state = skus_.at(sku_id);
    const std::vector<QuotaDelta> deltas = {{incarnation, 0}};
    std::string before = Holdings(state, deltas);
    const auto slice = state.slices.extract(incarnation);
    ++state.sku.quota_version;
    state.pool().Move(SumOf(incarnation, slice.mapped()).remaining, state.sku.quota_version);
    for (const Slot* slot : slice.mapped()) state.slots.erase(slot->number);
    ListIfPooled(state);
    Audit(Actor::Process("reclaim"), "reclaim_incarnation", sku_id, incarnation, std::move(before),
          Holdings(state, deltas));
  }
  return std::vector<std::string>(held.mapped().begin(), held.mapped().end());
}

}  // namespace tranche::storage
