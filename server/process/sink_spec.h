// Parses the sinks that are given in flags.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tranche::server {

struct SinkSpec {
  enum class Kind { kWebhook, kGrpc };
  std::string name;
  Kind kind = Kind::kWebhook;
  std::string target;       // a URL, or host:port
  std::string secret_file;  // of a webhook
};

// `sinks` are NAME=webhook:URL or NAME=grpc:HOST:PORT; `secret_files` are NAME=FILE, one for each webhook. An error's
// message says which of them is wrong and what it must be.
absl::StatusOr<std::vector<SinkSpec>> ParseSinks(const std::vector<std::string>& sinks,
                                                 const std::vector<std::string>& secret_files);

// For the log: what to do about a sink that is registered, but not one of this worker's. The only one cannot be
// removed.
std::string AdviceAboutOtherSink(const std::string& name, bool only_one);

}  // namespace tranche::server
