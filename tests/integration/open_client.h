// Opens the SDK's client for a test.
#pragma once

#include <gtest/gtest.h>

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
  auto client = Client::Open(options);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

}  // namespace tranche
