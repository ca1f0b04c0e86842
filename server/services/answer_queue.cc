#include "server/services/answer_queue.h"

#include <algorithm>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;
using v1::StreamReservationsRefusal;
using v1::StreamReservationsResponse;

// A tag and a length, at most.
constexpr size_t kFieldOverhead = 6;
constexpr size_t kLongestVarint = 10;
// A refusal is looked for among the last few reasons: each of a thousand may have a text of its own.
constexpr size_t kReasonsToCompare = 4;

void AppendVarint(uint64_t value, std::string* bytes) {
  uint8_t encoded[kLongestVarint];
  const uint8_t* const end = CodedOutputStream::WriteVarint64ToArray(value, encoded);
  bytes->append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(end - encoded));
}

// What comes before the `size` bytes of a field that has a length.
void AppendHead(int field, size_t size, std::string* bytes) {
  AppendVarint(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED), bytes);
  AppendVarint(size, bytes);
}

void AppendBytes(int field, const std::string& value, std::string* bytes) {
  AppendHead(field, value.size(), bytes);
  bytes->append(value);
}

}  // namespace

void AnswerQueue::Add(v1::StreamReservationsResult result, int64_t room) {
  if (!use_frames_) {
    StreamReservationsResponse response;
    response.set_sequence(result.sequence());
    response.mutable_created()->Swap(result.mutable_created());
    ready_.push_back({response.SerializeAsString(), {1, room}});
    return;
  }
  const size_t size = result.ByteSizeLong();
  MakeRoom(size + kFieldOverhead);
  AppendHead(StreamReservationsResponse::kResultsFieldNumber, size, &frame_.results);
  result.AppendToString(&frame_.results);
  frame_.count.Add({1, room});
}

void AnswerQueue::AddRefusal(uint64_t sequence, const absl::Status& error, int64_t room) {
  if (!use_frames_) {
    std::string bytes;
    AppendVarint(
        WireFormatLite::MakeTag(StreamReservationsResponse::kSequenceFieldNumber, WireFormatLite::WIRETYPE_VARINT),
        &bytes);
    AppendVarint(sequence, &bytes);
    AppendBytes(StreamReservationsResponse::kErrorFieldNumber, SerializedRpcStatus(error), &bytes);
    ready_.push_back({std::move(bytes), {1, room}});
    return;
  }
  MakeRoom(kLongestVarint);
  Refusals* refusals = Find(error);
  if (refusals == nullptr) {
    std::string details = SerializedRpcStatus(error);
    // With the sequence once more, for this may begin another frame.
    MakeRoom(details.size() + 3 * kFieldOverhead + kLongestVarint);
    refusals = &frame_.refusals.emplace_back(Refusals{error, std::move(details), {}});
  }
  AppendVarint(sequence, &refusals->sequences);
  frame_.count.Add({1, room});
}

AnswerQueue::Refusals* AnswerQueue::Find(const absl::Status& error) {
  const size_t compared = std::min(frame_.refusals.size(), kReasonsToCompare);
  for (size_t i = 0; i < compared; ++i) {
    Refusals& last = frame_.refusals[frame_.refusals.size() - 1 - i];
    if (last.error == error) return &last;
  }
  return nullptr;
}

void AnswerQueue::MakeRoom(size_t bytes) {
  if (frame_.count.answers >= kMaxFrameAnswers || frame_.bytes + bytes > kMaxFrameBytes) Close();
  frame_.bytes += bytes;
}

void AnswerQueue::Close() {
  if (frame_.count.answers == 0) return;
  std::string bytes = std::move(frame_.results);
  for (const Refusals& refusals : frame_.refusals) {
    std::string message;
    AppendBytes(StreamReservationsRefusal::kErrorFieldNumber, refusals.details, &message);
    AppendBytes(StreamReservationsRefusal::kSequencesFieldNumber, refusals.sequences, &message);
    AppendBytes(StreamReservationsResponse::kRefusalsFieldNumber, message, &bytes);
  }
  ready_.push_back({std::move(bytes), frame_.count});
  frame_ = Frame();
}

AnswerMessage AnswerQueue::Take() {
  if (ready_.empty()) Close();
  AnswerMessage next = std::move(ready_.front());
  ready_.pop_front();
  return next;
}

AnswerCount AnswerQueue::Clear() {
  AnswerCount dropped = frame_.count;
  for (const AnswerMessage& message : ready_) dropped.Add(message.count);
  ready_.clear();
  frame_ = Frame();
  return dropped;
}

}  // namespace tranche::server
