#include "quota/sku_directory.h"

#include <utility>

namespace tranche::quota {

void SkuDirectory::Lookup(const std::string& sku_id, LookupDone done) {
  std::optional<Found> answer;
  bool must_read = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto known = known_.find(sku_id);
    if (known != known_.end() && clock_->Now() - known->second.read_at < kFreshFor) {
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
  if (must_read) Read(sku_id);
}

void SkuDirectory::Read(const std::string& sku_id) {
  const auto finish = [this](const std::string& id, const Found& found) {
    std::vector<LookupDone> waiters;
    {
      absl::MutexLock lock(&mutex_);
      // A flood of invented ids must not grow this map: forget everything rather than keep an order of use.
      if (known_.size() >= kMaxKnown) known_.clear();
      if (found.ok()) known_.insert_or_assign(id, Entry{found, clock_->Now()});
      const auto waiting = waiting_.find(id);
      waiters = std::move(waiting->second);
      waiting_.erase(waiting);
      waiters_ -= waiters.size();
    }
    for (LookupDone& waiter : waiters) waiter(found);
  };
  absl::AnyInvocable<void()> read = [this, sku_id, finish] {
    const absl::StatusOr<storage::Sku> sku = ledger_->GetSku(sku_id);
    if (sku.ok()) return finish(sku_id, std::optional<SkuTerms>(TermsOf(*sku)));
    if (absl::IsNotFound(sku.status())) return finish(sku_id, std::optional<SkuTerms>());
    finish(sku_id, sku.status());
  };
  if (!executor_->TryRun(read)) {
    finish(sku_id, absl::ResourceExhaustedError("too many lookups of SKUs wait for the ledger"));
  }
}

}  // namespace tranche::quota
