#include "storage/shards/locked_skus.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kTryEvery = absl::Seconds(1);
// More than are ever locked at a time, unless whole tables are. Then nothing is lost by forgetting.
constexpr size_t kMostSkus = 1000;

}  // namespace

bool LockedSkus::MayTry(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  const auto found = next_try_.find(sku_id);
  if (found == next_try_.end()) return true;
  if (clock_->Now() < found->second) return false;
  found->second = clock_->Now() + kTryEvery;
  return true;
}

void LockedSkus::Tried(const std::string& sku_id, bool locked) {
  if (sku_id.empty()) return;
  absl::MutexLock lock(&mutex_);
  if (!locked) {
    next_try_.erase(sku_id);
    return;
  }
  if (next_try_.size() >= kMostSkus) next_try_.clear();
  next_try_.insert_or_assign(sku_id, clock_->Now() + kTryEvery);
}

}  // namespace tranche::storage
