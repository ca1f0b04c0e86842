// Makes the sinks that the flags name.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "server/process/options.h"
#include "server/worker/sink.h"
#include "storage/clock.h"

namespace tranche::server {

// Reads the files of secrets, certificates and tokens. An error's message is for operators and reveals no secret.
absl::StatusOr<std::vector<std::unique_ptr<Sink>>> MakeSinks(const WorkerProcessOptions& options,
                                                             storage::Clock* clock);

}  // namespace tranche::server
