#include "client/internal/node_stream.h"

#include <algorithm>
#include <utility>

#include "client/internal/convert.h"
#include "client/internal/status_translation.h"

namespace tranche::internal {
namespace {

// Time for the node's own "deadline passed" to arrive before the stream is given up.
constexpr absl::Duration kOverdueGrace = absl::Milliseconds(200);

}  // namespace

std::shared_ptr<NodeStream> NodeStream::Start(Stub& stub, int node, Owner* owner) {
  std::shared_ptr<NodeStream> stream(new NodeStream(node, owner));
  stream->self_ = stream;
  stub.StreamReservations(stream->context_, stream.get());
  // Held while the stream may be written to from outside gRPC's reactions; OnReadDone(false) releases it.
  stream->AddHold();
  stream->StartRead(&stream->read_);
  stream->StartCall();
  return stream;
}

bool NodeStream::Send(StreamItem& item, absl::Time now) {
  {
    absl::MutexLock lock(&mutex_);
    if (ending_ || finish_sending_) return false;
    tranche::v1::StreamReservationsRequest& message = queue_.emplace_back();
    message.set_sequence(++last_sequence_);
    *message.mutable_create() = ToProto(item.request);
    const absl::Duration timeout = std::max(absl::Milliseconds(1), item.attempt_deadline - now);
    message.mutable_timeout()->set_seconds(timeout / absl::Seconds(1));
    message.mutable_timeout()->set_nanos(static_cast<int32_t>((timeout % absl::Seconds(1)) / absl::Nanoseconds(1)));
    unanswered_.emplace(last_sequence_, std::move(item));
    if (writing_) return true;
    writing_ = NextWrite();
    AddHold();
  }
  StartWrite(&write_);
  RemoveHold();
  return true;
}

bool NodeStream::NextWrite() {
  if (queue_.empty()) return false;
  write_ = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

void NodeStream::OnWriteDone(bool ok) {
  bool more_follow = false;
  bool close = false;
  {
    absl::MutexLock lock(&mutex_);
    // Not ok: the stream is broken, and OnReadDone(false) comes too. `writing_` stays set: nothing more is written.
    if (!ok) return;
    writing_ = NextWrite();
    more_follow = !queue_.empty();
    close = !writing_ && finish_sending_;
    if (!writing_ && !close) return;
  }
  if (close) {
    StartWritesDone();
  } else {
    // If more requests follow at once, let the transport combine them into one packet.
    StartWrite(&write_, more_follow ? grpc::WriteOptions().set_buffer_hint() : grpc::WriteOptions());
  }
}

void NodeStream::OnReadDone(bool ok) {
  StreamItem item;
  bool found = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!ok) {
      ending_ = true;
    } else if (auto it = unanswered_.find(read_.sequence()); it != unanswered_.end()) {
      item = std::move(it->second);
      unanswered_.erase(it);
      found = true;
    }
  }
  if (!ok) {
    RemoveHold();
    return;
  }
  absl::StatusOr<Reservation> answer = absl::InternalError("the node answered with neither a reservation nor an error");
  if (read_.has_created()) {
    answer = FromProto(read_.created().reservation(), read_.created().replayed());
  } else if (read_.has_error() && read_.error().code() != 0) {
    answer = ToAbslStatus(read_.error());
  }
  StartRead(&read_);
  if (found) owner_->OnAnswer(std::move(item), std::move(answer));
}

void NodeStream::FinishSending() {
  {
    absl::MutexLock lock(&mutex_);
    if (ending_ || finish_sending_) return;
    finish_sending_ = true;
    if (writing_) return;
    AddHold();
  }
  StartWritesDone();
  RemoveHold();
}

void NodeStream::Cancel() {
  {
    absl::MutexLock lock(&mutex_);
    if (ending_) return;
    AddHold();
  }
  context_->TryCancel();
  RemoveHold();
}

void NodeStream::CancelIfOverdue(absl::Time now) {
  bool overdue = false;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [sequence, item] : unanswered_) overdue |= item.attempt_deadline + kOverdueGrace < now;
  }
  if (overdue) Cancel();
}

void NodeStream::OnDone(const grpc::Status& status) {
  const std::shared_ptr<NodeStream> self = std::move(self_);
  std::vector<StreamItem> unanswered;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    for (auto& [sequence, item] : unanswered_) unanswered.push_back(std::move(item));
    unanswered_.clear();
  }
  // The context holds its channel. The channel's last owner must not be a thread of gRPC: the client may be destroyed
  // after OnEnded.
  context_.reset();
  owner_->OnEnded(node_, std::move(unanswered));
}

}  // namespace tranche::internal
