#include "client/load/load_client.h"

namespace tranche::load {

absl::StatusOr<std::unique_ptr<Client>> OpenLoadClient(const LoadOptions& options) {
  ClientOptions client_options;
  client_options.endpoints = options.endpoints;
  client_options.request_timeout = options.timeout;
  client_options.channels_per_endpoint = options.channels_per_endpoint;
  client_options.tls = options.tls;
  client_options.token_file = options.token_file;
  client_options.throttle.enabled = options.throttle;
  return Client::Open(client_options);
}

}  // namespace tranche::load
