// Builds the gRPC servers: limits, keepalive, TLS, health, reflection, logging.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/process/options.h"
#include "server/process/served_certificates.h"

namespace tranche::server {

struct GrpcServer {
  std::shared_ptr<grpc::ServerCredentials> credentials;  // asked at each handshake, so it outlives the server
  std::unique_ptr<grpc::Server> server;                  // null: there is none
  int port = 0;
  bool admin = false;  // AdminService is one of its services

  // Sets the health of the services for buyers and of the node as a whole (""), and that of AdminService.
  void SetServing(bool buyers, bool operators);
};

struct GrpcListener {
  std::string address;                         // HOST:PORT
  const char* flag = "--listen";               // that named it, for errors
  bool admin = false;                          // AdminService is one of the services
  ServedCertificates* certificates = nullptr;  // null: plain text; outlives the server
};

// Serves `services` (which outlive the server) there; their health starts as not serving. Each server has the limits of
// `options` for itself. Sends gRPC's own log to ours.
absl::StatusOr<GrpcServer> StartGrpcServer(const ServerOptions& options, const GrpcListener& listener,
                                           const std::vector<grpc::Service*>& services);

}  // namespace tranche::server
