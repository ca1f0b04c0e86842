// A gRPC service that is built from a table of its methods.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <deque>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "server/rpc/call_frame.h"
#include "server/rpc/call_table.h"

namespace tranche::server {

// Register it with one gRPC server, which it must outlive.
class CallService : public grpc::Service {
 public:
  // CHECKs that the table has no faults. `service` lives as long as the process: it is one of generated code.
  CallService(const google::protobuf::ServiceDescriptor& service, const CallFrame& frame,
              const std::vector<CallEntry>& table);

 private:
  const CallFrame frame_;
  std::deque<std::string> names_;  // gRPC keeps pointers to them
};

// What is wrong with a table, as text: methods that are missing, duplicate or unknown, that have other message types
// than the .proto says, or that would block gRPC's threads. Empty when nothing is wrong.
std::vector<std::string> FaultsOf(const std::vector<CallEntry>& table,
                                  const google::protobuf::ServiceDescriptor& service);

}  // namespace tranche::server
