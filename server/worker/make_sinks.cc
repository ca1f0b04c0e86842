#include "server/worker/make_sinks.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/process/broker_options.h"
#include "server/worker/amqp_message_publisher.h"
#include "server/worker/amqp_sink.h"
#include "server/worker/grpc_sink.h"
#include "server/worker/signature.h"
#include "server/worker/webhook_sink.h"
#include "storage/base/certificate_files.h"
#include "storage/base/certificate_log.h"
#include "storage/base/secret_file.h"
#include "storage/base/status_macros.h"
#include "storage/base/token_file.h"

namespace tranche::server {
namespace {

// The file is at fault.
absl::Status About(const SinkSpec& spec, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("--sink ", spec.name, ": ", status.message()));
}

// Null: it names none.
absl::StatusOr<std::shared_ptr<CertificateFiles>> OpenCertificates(const SinkSpec& spec) {
  const CertificatePaths& paths = spec.certificates;
  if (paths.authorities.empty() && paths.certificate.empty()) return nullptr;
  auto files = CertificateFiles::Open(paths, LoggedCertificates());
  if (!files.ok()) return About(spec, files.status());
  return *std::move(files);
}

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
  ASSIGN_OR_RETURN(webhook.certificates, OpenCertificates(spec));
  webhook.timeout = absl::Milliseconds(options.sink_timeout_ms);
  webhook.connections = options.sink_connections;
  return std::make_unique<WebhookSink>(std::move(webhook), clock);
}

absl::StatusOr<std::unique_ptr<Sink>> MakeGrpc(const SinkSpec& spec, const WorkerProcessOptions& options) {
  GrpcSinkOptions grpc;
  grpc.name = spec.name;
  grpc.address = spec.target;
  grpc.timeout = absl::Milliseconds(options.sink_timeout_ms);
  grpc.tls = spec.tls;
  ASSIGN_OR_RETURN(grpc.certificates, OpenCertificates(spec));
  if (!spec.token_file.empty()) {
    auto token = TokenFile::Open(spec.token_file, LoggedCertificates());
    if (!token.ok()) return About(spec, token.status());
    grpc.token = *std::move(token);
  }
  return std::make_unique<GrpcSink>(std::move(grpc));
}

// The connection reads the files itself, each time anew; here they are only checked, so that a wrong one is told at the
// start.
absl::Status CheckAmqpFiles(const SinkSpec& spec) {
  RETURN_IF_ERROR(OpenCertificates(spec).status());
  if (spec.user_file.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> user = ReadSecretLine(spec.user_file);
  if (!user.ok()) return About(spec, user.status());
  if (user->find(':') == std::string::npos) {
    return About(spec, absl::InvalidArgumentError(absl::StrCat(spec.user_file, " must be one line, USER:PASSWORD")));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Sink>> MakeAmqp(const SinkSpec& spec, const WorkerProcessOptions& options) {
  RETURN_IF_ERROR(CheckAmqpFiles(spec));
  BrokerOptions broker;
  broker.brokers = spec.target;
  broker.user_file = spec.user_file;
  broker.vhost = spec.vhost;
  broker.tls = spec.tls;
  broker.ca_file = spec.certificates.authorities;
  broker.certificate_file = spec.certificates.certificate;
  broker.key_file = spec.certificates.key;
  AmqpSinkOptions amqp;
  amqp.name = spec.name;
  amqp.exchange = spec.exchange;
  amqp.timeout = absl::Milliseconds(options.sink_timeout_ms);
  return std::make_unique<AmqpSink>(
      std::move(amqp), std::make_unique<AmqpMessagePublisher>(broker, absl::StrCat("sink ", spec.name), spec.exchange));
}

absl::StatusOr<std::unique_ptr<Sink>> MakeSink(const SinkSpec& spec, const WorkerProcessOptions& options,
                                               storage::Clock* clock) {
  switch (spec.kind) {
    case SinkSpec::Kind::kGrpc:
      return MakeGrpc(spec, options);
    case SinkSpec::Kind::kAmqp:
      return MakeAmqp(spec, options);
    case SinkSpec::Kind::kWebhook:
      break;
  }
  return MakeWebhook(spec, options, clock);
}

}  // namespace

absl::StatusOr<std::vector<std::unique_ptr<Sink>>> MakeSinks(const WorkerProcessOptions& options,
                                                             storage::Clock* clock) {
  std::vector<std::unique_ptr<Sink>> sinks;
  for (const SinkSpec& spec : options.sinks) {
    ASSIGN_OR_RETURN(std::unique_ptr<Sink> sink, MakeSink(spec, options, clock));
    sinks.push_back(std::move(sink));
  }
  return sinks;
}

}  // namespace tranche::server
