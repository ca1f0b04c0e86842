// FrontDoorService: which handler answers which call.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <vector>

#include "server/handlers/draw_handler.h"
#include "server/handlers/enter_draw_handler.h"
#include "server/handlers/enter_sale_handler.h"
#include "server/handlers/lottery_round_handler.h"
#include "server/rpc/call_service.h"
#include "server/services/visitor_addresses.h"

namespace tranche::server {

struct FrontDoorHandlers {
  EnterSaleHandler* enter = nullptr;
  LotteryRoundHandler* rounds = nullptr;
  EnterDrawHandler* enter_draw = nullptr;
  DrawHandler* draws = nullptr;
  VisitorAddresses visitors = {};
};

std::vector<CallEntry> FrontDoorCalls(const FrontDoorHandlers& handlers);

// The frame needs deadlines and open_calls. Outlived by the handlers and everything that the frame points to.
std::unique_ptr<grpc::Service> MakeFrontDoorService(const FrontDoorHandlers& handlers, const CallFrame& frame);

}  // namespace tranche::server
