#include "server/admission/door_refusals.h"

#include <string>

namespace tranche::server {
namespace {

using storage::Refusal;

// The metadata's words: see error_reason.proto.
absl::string_view WordOfProblem(TokenProblem problem) {
  switch (problem) {
    case TokenProblem::kExpired:
      return "expired";
    case TokenProblem::kNotForThis:
      return "not_for_this";
    default:
      return "unreadable";
  }
}

}  // namespace

absl::Duration RoundedUp(absl::Duration wait) {
  if (wait < absl::Milliseconds(100)) return absl::Ceil(wait, absl::Milliseconds(1));
  if (wait < absl::Seconds(1)) return absl::Ceil(wait, absl::Milliseconds(10));
  if (wait < absl::Minutes(1)) return absl::Ceil(wait, absl::Milliseconds(100));
  return absl::Ceil(wait, absl::Seconds(1));
}

absl::Duration ComeBackAfter(uint64_t rank) {
  return absl::Seconds(16) + static_cast<int64_t>(rank % 81) * absl::Milliseconds(100);
}

quota::Refused DeniedAtTheDoor() { return {.refusal = Refusal::kDenied}; }

quota::Refused ServiceLimited(const storage::ServiceMode& mode) {
  return {
      .refusal = Refusal::kServiceLimited, .pause_reason = mode.reason, .about = storage::ServiceModeName(mode.kind)};
}

quota::Refused NotJudgedHere() { return {.refusal = Refusal::kExhaustedHere, .about = "front door"}; }

quota::Refused DrawDecides() { return {.refusal = Refusal::kDrawDecides}; }

quota::Refused NoDrawToEnter() { return {.refusal = Refusal::kDrawNotOpen}; }

quota::Refused RateLimited(RateKeyKind kind, absl::Duration retry_after) {
  return {
      .refusal = Refusal::kRateLimited, .retry_after = RoundedUp(retry_after), .about = std::string(RateKeyName(kind))};
}

quota::Refused NotAdmitted(uint64_t rank) {
  return {.refusal = Refusal::kNotAdmitted, .retry_after = ComeBackAfter(rank)};
}

quota::Refused TokenMissing() { return {.refusal = Refusal::kPurchaseTokenRequired}; }

quota::Refused TokenInvalid(TokenProblem problem) {
  return {.refusal = Refusal::kPurchaseTokenInvalid, .about = std::string(WordOfProblem(problem))};
}

}  // namespace tranche::server
