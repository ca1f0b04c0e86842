// What the options say that the front door may ask outside.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/admission/outside_checks.h"
#include "server/outbound/hook_counts.h"
#include "server/process/options.h"
#include "storage/clock.h"

namespace tranche::server {

struct OutsideChecks {
  std::unique_ptr<RiskScorer> scorer = nullptr;        // null: none is configured
  std::unique_ptr<CaptchaVerifier> captcha = nullptr;  // the same
  // Of these two, and as long as they live; null without one.
  const HookCounts* scorer_counts = nullptr;
  const HookCounts* captcha_counts = nullptr;
};

// Of options that ParseServerOptions takes. Connects to nobody. An error names the flag whose file is at fault. `clock`
// outlives what is made.
absl::StatusOr<OutsideChecks> MakeOutsideChecks(const ServerOptions& options, storage::Clock* clock);

}  // namespace tranche::server
