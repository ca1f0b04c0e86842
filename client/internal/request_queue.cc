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

void RequestQueue::Push(tranche::v1::StreamReservationsItem item) {
  const bool claims = item.has_create() || item.has_create_cart();
  (claims ? claims_ : changes_).push_back(std::move(item));
}

void RequestQueue::Pop(tranche::v1::StreamReservationsRequest* message) {
  message->Clear();
  if (!uses_frames()) {
    std::deque<tranche::v1::StreamReservationsItem>& next = Next();
    tranche::v1::StreamReservationsItem& item = next.front();
    message->set_sequence(item.sequence());
    message->mutable_create()->Swap(item.mutable_create());
    message->mutable_timeout()->Swap(item.mutable_timeout());
    next.pop_front();
    return;
  }
  int64_t bytes = 0;
  while (!empty() && message->items_size() < items_) {
    std::deque<tranche::v1::StreamReservationsItem>& next = Next();
    bytes += static_cast<int64_t>(next.front().ByteSizeLong()) + kItemOverhead;
    if (bytes > bytes_ && message->items_size() > 0) return;
    message->add_items()->Swap(&next.front());
    next.pop_front();
  }
}

}  // namespace tranche::internal
