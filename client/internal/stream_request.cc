#include "client/internal/stream_request.h"

#include "client/internal/convert.h"

namespace tranche::internal {

void CreateOnStream::Write(tranche::v1::StreamReservationsItem* item) const {
  *item->mutable_create() = ToProto(request_);
}

void CreateOnStream::Deliver(const tranche::v1::StreamReservationsResult& result) {
  callback_(FromProto(result.created().reservation(), result.created().replayed()));
}

void CreateOnStream::ContinueAsCall(Connection& connection, bool outcome_unknown, StreamWindow* window) {
  request_.retry_of_unknown = request_.retry_of_unknown || outcome_unknown;
  connection.CreateBefore(deadline(), std::move(request_), Telling(window, std::move(callback_)));
}

}  // namespace tranche::internal
