// Opens the SDK's client for a test. Throws if there can be none: the test is over then.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tranche/client.h"

namespace tranche {

inline std::unique_ptr<Client> OpenAt(std::vector<std::string> endpoints, absl::Duration timeout = absl::Seconds(5)) {
  ClientOptions options;
  options.endpoints = std::move(endpoints);
  options.request_timeout = timeout;
  return Client::Open(options).value();
}

}  // namespace tranche
