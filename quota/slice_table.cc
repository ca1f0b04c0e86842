#include "quota/slice_table.h"

namespace tranche::quota {

void SliceTable::SetListener(Listener listener) {
  absl::MutexLock lock(&mutex_);
  listener_ = std::move(listener);
}

std::shared_ptr<Slice> SliceTable::Find(absl::string_view sku_id) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = slices_.find(sku_id);
  return found == slices_.end() ? nullptr : found->second;
}

std::shared_ptr<Slice> SliceTable::FindOrAdd(const std::string& sku_id, storage::IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<Slice>& slice = slices_[sku_id];
  if (slice == nullptr || slice->incarnation() != incarnation) slice = std::make_shared<Slice>(incarnation);
  return slice;
}

void SliceTable::Remove(absl::string_view sku_id) {
  absl::MutexLock lock(&mutex_);
  slices_.erase(sku_id);
}

void SliceTable::Clear() {
  absl::MutexLock lock(&mutex_);
  slices_.clear();
}

std::vector<std::pair<std::string, std::shared_ptr<Slice>>> SliceTable::All() const {
  absl::ReaderMutexLock lock(&mutex_);
  return {slices_.begin(), slices_.end()};
}

void SliceTable::NoteExhausted() const {
  absl::ReaderMutexLock lock(&mutex_);
  if (listener_.exhausted) listener_.exhausted();
}

void SliceTable::NoteIncarnationEnded(storage::IncarnationId incarnation) const {
  absl::ReaderMutexLock lock(&mutex_);
  if (listener_.incarnation_ended) listener_.incarnation_ended(incarnation);
}

}  // namespace tranche::quota
