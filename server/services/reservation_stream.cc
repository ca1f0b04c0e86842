#include "server/services/reservation_stream.h"

#include <memory>
#include <optional>
#include <utility>

#include "glog/logging.h"
#include "server/errors.h"
#include "server/proto_time.h"
#include "server/services/reservation_stream_set.h"

namespace tranche::server {

ReservationStream* ReservationStream::Start(const CallContext& call, const CallFrame& frame,
                                            ReservationHandler* handler, ReservationStreamSet* set,
                                            ReservationStreamOptions options) {
  std::shared_ptr<ReservationStream> stream(new ReservationStream(call, frame, handler, set, options));
  absl::StatusOr<std::unique_ptr<StreamShare>> share = set->budget().Open(call.peer());
  // The set keeps it alive until OnDone, which gRPC calls only after it got the reactor.
  ReservationStream* const reactor = stream.get();
  {
    absl::MutexLock lock(&reactor->mutex_);
    if (share.ok()) {
      reactor->share_ = *std::move(share);
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
  {
    absl::MutexLock lock(&mutex_);
    if (!ok) half_closed_ = true;
    if (!ok || finished_) {
      reading_ = false;
      share_->GiveBack(1);
      return FinishIfOver();
    }
    ++outstanding_;
  }
  const uint64_t sequence = request_.sequence();
  const absl::StatusOr<absl::Time> deadline = DeadlineOfRequest();
  if (!deadline.ok()) {
    Decided(sequence, deadline.status());
  } else {
    const OpenCall call = frame_.open_calls->Begin(CallKind::kReservation, *deadline);
    handler_->Create(request_.create(), *deadline,
                     [self = shared_from_this(), call, sequence](absl::StatusOr<quota::Sold> sold) {
                       self->frame_.open_calls->End(call);
                       self->Decided(sequence, std::move(sold));
                     });
  }
  // Only now may request_ be read into again.
  absl::MutexLock lock(&mutex_);
  reading_ = false;
  ReadNext();
}

void ReservationStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  outbox_.pop_front();
  ++written_;
  Answered(1);
  if (!ok) cancelled_ = true;
  WriteNext();
  ReadNext();
  FinishIfOver();
}

void ReservationStream::OnCancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  WriteNext();
  FinishIfOver();
}

void ReservationStream::OnDone() { set_->Remove(this); }

void ReservationStream::Check(absl::Time now) {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    // Other streams may have made room.
    ReadNext();
    if (unread_ || cancelled_ || !TakesNothing(now)) return;
    if (outstanding_ < options_.max_outstanding && !share_->Exhausted()) return;
    LOG_EVERY_T(WARNING, 60) << "a stream of " << call_.peer()
                             << " is ended, because its caller takes no answers (at most one line a minute)";
    unread_ = true;
    cancelling_ = true;
    WriteNext();
  }
  call_.TryCancel();
  absl::MutexLock lock(&mutex_);
  cancelling_ = false;
  FinishIfOver();
}

bool ReservationStream::TakesNothing(absl::Time now) {
  if (written_ != written_before_ || !writing_ || untaken_since_ > now) {
    written_before_ = written_;
    untaken_since_ = now;
    return false;
  }
  return now - untaken_since_ >= options_.unread_timeout;
}

void ReservationStream::Decided(uint64_t sequence, absl::StatusOr<quota::Sold> sold) {
  v1::StreamReservationsResponse response;
  response.set_sequence(sequence);
  if (sold.ok()) {
    v1::CreateReservationResponse* created = response.mutable_created();
    handler_->Fill(sold->reservation, created->mutable_reservation());
    created->set_replayed(sold->replayed);
  } else {
    *response.mutable_error() = ToRpcStatus(sold.status());
  }
  absl::MutexLock lock(&mutex_);
  outbox_.push_back(std::move(response));
  WriteNext();
  FinishIfOver();
}

absl::StatusOr<absl::Time> ReservationStream::DeadlineOfRequest() const {
  std::optional<absl::Duration> timeout = absl::InfiniteDuration();
  if (request_.has_timeout()) timeout = FromDuration(request_.timeout());
  if (!timeout.has_value() || *timeout <= absl::ZeroDuration()) {
    return FieldError(v1::ERROR_REASON_FIELD_INVALID, "timeout", "must be a positive duration");
  }
  const absl::Time now = frame_.clock->Now();
  return EffectiveDeadline(*frame_.deadlines, now + *timeout, now);
}

void ReservationStream::ReadNext() {
  if (reading_ || half_closed_ || cancelled_ || stopping_ || unread_ || finished_) return;
  // If there is no room, the next Check or the next answer that is taken tries again.
  if (outstanding_ >= options_.max_outstanding || !share_->TryTake()) return;
  reading_ = true;
  StartRead(&request_);
}

void ReservationStream::WriteNext() {
  // Nobody listens: the claims stand, their answers are dropped.
  if (cancelled_ || unread_) return DropAnswers();
  if (writing_ || outbox_.empty()) return;
  writing_ = true;
  grpc::WriteOptions options;
  // More answers follow at once: let the transport combine them.
  if (outbox_.size() > 1) options.set_buffer_hint();
  StartWrite(&outbox_.front(), options);
}

void ReservationStream::DropAnswers() {
  const size_t kept = writing_ ? 1 : 0;  // until OnWriteDone
  if (outbox_.size() <= kept) return;
  Answered(static_cast<int>(outbox_.size() - kept));
  outbox_.resize(kept);
}

void ReservationStream::Answered(int count) {
  outstanding_ -= count;
  share_->GiveBack(count);
}

void ReservationStream::FinishIfOver() {
  if (finished_ || cancelling_ || !(half_closed_ || cancelled_ || stopping_ || unread_)) return;
  if (outstanding_ > 0 || writing_) return;
  finished_ = true;
  if (cancelled_ || unread_) return Finish(grpc::Status::CANCELLED);
  if (half_closed_) return Finish(grpc::Status::OK);
  Finish(call_.Conclude(RefusalError({storage::Refusal::kDraining})));
}

}  // namespace tranche::server
