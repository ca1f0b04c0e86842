#include "tranche/error.h"

#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/internal/status_translation.h"
#include "tranche/v1/error_reason.pb.h"

namespace tranche {
namespace {

constexpr char kPrefix[] = "ERROR_REASON_";
constexpr char kRetryAfterKey[] = "retry_after_ms";

std::optional<std::string> Payload(const absl::Status& status, absl::string_view name) {
  const auto payload = status.GetPayload(name);
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

}  // namespace

Reason ReasonOf(const absl::Status& status) {
  const auto name = Payload(status, internal::kReasonPayload);
  tranche::v1::ErrorReason reason;
  if (!name.has_value() || !tranche::v1::ErrorReason_Parse(absl::StrCat(kPrefix, *name), &reason)) {
    return Reason::kUnspecified;
  }
  return static_cast<Reason>(reason);
}

std::string ReasonNameOf(const absl::Status& status) { return Payload(status, internal::kReasonPayload).value_or(""); }

std::string ReasonName(Reason reason) {
  const std::string& name = tranche::v1::ErrorReason_Name(static_cast<tranche::v1::ErrorReason>(reason));
  return std::string(absl::StripPrefix(name, kPrefix));
}

std::map<std::string, std::string> ErrorMetadata(const absl::Status& status) {
  std::map<std::string, std::string> metadata;
  status.ForEachPayload([&](absl::string_view name, const absl::Cord& value) {
    if (absl::ConsumePrefix(&name, internal::kMetadataPayload)) metadata[std::string(name)] = std::string(value);
  });
  return metadata;
}

std::optional<std::string> ErrorMetadata(const absl::Status& status, const std::string& key) {
  return Payload(status, absl::StrCat(internal::kMetadataPayload, key));
}

std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const auto text = Payload(status, internal::kRetryDelayPayload);
  absl::Duration delay;
  if (text.has_value() && absl::ParseDuration(*text, &delay)) return delay;
  // Errors that no program is to retry by itself may say it only so.
  int64_t ms = 0;
  if (absl::SimpleAtoi(ErrorMetadata(status, kRetryAfterKey).value_or(""), &ms)) return absl::Milliseconds(ms);
  return std::nullopt;
}

bool IsSoldOut(const absl::Status& status) { return ReasonOf(status) == Reason::kSoldOut; }

bool IsSoldOutForNow(const absl::Status& status) {
  return IsSoldOut(status) && ErrorMetadata(status, "holds_may_lapse") == "true";
}

bool IsOutcomeUnknown(const absl::Status& status) { return ReasonOf(status) == Reason::kCommitUnknown; }

std::optional<std::string> ClaimTicketOf(const absl::Status& status) {
  return ErrorMetadata(status, internal::kTicketKey);
}

}  // namespace tranche
