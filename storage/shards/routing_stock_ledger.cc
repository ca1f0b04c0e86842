#include "storage/shards/routing_stock_ledger.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace tranche::storage {
namespace {

// The other shards' pools get a dead or departing node's units this long before its successor begins. A balancer sees
// to what is missed.
constexpr absl::Duration kTellOfEnd = absl::Seconds(1);
constexpr size_t kMaxViolations = 1000;

// Home is asked in any case, as if it were alone.
bool IsSilent(const ShardBackend& shard) { return shard.name != kHomeShard && !shard.Answers(); }

absl::Status Silent(const ShardBackend& shard) {
  return absl::UnavailableError(absl::StrCat("shard ", shard.name, " does not answer"));
}

}  // namespace

absl::StatusOr<Sku> RoutingStockLedger::CreateSku(const Sku& sku, const std::string& actor) {
  if (sku.shard == kHomeShard) return shards_->home().stock->CreateSku(sku, actor);
  std::shared_ptr<ShardBackend> shard = shards_->Find(sku.shard);
  if (shard == nullptr) {
    if (absl::Status refreshed = shards_->Refresh(); !refreshed.ok()) return refreshed;
    shard = shards_->Find(sku.shard);
  }
  if (shard == nullptr) return NoSuchShardError(sku.shard);
  if (absl::Status reserved = shards_->home().shards->ReserveSku(sku.sku_id, sku.shard); !reserved.ok()) {
    return reserved;
  }
  return shard->stock->CreateSku(sku, actor);
}

// Each shard's list ascends, so that the first `limit` of all are among the first `limit` of each.
absl::StatusOr<std::vector<Sku>> RoutingStockLedger::ListSkus(const std::string& after, int limit) {
  std::map<std::string, Sku> all;
  for (const auto& shard : shards_->All()) {
    if (IsSilent(*shard)) return Silent(*shard);
    auto page = shard->stock->ListSkus(after, limit);
    if (!page.ok()) return page.status();
    for (Sku& sku : *page) all.insert_or_assign(sku.sku_id, std::move(sku));
  }
  std::vector<Sku> skus;
  for (auto& [_, sku] : all) {
    if (static_cast<int>(skus.size()) == limit) break;
    skus.push_back(std::move(sku));
  }
  return skus;
}

absl::StatusOr<std::vector<SkuQuota>> RoutingStockLedger::ReadQuotas(absl::Span<const std::string> sku_ids) {
  std::set<std::string> missing(sku_ids.begin(), sku_ids.end());
  std::map<std::string, SkuQuota> found;
  absl::Status error;
  for (const auto& shard : shards_->All()) {
    if (missing.empty()) break;
    absl::StatusOr<std::vector<SkuQuota>> quotas = Silent(*shard);
    if (!IsSilent(*shard)) {
      quotas = shard->stock->ReadQuotas(std::vector<std::string>(missing.begin(), missing.end()));
    }
    if (!quotas.ok()) {
      error = quotas.status();
      continue;
    }
    for (SkuQuota& quota : *quotas) {
      missing.erase(quota.sku.sku_id);
      found.insert_or_assign(quota.sku.sku_id, std::move(quota));
    }
  }
  if (!missing.empty() && !error.ok()) return error;
  std::vector<SkuQuota> quotas;
  for (auto& [_, quota] : found) quotas.push_back(std::move(quota));
  return quotas;
}

absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> RoutingStockLedger::MoveUnitsBatch(
    absl::Span<const QuotaMove> moves, const std::string& actor) {
  const ShardList shards = shards_->All();
  if (shards.size() == 1) return shards.front()->stock->MoveUnitsBatch(moves, actor);
  std::vector<absl::StatusOr<SkuQuota>> results(moves.size(), absl::NotFoundError("on no shard"));
  std::vector<size_t> left(moves.size());
  for (size_t i = 0; i < left.size(); ++i) left[i] = i;
  for (const auto& shard : shards) {
    std::vector<QuotaMove> batch;
    for (const size_t i : left) batch.push_back(moves[i]);
    if (batch.empty()) break;
    auto moved = shard->Answers() ? shard->stock->MoveUnitsBatch(batch, actor)
                                  : absl::UnavailableError("a shard does not answer");
    std::vector<size_t> elsewhere;
    for (size_t k = 0; k < left.size(); ++k) {
      absl::StatusOr<SkuQuota> result = moved.ok() ? std::move((*moved)[k]) : moved.status();
      if (!result.ok() && MayBeElsewhere(result.status())) {
        elsewhere.push_back(left[k]);
        // "Not here" does not make up for a shard that did not say.
        if (absl::IsNotFound(result.status()) && !absl::IsNotFound(results[left[k]].status())) continue;
      }
      results[left[k]] = std::move(result);
    }
    left = std::move(elsewhere);
  }
  return results;
}

absl::StatusOr<std::vector<std::pair<std::string, Slice>>> RoutingStockLedger::ListSlices(IncarnationId incarnation) {
  auto all = shards_->home().stock->ListSlices(incarnation);
  if (!all.ok()) return all;
  for (const auto& shard : shards_->All()) {
    if (shard->name == kHomeShard || !shard->Answers()) continue;
    auto slices = shard->stock->ListSlices(incarnation);
    if (slices.ok()) all->insert(all->end(), slices->begin(), slices->end());
  }
  std::sort(all->begin(), all->end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return all;
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

absl::StatusOr<VerifyReport> RoutingStockLedger::Verify(const std::string& sku_id) {
  VerifyReport merged;
  for (const auto& shard : shards_->All()) {
    if (IsSilent(*shard)) return Silent(*shard);
    auto report = shard->stock->Verify(sku_id);
    if (!report.ok()) return report.status();
    merged.skus_checked += report->skus_checked;
    merged.reservations_checked += report->reservations_checked;
    for (LedgerViolation& violation : report->violations) {
      if (shard->name != kHomeShard) absl::StrAppend(&violation.detail, " (shard ", shard->name, ")");
      if (merged.violations.size() < kMaxViolations) merged.violations.push_back(std::move(violation));
    }
  }
  return merged;
}

}  // namespace tranche::storage
