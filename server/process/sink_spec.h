// Parses the sinks that are given in flags.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/base/certificate_files.h"

namespace tranche::server {

struct SinkSpec {
  enum class Kind { kWebhook, kGrpc, kAmqp };
  std::string name = {};
  Kind kind = Kind::kWebhook;
  std::string target = {};       // a URL, or host:port; of AMQP also host:port,host:port
  std::string exchange = {};     // of AMQP, as the next one
  std::string vhost = "/";       // that the exchange is in
  bool tls = false;              // of gRPC and AMQP; a webhook's URL says it
  std::string secret_file = {};  // of a webhook
  CertificatePaths certificates = {};
  std::string token_file = {};  // of gRPC
  std::string user_file = {};   // of AMQP: USER:PASSWORD; "": guest:guest
};

// As they are given. Those of files are NAME=FILE.
struct SinkFlags {
  // NAME=webhook:URL, NAME=grpc[s]:HOST:PORT or NAME=amqp[s]:HOST:PORT[,HOST:PORT].../EXCHANGE[?vhost=VHOST]
  std::vector<std::string> sinks = {};
  std::vector<std::string> secret_files = {};
  std::vector<std::string> authorities = {};
  std::vector<std::string> certificates = {};
  std::vector<std::string> keys = {};
  std::vector<std::string> token_files = {};
  std::vector<std::string> user_files = {};
};

// An error's message says which of them is wrong and what it must be. Reads no file.
absl::StatusOr<std::vector<SinkSpec>> ParseSinks(const SinkFlags& flags);

// For the log: what to do about a sink that is registered, but not one of this worker's. The only one cannot be
// removed.
std::string AdviceAboutOtherSink(const std::string& name, bool only_one);

}  // namespace tranche::server
