// What the crowds of scripts/chaos are told alike: where the nodes are, what they want, and where they note the
// answers.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/flags/security_flags.h"
#include "tranche/options.h"

namespace tranche::load {

struct CrowdFlags {
  std::string endpoints = {};
  SecurityFlags security = {};
  std::string sku = {};
  int64_t timeout_ms = 5000;
};

inline void AddCrowdFlags(CLI::App& app, CrowdFlags& flags) {
  app.add_option("--endpoints", flags.endpoints, "Front nodes as host:port, separated by commas")->required();
  AddSecurityFlags(app, flags.security);
  app.add_option("--sku", flags.sku, "What all of them want")->required();
  app.add_option("--timeout-ms", flags.timeout_ms, "Deadline of a call")->check(CLI::Range(1, 3'600'000));
}

inline std::vector<std::string> EndpointsOf(const CrowdFlags& flags) {
  std::vector<std::string> endpoints;
  for (const absl::string_view endpoint : absl::StrSplit(flags.endpoints, ',', absl::SkipWhitespace())) {
    endpoints.emplace_back(absl::StripAsciiWhitespace(endpoint));
  }
  return endpoints;
}

// INVALID_ARGUMENT says which flags do not go together.
inline absl::Status CheckCrowdFlags(const CrowdFlags& flags) {
  return CheckSecurityFlags(flags.security, EndpointsOf(flags));
}

// For calls to these nodes. As with tranche-load: the nodes are to refuse, not the client.
inline ClientOptions ClientOptionsOf(const CrowdFlags& flags, std::vector<std::string> endpoints) {
  ClientOptions options;
  options.endpoints = std::move(endpoints);
  options.request_timeout = absl::Milliseconds(flags.timeout_ms);
  options.throttle.enabled = false;
  options.tls = TlsOf(flags.security);
  options.token_file = flags.security.token_file;
  return options;
}

}  // namespace tranche::load
