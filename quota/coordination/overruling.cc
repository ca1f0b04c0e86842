#include "quota/coordination/overruling.h"

#include <algorithm>
#include <map>
#include <vector>

#include "glog/logging.h"
#include "quota/coordination/sku_announcement.h"
#include "storage/base/status_macros.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::SkuQuota;

// Is the announcement ahead of what the ledger says after it was written?
bool ContradictsLedger(const AheadOfLedger& ahead, const SkuQuota& now) {
  if (ahead.incarnation == storage::kPool) {
    return IsAhead(ahead.version, ahead.units.value_or(SkuTerms::kPlenty), now.sku);
  }
  for (const storage::HeldSlice& slice : now.quota.slices) {
    if (slice.holder == ahead.incarnation) return IsAhead(ahead.version, ahead.units, slice);
  }
  return false;  // that incarnation has ended
}

class Overruling {
 public:
  Overruling(storage::StockLedger& ledger, Announcer& announcer, const storage::Actor& actor)
      : ledger_(ledger), announcer_(announcer), actor_(actor) {}

  // At most kMaxQuotaBatch SKUs.
  absl::Status OverruleSkus(const std::vector<std::string>& sku_ids,
                            const std::multimap<std::string, AheadOfLedger>& ahead) {
    ASSIGN_OR_RETURN(const auto quotas, ledger_.ReadQuotas(sku_ids));
    absl::Status status;
    std::vector<std::string> raised;
    for (const SkuQuota& now : quotas) {
      int64_t above = 0;
      const auto [begin, end] = ahead.equal_range(now.sku.sku_id);
      for (auto it = begin; it != end; ++it) {
        if (!ContradictsLedger(it->second, now)) continue;
        if (storage::MayRaise(now.sku.quota_version, it->second.version)) {
          above = std::max(above, it->second.version);
        } else {
          status.Update(EndHolder(it->second));
        }
      }
      if (above == 0) continue;
      const absl::Status done = Raise(now.sku, above);
      if (done.ok()) raised.push_back(now.sku.sku_id);
      status.Update(done);
    }
    if (raised.empty()) return status;
    ASSIGN_OR_RETURN(const auto fresh, ledger_.ReadQuotas(raised));
    status.Update(announcer_.AnnounceAll(fresh));
    return status;
  }

 private:
  absl::Status Raise(const storage::Sku& sku, int64_t above) {
    LOG(WARNING) << "version " << above << " was announced of " << sku.sku_id << ", which the ledger (at version "
                 << sku.quota_version << ") has not said: written by hand, or the ledger is an older one. Overruled";
    const absl::Status raised = ledger_.RaiseVersion(sku.sku_id, above, actor_).status();
    // On its way to another shard: it is announced from there.
    return absl::IsFailedPrecondition(raised) || absl::IsNotFound(raised) ? absl::OkStatus() : raised;
  }

  // The ledger's version cannot be raised that far. The node begins a new incarnation, of which nothing was announced.
  // (Of a SKU itself such an announcement is simply written over, see Supersedes.)
  absl::Status EndHolder(const AheadOfLedger& ahead) {
    if (ahead.incarnation == storage::kPool) return absl::OkStatus();
    LOG(WARNING) << "version " << ahead.version << " was announced to incarnation " << ahead.incarnation << " of "
                 << ahead.sku_id << ": written by hand. The incarnation is ended, and its node begins a new one";
    return ledger_.ReclaimIncarnation(ahead.incarnation).status();
  }

  storage::StockLedger& ledger_;
  Announcer& announcer_;
  const storage::Actor& actor_;
};

}  // namespace

absl::Status Overrule(storage::StockLedger& ledger, Announcer& announcer, absl::Span<const AheadOfLedger> ahead,
                      const storage::Actor& actor) {
  if (storage::Mutated(storage::Mutation::kNothingOverruled)) return absl::OkStatus();
  std::multimap<std::string, AheadOfLedger> by_sku;
  for (const AheadOfLedger& one : ahead) by_sku.emplace(one.sku_id, one);
  Overruling overruling(ledger, announcer, actor);
  absl::Status status;
  std::vector<std::string> batch;
  for (auto it = by_sku.begin(); it != by_sku.end(); it = by_sku.upper_bound(it->first)) {
    batch.push_back(it->first);
    if (batch.size() < static_cast<size_t>(storage::kMaxQuotaBatch)) continue;
    status.Update(overruling.OverruleSkus(batch, by_sku));
    batch.clear();
  }
  if (!batch.empty()) status.Update(overruling.OverruleSkus(batch, by_sku));
  return status;
}

}  // namespace tranche::quota
