// The requests that wait to be written on a stream, by the rule of group commit: while one message is being written,
// the next frame fills; nobody waits for it to fill. Payments and cancellations come before claims, which may be
// thousands: requests of a stream are in no order.
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
  // Every node takes messages of so many bytes, the least of its --max-message-bytes. No claim that a node grants
  // has more.
  static constexpr int64_t kLeastMessageBytes = 4096;

  // The node takes frames of at most that many items and bytes, both positive. Until then each request is a message.
  void UseFrames(int64_t items, int64_t bytes);
  // Whether a request of so many bytes, without its sequence, fits into a message to the node. Another would break the
  // stream.
  bool Fits(int64_t bytes) const;

  void Push(tranche::v1::StreamReservationsItem item);
  bool empty() const { return changes_.empty() && claims_.empty(); }
  // Takes the next message out of the queue, which must not be empty.
  void Pop(tranche::v1::StreamReservationsRequest* message);

 private:
  bool uses_frames() const { return items_ > 0; }
  // Where the next item to write is; not if the queue is empty.
  std::deque<tranche::v1::StreamReservationsItem>& Next() { return changes_.empty() ? claims_ : changes_; }

  int64_t items_ = 0;
  int64_t bytes_ = kLeastMessageBytes;
  std::deque<tranche::v1::StreamReservationsItem> changes_;
  std::deque<tranche::v1::StreamReservationsItem> claims_;  // and carts
};

}  // namespace tranche::internal
