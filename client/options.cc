#include "tranche/options.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/address.h"
#include "storage/base/loopback.h"
#include "storage/base/status_macros.h"

namespace tranche {
namespace {

absl::Status CheckEndpoints(const std::vector<std::string>& endpoints) {
  if (endpoints.empty()) return absl::InvalidArgumentError("endpoints: give at least one host:port");
  if (endpoints.size() > 64) return absl::InvalidArgumentError("endpoints: at most 64");
  for (const std::string& endpoint : endpoints) {
    if (!IsAddressWithPort(endpoint)) {
      return absl::InvalidArgumentError(
          absl::StrCat("endpoints: \"", endpoint, "\" is not host:port, with a port of 1 to 65535"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSecurity(const ClientOptions& options) {
  if (options.tls.has_value()) {
    const TlsOptions& tls = *options.tls;
    if (tls.certificate_file.empty() != tls.key_file.empty()) {
      return absl::InvalidArgumentError("tls: give certificate_file and key_file, or neither");
    }
    if (!tls.server_name.empty() && !IsAddressWithPort(absl::StrCat(tls.server_name, ":1"))) {
      return absl::InvalidArgumentError(
          absl::StrCat("tls.server_name: \"", tls.server_name, "\" is not a host's name"));
    }
    return absl::OkStatus();
  }
  const std::optional<std::string> other = FirstBeyondLoopback(options.endpoints);
  if (options.token_file.empty() || !other.has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("token_file: in plaintext, everybody between here and ", *other, " could read the token; set tls"));
}

}  // namespace

absl::Status Validate(const ClientOptions& options) {
  RETURN_IF_ERROR(CheckEndpoints(options.endpoints));
  RETURN_IF_ERROR(CheckSecurity(options));
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
  const ThrottlePolicy& throttle = options.throttle;
  if (!(throttle.ratio >= 1 && throttle.ratio <= 100)) {
    return absl::InvalidArgumentError("throttle.ratio: must be 1 to 100");
  }
  if (throttle.window < absl::Seconds(1) || throttle.window > absl::Minutes(10)) {
    return absl::InvalidArgumentError("throttle.window: must be one second to ten minutes");
  }
  return absl::OkStatus();
}

}  // namespace tranche
