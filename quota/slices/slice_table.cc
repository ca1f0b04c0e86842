#include "quota/slices/slice_table.h"

namespace tranche::quota {

void SliceTable::SetListener(Listener listener) {
  absl::MutexLock lock(&listener_mutex_);
  listener_ = std::move(listener);
}

void SliceTable::SetChangeListener(std::function<void(const std::string& sku_id)> changed) {
  absl::MutexLock lock(&listener_mutex_);
  changed_ = std::move(changed);
}

void SliceTable::Begin(storage::IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  incarnation_ = incarnation;
  slices_.clear();
}

std::shared_ptr<Slice> SliceTable::Find(absl::string_view sku_id) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = slices_.find(sku_id);
  return found == slices_.end() ? nullptr : found->second;
}

std::string SliceTable::ShardOf(absl::string_view sku_id) const {
  const std::shared_ptr<Slice> slice = Find(sku_id);
  const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
  return terms == nullptr ? "" : terms->shard;
}

std::shared_ptr<Slice> SliceTable::FindOrAdd(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  if (incarnation_ == storage::kPool) return nullptr;
  std::shared_ptr<Slice>& slice = slices_[sku_id];
  if (slice == nullptr) slice = std::make_shared<Slice>(sku_id, incarnation_);
  return slice;
}

void SliceTable::Remove(absl::string_view sku_id) {
  absl::MutexLock lock(&mutex_);
  slices_.erase(sku_id);
}

std::vector<std::pair<std::string, std::shared_ptr<Slice>>> SliceTable::All() const {
  absl::ReaderMutexLock lock(&mutex_);
  return {slices_.begin(), slices_.end()};
}

void SliceTable::NoteExhausted() const {
  absl::ReaderMutexLock lock(&listener_mutex_);
  if (listener_.exhausted) listener_.exhausted();
}

void SliceTable::NoteIncarnationEnded(storage::IncarnationId incarnation) const {
  absl::ReaderMutexLock lock(&listener_mutex_);
  if (listener_.incarnation_ended) listener_.incarnation_ended(incarnation);
}

void SliceTable::NotePoolNews(PoolNews news) const {
  absl::ReaderMutexLock lock(&listener_mutex_);
  if (listener_.pool_news) listener_.pool_news(std::move(news));
}

void SliceTable::NoteTermsWanted(const std::string& sku_id) const {
  absl::ReaderMutexLock lock(&listener_mutex_);
  if (listener_.terms_wanted) listener_.terms_wanted(sku_id);
}

void SliceTable::NoteDiverted(Slice& slice, int64_t units) const {
  slice.CountDiverted(units);
  const std::shared_ptr<const SkuTerms> terms = slice.terms();
  if (terms == nullptr || !terms->announced) NoteTermsWanted(slice.sku_id());
}

void SliceTable::NoteChanged(const std::string& sku_id) const {
  // Called without the lock: the listener does much, and may call back into this table.
  std::function<void(const std::string&)> changed;
  {
    absl::ReaderMutexLock lock(&listener_mutex_);
    changed = changed_;
  }
  if (changed) changed(sku_id);
}

}  // namespace tranche::quota
