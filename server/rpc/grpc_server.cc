#include "server/rpc/grpc_server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <optional>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "grpc/health/v1/health.pb.h"
#include "server/grpc_log.h"
#include "server/process/host.h"
#include "server/process/socket_address.h"
#include "server/rpc/server_credentials.h"
#include "storage/base/address.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// A client is dropped when it answers no ping for this long.
constexpr int kKeepaliveTimeMs = 30 * 1000;
constexpr int kKeepaliveTimeoutMs = 5 * 1000;
// Clients may ping this often; gRPC's default of 5 minutes disconnects clients that check their connections more often.
constexpr int kLeastPingIntervalMs = 10 * 1000;

// A connection that has not begun HTTP/2 by then is closed. It takes a descriptor and may be of a port scanner.
// kMassWindow in quota/balancer/probe_verdicts.h is longer. With TLS it also takes 84 KiB, which are not in the
// resource quota.
constexpr int kHandshakeTimeoutMs = 20 * 1000;
constexpr int kTlsHandshakeTimeoutMs = 10 * 1000;

// How much of a stream's requests may be on their way, unread: some 100 claims. What waits there nobody sees, neither
// the node's queues nor its deadlines; and a thread that reads it keeps a payment waiting on another connection. gRPC
// would make this grow with what a connection carries, up to megabytes, and a caller who sends more than the node takes
// would have claims wait for seconds before they are even read. A larger message passes all the same.
constexpr int kUnreadStreamBytes = 16 * 1024;

// Silences gRPC while we bind a port: our caller reports once that a port is taken.
std::atomic<bool> muted{false};

void LogFromGrpc(gpr_log_func_args* args) {
  if (!muted.load(std::memory_order_relaxed)) LogGrpcLine(args);
}

void SetLimits(grpc::ServerBuilder& builder, const ServerOptions& options, bool tls) {
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  grpc::ResourceQuota quota("tranched");
  quota.Resize(static_cast<size_t>(options.grpc_memory_mib) * 1024 * 1024);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kUnreadStreamBytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, tls ? kTlsHandshakeTimeoutMs : kHandshakeTimeoutMs);
  if (options.max_connection_idle_ms > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, options.max_connection_idle_ms);
  }
  // Two nodes on one port would share its callers at random.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  if (options.max_connection_age_ms > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, options.max_connection_age_ms);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, options.max_deadline_ms);
  }
}

// gRPC 1.51 replaces the handshaker of a port without a lock when it is given another configuration; two addresses of
// one name accept side by side, and share it.
absl::Status CheckOneAddress(const GrpcListener& listener) {
  const std::optional<Address> address = ParseAddress(listener.address);
  if (!address.has_value() || IsWildcard(address->host)) return absl::OkStatus();
  const absl::StatusOr<std::vector<SocketAddress>> resolved = Resolve(*address, Lookup::kNames);
  // What cannot be found is told when the port is bound.
  if (!resolved.ok() || resolved->size() < 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("with TLS, ", listener.flag, " must be one address, and ",
                                                 address->host, " has ", resolved->size(),
                                                 ": give one of them, such as 127.0.0.1:", address->port));
}

}  // namespace

void GrpcServer::SetServing(bool buyers, bool operators) {
  grpc::HealthCheckServiceInterface* const health = server->GetHealthCheckService();
  health->SetServingStatus("", buyers);
  health->SetServingStatus("tranche.v1.ReservationService", buyers);
  health->SetServingStatus("tranche.v1.CatalogService", buyers);
  health->SetServingStatus("tranche.v1.FrontDoorService", buyers);
  health->SetServingStatus("tranche.v1.GroupService", buyers);
  // A service that has a health is taken to be there.
  if (admin) health->SetServingStatus("tranche.v1.AdminService", operators);
}

absl::StatusOr<GrpcServer> StartGrpcServer(const ServerOptions& options, const GrpcListener& listener,
                                           const std::vector<grpc::Service*>& services) {
  gpr_set_log_function(LogFromGrpc);
  grpc::EnableDefaultHealthCheckService(true);
  if (options.reflection) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // gRPC's own health service has no descriptor. Ours is linked only if something refers to it.
    CHECK(grpc::health::v1::HealthCheckRequest::descriptor() != nullptr);
  }

  if (listener.certificates != nullptr) RETURN_IF_ERROR(CheckOneAddress(listener));
  GrpcServer result;
  grpc::ServerBuilder builder;
  result.credentials = listener.certificates == nullptr ? grpc::InsecureServerCredentials()
                                                        : MakeServerCredentials(listener.certificates);
  builder.AddListeningPort(listener.address, result.credentials, &result.port);
  SetLimits(builder, options, /*tls=*/listener.certificates != nullptr);
  for (grpc::Service* service : services) builder.RegisterService(service);
  muted = true;
  result.server = builder.BuildAndStart();
  muted = false;
  if (result.server == nullptr || result.port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen at ", listener.address,
                                               ": stop what uses this port, or choose another address with ",
                                               listener.flag));
  }
  result.admin = listener.admin;
  result.SetServing(/*buyers=*/false, /*operators=*/false);
  return result;
}

}  // namespace tranche::server
