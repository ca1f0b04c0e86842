#include "server/services/request_message.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/errors.h"
#include "server/rpc/malformed_request.h"

namespace tranche::server {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr uint32_t kItemTag = WireFormatLite::MakeTag(v1::StreamReservationsRequest::kItemsFieldNumber,
                                                      WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

constexpr uint32_t kSequenceTag =
    WireFormatLite::MakeTag(v1::StreamReservationsItem::kSequenceFieldNumber, WireFormatLite::WIRETYPE_VARINT);

CodedInputStream InputOf(const std::string& bytes, size_t from) {
  return CodedInputStream(reinterpret_cast<const uint8_t*>(bytes.data()) + from, static_cast<int>(bytes.size() - from));
}

// Reads the length as NextOfFrame does. SkipField would drop its upper bits, and so take 2^32 + 2 for 2.
bool SkipItem(CodedInputStream* input) {
  int size = 0;
  return input->ReadVarintSizeAsInt(&size) && input->Skip(size);
}

// That of an item which is not parsed; 0 if it has none.
uint64_t SequenceOf(const char* item, int size) {
  CodedInputStream input(reinterpret_cast<const uint8_t*>(item), size);
  uint64_t sequence = 0;
  while (const uint32_t tag = input.ReadTag()) {
    if (tag == kSequenceTag) return input.ReadVarint64(&sequence) ? sequence : 0;
    if (!WireFormatLite::SkipField(&input, tag)) return 0;
  }
  return 0;
}

absl::Status Unreadable() { return UnreadableRequest(*v1::StreamReservationsRequest::descriptor()); }

// A field of a single request, which a frame must not have besides.
bool IsOfSingleRequest(int field) {
  return field == v1::StreamReservationsRequest::kSequenceFieldNumber ||
         field == v1::StreamReservationsRequest::kCreateFieldNumber ||
         field == v1::StreamReservationsRequest::kTimeoutFieldNumber;
}

}  // namespace

absl::Status RequestMessage::Read(std::string bytes) {
  Clear();
  CodedInputStream input = InputOf(bytes, 0);
  int items = 0;
  bool single = false;
  while (const uint32_t tag = input.ReadTag()) {
    if (!(tag == kItemTag ? SkipItem(&input) : WireFormatLite::SkipField(&input, tag))) return Unreadable();
    if (tag == kItemTag) ++items;
    single = single || IsOfSingleRequest(WireFormatLite::GetTagFieldNumber(tag));
  }
  if (!input.ConsumedEntireMessage()) return Unreadable();
  if (items > kMaxFrameItems) {
    return FieldError(v1::ERROR_REASON_MESSAGE_TOO_LARGE, "items", absl::StrCat("must be at most ", kMaxFrameItems));
  }
  if (items > 0 && single) return InvalidField("items", "must come without the fields of a single request");
  is_frame_ = items > 0;
  next_ = 0;
  bytes_ = std::move(bytes);
  return absl::OkStatus();
}

RequestMessage::Found RequestMessage::Next(v1::StreamReservationsItem* item) {
  if (is_frame_) return NextOfFrame(item);
  if (next_ > bytes_.size()) return Found::kNone;
  last_ = next_;
  next_ = bytes_.size() + 1;  // an empty message is a request, too
  v1::StreamReservationsRequest request;
  if (!request.ParseFromString(bytes_)) return Found::kMalformed;
  item->Clear();
  item->set_sequence(request.sequence());
  item->mutable_create()->Swap(request.mutable_create());
  if (request.has_timeout()) item->mutable_timeout()->Swap(request.mutable_timeout());
  return Found::kRequest;
}

RequestMessage::Found RequestMessage::NextOfFrame(v1::StreamReservationsItem* item) {
  CodedInputStream input = InputOf(bytes_, next_);
  while (const uint32_t tag = input.ReadTag()) {
    if (tag != kItemTag) {
      if (!WireFormatLite::SkipField(&input, tag)) return Found::kMalformed;
      continue;
    }
    int size = 0;
    // Read has seen that they fit. Nothing here relies on it: a wrong size would be read out of bounds.
    if (!input.ReadVarintSizeAsInt(&size)) return Found::kMalformed;
    const size_t begin = next_ + static_cast<size_t>(input.CurrentPosition());
    if (static_cast<size_t>(size) > bytes_.size() - begin) return Found::kMalformed;
    last_ = next_;
    next_ = begin + static_cast<size_t>(size);
    if (static_cast<size_t>(size) > kMaxItemBytes) {
      item->Clear();
      item->set_sequence(SequenceOf(bytes_.data() + begin, size));
      return item->sequence() != 0 ? Found::kTooLarge : Found::kMalformed;
    }
    if (item->ParseFromArray(bytes_.data() + begin, size)) return Found::kRequest;
    // What was read before the fault is there.
    return item->sequence() != 0 ? Found::kUnreadable : Found::kMalformed;
  }
  return Found::kNone;
}

}  // namespace tranche::server
