#include "server/services/reservation_stream.h"

#include <utility>
#include <vector>

#include "server/errors.h"
#include "server/proto_time.h"

namespace tranche::server {

void ReservationStreamSet::Add(const std::shared_ptr<ReservationStream>& stream) {
  bool stopped = false;
  {
    absl::MutexLock lock(&mutex_);
    streams_.emplace(stream.get(), stream);
    stopped = stopped_;
  }
  if (stopped) stream->Stop();
}

void ReservationStreamSet::Remove(ReservationStream* stream) {
  std::shared_ptr<ReservationStream> last;  // destroyed after the lock is released
  absl::MutexLock lock(&mutex_);
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  last = std::move(it->second);
  streams_.erase(it);
}

void ReservationStreamSet::StopAll() {
  std::vector<std::shared_ptr<ReservationStream>> open;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (const auto& [_, stream] : streams_) open.push_back(stream);
  }
  for (const auto& stream : open) stream->Stop();
}

ReservationStream* ReservationStream::Start(const CallContext& call, const CallFrame& frame,
                                            ReservationHandler* handler, ReservationStreamSet* set,
                                            ReservationStreamOptions options) {
  std::shared_ptr<ReservationStream> stream(new ReservationStream(call, frame, handler, set, options));
  set->Add(stream);
  // The set keeps it alive until OnDone, which gRPC calls only after it got the reactor.
  ReservationStream* const reactor = stream.get();
  absl::MutexLock lock(&reactor->mutex_);
  reactor->ReadNext();
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
  --outstanding_;
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
  if (reading_ || half_closed_ || cancelled_ || stopping_ || finished_) return;
  if (outstanding_ >= options_.max_outstanding) return;
  reading_ = true;
  StartRead(&request_);
}

void ReservationStream::WriteNext() {
  if (writing_) return;
  if (cancelled_) {
    // Nobody listens any more: the claims stand, their answers are dropped.
    outstanding_ -= static_cast<int>(outbox_.size());
    outbox_.clear();
    return;
  }
  if (outbox_.empty()) return;
  writing_ = true;
  grpc::WriteOptions options;
  // More answers follow at once: let the transport combine them.
  if (outbox_.size() > 1) options.set_buffer_hint();
  StartWrite(&outbox_.front(), options);
}

void ReservationStream::FinishIfOver() {
  const bool no_more_requests = half_closed_ || cancelled_ || stopping_;
  if (finished_ || !no_more_requests || outstanding_ > 0 || writing_) return;
  finished_ = true;
  if (cancelled_) return Finish(grpc::Status::CANCELLED);
  if (half_closed_) return Finish(grpc::Status::OK);
  Finish(call_.Conclude(RefusalError({storage::Refusal::kDraining})));
}

}  // namespace tranche::server
