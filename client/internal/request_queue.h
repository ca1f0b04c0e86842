// The requests that wait to be written on a stream, by the rule of group commit: while one message is being written,
// the next frame fills; nobody waits for it to fill.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "tranche/v1/reservation_service.pb.h"

namespace tranche::internal {

// Not thread-safe. Holds no more than its owner's window lets through.
class RequestQueue {
 public:
  // A frame has at most so many items and bytes, and no more than the node takes; an item that alone has more bytes is
  // a frame of its own.
  static constexpr int64_t kMaxFrameItems = 1024;
  static constexpr int64_t kMaxFrameBytes = 64 * 1024;

  // The node takes frames of at most that many items and bytes, both positive. Until then each request is a message.
  void UseFrames(int64_t items, int64_t bytes);
  bool uses_frames() const { return items_ > 0; }

  void Push(tranche::v1::StreamReservationsItem item);
  bool empty() const { return waiting_.empty(); }
  // Takes the next message out of the queue, which must not be empty.
  void Pop(tranche::v1::StreamReservationsRequest* message);

 private:
  int64_t items_ = 0;
  int64_t bytes_ = 0;
  std::deque<tranche::v1::StreamReservationsItem> waiting_;
};

}  // namespace tranche::internal
