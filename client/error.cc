#include "tranche/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/internal/status_translation.h"
#include "google/rpc/error_details.pb.h"
#include "tranche/v1/error_reason.pb.h"

namespace tranche {
namespace {

constexpr char kPrefix[] = "ERROR_REASON_";

std::optional<google::rpc::ErrorInfo> ErrorInfoOf(const absl::Status& status) {
  if (status.ok()) return std::nullopt;
  const auto payload = status.GetPayload(internal::kErrorInfoUrl);
  google::rpc::ErrorInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) return std::nullopt;
  if (info.domain() != internal::kErrorDomain) return std::nullopt;
  return info;
}

}  // namespace

Reason ReasonOf(const absl::Status& status) {
  const auto info = ErrorInfoOf(status);
  tranche::v1::ErrorReason reason;
  if (!info.has_value() || !tranche::v1::ErrorReason_Parse(absl::StrCat(kPrefix, info->reason()), &reason)) {
    return Reason::kUnspecified;
  }
  return static_cast<Reason>(reason);
}

std::string ReasonNameOf(const absl::Status& status) {
  const auto info = ErrorInfoOf(status);
  return info.has_value() ? info->reason() : "";
}

std::string ReasonName(Reason reason) {
  const std::string& name = tranche::v1::ErrorReason_Name(static_cast<tranche::v1::ErrorReason>(reason));
  return std::string(absl::StripPrefix(name, kPrefix));
}

std::map<std::string, std::string> ErrorMetadata(const absl::Status& status) {
  const auto info = ErrorInfoOf(status);
  if (!info.has_value()) return {};
  return {info->metadata().begin(), info->metadata().end()};
}

std::optional<std::string> ErrorMetadata(const absl::Status& status, const std::string& key) {
  const auto info = ErrorInfoOf(status);
  if (!info.has_value()) return std::nullopt;
  const auto it = info->metadata().find(key);
  if (it == info->metadata().end()) return std::nullopt;
  return it->second;
}

std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const auto payload = status.GetPayload(internal::kRetryInfoUrl);
  google::rpc::RetryInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) return std::nullopt;
  return absl::Seconds(info.retry_delay().seconds()) + absl::Nanoseconds(info.retry_delay().nanos());
}

bool IsSoldOut(const absl::Status& status) { return ReasonOf(status) == Reason::kSoldOut; }

bool IsSoldOutForNow(const absl::Status& status) {
  return IsSoldOut(status) && ErrorMetadata(status, "holds_may_lapse") == "true";
}

bool IsOutcomeUnknown(const absl::Status& status) { return ReasonOf(status) == Reason::kCommitUnknown; }

}  // namespace tranche
