#include "server/rpc/grpc_status.h"

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors.h"

namespace tranche::server {

grpc::Status ToGrpcStatus(const absl::Status& error) {
  if (error.ok()) return grpc::Status::OK;
  std::string details = SerializedDetails(error);
  if (details.empty()) {
    const google::rpc::Status internal = ToRpcStatus(error);
    return grpc::Status(static_cast<grpc::StatusCode>(internal.code()), internal.message(),
                        internal.SerializeAsString());
  }
  // The codes of absl and gRPC are the same numbers.
  return grpc::Status(static_cast<grpc::StatusCode>(error.code()), std::string(error.message()), std::move(details));
}

void AddPushback(const absl::Status& error, grpc::CallbackServerContext* context) {
  const absl::Duration delay = RetryDelay(error);
  if (delay == absl::ZeroDuration()) return;
  context->AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(absl::ToInt64Milliseconds(delay)));
}

std::optional<absl::Time> DeadlineOf(const grpc::CallbackServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return std::nullopt;
  return absl::FromChrono(deadline);
}

}  // namespace tranche::server
