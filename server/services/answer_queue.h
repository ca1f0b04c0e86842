// The answers of one stream that wait to be written, by the rule of group commit: while one message is being written,
// the next frame fills; nobody waits for it to fill.
//
// They are kept as the bytes that are written. A refusal for a reason that the frame has already takes the few bytes of
// its sequence, and allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// What is given back when answers have been written, or dropped.
struct AnswerCount {
  int answers = 0;
  int64_t room = 0;  // of the StreamBudget

  void Add(const AnswerCount& other) {
    answers += other.answers;
    room += other.room;
  }
};

struct AnswerMessage {
  std::string bytes;  // a serialized StreamReservationsResponse
  AnswerCount count;
};

// Not thread-safe.
class AnswerQueue {
 public:
  // A frame has at most so many answers and bytes; an answer that alone has more bytes is a frame of its own.
  static constexpr int kMaxFrameAnswers = 1024;
  static constexpr size_t kMaxFrameBytes = 64 * 1024;

  // From now on answers go into frames; until then each is a message.
  void UseFrames() { use_frames_ = true; }

  // A request was done. `room`: what its answer takes of the budget.
  void Add(v1::StreamReservationsResult result, int64_t room);
  // A request was refused with `error`, which came from errors.h.
  void AddRefusal(uint64_t sequence, const absl::Status& error, int64_t room);

  bool empty() const { return ready_.empty() && frame_.count.answers == 0; }
  // Whether there is a message to which nothing more is added.
  bool has_ready() const { return !ready_.empty(); }
  // The next message to write. Not if it is empty.
  AnswerMessage Take();
  // Drops everything.
  AnswerCount Clear();

 private:
  // Refused for the same reason.
  struct Refusals {
    absl::Status error;
    std::string details;    // of the error, serialized
    std::string sequences;  // as varints
  };
  // The one that fills.
  struct Frame {
    std::string results;  // serialized, each with its tag
    std::vector<Refusals> refusals;
    size_t bytes = 0;  // at least what it will have
    AnswerCount count;
  };

  // Where a refusal with this error goes; null if it needs a place of its own.
  Refusals* Find(const absl::Status& error);
  // Begins a new frame if `bytes` more would be too many.
  void MakeRoom(size_t bytes);
  void Close();

  bool use_frames_ = false;
  std::deque<AnswerMessage> ready_;
  Frame frame_;
};

}  // namespace tranche::server
