#include "client/internal/status_translation.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"

namespace tranche::internal {
namespace {

using google::protobuf::Any;

bool AddErrorInfo(const Any& detail, absl::Status& status) {
  google::rpc::ErrorInfo info;
  if (!detail.Is<google::rpc::ErrorInfo>() || !detail.UnpackTo(&info) || info.domain() != kErrorDomain) return false;
  SetReason(status, info.reason());
  for (const auto& [key, value] : info.metadata()) SetMetadata(status, key, value);
  return true;
}

bool AddRetryInfo(const Any& detail, absl::Status& status) {
  google::rpc::RetryInfo info;
  if (!detail.Is<google::rpc::RetryInfo>() || !detail.UnpackTo(&info)) return false;
  SetRetryDelay(status, absl::Seconds(info.retry_delay().seconds()) + absl::Nanoseconds(info.retry_delay().nanos()));
  return true;
}

bool AddBadRequest(const Any& detail, absl::Status& status) {
  google::rpc::BadRequest bad;
  if (!detail.Is<google::rpc::BadRequest>() || !detail.UnpackTo(&bad)) return false;
  for (const auto& violation : bad.field_violations()) {
    status.SetPayload(absl::StrCat(kBadFieldPayload, violation.field()), absl::Cord(violation.description()));
  }
  return true;
}

void AddDetails(const google::rpc::Status& details, absl::Status& status) {
  for (const Any& detail : details.details()) {
    if (!AddErrorInfo(detail, status) && !AddRetryInfo(detail, status) && !AddBadRequest(detail, status)) {
      status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
    }
  }
}

}  // namespace

void SetReason(absl::Status& status, absl::string_view reason) {
  status.SetPayload(kReasonPayload, absl::Cord(reason));
}

void SetMetadata(absl::Status& status, absl::string_view key, absl::string_view value) {
  status.SetPayload(absl::StrCat(kMetadataPayload, key), absl::Cord(value));
}

void SetRetryDelay(absl::Status& status, absl::Duration delay) {
  status.SetPayload(kRetryDelayPayload, absl::Cord(absl::FormatDuration(delay)));
}

absl::Status ToAbslStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) AddDetails(details, result);
  return result;
}

absl::Status ToAbslStatus(const google::rpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.code()), status.message());
  AddDetails(status, result);
  return result;
}

absl::Status OutcomeUnknown(const std::string& reservation_id, const absl::Status& last) {
  absl::Status status(last.code(), absl::StrCat("the outcome of reservation ", reservation_id,
                                                " is unknown: what was asked for may have been done. Send it again "
                                                "with the same reservation id, or look it up. Last answer: ",
                                                last.message()));
  SetReason(status, "COMMIT_UNKNOWN");
  SetMetadata(status, "reservation_id", reservation_id);
  return status;
}

absl::Status Undecided(const std::string& reservation_id, const std::string& ticket, const absl::Status& last) {
  const std::string why = last.ok() ? "" : absl::StrCat(". Last answer: ", last.message());
  absl::Status status = absl::DeadlineExceededError(
      absl::StrCat("claim ", reservation_id, " is queued and was not decided yet: ask with its ticket", why));
  SetReason(status, "COMMIT_UNKNOWN");
  SetMetadata(status, "reservation_id", reservation_id);
  SetMetadata(status, kTicketKey, ticket);
  return status;
}

}  // namespace tranche::internal
