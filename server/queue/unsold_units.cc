#include "server/queue/unsold_units.h"

#include <utility>
#include <vector>

namespace tranche::server {

int64_t UnsoldUnits::Of(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  if (skus_.size() >= kMostSkus && !skus_.contains(sku_id)) return kUnknown;
  Units& units = skus_[sku_id];
  units.wanted = true;
  units.used_in = round_;
  return units.unsold;
}

void UnsoldUnits::Expect(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  if (skus_.size() >= kMostSkus && !skus_.contains(sku_id)) return;
  Units& units = skus_[sku_id];
  units.used_in = round_;
  if (units.unsold == kUnknown) units.wanted = true;
}

void UnsoldUnits::Refresh() {
  std::vector<std::string> wanted;
  {
    absl::MutexLock lock(&mutex_);
    ++round_;
    if (skus_.size() >= kMostSkus) {
      const int64_t oldest = round_ - kKeptRounds;
      absl::erase_if(skus_, [oldest](const auto& sku) { return sku.second.used_in < oldest && !sku.second.reading; });
    }
    for (auto& [sku_id, units] : skus_) {
      if (!std::exchange(units.wanted, false) || units.reading) continue;
      units.reading = true;
      wanted.push_back(sku_id);
    }
  }
  for (const std::string& sku_id : wanted) {
    books_->FindSku(sku_id, [this, sku_id](const absl::StatusOr<storage::Sku>& sku) { Read(sku_id, sku); });
  }
}

void UnsoldUnits::Read(const std::string& sku_id, const absl::StatusOr<storage::Sku>& sku) {
  absl::MutexLock lock(&mutex_);
  Units& units = skus_[sku_id];
  units.reading = false;
  if (sku.ok()) units.unsold = sku->unsold;
}

}  // namespace tranche::server
