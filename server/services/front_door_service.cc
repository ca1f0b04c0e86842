#include "server/services/front_door_service.h"

#include "server/rpc/open_calls.h"

namespace tranche::server {
namespace {

CallEntry EnterCall(CallPolicy policy, EnterSaleHandler* handler, const VisitorAddresses& visitors) {
  return InlineCall<v1::EnterSaleRequest, v1::EnterSaleResponse>(
      policy, [handler, visitors](const CallContext& call, const v1::EnterSaleRequest& request,
                                  const Reply<v1::EnterSaleResponse>& reply) {
        handler->Enter(request, call.deadline(), visitors.Of(call, request.buyer_address()), reply);
      });
}

CallEntry EnterDrawCall(CallPolicy policy, EnterDrawHandler* handler, const VisitorAddresses& visitors) {
  return InlineCall<v1::EnterDrawRequest, v1::EnterDrawResponse>(
      policy, [handler, visitors](const CallContext& call, const v1::EnterDrawRequest& request,
                                  const Reply<v1::EnterDrawResponse>& reply) {
        handler->Enter(request, call.deadline(), visitors.Of(call, request.buyer_address()), reply);
      });
}

}  // namespace

std::vector<CallEntry> FrontDoorCalls(const FrontDoorHandlers& to) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  using enum CallKind;
  return {
      // Buyers wait for it as they do for a claim.
      EnterCall({"EnterSale", kClaim, kInline, kYes, kReservation}, to.enter, to.visitors),
      LargeInlineCall({"ListLotteryRounds", kBrowse, kInline, kYes, kList}, to.rounds, &LotteryRoundHandler::List),

      EnterDrawCall({"EnterDraw", kClaim, kInline, kYes, kReservation}, to.enter_draw, to.visitors),
      InlineCall({"GetDraw", kBrowse, kInline, kYes, kList}, to.draws, &DrawHandler::GetDraw),
      LargeInlineCall({"GetDrawEntry", kRead, kInline, kYes, kList}, to.draws, &DrawHandler::GetEntry),
  };
}

std::unique_ptr<grpc::Service> MakeFrontDoorService(const FrontDoorHandlers& handlers, const CallFrame& frame) {
  const auto* service = v1::EnterSaleRequest::descriptor()->file()->FindServiceByName("FrontDoorService");
  return std::make_unique<CallService>(*service, frame, FrontDoorCalls(handlers));
}

}  // namespace tranche::server
