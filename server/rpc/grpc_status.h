// Converts the server's errors and deadlines into gRPC's types.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tranche::server {

grpc::Status ToGrpcStatus(const absl::Status& error);

// Tells retrying gRPC clients how long to wait ("grpc-retry-pushback-ms"), as the error's RetryInfo tells all others.
// Call it before Finish.
void AddPushback(const absl::Status& error, grpc::CallbackServerContext* context);

// nullopt if the caller set none.
std::optional<absl::Time> DeadlineOf(const grpc::CallbackServerContext& context);

}  // namespace tranche::server
