#include "server/services/export_stream.h"

#include <utility>

#include "absl/functional/any_invocable.h"
#include "server/errors.h"
#include "server/rpc/grpc_status.h"

namespace tranche::server {

ExportStream* ExportStream::Start(PaymentHandler* handler, storage::Executor* executor,
                                  grpc::CallbackServerContext* context, const v1::ExportPaymentsRequest& request) {
  auto* const stream = new ExportStream(handler, executor, context);
  absl::StatusOr<PaymentHandler::ExportCursor> cursor = handler->StartExport(request);
  if (!cursor.ok()) {
    stream->FinishWith(cursor.status());
    return stream;
  }
  stream->cursor_ = *std::move(cursor);
  stream->ReadNext();
  return stream;
}

void ExportStream::ReadNext() {
  absl::AnyInvocable<void()> task = [this] {
    if (context_->IsCancelled()) return Finish(grpc::Status::CANCELLED);
    absl::StatusOr<v1::ExportPaymentsResponse> page = handler_->ReadExport(&cursor_);
    if (!page.ok()) return FinishWith(page.status());
    page_ = *std::move(page);
    StartWrite(&page_);
  };
  if (!executor_->TryRun(task)) {
    FinishWith(MakeError(v1::ERROR_REASON_OVERLOADED, "Too many calls wait here; try again shortly."));
  }
}

void ExportStream::OnWriteDone(bool ok) {
  if (!ok) return Finish(grpc::Status::CANCELLED);
  if (cursor_.done) return Finish(grpc::Status::OK);
  ReadNext();
}

void ExportStream::FinishWith(const absl::Status& status) {
  AddPushback(status, context_);
  Finish(ToGrpcStatus(status));
}

}  // namespace tranche::server
