// Errors as the API promises them. Each answer that is not OK carries a serialized google.rpc.Status with exactly one
// google.rpc.ErrorInfo (domain "tranche", the reason from ErrorReason, every variable of the message in its metadata),
// a RetryInfo on every UNAVAILABLE, on RATE_LIMITED and on NOT_ADMITTED, and a BadRequest on every INVALID_ARGUMENT.
//
// Inside the server such an error is an absl::Status whose payload is the serialized details. So an answer that is
// given a million times is serialized once. rpc/grpc_status.h puts it on the wire.
//
// All functions are thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "quota/sale/sale_result.h"
#include "server/repeatable.h"
#include "tranche/v1/error_reason.pb.h"

namespace tranche::server {

inline constexpr char kErrorDomain[] = "tranche";

using ErrorMetadata = std::vector<std::pair<std::string, std::string>>;

// The status code, and for UNAVAILABLE the delay before a retry, follow from the reason.
absl::Status MakeError(v1::ErrorReason reason, absl::string_view message, const ErrorMetadata& metadata = {});

// INVALID_ARGUMENT about one field, named as in the proto; `description` says what it must be.
absl::Status FieldError(v1::ErrorReason reason, absl::string_view field, absl::string_view description);
// FIELD_INVALID.
absl::Status InvalidField(absl::string_view field, absl::string_view description);

// The same error with one more variable in its metadata.
absl::Status WithMetadata(const absl::Status& error, const std::string& key, const std::string& value);

// Why nothing was sold, or changed. `sku_id` is the SKU in question; "" if there is no single one. A refusal that is
// about the SKU names it. What is refused again and again, as in a sale that is over, is built once per thread.
absl::Status RefusalError(const quota::Refused& refused, absl::string_view sku_id = "");

// Translates an error that the ledger returned while serving a call about `sku_id` ("" for none). If the outcome is
// unknown and the call is not repeatable, the code is UNKNOWN, so that nobody retries it without looking.
absl::Status LedgerError(const absl::Status& status, const std::string& sku_id, Repeatable repeatable);

absl::Status ShardNotFound(const std::string& shard);

// An error of the coordination service.
absl::Status CoordinationError(const absl::Status& status);

// As ErrorInfo and operators see it, such as "SOLD_OUT".
std::string ReasonName(v1::ErrorReason reason);
// The reason that an error tells; INTERNAL if it has none of ours. Reads the details.
v1::ErrorReason ReasonOfError(const absl::Status& error);

// A variable of an error's message; "" if it does not have that one. Reads the details.
std::string MetadataOfError(const absl::Status& error, const std::string& key);

// The google.rpc.Status of an error. An error without our details becomes INTERNAL.
google::rpc::Status ToRpcStatus(const absl::Status& error);

// The serialized google.rpc.Status within an error; empty if it has none.
std::string SerializedDetails(const absl::Status& error);
// ToRpcStatus, serialized.
std::string SerializedRpcStatus(const absl::Status& error);

// The reason as it is on the wire, such as SOLD_OUT; "" if the error has none.
std::string ReasonName(const absl::Status& error);

// How long the caller should wait before it tries again by itself; zero if it should not. Zero for RATE_LIMITED
// and NOT_ADMITTED, too: whether to come again is the buyer's to say.
absl::Duration RetryDelay(const absl::Status& error);

}  // namespace tranche::server
