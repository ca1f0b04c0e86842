#include "server/services/admin_service.h"

#include <iterator>
#include <utility>

#include "server/rpc/call_service.h"
#include "server/services/move_stream.h"

namespace tranche::server {
namespace {

ServerStreamHandler<v1::MoveSkuRequest, v1::MoveSkuResponse> MoveBy(ShardHandler* handler) {
  return [handler](const CallContext& call, const CallFrame& frame, const v1::MoveSkuRequest& request) {
    // The move may outlive the call, so it has its own copies.
    return MoveStream::Start(call, frame, [handler, request, actor = call.actor()](const MoveStream::Tell& tell) {
      return handler->Move(request, actor, tell);
    });
  };
}

ServerStreamHandler<v1::ExportPaymentsRequest, v1::ExportPaymentsResponse> ExportBy(PaymentHandler* handler,
                                                                                    OpenExports* open) {
  return [handler, open](const CallContext& call, const CallFrame& frame, const v1::ExportPaymentsRequest& request) {
    return ExportStream::Start(call, frame, handler, open, request);
  };
}

CallEntry ChangeReservationBy(CallPolicy policy, AuditedChangeHandler* handler) {
  return BlockingCall<v1::ChangeReservationRequest, v1::ChangeReservationResponse>(
      policy, [handler](const CallContext& call, const v1::ChangeReservationRequest& request) {
        return handler->Change(request, call.actor(), call.deadline());
      });
}

std::vector<CallEntry> DoorCalls(const AdminHandlers& to) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  return {
      BlockingCall({"ListFrontPolicies", kObserve, kAdmin, kYes}, to.front_policy, &FrontPolicyHandler::List),
      BlockingCall({"SetFrontPolicy", kOperate, kAdmin, kNo}, to.front_policy, &FrontPolicyHandler::Set),
      BlockingCall({"ListAccessEntries", kObserve, kAdmin, kYes}, to.access_entry, &AccessEntryHandler::List),
      BlockingCall({"AddAccessEntries", kOperate, kAdmin, kYes}, to.access_entry, &AccessEntryHandler::Add),
      BlockingCall({"RemoveAccessEntries", kOperate, kAdmin, kYes}, to.access_entry, &AccessEntryHandler::Remove),
      BlockingCall({"ListFrontKeys", kObserve, kAdmin, kYes}, to.front_key, &FrontKeyHandler::List),
      BlockingCall({"RotateFrontKey", kAdminister, kAdmin, kNo}, to.front_key, &FrontKeyHandler::Rotate),
      BlockingCall({"ExplainAdmission", kObserve, kStatus, kYes}, to.explain_admission,
                   &ExplainAdmissionHandler::Explain),
      BlockingCall({"ListRooms", kObserve, kAdmin, kYes}, to.room, &RoomHandler::List),
      BlockingCall({"SetServiceMode", kOperate, kAdmin, kYes}, to.service_mode, &ServiceModeHandler::Set),
      BlockingCall({"GetServiceMode", kObserve, kAdmin, kYes}, to.service_mode, &ServiceModeHandler::Get),

      BlockingCall({"CreateDraw", kOperate, kAdmin, kNo}, to.draw, &DrawAdminHandler::Create),
      BlockingCall({"ChangeDraw", kOperate, kAdmin, kYes}, to.draw, &DrawAdminHandler::Change),
      BlockingCall({"ListDraws", kObserve, kAdmin, kYes}, to.draw, &DrawAdminHandler::List),
      BlockingCall({"ListDrawEntries", kObserve, kLongRead, kYes}, to.draw, &DrawAdminHandler::ListEntries),
      BlockingCall({"ListDrawAwards", kObserve, kLongRead, kYes}, to.draw, &DrawAdminHandler::ListAwards),
  };
}

std::vector<CallEntry> GroupCalls(const AdminHandlers& to) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  return {
      BlockingCall({"CreateGroupOffer", kOperate, kAdmin, kYes}, to.group, &GroupAdminHandler::CreateOffer),
      BlockingCall({"CloseGroupOffer", kOperate, kAdmin, kYes}, to.group, &GroupAdminHandler::CloseOffer),
      BlockingCall({"CancelGroup", kOperate, kAdmin, kYes}, to.group, &GroupAdminHandler::Cancel),
  };
}

std::vector<CallEntry> QueueCalls(const AdminHandlers& to) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  return {
      // A broker that is slow keeps nobody from pausing a sale.
      BlockingCall({"ListClaimQueues", kObserve, kLongRead, kYes}, to.claim_queue, &ClaimQueueHandler::List),
      BlockingCall({"SetClaimQueuePaused", kOperate, kAdmin, kYes}, to.claim_queue, &ClaimQueueHandler::SetPaused),
      BlockingCall({"ListDeadClaims", kObserve, kLongRead, kYes}, to.claim_queue, &ClaimQueueHandler::ListDead),
      BlockingCall({"SettleDeadClaims", kOperate, kAdmin, kYes}, to.claim_queue, &ClaimQueueHandler::Settle),
  };
}

}  // namespace

std::vector<CallEntry> AdminCalls(const AdminHandlers& to) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  std::vector<CallEntry> calls = {
      BlockingCall({"CreateSku", kOperate, kAdmin, kYes}, to.sku, &SkuHandler::Create),
      BlockingCall({"ListSkus", kObserve, kAdmin, kYes}, to.sku, &SkuHandler::List),
      BlockingCall({"GetSku", kObserve, kAdmin, kYes}, to.sku, &SkuHandler::Get),
      BlockingCall({"CloseSku", kOperate, kAdmin, kYes}, to.sku, &SkuHandler::Close),
      BlockingCall({"ReopenSku", kOperate, kAdmin, kYes}, to.sku_change, &SkuChangeHandler::Reopen),
      BlockingCall({"SetSkuPaused", kOperate, kAdmin, kYes}, to.sku_change, &SkuChangeHandler::SetPaused),
      BlockingCall({"UpdateSku", kOperate, kAdmin, kYes}, to.sku_change, &SkuChangeHandler::Update),

      BlockingCall({"AddStock", kOperate, kAdmin, kNo}, to.stock, &StockHandler::Add),
      BlockingCall({"ReduceStock", kOperate, kAdmin, kNo}, to.stock, &StockHandler::Reduce),

      BlockingCall({"GetQuota", kObserve, kAdmin, kYes}, to.quota, &QuotaHandler::Get),
      BlockingCall({"SetQuota", kOperate, kAdmin, kYes}, to.quota, &QuotaHandler::Set),
      BlockingCall({"MoveQuota", kOperate, kAdmin, kNo}, to.quota, &QuotaHandler::Move),
      BlockingCall({"RebalanceQuota", kOperate, kAdmin, kYes}, to.quota, &QuotaHandler::Rebalance),
      BlockingCall({"SetQuotaFrozen", kOperate, kAdmin, kYes}, to.quota, &QuotaHandler::SetFrozen),

      BlockingCall({"SetClusterFrozen", kOperate, kAdmin, kYes}, to.cluster, &ClusterHandler::SetFrozen),
      BlockingCall({"GetClusterSettings", kObserve, kAdmin, kYes}, to.cluster, &ClusterHandler::Get),

      BlockingCall({"ListNodes", kObserve, kAdmin, kYes}, to.node, &NodeHandler::List),
      BlockingCall({"DrainNode", kOperate, kAdmin, kYes}, to.node, &NodeHandler::Drain),
      BlockingCall({"UndrainNode", kOperate, kAdmin, kYes}, to.node, &NodeHandler::Undrain),

      BlockingCall({"ListAudit", kObserve, kLongRead, kYes}, to.audit, &AuditHandler::List),
      BlockingCall({"VerifyLedger", kObserve, kLongRead, kYes}, to.verify, &VerifyHandler::Verify),

      BlockingCall({"ListOutboxMessages", kObserve, kLongRead, kYes}, to.outbox, &OutboxHandler::ListMessages),
      BlockingCall({"GetOutboxMessage", kObserve, kAdmin, kYes}, to.outbox, &OutboxHandler::GetMessage),
      BlockingCall({"RetryOutboxMessages", kOperate, kAdmin, kYes}, to.outbox, &OutboxHandler::Retry),
      BlockingCall({"DiscardOutboxMessage", kAdminister, kAdmin, kYes}, to.outbox, &OutboxHandler::Discard),
      BlockingCall({"ListSinks", kObserve, kLongRead, kYes}, to.outbox, &OutboxHandler::ListSinks),
      BlockingCall({"AddSink", kAdminister, kAdmin, kYes}, to.outbox, &OutboxHandler::AddSink),
      BlockingCall({"RemoveSink", kAdminister, kAdmin, kYes}, to.outbox, &OutboxHandler::RemoveSink),

      BlockingCall({"ListShards", kObserve, kAdmin, kYes}, to.shard, &ShardHandler::List),
      BlockingCall({"AddShard", kAdminister, kAdmin, kYes}, to.shard, &ShardHandler::Add),
      ServerStreamCall<v1::MoveSkuRequest, v1::MoveSkuResponse>({"MoveSku", kAdminister, kMove, kYes},
                                                                MoveBy(to.shard)),

      ServerStreamCall<v1::ExportPaymentsRequest, v1::ExportPaymentsResponse>(
          {"ExportPayments", kObserve, kLongRead, kYes}, ExportBy(to.payment, to.open_exports)),
      BlockingCall({"LookUpPayments", kObserve, kLongRead, kYes}, to.payment, &PaymentHandler::LookUp),
      BlockingCall({"PreviewReservationChange", kObserve, kAdmin, kYes}, to.preview, &PreviewHandler::Change),
      ChangeReservationBy({"ChangeReservation", kOperate, kAdmin, kYes}, to.reservations),
      BlockingCall({"ApplyCorrections", kOperate, kAdmin, kYes}, to.payment, &PaymentHandler::Apply),

      BlockingCall({"GetStatus", kObserve, kStatus, kYes}, to.status, &StatusHandler::Get),
      BlockingCall({"ListTraffic", kObserve, kStatus, kYes}, to.traffic, &TrafficHandler::List),

      BlockingCall({"DumpCoordination", kObserve, kLongRead, kYes}, to.coordination, &CoordinationHandler::Dump),
      BlockingCall({"RebuildCoordination", kAdminister, kAdmin, kYes}, to.coordination, &CoordinationHandler::Rebuild),
  };
  for (std::vector<CallEntry> more : {DoorCalls(to), GroupCalls(to), QueueCalls(to)}) {
    std::move(more.begin(), more.end(), std::back_inserter(calls));
  }
  return calls;
}

std::unique_ptr<grpc::Service> MakeAdminService(const AdminHandlers& handlers, const CallFrame& frame) {
  const auto* service = v1::CreateSkuRequest::descriptor()->file()->FindServiceByName("AdminService");
  return std::make_unique<CallService>(*service, frame, AdminCalls(handlers));
}

}  // namespace tranche::server
