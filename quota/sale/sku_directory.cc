#include "quota/sale/sku_directory.h"

#include <utility>

#include "storage/mutation.h"

namespace tranche::quota {

void SkuDirectory::Lookup(const std::string& sku_id, LookupDone done) {
  std::optional<Found> answer;
  bool must_read = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto known = known_.find(sku_id);
    const bool fresh = known != known_.end() && (clock_->Now() - known->second.read_at < kFreshFor ||
                                                 storage::Mutated(storage::Mutation::kLooksNeverRepeated));
    if (fresh) {
      answer = known->second.found;
    } else if (waiters_ >= kMaxWaiters) {
      answer = absl::ResourceExhaustedError("too many lookups of SKUs wait for the ledger");
    } else {
      std::vector<LookupDone>& waiters = waiting_[sku_id];
      must_read = waiters.empty();
      waiters.push_back(std::move(done));
      ++waiters_;
    }
  }
  // NOLINTNEXTLINE(bugprone-use-after-move): it was moved only where there is no answer
  if (answer.has_value()) return done(*answer);
  if (!must_read) return;
  books_->FindSku(sku_id, [this, sku_id, begun_at = clock_->Now()](const absl::StatusOr<storage::Sku>& sku) {
    if (sku.ok()) {
      SkuLook look{.terms = TermsOf(*sku), .unsold = sku->unsold};
      look.terms.read_at = begun_at;
      return Finish(sku_id, std::optional<SkuLook>(std::move(look)));
    }
    if (absl::IsNotFound(sku.status())) return Finish(sku_id, std::optional<SkuLook>());
    Finish(sku_id, sku.status());
  });
}

bool SkuDirectory::LastSawFewerThan(const std::string& sku_id, int64_t units) {
  absl::MutexLock lock(&mutex_);
  const auto known = known_.find(sku_id);
  if (known == known_.end()) return false;
  const std::optional<SkuLook>& look = *known->second.found;
  return look.has_value() && look->unsold < units;
}

void SkuDirectory::Finish(const std::string& sku_id, const Found& found) {
  std::vector<LookupDone> waiters;
  {
    absl::MutexLock lock(&mutex_);
    // A flood of invented ids must not grow this map without bound: forgetting everything is simpler than keeping an
    // order of use.
    if (known_.size() >= kMaxKnown) known_.clear();
    if (found.ok()) known_.insert_or_assign(sku_id, Entry{found, clock_->Now()});
    const auto waiting = waiting_.find(sku_id);
    waiters = std::move(waiting->second);
    waiting_.erase(waiting);
    waiters_ -= waiters.size();
  }
  for (LookupDone& waiter : waiters) waiter(found);
}

}  // namespace tranche::quota
