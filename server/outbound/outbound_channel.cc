#include "server/outbound/outbound_channel.h"

#include <grpcpp/grpcpp.h>

#include "server/grpc_log.h"
#include "storage/base/loopback.h"

namespace tranche::server {
namespace {

constexpr int kFirstReconnectMs = 200;
constexpr int kMaxReconnectMs = 5000;
constexpr int kMaxAnswerBytes = 1024 * 1024;

std::shared_ptr<grpc::ChannelCredentials> OutboundCredentials(bool tls, const Certificates* certificates) {
  if (!tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (certificates != nullptr) {
    options.pem_root_certs = certificates->authorities_pem;
    options.pem_private_key = certificates->key_pem;
    options.pem_cert_chain = certificates->certificate_pem;
  }
  return grpc::SslCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::Channel> OutboundChannel(const OutboundChannelOptions& options,
                                               const Certificates* certificates) {
  gpr_set_log_function(LogGrpcLine);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // A token in plaintext is for this machine alone.
  if (IsLoopbackEndpoint(options.address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(options.address, OutboundCredentials(options.tls, certificates), arguments);
}

}  // namespace tranche::server
