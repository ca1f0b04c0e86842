// Builds the gRPC server: limits, keepalive, health, reflection, logging.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "server/process/options.h"

namespace tranche::server {

struct GrpcServer {
  std::unique_ptr<grpc::Server> server;
  int port = 0;
  bool admin = false;  // AdminService is one of its services

  // Sets the health of ReservationService, CatalogService and the node as a whole (""), and that of AdminService.
  void SetServing(bool buyers, bool operators);
};

// Serves `services` (which outlive the server) at options.listen; their health starts as not serving. Sends gRPC's own
// log to ours.
absl::StatusOr<GrpcServer> StartGrpcServer(const ServerOptions& options, const std::vector<grpc::Service*>& services);

}  // namespace tranche::server
