#include "storage/shards/routing_stock_ledger.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/shards/sku_places.h"

namespace tranche::storage {
namespace {

// The other shards get this long to return a dead or departing node's units to their pools before its successor begins.
// If they do not manage, a balancer does it.
constexpr absl::Duration kTellOfEnd = absl::Seconds(1);
constexpr size_t kMaxMergedViolations = 1000;

// The position of a verification's last part, which compares the shards. No shard has this name; it comes after all.
constexpr char kComparison[] = "~";
// SKUs that are compared at a time: each is kept in memory as often as there are shards.
constexpr int kMostCompared = 1000;

// Home is asked in any case, as if it were the only shard.
bool IsSilent(const ShardBackend& shard) { return shard.name != kHomeShard && !shard.Answers(); }

// Asks all shards; the first error ends it.
template <typename Ask>
absl::Status AskEach(const ShardList& shards, const Ask& ask) {
  for (const auto& shard : shards) {
    if (IsSilent(*shard)) return SilentShard(*shard);
    RETURN_IF_ERROR(ask(*shard));
  }
  return absl::OkStatus();
}

// For a moment, a moved SKU is on two shards. The move has raised its version.
bool IsNewer(const Sku& a, const Sku& b) { return a.quota_version > b.quota_version; }
// For the same version of a slice, the newer copy has fewer units: they are only sold.
bool IsNewer(const HeldSlice& a, const HeldSlice& b) {
  return a.version != b.version ? a.version > b.version : a.remaining < b.remaining;
}

template <typename Value>
void KeepNewer(std::map<std::string, Value>& all, const std::string& sku_id, Value value) {
  const auto [known, inserted] = all.try_emplace(sku_id, value);
  if (!inserted && IsNewer(value, known->second)) known->second = std::move(value);
}

// Each shard's list of ids ascends, so the first `limit` of all are among the first `limit` of each.
template <typename List>
absl::StatusOr<std::vector<std::string>> ListIds(const ShardList& shards, size_t limit, const List& list) {
  std::set<std::string> all;
  const absl::Status listed = AskEach(shards, [&](ShardBackend& shard) {
    const absl::StatusOr<std::vector<std::string>> ids = list(*shard.stock);
    if (ids.ok()) all.insert(ids->begin(), ids->end());
    return ids.status();
  });
  if (!listed.ok()) return listed;
  const auto end = all.size() > limit ? std::next(all.begin(), static_cast<std::ptrdiff_t>(limit)) : all.end();
  return std::vector<std::string>(all.begin(), end);
}

void NameShard(const ShardBackend& shard, VerifyReport& report) {
  if (shard.name == kHomeShard) return;
  for (LedgerViolation& violation : report.violations) absl::StrAppend(&violation.detail, " (shard ", shard.name, ")");
}

// The order in which shards are verified: home, then the others by name.
bool IsBefore(absl::string_view a, absl::string_view b) {
  if (a == b || b == kHomeShard) return false;
  return a == kHomeShard || a < b;
}

// For the id of a SKU that is taken: by one on another shard?
absl::Status TellWhere(ShardBackend& home, const std::string& sku_id, const absl::Status& taken) {
  const auto where = home.whereabouts->Where(sku_id);
  if (!where.ok() || where->place != SkuWhereabouts::Place::kGone) return taken;
  return AtShard(taken, where->other_shard);
}

// Adds what is wrong with a SKU that is not on exactly one shard.
absl::Status JudgePlaces(const ShardList& shards, const std::string& sku_id, const SkuPlaces& places,
                         VerifyReport& report) {
  const LookAtSku look_again = [&] { return LookAt(shards, sku_id); };
  ASSIGN_OR_RETURN(const std::string several, OnSeveralShards(places, look_again));
  if (!several.empty()) report.violations.push_back({"sku_on_several_shards", sku_id, absl::StrCat("on ", several)});
  ASSIGN_OR_RETURN(const std::string none, OnNoShard(places, look_again));
  if (!none.empty()) report.violations.push_back({"sku_on_no_shard", sku_id, none});
  return absl::OkStatus();
}

// What all shards list of the next SKUs.
struct PlacesPage {
  std::map<std::string, SkuPlaces> places;
  std::string last;  // up to here all shards were asked; "": there are no more
};

// A shard that lists as many as were asked for may have more behind the last one. Home comes first and lists nearly all
// ids, so little is read of the others that the page does not keep.
absl::StatusOr<PlacesPage> ListPlaces(const ShardList& shards, const std::string& after, int limit) {
  PlacesPage page;
  SkuPlaces unknown;
  for (const auto& shard : shards) unknown.push_back({shard->name, {}});
  for (size_t i = 0; i < shards.size(); ++i) {
    if (IsSilent(*shards[i])) return SilentShard(*shards[i]);
    ASSIGN_OR_RETURN(const auto listed, shards[i]->whereabouts->ListWhereabouts(after, limit));
    for (const ListedWhereabouts& sku : listed) {
      if (!page.last.empty() && sku.sku_id > page.last) break;
      page.places.try_emplace(sku.sku_id, unknown).first->second[i].where = sku.where;
    }
    if (static_cast<int>(listed.size()) < limit) continue;
    if (page.last.empty() || listed.back().sku_id < page.last) page.last = listed.back().sku_id;
  }
  if (!page.last.empty()) page.places.erase(page.places.upper_bound(page.last), page.places.end());
  return page;
}

// All of them together: the rest of what makes the ledger whole. Each shard by itself has been verified before.
absl::StatusOr<VerifyReport> CompareShards(const ShardList& shards, const std::string& after, int max_skus) {
  ASSIGN_OR_RETURN(const PlacesPage page, ListPlaces(shards, after, std::min(max_skus, kMostCompared)));
  VerifyReport report;
  for (const auto& [sku_id, places] : page.places) {
    RETURN_IF_ERROR(JudgePlaces(shards, sku_id, places, report));
  }
  if (!page.last.empty()) report.next = VerifyPosition{.shard = kComparison, .sku_id = page.last};
  return report;
}

absl::Status CompareAll(const ShardList& shards, VerifyReport& merged) {
  std::string after;
  while (true) {
    ASSIGN_OR_RETURN(VerifyReport page, CompareShards(shards, after, kMostCompared));
    for (LedgerViolation& violation : page.violations) {
      if (merged.violations.size() < kMaxMergedViolations) merged.violations.push_back(std::move(violation));
    }
    if (!page.next.has_value()) return absl::OkStatus();
    after = page.next->sku_id;
  }
}

// Only of a SKU that a shard has: others are not verified one by one.
absl::Status CompareOne(const ShardList& shards, const std::string& sku_id, VerifyReport& merged) {
  ASSIGN_OR_RETURN(const SkuPlaces places, LookAt(shards, sku_id));
  const bool found = std::any_of(places.begin(), places.end(), [](const SkuPlace& at) { return HasSku(at.where); });
  return found ? JudgePlaces(shards, sku_id, places, merged) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<Sku> RoutingStockLedger::CreateSku(const Sku& sku, const Actor& actor) {
  if (sku.shard == kHomeShard) {
    auto created = shards_->home().stock->CreateSku(sku, actor);
    if (!absl::IsAlreadyExists(created.status())) return created;
    return TellWhere(shards_->home(), sku.sku_id, created.status());
  }
  std::shared_ptr<ShardBackend> shard = shards_->Find(sku.shard);
  if (shard == nullptr) {
    RETURN_IF_ERROR(shards_->Refresh());
    shard = shards_->Find(sku.shard);
  }
  if (shard == nullptr) return NoSuchShardError(sku.shard);
  if (IsSilent(*shard)) return SilentShard(*shard);
  if (absl::Status reserved = shards_->home().shards->ReserveSku(sku.sku_id, sku.shard); !reserved.ok()) {
    return absl::IsAlreadyExists(reserved) ? TellWhere(shards_->home(), sku.sku_id, reserved) : reserved;
  }
  return shard->stock->CreateSku(sku, actor);
}

// Each shard's list ascends, so the first `limit` of all are among the first `limit` of each.
absl::StatusOr<std::vector<Sku>> RoutingStockLedger::ListSkus(const std::string& after, int limit) {
  const ShardList shards = shards_->All();
  std::map<std::string, Sku> all;
  for (int round = 0; round < RoundsOver(shards); ++round) {
    const absl::Status listed = AskEach(shards, [&](ShardBackend& shard) {
      ASSIGN_OR_RETURN(const std::vector<Sku> page, shard.stock->ListSkus(after, limit));
      for (const Sku& sku : page) KeepNewer(all, sku.sku_id, sku);
      return absl::OkStatus();
    });
    if (!listed.ok()) return listed;
  }
  std::vector<Sku> skus;
  for (auto& [_, sku] : all) {
    if (static_cast<int>(skus.size()) == limit) break;
    skus.push_back(std::move(sku));
  }
  return skus;
}

absl::StatusOr<std::vector<SkuQuota>> RoutingStockLedger::ReadQuotas(absl::Span<const std::string> sku_ids) {
  const ShardList shards = shards_->All();
  std::set<std::string> missing(sku_ids.begin(), sku_ids.end());
  std::map<std::string, SkuQuota> found;
  absl::Status error;
  const auto ask = [&](ShardBackend& shard) {
    if (missing.empty()) return;
    absl::StatusOr<std::vector<SkuQuota>> quotas = SilentShard(shard);
    if (!IsSilent(shard)) quotas = shard.stock->ReadQuotas(std::vector<std::string>(missing.begin(), missing.end()));
    if (!quotas.ok()) {
      error = quotas.status();
      return;
    }
    for (SkuQuota& quota : *quotas) {
      missing.erase(quota.sku.sku_id);
      found.insert_or_assign(quota.sku.sku_id, std::move(quota));
    }
  };
  for (int round = 0; round < RoundsOver(shards) && error.ok(); ++round) {
    for (const auto& shard : shards) ask(*shard);
  }
  if (!missing.empty() && !error.ok()) return error;
  std::vector<SkuQuota> quotas;
  for (auto& [_, quota] : found) quotas.push_back(std::move(quota));
  return quotas;
}

absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> RoutingStockLedger::MoveUnitsBatch(
    absl::Span<const QuotaMove> moves, const Actor& actor) {
  const ShardList shards = shards_->All();
  if (shards.size() == 1) return shards.front()->stock->MoveUnitsBatch(moves, actor);
  MoveResults results(moves.size(), absl::NotFoundError("on no shard"));
  for (int round = 0; round < RoundsOver(shards); ++round) {
    // The second round asks again for those that no shard had, but not for those that a shard did not answer to.
    std::vector<size_t> left;
    for (size_t i = 0; i < moves.size(); ++i) {
      if (absl::IsNotFound(results[i].status())) left.push_back(i);
    }
    for (const auto& shard : shards) MoveAt(*shard, moves, actor, &left, &results);
  }
  return results;
}

void RoutingStockLedger::MoveAt(ShardBackend& shard, absl::Span<const QuotaMove> moves, const Actor& actor,
                                std::vector<size_t>* left, MoveResults* results) {
  if (left->empty()) return;
  std::vector<QuotaMove> batch;
  for (const size_t i : *left) batch.push_back(moves[i]);
  absl::StatusOr<MoveResults> moved =
      shard.Answers() ? shard.stock->MoveUnitsBatch(batch, actor) : absl::StatusOr<MoveResults>(SilentShard(shard));
  std::vector<size_t> elsewhere;
  for (size_t k = 0; k < left->size(); ++k) {
    absl::StatusOr<SkuQuota> result = moved.ok() ? std::move((*moved)[k]) : moved.status();
    absl::StatusOr<SkuQuota>& known = (*results)[(*left)[k]];
    if (!result.ok() && MayBeElsewhere(result.status())) {
      elsewhere.push_back((*left)[k]);
      // "Not here" must not replace the error of a shard that did not answer.
      if (absl::IsNotFound(result.status()) && !absl::IsNotFound(known.status())) continue;
    }
    known = std::move(result);
  }
  *left = std::move(elsewhere);
}

absl::StatusOr<std::vector<std::string>> RoutingStockLedger::ListPooledSkus(const std::string& after, int limit) {
  return ListIds(shards_->All(), static_cast<size_t>(limit),
                 [&](QuotaLedger& ledger) { return ledger.ListPooledSkus(after, limit); });
}

absl::StatusOr<std::vector<std::string>> RoutingStockLedger::ListReturnedSkus(const std::string& after, int limit) {
  return ListIds(shards_->All(), static_cast<size_t>(limit),
                 [&](QuotaLedger& ledger) { return ledger.ListReturnedSkus(after, limit); });
}

// A shard ignores SKUs that it does not have.
absl::Status RoutingStockLedger::AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) {
  absl::Status status;
  for (const auto& shard : shards_->All()) {
    status.Update(IsSilent(*shard) ? SilentShard(*shard) : shard->stock->AckReturnedSkus(announced));
  }
  return status;
}

absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> RoutingStockLedger::ListSlices(
    IncarnationId incarnation) {
  std::map<std::string, HeldSlice> all;
  for (const auto& shard : shards_->All()) {
    if (IsSilent(*shard)) continue;
    const auto slices = shard->stock->ListSlices(incarnation);
    if (!slices.ok() && shard->name == kHomeShard) return slices.status();
    if (!slices.ok()) continue;
    for (const auto& [sku_id, slice] : *slices) KeepNewer(all, sku_id, slice);
  }
  return std::vector<std::pair<std::string, HeldSlice>>(all.begin(), all.end());
}

absl::StatusOr<IncarnationId> RoutingStockLedger::RegisterIncarnation(const std::string& node_name,
                                                                      const std::string& address, bool draining) {
  const auto id = shards_->home().stock->RegisterIncarnation(node_name, address, draining);
  if (id.ok()) shards_->Follow({*id, node_name, address, absl::Now(), draining});
  return id;
}

absl::StatusOr<std::vector<std::string>> RoutingStockLedger::ReclaimIncarnation(IncarnationId incarnation) {
  shards_->End(incarnation);
  auto reclaimed = shards_->home().stock->ReclaimIncarnation(incarnation);
  shards_->AwaitTold(kTellOfEnd);
  return reclaimed;
}

absl::StatusOr<std::vector<AuditEntry>> RoutingStockLedger::ListAudit(const AuditFilter& filter, int64_t before,
                                                                      int limit) {
  const ShardList shards = shards_->All();
  if (shards.size() == 1) return shards.front()->stock->ListAudit(filter, before, limit);
  if (before != 0) return absl::InvalidArgumentError("ids of the audit log are one shard's");
  std::vector<AuditEntry> all;
  for (const auto& shard : shards) {
    const bool silent = IsSilent(*shard);
    // A question about one SKU depends on its shard alone.
    if (silent && !filter.sku_id.empty()) continue;
    if (silent) return SilentShard(*shard);
    ASSIGN_OR_RETURN(const std::vector<AuditEntry> log, shard->stock->ListAudit(filter, 0, limit));
    // Each log stays in the order of its ids, which is only nearly the order of its times.
    std::vector<AuditEntry> merged;
    std::merge(all.begin(), all.end(), log.begin(), log.end(), std::back_inserter(merged),
               [](const AuditEntry& a, const AuditEntry& b) { return a.at > b.at; });
    all = std::move(merged);
    if (!filter.sku_id.empty() && shard->stock->GetSku(filter.sku_id).ok()) break;
  }
  if (all.size() > static_cast<size_t>(limit)) all.resize(static_cast<size_t>(limit));
  return all;
}

absl::StatusOr<VerifyReport> RoutingStockLedger::Verify(const std::string& sku_id) {
  VerifyReport merged;
  const absl::Status verified = AskEach(shards_->All(), [&](ShardBackend& shard) {
    ASSIGN_OR_RETURN(VerifyReport report, shard.stock->Verify(sku_id));
    NameShard(shard, report);
    merged.skus_checked += report.skus_checked;
    merged.reservations_checked += report.reservations_checked;
    for (LedgerViolation& violation : report.violations) {
      if (merged.violations.size() < kMaxMergedViolations) merged.violations.push_back(std::move(violation));
    }
    return absl::OkStatus();
  });
  if (!verified.ok()) return verified;
  const ShardList shards = shards_->All();
  if (shards.size() == 1) return merged;
  RETURN_IF_ERROR(sku_id.empty() ? CompareAll(shards, merged) : CompareOne(shards, sku_id, merged));
  return merged;
}

absl::StatusOr<VerifyReport> RoutingStockLedger::VerifyPage(const VerifyPosition& after, int max_skus) {
  const ShardList all = shards_->All();
  const std::string begin = after.shard.empty() ? std::string(kHomeShard) : after.shard;
  const auto shard = std::find_if(all.begin(), all.end(), [&](const auto& one) { return !IsBefore(one->name, begin); });
  if (shard == all.end() && all.size() == 1) return VerifyReport();
  if (shard == all.end()) return CompareShards(all, begin == kComparison ? after.sku_id : "", max_skus);
  if (IsSilent(**shard)) return SilentShard(**shard);
  // The shard of the position may have been removed meanwhile.
  const VerifyPosition from{.shard = (*shard)->name, .sku_id = (*shard)->name == begin ? after.sku_id : ""};
  ASSIGN_OR_RETURN(VerifyReport report, (*shard)->stock->VerifyPage(from, max_skus));
  NameShard(**shard, report);
  if (report.next.has_value() || all.size() == 1) return report;
  const bool last = std::next(shard) == all.end();
  report.next = VerifyPosition{.shard = last ? kComparison : (*std::next(shard))->name, .sku_id = ""};
  return report;
}

}  // namespace tranche::storage
