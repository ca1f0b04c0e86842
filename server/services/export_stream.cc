#include "server/services/export_stream.h"

#include <utility>

#include "absl/functional/any_invocable.h"

namespace tranche::server {

ExportStream* ExportStream::Start(const CallContext& call, const CallFrame& frame, PaymentHandler* handler,
                                  const v1::ExportPaymentsRequest& request) {
  auto* const stream = new ExportStream(call, frame.ExecutorFor(call.policy()), handler);
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
  if (const absl::Status allowed = access_.Check(call_); !allowed.ok()) {
    page = allowed;
  } else if (!call_.cancelled()) {
    page = handler_->ReadExport(&cursor_);
  }
  GoOn([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reading_ = false;
    if (page.ok()) {
      next_page_ = *std::move(page);
      if (cursor_.done) end_ = absl::OkStatus();
    } else {
      end_ = call_.cancelled() ? absl::CancelledError() : page.status();
    }
  });
}

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
      StartWrite(&page_);
    }
    if (reading_ || next_page_.has_value() || (end_.has_value() && writing_)) return;
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

}  // namespace tranche::server
