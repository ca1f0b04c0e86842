#include "client/internal/request_queue.h"

#include <algorithm>
#include <utility>

namespace tranche::internal {
namespace {

// An item's tag and length within the frame.
constexpr int64_t kItemOverhead = 4;
constexpr int64_t kSequenceBytes = 11;  // at most

}  // namespace

void RequestQueue::UseFrames(int64_t items, int64_t bytes) {
  items_ = std::min(items, kMaxFrameItems);
  bytes_ = std::min(bytes, kMaxFrameBytes);
}

bool RequestQueue::Fits(int64_t bytes) const { return bytes + kSequenceBytes + kItemOverhead <= bytes_; }

void RequestQueue::Push(tranche::v1::StreamReservationsItem item) { waiting_.push_back(std::move(item)); }

void RequestQueue::Pop(tranche::v1::StreamReservationsRequest* message) {
  message->Clear();
  if (!uses_frames()) {
    tranche::v1::StreamReservationsItem& item = waiting_.front();
    message->set_sequence(item.sequence());
    message->mutable_create()->Swap(item.mutable_create());
    message->mutable_timeout()->Swap(item.mutable_timeout());
    waiting_.pop_front();
    return;
  }
  int64_t bytes = 0;
  while (!waiting_.empty() && message->items_size() < items_) {
    bytes += static_cast<int64_t>(waiting_.front().ByteSizeLong()) + kItemOverhead;
    if (bytes > bytes_ && message->items_size() > 0) return;
    message->add_items()->Swap(&waiting_.front());
    waiting_.pop_front();
  }
}

}  // namespace tranche::internal
