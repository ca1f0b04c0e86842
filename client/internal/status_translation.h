// Converts between gRPC's statuses and absl::Status with google.rpc details as payloads. The details keep their type
// URLs.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace tranche::internal {

inline constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
inline constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";
inline constexpr char kErrorDomain[] = "tranche";

absl::Status ToAbslStatus(const grpc::Status& status);
absl::Status ToAbslStatus(const google::rpc::Status& status);

// COMMIT_UNKNOWN for `reservation_id`, with the code of `last`: the result when no attempt had a definite outcome.
absl::Status OutcomeUnknown(const std::string& reservation_id, const absl::Status& last);

}  // namespace tranche::internal
