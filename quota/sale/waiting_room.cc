#include "quota/sale/waiting_room.h"

#include <iterator>
#include <utility>

namespace tranche::quota {

bool WaitingRoom::TryEnter(SaleRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (size_ >= max_waiting_) return false;
  Line& line = by_sku_[request.claim.sku_id];
  line.push_back(std::move(request));
  ++size_;
  return true;
}

std::vector<SaleRequest> WaitingRoom::Leave(const std::string& sku_id,
                                            absl::FunctionRef<bool(const SaleRequest&)> admit) {
  absl::MutexLock lock(&mutex_);
  std::vector<SaleRequest> leaving;
  const auto found = by_sku_.find(sku_id);
  if (found == by_sku_.end()) return leaving;
  LeaveLine(found->second, admit, &leaving);
  if (found->second.empty()) by_sku_.erase(found);
  return leaving;
}

std::vector<SaleRequest> WaitingRoom::LeaveOverdue(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  std::vector<SaleRequest> leaving;
  for (auto line = by_sku_.begin(); line != by_sku_.end();) {
    LeaveLine(
        line->second, [now](const SaleRequest& request) { return request.wait_until <= now; }, &leaving);
    const auto next = std::next(line);
    if (line->second.empty()) by_sku_.erase(line);
    line = next;
  }
  return leaving;
}

size_t WaitingRoom::size(const std::string& sku_id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = by_sku_.find(sku_id);
  return found == by_sku_.end() ? 0 : found->second.size();
}

void WaitingRoom::LeaveLine(Line& line, absl::FunctionRef<bool(const SaleRequest&)> admit,
                            std::vector<SaleRequest>* leaving) {
  Line staying;
  for (SaleRequest& request : line) {
    if (admit(request)) {
      leaving->push_back(std::move(request));
      --size_;
    } else {
      staying.push_back(std::move(request));
    }
  }
  line.swap(staying);
}

}  // namespace tranche::quota
