// The client of a run.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/load/load_options.h"
#include "tranche/client.h"

namespace tranche::load {

// As the options say, with their `timeout` for each call. Errors are those of Client::Open.
absl::StatusOr<std::unique_ptr<Client>> OpenLoadClient(const LoadOptions& options);

}  // namespace tranche::load
