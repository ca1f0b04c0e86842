#include "server/worker/make_sinks.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/worker/grpc_sink.h"
#include "server/worker/signature.h"
#include "server/worker/webhook_sink.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

absl::StatusOr<std::unique_ptr<Sink>> MakeWebhook(const SinkSpec& spec, const WorkerProcessOptions& options,
                                                  storage::Clock* clock) {
  absl::StatusOr<std::vector<std::string>> secrets = ReadSecrets(spec.secret_file);
  if (!secrets.ok()) {
    return absl::Status(secrets.status().code(),
                        absl::StrCat("--sink-secret-file ", spec.name, ": ", secrets.status().message()));
  }
  WebhookOptions webhook;
  webhook.name = spec.name;
  webhook.url = spec.target;
  webhook.secrets = *std::move(secrets);
  webhook.timeout = absl::Milliseconds(options.sink_timeout_ms);
  webhook.connections = options.sink_connections;
  return std::make_unique<WebhookSink>(std::move(webhook), clock);
}

}  // namespace

absl::StatusOr<std::vector<std::unique_ptr<Sink>>> MakeSinks(const WorkerProcessOptions& options,
                                                             storage::Clock* clock) {
  std::vector<std::unique_ptr<Sink>> sinks;
  for (const SinkSpec& spec : options.sinks) {
    if (spec.kind == SinkSpec::Kind::kGrpc) {
      GrpcSinkOptions grpc;
      grpc.name = spec.name;
      grpc.address = spec.target;
      grpc.timeout = absl::Milliseconds(options.sink_timeout_ms);
      sinks.push_back(std::make_unique<GrpcSink>(std::move(grpc)));
      continue;
    }
    ASSIGN_OR_RETURN(std::unique_ptr<Sink> webhook, MakeWebhook(spec, options, clock));
    sinks.push_back(std::move(webhook));
  }
  return sinks;
}

}  // namespace tranche::server
