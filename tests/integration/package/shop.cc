// A plug-in of a shop: all that others see of it is one function.
#include <string>

#include "tranche/client.h"

std::string TryToBuy(const std::string& endpoint) {
  tranche::ClientOptions options;
  options.endpoints = {endpoint};
  options.request_timeout = absl::Milliseconds(500);
  auto client = tranche::Client::Open(options);
  if (!client.ok()) return client.status().ToString();
  return (*client)->Create({.sku = "tv", .user = "alice"}).status().ToString();
}
