#include "server/services/move_stream.h"

#include <utility>

#include "server/errors.h"

namespace tranche::server {

MoveStream* MoveStream::Start(const CallContext& call, const CallFrame& frame, Move move) {
  auto* const stream = new MoveStream(call);
  absl::AnyInvocable<void()> task = [stream, move = std::move(move)]() mutable {
    absl::Status status = stream->MayBegin();
    if (status.ok()) status = move([stream](const v1::MoveSkuResponse& response) { stream->Add(response); });
    stream->End(status);
    stream->Release();
  };
  if (!frame.ExecutorFor(call.policy())->TryRun(task)) {
    stream->End(MakeError(v1::ERROR_REASON_OVERLOADED, "Another move is under way at this node; try another node."));
    stream->Release();
  }
  return stream;
}

absl::Status MoveStream::MayBegin() {
  if (call_.cancelled()) return absl::CancelledError();
  return access_.Check(call_);
}

void MoveStream::Add(const v1::MoveSkuResponse& response) {
  absl::MutexLock lock(&mutex_);
  // Only the latest message of a stage counts; the first one may be in flight.
  const size_t in_flight = writing_ ? 1 : 0;
  if (outbox_.size() > in_flight && outbox_.back().stage() == response.stage()) outbox_.pop_back();
  outbox_.push_back(response);
  WriteNext();
}

void MoveStream::End(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  ended_ = true;
  status_ = status;
  WriteNext();
}

void MoveStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  outbox_.pop_front();
  if (ok) {
    call_.meter().Sent();
  } else {
    broken_ = true;
  }
  WriteNext();
}

void MoveStream::WriteNext() {
  if (writing_ || finished_) return;
  if (broken_) outbox_.clear();
  if (!outbox_.empty()) {
    writing_ = true;
    StartWrite(&outbox_.front());
  } else if (ended_) {
    finished_ = true;
    Finish(call_.Conclude(status_));
  }
}

void MoveStream::OnDone() { Release(); }

void MoveStream::Release() {
  {
    absl::MutexLock lock(&mutex_);
    if (--owners_ > 0) return;
  }
  delete this;
}

}  // namespace tranche::server
