#include "server/services/reservation_stream.h"

#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/rpc/malformed_request.h"
#include "server/services/reservation_stream_set.h"

namespace tranche::server {
namespace {

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  // It fails only for what no caller can send: a message whose compression gRPC has not undone.
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// What an item of this room leaves free in the budget. Items of one answer leave room for the largest cart. Otherwise
// many of them could take whatever becomes free, and a cart, which needs it all at once, would never come in.
int64_t SpareFor(int64_t room) { return room == 1 ? kMostRoom : 0; }

// Why an item is refused without being looked at by a handler.
absl::Status ErrorOfItem(RequestMessage::Found found) {
  if (found == RequestMessage::Found::kTooLarge) {
    return FieldError(v1::ERROR_REASON_MESSAGE_TOO_LARGE, "items",
                      absl::StrCat("must be at most ", kMaxItemBytes, " bytes each"));
  }
  return UnreadableRequest(*v1::StreamReservationsItem::descriptor());
}

}  // namespace

ReservationStream* ReservationStream::Start(const CallContext& call, const CallFrame& frame,
                                            const StreamHandlers& handlers, ReservationStreamSet* set,
                                            ReservationStreamOptions options) {
  std::shared_ptr<ReservationStream> stream(new ReservationStream(call, frame, handlers, set, options));
  absl::StatusOr<std::unique_ptr<StreamShare>> share = set->budget().Open(call.peer());
  // The set keeps it alive until OnDone, which gRPC calls only after it got the reactor.
  ReservationStream* const reactor = stream.get();
  {
    absl::MutexLock lock(&reactor->mutex_);
    if (share.ok()) {
      reactor->share_ = *std::move(share);
      call.AddInitialMetadata(kFrameItemsKey, absl::StrCat(kMaxFrameItems));
      call.AddInitialMetadata(kFrameBytesKey, absl::StrCat(options.max_message_bytes));
      call.AddInitialMetadata(kFrameKindsKey, kFrameKinds);
      reactor->StartSendInitialMetadata();
      reactor->ReadNext();
    } else {
      reactor->finished_ = true;
    }
  }
  set->Add(stream);
  if (!share.ok()) reactor->Finish(call.Conclude(share.status()));
  return reactor;
}

void ReservationStream::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  FinishIfOver();
}

void ReservationStream::OnReadDone(bool ok) {
  if (ok) call_.meter().Received();
  const absl::Status readable = ok ? message_.Read(BytesOf(received_)) : absl::OkStatus();
  received_.Clear();
  {
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    half_closed_ = half_closed_ || !ok;
    refused_.Update(readable);
    CheckAccess();
    holding_ = ok && refused_.ok();
    if (message_.is_frame()) answers_.UseFrames();
    if (!BeginToAdmit()) {
      if (!holding_) LetGoOfMessage();
      return FinishIfOver();
    }
  }
  Admit();
}

void ReservationStream::Admit() {
  const ScopedTrace trace(trace_);
  v1::StreamReservationsItem item;
  while (true) {
    const RequestMessage::Found found = message_.Next(&item);
    const int64_t room = found == RequestMessage::Found::kRequest ? RoomOf(item) : 1;
    const bool change = found == RequestMessage::Found::kRequest && IsChange(item);
    const int most = change ? most_with_changes_ : options_.max_outstanding;
    {
      absl::MutexLock lock(&mutex_);
      if (found == RequestMessage::Found::kMalformed) {
        refused_.Update(UnreadableRequest(*v1::StreamReservationsRequest::descriptor()));
      }
      holding_ = !Unheard() && refused_.ok() && found != RequestMessage::Found::kNone;
      if (!holding_) return EndAdmitting();
      if (!TakeRoom(room, most)) {
        KeepInHand(room, most);
        return EndAdmitting();
      }
      ++outstanding_;
    }
    if (found != RequestMessage::Found::kRequest) {
      Decided(item.sequence(), room, ErrorOfItem(found));
      continue;
    }
    ServeItem(
        handlers_, frame_, item,
        [self = shared_from_this(), sequence = item.sequence(), room](
            absl::StatusOr<v1::StreamReservationsResult> result) { self->Decided(sequence, room, std::move(result)); },
        BuyerAddress());
  }
}

// A stream may begin long before the front door has a policy.
const std::string& ReservationStream::BuyerAddress() {
  static const std::string* const nobody_asks = new std::string();
  if (!buyer_address_.has_value()) {
    if (!handlers_.visitors.wanted()) return *nobody_asks;
    buyer_address_ = handlers_.visitors.Of(call_);
  }
  return *buyer_address_;
}

bool ReservationStream::BeginToAdmit() {
  if (!holding_ || admitting_) return false;
  // If there is no room, the next Check or the next answer that is taken tries again.
  if (!HasRoom() && !Unheard() && refused_.ok()) return false;
  admitting_ = true;
  return true;
}

void ReservationStream::EndAdmitting() {
  admitting_ = false;
  if (!holding_) {
    LetGoOfMessage();
    ReadNext();
  }
  WriteNext();
  FinishIfOver();
}

void ReservationStream::LetGoOfMessage() {
  message_.Clear();
  share_->GiveBack(std::exchange(reserved_, 0));
  next_room_ = 1;
  next_most_ = most_with_changes_;
}

bool ReservationStream::HasRoom() const {
  if (outstanding_ >= next_most_) return false;
  return next_room_ <= reserved_ || !share_->Exhausted(next_room_ - reserved_ + SpareFor(next_room_));
}

bool ReservationStream::TakeRoom(int64_t room, int most) {
  if (outstanding_ >= most || !share_->TryTake(room - reserved_, SpareFor(room))) return false;
  reserved_ = 0;
  next_room_ = 1;
  next_most_ = most_with_changes_;
  return true;
}

void ReservationStream::KeepInHand(int64_t room, int most) {
  message_.StepBack();
  next_room_ = room;
  next_most_ = most;
  // Its own answers must be taken first: meanwhile other streams may use what was taken for the read.
  if (outstanding_ >= most) share_->GiveBack(std::exchange(reserved_, 0));
}

void ReservationStream::Decided(uint64_t sequence, int64_t room, absl::StatusOr<v1::StreamReservationsResult> result) {
  absl::MutexLock lock(&mutex_);
  if (result.ok()) {
    result->set_sequence(sequence);
    answers_.Add(*std::move(result), room);
  } else {
    answers_.AddRefusal(sequence, result.status(), room);
  }
  // Most requests of a frame are decided while it is gone through: their answers go into one message.
  if (admitting_ && !answers_.has_ready() && !Unheard()) return;
  WriteNext();
  FinishIfOver();
}

void ReservationStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (ok) call_.meter().Sent();
    sent_.Clear();
    ++written_;
    Answered(writing_count_);
    if (!ok) cancelled_ = true;
    WriteNext();
    if (!BeginToAdmit()) {
      ReadNext();
      return FinishIfOver();
    }
  }
  Admit();
}

void ReservationStream::OnCancel() {
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    WriteNext();
    if (!BeginToAdmit()) return FinishIfOver();
  }
  Admit();
}

void ReservationStream::OnDone() { set_->Remove(this); }

void ReservationStream::Check(absl::Time now) {
  bool admit = false;
  bool cancel = false;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    CheckAccess();
    // Other streams may have made room.
    ReadNext();
    admit = BeginToAdmit();
    // There is no room for a single claim, and perhaps not for a cart either.
    const bool at_limit = outstanding_ >= options_.max_outstanding || share_->Exhausted(1 + SpareFor(1));
    if (!unread_ && !cancelled_ && TakesNothing(now) && (at_limit || !refused_.ok())) {
      LOG_EVERY_T(WARNING, 60) << "a stream of " << call_.peer()
                               << " is ended, because its caller takes no answers (at most one line a minute)";
      unread_ = cancelling_ = cancel = true;
      WriteNext();
      // Lets go of the message that is in hand.
      admit = admit || BeginToAdmit();
    }
    if (!admit && !cancel) return FinishIfOver();
  }
  if (admit) Admit();
  if (!cancel) return;
  call_.TryCancel();
  absl::MutexLock lock(&mutex_);
  cancelling_ = false;
  FinishIfOver();
}

void ReservationStream::CheckAccess() {
  if (!finished_) refused_.Update(access_.Check(call_));
}

bool ReservationStream::TakesNothing(absl::Time now) {
  if (written_ != written_before_ || !writing_ || untaken_since_ > now) {
    written_before_ = written_;
    untaken_since_ = now;
    return false;
  }
  return now - untaken_since_ >= options_.unread_timeout;
}

void ReservationStream::ReadNext() {
  if (reading_ || holding_ || half_closed_ || stopping_ || Unheard() || !refused_.ok()) return;
  // If there is no room, the next Check or the next answer that is taken tries again.
  if (outstanding_ >= most_with_changes_ || !share_->TryTake(1 - reserved_, SpareFor(1))) return;
  reserved_ = 1;
  reading_ = true;
  StartRead(&received_);
}

void ReservationStream::WriteNext() {
  // Nobody listens: the claims stand, their answers are dropped. What is being written stays until OnWriteDone.
  if (cancelled_ || unread_) return Answered(answers_.Clear());
  if (writing_ || answers_.empty()) return;
  writing_ = true;
  const AnswerMessage next = answers_.Take();
  writing_count_ = next.count;
  const grpc::Slice slice(next.bytes);
  sent_ = grpc::ByteBuffer(&slice, 1);
  grpc::WriteOptions options;
  // More answers follow at once: let the transport combine them.
  if (!answers_.empty()) options.set_buffer_hint();
  StartWrite(&sent_, options);
}

void ReservationStream::Answered(const AnswerCount& count) {
  if (count.answers == 0) return;
  outstanding_ -= count.answers;
  share_->GiveBack(count.room);
}

void ReservationStream::FinishIfOver() {
  if (finished_ || cancelling_) return;
  if (!(half_closed_ || cancelled_ || stopping_ || unread_ || !refused_.ok())) return;
  if (outstanding_ > 0 || writing_ || holding_ || admitting_) return;
  finished_ = true;
  if (cancelled_ || unread_) return Finish(call_.Conclude(absl::CancelledError()));
  if (!refused_.ok()) return Finish(call_.Conclude(refused_));
  if (half_closed_) return Finish(call_.Conclude(absl::OkStatus()));
  Finish(call_.Conclude(RefusalError({storage::Refusal::kDraining})));
}

}  // namespace tranche::server
