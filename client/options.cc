#include "tranche/options.h"

#include "absl/strings/str_cat.h"
#include "storage/base/address.h"

namespace tranche {

absl::Status Validate(const ClientOptions& options) {
  if (options.endpoints.empty()) return absl::InvalidArgumentError("endpoints: give at least one host:port");
  if (options.endpoints.size() > 64) return absl::InvalidArgumentError("endpoints: at most 64");
  for (const std::string& endpoint : options.endpoints) {
    if (!IsAddressWithPort(endpoint)) {
      return absl::InvalidArgumentError(
          absl::StrCat("endpoints: \"", endpoint, "\" is not host:port, with a port of 1 to 65535"));
    }
  }
  if (options.request_timeout <= absl::ZeroDuration() || options.request_timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError("request_timeout: must be above 0 and at most one hour");
  }
  if (options.attempt_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("attempt_timeout: must be above 0");
  }
  if (options.channels_per_endpoint < 1 || options.channels_per_endpoint > 64) {
    return absl::InvalidArgumentError("channels_per_endpoint: must be 1 to 64");
  }
  const RetryPolicy& retry = options.retry;
  if (retry.max_attempts < 1 || retry.max_attempts > 100) {
    return absl::InvalidArgumentError("retry.max_attempts: must be 1 to 100");
  }
  if (retry.initial_backoff <= absl::ZeroDuration() || retry.max_backoff < retry.initial_backoff) {
    return absl::InvalidArgumentError("retry: 0 < initial_backoff <= max_backoff must hold");
  }
  if (!(retry.budget_tokens >= 0 && retry.budget_tokens <= 1e9 && retry.budget_refill >= 0 &&
        retry.budget_refill <= 1000)) {
    return absl::InvalidArgumentError("retry: budget_tokens must be 0 to 1e9 and budget_refill 0 to 1000");
  }
  return absl::OkStatus();
}

}  // namespace tranche
