#include "server/services/export_stream.h"

#include <utility>

#include "absl/functional/any_invocable.h"

namespace tranche::server {

ExportStream* ExportStream::Start(const CallContext& call, const CallFrame& frame, PaymentHandler* handler,
                                  OpenExports* open, const v1::ExportPaymentsRequest& request) {
  std::shared_ptr<ExportStream> kept(new ExportStream(call, frame.clock, frame.ExecutorFor(call.policy()), handler));
  ExportStream* const stream = kept.get();
  if (open != nullptr) open->Add(kept);
  stream->self_ = std::move(kept);
  const absl::Status begun = stream->Begin(frame.exports, request);
  stream->GoOn([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream->mutex_) {
    if (!begun.ok()) stream->end_ = begun;
  });
  return stream;
}

absl::Status ExportStream::Begin(AnswerBudget* exports, const v1::ExportPaymentsRequest& request) {
  absl::StatusOr<PaymentHandler::ExportCursor> cursor = handler_->StartExport(request);
  if (!cursor.ok()) return cursor.status();
  cursor_ = *std::move(cursor);
  if (exports == nullptr) return absl::OkStatus();
  // A long export takes its time also when its caller reads, so it is not cancelled.
  absl::StatusOr<std::unique_ptr<AnswerShare>> share = exports->Take(call_.peer(), kExportBytes, /*cancel=*/nullptr);
  if (share.ok()) share_ = *std::move(share);
  return share.status();
}

void ExportStream::Read() {
  absl::StatusOr<v1::ExportPaymentsResponse> page;
  const absl::Status allowed = access_.Check(call_);
  if (!allowed.ok()) {
    page = allowed;
  } else if (!call_.cancelled()) {
    page = handler_->ReadExport(&cursor_);
  }
  GoOn([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reading_ = false;
    revoked_ = revoked_ || !allowed.ok();
    if (page.ok()) {
      next_page_ = *std::move(page);
      if (cursor_.done) end_ = absl::OkStatus();
    } else {
      end_ = call_.cancelled() ? absl::CancelledError() : page.status();
    }
  });
}

void ExportStream::Check(absl::Time latest) {
  {
    absl::MutexLock lock(&mutex_);
    // While it reads, it asks by itself.
    if (reading_ || !writing_ || cancelling_ || writing_since_ > latest) return;
    revoked_ = revoked_ || !access_.Check(call_).ok();
    if (!revoked_) return;
    cancelling_ = true;
  }
  call_.TryCancel();
  GoOn([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { cancelling_ = false; });
}

void ExportStream::OnDone() { const std::shared_ptr<ExportStream> last = std::move(self_); }

void ExportStream::OnWriteDone(bool ok) {
  GoOn([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = false;
    if (ok) return call_.meter().Sent();
    next_page_.reset();
    end_ = absl::CancelledError();
  });
}

void ExportStream::GoOn(absl::FunctionRef<void()> note) {
  std::optional<absl::Status> end;
  {
    absl::MutexLock lock(&mutex_);
    note();
    if (!writing_ && next_page_.has_value()) {
      page_ = *std::move(next_page_);
      next_page_.reset();
      writing_ = true;
      writing_since_ = clock_->Now();
      StartWrite(&page_);
    }
    if (cancelling_ || reading_ || next_page_.has_value() || (end_.has_value() && writing_)) return;
    end = end_;
    reading_ = !end.has_value();
  }
  // Not under the lock: the task may run at once, and both let gRPC delete this.
  if (end.has_value()) return Finish(call_.Conclude(*end));
  absl::AnyInvocable<void()> task = [this] { Read(); };
  if (executor_->TryRun(task)) return;
  GoOn([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reading_ = false;
    end_ = ExecutorFull();
  });
}

void OpenExports::Add(std::weak_ptr<ExportStream> stream) {
  absl::MutexLock lock(&mutex_);
  streams_.push_back(std::move(stream));
}

void OpenExports::CheckAll(absl::Time latest) {
  std::vector<std::shared_ptr<ExportStream>> open;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::weak_ptr<ExportStream>& stream : streams_) {
      if (std::shared_ptr<ExportStream> one = stream.lock(); one != nullptr) open.push_back(std::move(one));
    }
    streams_.assign(open.begin(), open.end());
  }
  for (const auto& stream : open) stream->Check(latest);
}

}  // namespace tranche::server
