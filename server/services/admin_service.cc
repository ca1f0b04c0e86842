#include "server/services/admin_service.h"

#include "server/rpc/call_service.h"
#include "server/services/export_stream.h"
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

ServerStreamHandler<v1::ExportPaymentsRequest, v1::ExportPaymentsResponse> ExportBy(PaymentHandler* handler) {
  return [handler](const CallContext& call, const CallFrame& frame, const v1::ExportPaymentsRequest& request) {
    return ExportStream::Start(call, frame, handler, request);
  };
}

CallEntry ChangeReservationBy(CallPolicy policy, AuditedChangeHandler* handler) {
  return BlockingCall<v1::ChangeReservationRequest, v1::ChangeReservationResponse>(
      policy, [handler](const CallContext& call, const v1::ChangeReservationRequest& request) {
        return handler->Change(request, call.actor(), call.deadline());
      });
}

}  // namespace

std::vector<CallEntry> AdminCalls(const AdminHandlers& to) {
  using enum Role;
  using enum RunsOn;
  using enum Repeatable;
  return {
      BlockingCall({"CreateSku", kOperator, kAdmin, kYes}, to.sku, &SkuHandler::Create),
      BlockingCall({"ListSkus", kObserver, kAdmin, kYes}, to.sku, &SkuHandler::List),
      BlockingCall({"GetSku", kObserver, kAdmin, kYes}, to.sku, &SkuHandler::Get),
      BlockingCall({"CloseSku", kOperator, kAdmin, kYes}, to.sku, &SkuHandler::Close),
      BlockingCall({"ReopenSku", kOperator, kAdmin, kYes}, to.sku_change, &SkuChangeHandler::Reopen),
      BlockingCall({"SetSkuPaused", kOperator, kAdmin, kYes}, to.sku_change, &SkuChangeHandler::SetPaused),
      BlockingCall({"UpdateSku", kOperator, kAdmin, kYes}, to.sku_change, &SkuChangeHandler::Update),

      BlockingCall({"AddStock", kOperator, kAdmin, kNo}, to.stock, &StockHandler::Add),
      BlockingCall({"ReduceStock", kOperator, kAdmin, kNo}, to.stock, &StockHandler::Reduce),

      BlockingCall({"GetQuota", kObserver, kAdmin, kYes}, to.quota, &QuotaHandler::Get),
      BlockingCall({"SetQuota", kOperator, kAdmin, kYes}, to.quota, &QuotaHandler::Set),
      BlockingCall({"MoveQuota", kOperator, kAdmin, kNo}, to.quota, &QuotaHandler::Move),
      BlockingCall({"RebalanceQuota", kOperator, kAdmin, kYes}, to.quota, &QuotaHandler::Rebalance),
      BlockingCall({"SetQuotaFrozen", kOperator, kAdmin, kYes}, to.quota, &QuotaHandler::SetFrozen),

      BlockingCall({"SetClusterFrozen", kOperator, kAdmin, kYes}, to.cluster, &ClusterHandler::SetFrozen),
      BlockingCall({"GetClusterSettings", kObserver, kAdmin, kYes}, to.cluster, &ClusterHandler::Get),

      BlockingCall({"ListNodes", kObserver, kAdmin, kYes}, to.node, &NodeHandler::List),
      BlockingCall({"DrainNode", kOperator, kAdmin, kYes}, to.node, &NodeHandler::Drain),
      BlockingCall({"UndrainNode", kOperator, kAdmin, kYes}, to.node, &NodeHandler::Undrain),

      BlockingCall({"ListAudit", kObserver, kAdmin, kYes}, to.audit, &AuditHandler::List),
      BlockingCall({"VerifyLedger", kObserver, kAdmin, kYes}, to.verify, &VerifyHandler::Verify),

      BlockingCall({"ListOutboxMessages", kObserver, kAdmin, kYes}, to.outbox, &OutboxHandler::ListMessages),
      BlockingCall({"GetOutboxMessage", kObserver, kAdmin, kYes}, to.outbox, &OutboxHandler::GetMessage),
      BlockingCall({"RetryOutboxMessages", kOperator, kAdmin, kYes}, to.outbox, &OutboxHandler::Retry),
      BlockingCall({"DiscardOutboxMessage", kOperator, kAdmin, kYes}, to.outbox, &OutboxHandler::Discard),
      BlockingCall({"ListSinks", kObserver, kAdmin, kYes}, to.outbox, &OutboxHandler::ListSinks),
      BlockingCall({"AddSink", kOperator, kAdmin, kYes}, to.outbox, &OutboxHandler::AddSink),
      BlockingCall({"RemoveSink", kOperator, kAdmin, kYes}, to.outbox, &OutboxHandler::RemoveSink),

      BlockingCall({"ListShards", kObserver, kAdmin, kYes}, to.shard, &ShardHandler::List),
      BlockingCall({"AddShard", kOperator, kAdmin, kYes}, to.shard, &ShardHandler::Add),
      ServerStreamCall<v1::MoveSkuRequest, v1::MoveSkuResponse>({"MoveSku", kOperator, kMove, kYes}, MoveBy(to.shard)),

      ServerStreamCall<v1::ExportPaymentsRequest, v1::ExportPaymentsResponse>(
          {"ExportPayments", kObserver, kAdmin, kYes}, ExportBy(to.payment)),
      BlockingCall({"LookUpPayments", kObserver, kAdmin, kYes}, to.payment, &PaymentHandler::LookUp),
      BlockingCall({"PreviewReservationChange", kObserver, kAdmin, kYes}, to.preview, &PreviewHandler::Change),
      ChangeReservationBy({"ChangeReservation", kOperator, kAdmin, kYes}, to.reservations),
      BlockingCall({"ApplyCorrections", kOperator, kAdmin, kYes}, to.payment, &PaymentHandler::Apply),

      BlockingCall({"GetStatus", kObserver, kStatus, kYes}, to.status, &StatusHandler::Get),
      BlockingCall({"ListTraffic", kObserver, kStatus, kYes}, to.traffic, &TrafficHandler::List),

      BlockingCall({"DumpCoordination", kObserver, kAdmin, kYes}, to.coordination, &CoordinationHandler::Dump),
      BlockingCall({"RebuildCoordination", kOperator, kAdmin, kYes}, to.coordination, &CoordinationHandler::Rebuild),
  };
}

std::unique_ptr<grpc::Service> MakeAdminService(const AdminHandlers& handlers, const CallFrame& frame) {
  const auto* service = v1::CreateSkuRequest::descriptor()->file()->FindServiceByName("AdminService");
  return std::make_unique<CallService>(*service, frame, AdminCalls(handlers));
}

}  // namespace tranche::server
