// CatalogService: which handler answers which call.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <vector>

#include "server/handlers/catalog_handler.h"
#include "server/rpc/call_service.h"

namespace tranche::server {

std::vector<CallEntry> CatalogCalls(CatalogHandler* handler);

// The frame needs deadlines and open_calls. Outlived by the handler and everything that the frame points to.
std::unique_ptr<grpc::Service> MakeCatalogService(CatalogHandler* handler, const CallFrame& frame);

}  // namespace tranche::server
