#include "server/balancer/sale_finder.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "storage/ledger/shard_name.h"

namespace tranche::server {
namespace {

// Rooms come and go; more than there are at a time are not asked for.
constexpr size_t kMostRemembered = 1000;

}  // namespace

void SaleFinder::AddShard(const std::string& name, std::weak_ptr<storage::SkuLedger> ledger) {
  absl::MutexLock lock(&mutex_);
  shards_[name] = std::move(ledger);
}

std::map<std::string, std::weak_ptr<storage::SkuLedger>> SaleFinder::Shards() {
  absl::MutexLock lock(&mutex_);
  return shards_;
}

RoomSale SaleFinder::SaleOf(const storage::Sku& sku) const {
  const absl::Time now = clock_->Now();
  const bool in_window = now >= sku.opens_at && now < sku.closes_at;
  return {.open = in_window && !sku.closed && !sku.paused, .unsold = sku.unsold, .stock = sku.stock};
}

absl::StatusOr<std::optional<RoomSale>> SaleFinder::Find(const std::string& sku_id) {
  const std::map<std::string, std::weak_ptr<storage::SkuLedger>> shards = Shards();
  std::vector<std::string> names = {storage::kHomeShard};
  for (const auto& [name, ledger] : shards) names.push_back(name);
  if (const auto known = found_at_.find(sku_id); known != found_at_.end()) {
    std::stable_partition(names.begin(), names.end(), [&](const std::string& name) { return name == known->second; });
  }
  absl::Status failed;
  for (const std::string& name : names) {
    // Held while it is asked: the shard may be given up meanwhile.
    std::shared_ptr<storage::SkuLedger> held;
    if (name != storage::kHomeShard) held = shards.at(name).lock();
    storage::SkuLedger* const ledger = name == storage::kHomeShard ? home_ : held.get();
    if (ledger == nullptr) continue;
    const absl::StatusOr<storage::Sku> sku = ledger->GetSku(sku_id);
    if (sku.ok()) {
      if (found_at_.size() >= kMostRemembered) found_at_.clear();
      found_at_[sku_id] = name;
      return std::optional<RoomSale>(SaleOf(*sku));
    }
    if (!absl::IsNotFound(sku.status())) failed.Update(sku.status());
  }
  if (!failed.ok()) return failed;
  return std::optional<RoomSale>();
}

}  // namespace tranche::server
