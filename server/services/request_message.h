// What one message of StreamReservations asks for: one request, or a frame of many.
//
// A message is never parsed as a whole. An empty item is two bytes on the wire and fifty times as much in memory, so a
// frame of 64 KiB could take megabytes. It stays as it came, and its items are parsed one after the other.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/handlers/cart_handler.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// A frame has at most so many items. They take about 2 ms of a processor if all are refused from memory, and a frame of
// usual claims reaches 64 KiB before.
inline constexpr int kMaxFrameItems = 1024;

// A longer item is not parsed, because it could become many objects. That is the largest cart, with its sequence and
// its timeout, which take at most 40 bytes.
inline constexpr size_t kMaxItemBytes = kMaxCartBytes + 64;

// Not thread-safe.
class RequestMessage {
 public:
  enum class Found {
    kRequest,     // `item` is the next request
    kUnreadable,  // of the next request, only its sequence can be read
    kTooLarge,    // the same, because it has more than kMaxItemBytes
    kMalformed,   // the next request cannot be told from others: the caller is to be told so, and heard no more
    kNone,        // there are no more requests
  };

  // Takes a message's bytes. An error for the caller, if they are no such message, mix a frame with a single request,
  // or are a frame of more than kMaxFrameItems; there are no requests then.
  absl::Status Read(std::string bytes);

  // Whether what was read last is a frame.
  bool is_frame() const { return is_frame_; }

  // A single request is found as the item that it is, always with a claim.
  Found Next(v1::StreamReservationsItem* item);
  // The next call of Next finds the last request once more.
  void StepBack() { next_ = last_; }
  // Frees the memory.
  void Clear() { *this = RequestMessage(); }

 private:
  Found NextOfFrame(v1::StreamReservationsItem* item);

  std::string bytes_;
  bool is_frame_ = false;
  size_t next_ = 1;  // where in bytes_ the next request begins; behind their end: there is none
  size_t last_ = 1;
};

}  // namespace tranche::server
