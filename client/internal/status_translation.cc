#include "client/internal/status_translation.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"

namespace tranche::internal {
namespace {

void AddDetails(const google::rpc::Status& details, absl::Status& status) {
  for (const google::protobuf::Any& detail : details.details()) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
}

}  // namespace

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
  google::rpc::ErrorInfo info;
  info.set_reason("COMMIT_UNKNOWN");
  info.set_domain(kErrorDomain);
  (*info.mutable_metadata())["reservation_id"] = reservation_id;
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

}  // namespace tranche::internal
