#include "server/services/export_stream.h"

#include <utility>

#include "absl/functional/any_invocable.h"

namespace tranche::server {

ExportStream* ExportStream::Start(const CallContext& call, const CallFrame& frame, PaymentHandler* handler,
                                  const v1::ExportPaymentsRequest& request) {
  auto* const stream = new ExportStream(call, frame.ExecutorFor(call.policy()), handler);
  absl::StatusOr<PaymentHandler::ExportCursor> cursor = handler->StartExport(request);
  if (!cursor.ok()) {
    stream->Finish(call.Conclude(cursor.status()));
    return stream;
  }
  stream->cursor_ = *std::move(cursor);
  stream->ReadNext();
  return stream;
}

void ExportStream::ReadNext() {
  absl::AnyInvocable<void()> task = [this] {
    if (call_.cancelled()) return Finish(grpc::Status::CANCELLED);
    absl::StatusOr<v1::ExportPaymentsResponse> page = handler_->ReadExport(&cursor_);
    if (!page.ok()) return Finish(call_.Conclude(page.status()));
    page_ = *std::move(page);
    StartWrite(&page_);
  };
  if (!executor_->TryRun(task)) Finish(call_.Conclude(ExecutorFull()));
}

void ExportStream::OnWriteDone(bool ok) {
  if (!ok) return Finish(grpc::Status::CANCELLED);
  if (cursor_.done) return Finish(grpc::Status::OK);
  ReadNext();
}

}  // namespace tranche::server
