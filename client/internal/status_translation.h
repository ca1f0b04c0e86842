// Converts gRPC's statuses with google.rpc details to absl::Status. What Tranche says in the details becomes payloads
// that are text, so that a printed status can be read: RESOURCE_EXHAUSTED: ... [tranche/reason='SOLD_OUT'].
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"

namespace tranche::internal {

inline constexpr char kErrorDomain[] = "tranche";

// The names of the payloads: the reason without prefix, and the delay as absl::FormatDuration writes it.
inline constexpr char kReasonPayload[] = "tranche/reason";
inline constexpr char kRetryDelayPayload[] = "tranche/retry_delay";
// Followed by the key of the ErrorInfo's metadata; and by the name of a field that BadRequest complains about.
inline constexpr char kMetadataPayload[] = "tranche.metadata/";
inline constexpr char kBadFieldPayload[] = "tranche.field/";
// In the metadata of Undecided().
inline constexpr char kTicketKey[] = "ticket";

// Details of other origin or kind keep their type URLs and bytes.
absl::Status ToAbslStatus(const grpc::Status& status);
absl::Status ToAbslStatus(const google::rpc::Status& status);

// What ToAbslStatus does with an ErrorInfo and a RetryInfo.
void SetReason(absl::Status& status, absl::string_view reason);
void SetMetadata(absl::Status& status, absl::string_view key, absl::string_view value);
void SetRetryDelay(absl::Status& status, absl::Duration delay);

// COMMIT_UNKNOWN for `reservation_id`, with the code of `last`: the result when no attempt had a definite outcome.
absl::Status OutcomeUnknown(const std::string& reservation_id, const absl::Status& last);

// The same for a claim that is queued and was not decided while somebody waited. `last`: the last error of that wait;
// OK: there was none.
absl::Status Undecided(const std::string& reservation_id, const std::string& ticket, const absl::Status& last);

}  // namespace tranche::internal
