// AdminService on gRPC's callback API: only translates between gRPC and the handlers, which run on the executor because
// they block.
#pragma once

#include "server/handlers/audit_handler.h"
#include "server/handlers/coordination_handler.h"
#include "server/handlers/node_handler.h"
#include "server/handlers/outbox_handler.h"
#include "server/handlers/payment_handler.h"
#include "server/handlers/quota_handler.h"
#include "server/handlers/shard_handler.h"
#include "server/handlers/sku_handler.h"
#include "server/handlers/stock_handler.h"
#include "server/handlers/verify_handler.h"
#include "storage/executor.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::server {

struct AdminHandlers {
  SkuHandler* sku;
  StockHandler* stock;
  QuotaHandler* quota;
  NodeHandler* node;
  VerifyHandler* verify;
  CoordinationHandler* coordination;
  AuditHandler* audit;
  OutboxHandler* outbox;
  PaymentHandler* payment;
  ShardHandler* shard;
};

class AdminServiceImpl final : public v1::AdminService::CallbackService {
 public:
  // `move_executor` runs moves of SKUs, which take long.
  AdminServiceImpl(AdminHandlers handlers, storage::Executor* executor, storage::Executor* move_executor)
      : handlers_(handlers), executor_(executor), move_executor_(move_executor) {}

  grpc::ServerUnaryReactor* CreateSku(grpc::CallbackServerContext* context, const v1::CreateSkuRequest* request,
                                      v1::CreateSkuResponse* response) override;
  grpc::ServerUnaryReactor* ListSkus(grpc::CallbackServerContext* context, const v1::ListSkusRequest* request,
                                     v1::ListSkusResponse* response) override;
  grpc::ServerUnaryReactor* GetSku(grpc::CallbackServerContext* context, const v1::GetSkuRequest* request,
                                   v1::GetSkuResponse* response) override;
  grpc::ServerUnaryReactor* CloseSku(grpc::CallbackServerContext* context, const v1::CloseSkuRequest* request,
                                     v1::CloseSkuResponse* response) override;
  grpc::ServerUnaryReactor* AddStock(grpc::CallbackServerContext* context, const v1::AddStockRequest* request,
                                     v1::AddStockResponse* response) override;
  grpc::ServerUnaryReactor* ReduceStock(grpc::CallbackServerContext* context, const v1::ReduceStockRequest* request,
                                        v1::ReduceStockResponse* response) override;
  grpc::ServerUnaryReactor* GetQuota(grpc::CallbackServerContext* context, const v1::GetQuotaRequest* request,
                                     v1::GetQuotaResponse* response) override;
  grpc::ServerUnaryReactor* SetQuota(grpc::CallbackServerContext* context, const v1::SetQuotaRequest* request,
                                     v1::SetQuotaResponse* response) override;
  grpc::ServerUnaryReactor* MoveQuota(grpc::CallbackServerContext* context, const v1::MoveQuotaRequest* request,
                                      v1::MoveQuotaResponse* response) override;
  grpc::ServerUnaryReactor* RebalanceQuota(grpc::CallbackServerContext* context,
                                           const v1::RebalanceQuotaRequest* request,
                                           v1::RebalanceQuotaResponse* response) override;
  grpc::ServerUnaryReactor* SetQuotaFrozen(grpc::CallbackServerContext* context,
                                           const v1::SetQuotaFrozenRequest* request,
                                           v1::SetQuotaFrozenResponse* response) override;
  grpc::ServerUnaryReactor* ListNodes(grpc::CallbackServerContext* context, const v1::ListNodesRequest* request,
                                      v1::ListNodesResponse* response) override;
  grpc::ServerUnaryReactor* DrainNode(grpc::CallbackServerContext* context, const v1::DrainNodeRequest* request,
                                      v1::DrainNodeResponse* response) override;
  grpc::ServerUnaryReactor* UndrainNode(grpc::CallbackServerContext* context, const v1::UndrainNodeRequest* request,
                                        v1::UndrainNodeResponse* response) override;
  grpc::ServerUnaryReactor* ListAudit(grpc::CallbackServerContext* context, const v1::ListAuditRequest* request,
                                      v1::ListAuditResponse* response) override;
  grpc::ServerUnaryReactor* ListOutboxMessages(grpc::CallbackServerContext* context,
                                               const v1::ListOutboxMessagesRequest* request,
                                               v1::ListOutboxMessagesResponse* response) override;
  grpc::ServerUnaryReactor* GetOutboxMessage(grpc::CallbackServerContext* context,
                                             const v1::GetOutboxMessageRequest* request,
                                             v1::GetOutboxMessageResponse* response) override;
  grpc::ServerUnaryReactor* RetryOutboxMessages(grpc::CallbackServerContext* context,
                                                const v1::RetryOutboxMessagesRequest* request,
                                                v1::RetryOutboxMessagesResponse* response) override;
  grpc::ServerUnaryReactor* DiscardOutboxMessage(grpc::CallbackServerContext* context,
                                                 const v1::DiscardOutboxMessageRequest* request,
                                                 v1::DiscardOutboxMessageResponse* response) override;
  grpc::ServerUnaryReactor* ListSinks(grpc::CallbackServerContext* context, const v1::ListSinksRequest* request,
                                      v1::ListSinksResponse* response) override;
  grpc::ServerUnaryReactor* AddSink(grpc::CallbackServerContext* context, const v1::AddSinkRequest* request,
                                    v1::AddSinkResponse* response) override;
  grpc::ServerUnaryReactor* RemoveSink(grpc::CallbackServerContext* context, const v1::RemoveSinkRequest* request,
                                       v1::RemoveSinkResponse* response) override;
  grpc::ServerUnaryReactor* ListShards(grpc::CallbackServerContext* context, const v1::ListShardsRequest* request,
                                       v1::ListShardsResponse* response) override;
  grpc::ServerUnaryReactor* AddShard(grpc::CallbackServerContext* context, const v1::AddShardRequest* request,
                                     v1::AddShardResponse* response) override;
  grpc::ServerWriteReactor<v1::MoveSkuResponse>* MoveSku(grpc::CallbackServerContext* context,
                                                         const v1::MoveSkuRequest* request) override;
  grpc::ServerUnaryReactor* VerifyLedger(grpc::CallbackServerContext* context, const v1::VerifyLedgerRequest* request,
                                         v1::VerifyLedgerResponse* response) override;
  grpc::ServerWriteReactor<v1::ExportPaymentsResponse>* ExportPayments(
      grpc::CallbackServerContext* context, const v1::ExportPaymentsRequest* request) override;
  grpc::ServerUnaryReactor* LookUpPayments(grpc::CallbackServerContext* context,
                                           const v1::LookUpPaymentsRequest* request,
                                           v1::LookUpPaymentsResponse* response) override;
  grpc::ServerUnaryReactor* ApplyCorrections(grpc::CallbackServerContext* context,
                                             const v1::ApplyCorrectionsRequest* request,
                                             v1::ApplyCorrectionsResponse* response) override;
  grpc::ServerUnaryReactor* DumpCoordination(grpc::CallbackServerContext* context,
                                             const v1::DumpCoordinationRequest* request,
                                             v1::DumpCoordinationResponse* response) override;
  grpc::ServerUnaryReactor* RebuildCoordination(grpc::CallbackServerContext* context,
                                                const v1::RebuildCoordinationRequest* request,
                                                v1::RebuildCoordinationResponse* response) override;

 private:
  // Runs `call`, which returns StatusOr<Response>, on the executor and finishes the call with its outcome.
  template <typename Response, typename Call>
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context, Response* response, Call call);

  const AdminHandlers handlers_;
  storage::Executor* const executor_;
  storage::Executor* const move_executor_;
};

}  // namespace tranche::server
