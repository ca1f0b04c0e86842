// GroupService: which handler answers which call.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <vector>

#include "server/handlers/group_join_handler.h"
#include "server/handlers/group_read_handler.h"
#include "server/handlers/watch_hub.h"
#include "server/rpc/call_service.h"
#include "server/services/visitor_addresses.h"

namespace tranche::server {

struct GroupHandlers {
  GroupJoinHandler* join = nullptr;
  GroupReadHandler* read = nullptr;
  GroupWatchHub* watch = nullptr;
  VisitorAddresses visitors = {};
};

std::vector<CallEntry> GroupCalls(const GroupHandlers& handlers);

// The frame needs deadlines and open_calls. Outlived by the handlers and everything that the frame points to.
std::unique_ptr<grpc::Service> MakeGroupService(const GroupHandlers& handlers, const CallFrame& frame);

}  // namespace tranche::server
