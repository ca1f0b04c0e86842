#include "server/services/admin_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/rpc/grpc_status.h"
#include "server/services/export_stream.h"
#include "server/services/move_stream.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::server {
namespace {

constexpr char kActorKey[] = "tranche-actor";
constexpr size_t kMaxActorBytes = 128;

// Who is asking, for the audit log: what he calls himself, else where he calls from.
std::string ActorOf(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find(kActorKey);
  if (found != context.client_metadata().end()) {
    const std::string actor(found->second.data(), found->second.size());
    if (!actor.empty() && actor.size() <= kMaxActorBytes && IsPlainUtf8(actor)) return actor;
  }
  return context.peer();
}

void FinishWith(grpc::CallbackServerContext* context, grpc::ServerUnaryReactor* reactor, const absl::Status& status) {
  AddPushback(status, context);
  reactor->Finish(ToGrpcStatus(status));
}

class AdminServiceImpl final : public v1::AdminService::CallbackService {
 public:
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

template <typename Response, typename Call>
grpc::ServerUnaryReactor* AdminServiceImpl::Run(grpc::CallbackServerContext* context, Response* response, Call call) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::AnyInvocable<void()> task = [context, reactor, response, call = std::move(call)] {
    if (absl::Now() >= DeadlineOf(*context).value_or(absl::InfiniteFuture())) {
      return FinishWith(context, reactor,
                        MakeError(v1::ERROR_REASON_DEADLINE_PASSED, "The deadline passed before the call began."));
    }
    absl::StatusOr<Response> result = call();
    if (!result.ok()) return FinishWith(context, reactor, result.status());
    *response = *std::move(result);
    reactor->Finish(grpc::Status::OK);
  };
  if (!executor_->TryRun(task)) {
    FinishWith(context, reactor,
               MakeError(v1::ERROR_REASON_OVERLOADED, "Too many calls wait here; try again shortly."));
  }
  return reactor;
}

// A call's context and request live until its Finish, so the tasks may use them.

grpc::ServerUnaryReactor* AdminServiceImpl::CreateSku(grpc::CallbackServerContext* context,
                                                      const v1::CreateSkuRequest* request,
                                                      v1::CreateSkuResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.sku->Create(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ListSkus(grpc::CallbackServerContext* context,
                                                     const v1::ListSkusRequest* request,
                                                     v1::ListSkusResponse* response) {
  return Run(context, response, [this, request] { return handlers_.sku->List(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::GetSku(grpc::CallbackServerContext* context,
                                                   const v1::GetSkuRequest* request, v1::GetSkuResponse* response) {
  return Run(context, response, [this, request] { return handlers_.sku->Get(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::CloseSku(grpc::CallbackServerContext* context,
                                                     const v1::CloseSkuRequest* request,
                                                     v1::CloseSkuResponse* response) {
  return Run(context, response, [this, context, request] { return handlers_.sku->Close(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::AddStock(grpc::CallbackServerContext* context,
                                                     const v1::AddStockRequest* request,
                                                     v1::AddStockResponse* response) {
  return Run(context, response, [this, context, request] { return handlers_.stock->Add(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ReduceStock(grpc::CallbackServerContext* context,
                                                        const v1::ReduceStockRequest* request,
                                                        v1::ReduceStockResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.stock->Reduce(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::GetQuota(grpc::CallbackServerContext* context,
                                                     const v1::GetQuotaRequest* request,
                                                     v1::GetQuotaResponse* response) {
  return Run(context, response, [this, request] { return handlers_.quota->Get(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::SetQuota(grpc::CallbackServerContext* context,
                                                     const v1::SetQuotaRequest* request,
                                                     v1::SetQuotaResponse* response) {
  return Run(context, response, [this, context, request] { return handlers_.quota->Set(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::MoveQuota(grpc::CallbackServerContext* context,
                                                      const v1::MoveQuotaRequest* request,
                                                      v1::MoveQuotaResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.quota->Move(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::RebalanceQuota(grpc::CallbackServerContext* context,
                                                           const v1::RebalanceQuotaRequest* request,
                                                           v1::RebalanceQuotaResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.quota->Rebalance(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::SetQuotaFrozen(grpc::CallbackServerContext* context,
                                                           const v1::SetQuotaFrozenRequest* request,
                                                           v1::SetQuotaFrozenResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.quota->SetFrozen(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ListNodes(grpc::CallbackServerContext* context,
                                                      const v1::ListNodesRequest* request,
                                                      v1::ListNodesResponse* response) {
  return Run(context, response, [this, request] { return handlers_.node->List(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::DrainNode(grpc::CallbackServerContext* context,
                                                      const v1::DrainNodeRequest* request,
                                                      v1::DrainNodeResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.node->Drain(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::UndrainNode(grpc::CallbackServerContext* context,
                                                        const v1::UndrainNodeRequest* request,
                                                        v1::UndrainNodeResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.node->Undrain(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ListAudit(grpc::CallbackServerContext* context,
                                                      const v1::ListAuditRequest* request,
                                                      v1::ListAuditResponse* response) {
  return Run(context, response, [this, request] { return handlers_.audit->List(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ListOutboxMessages(grpc::CallbackServerContext* context,
                                                               const v1::ListOutboxMessagesRequest* request,
                                                               v1::ListOutboxMessagesResponse* response) {
  return Run(context, response, [this, request] { return handlers_.outbox->ListMessages(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::GetOutboxMessage(grpc::CallbackServerContext* context,
                                                             const v1::GetOutboxMessageRequest* request,
                                                             v1::GetOutboxMessageResponse* response) {
  return Run(context, response, [this, request] { return handlers_.outbox->GetMessage(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::RetryOutboxMessages(grpc::CallbackServerContext* context,
                                                                const v1::RetryOutboxMessagesRequest* request,
                                                                v1::RetryOutboxMessagesResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.outbox->Retry(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::DiscardOutboxMessage(grpc::CallbackServerContext* context,
                                                                 const v1::DiscardOutboxMessageRequest* request,
                                                                 v1::DiscardOutboxMessageResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.outbox->Discard(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ListSinks(grpc::CallbackServerContext* context,
                                                      const v1::ListSinksRequest* request,
                                                      v1::ListSinksResponse* response) {
  return Run(context, response, [this, request] { return handlers_.outbox->ListSinks(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::AddSink(grpc::CallbackServerContext* context,
                                                    const v1::AddSinkRequest* request, v1::AddSinkResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.outbox->AddSink(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::RemoveSink(grpc::CallbackServerContext* context,
                                                       const v1::RemoveSinkRequest* request,
                                                       v1::RemoveSinkResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.outbox->RemoveSink(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ListShards(grpc::CallbackServerContext* context,
                                                       const v1::ListShardsRequest* request,
                                                       v1::ListShardsResponse* response) {
  return Run(context, response, [this, request] { return handlers_.shard->List(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::AddShard(grpc::CallbackServerContext* context,
                                                     const v1::AddShardRequest* request,
                                                     v1::AddShardResponse* response) {
  return Run(context, response, [this, context, request] { return handlers_.shard->Add(*request, ActorOf(*context)); });
}

// The move may outlive the call, so it has its own copy of the request.
grpc::ServerWriteReactor<v1::MoveSkuResponse>* AdminServiceImpl::MoveSku(grpc::CallbackServerContext* context,
                                                                         const v1::MoveSkuRequest* request) {
  return MoveStream::Start(move_executor_,
                           [this, request = *request, actor = ActorOf(*context)](const MoveStream::Tell& tell) {
                             return handlers_.shard->Move(request, actor, tell);
                           });
}

grpc::ServerUnaryReactor* AdminServiceImpl::VerifyLedger(grpc::CallbackServerContext* context,
                                                         const v1::VerifyLedgerRequest* request,
                                                         v1::VerifyLedgerResponse* response) {
  return Run(context, response, [this, request] { return handlers_.verify->Verify(*request); });
}

grpc::ServerWriteReactor<v1::ExportPaymentsResponse>* AdminServiceImpl::ExportPayments(
    grpc::CallbackServerContext* context, const v1::ExportPaymentsRequest* request) {
  return ExportStream::Start(handlers_.payment, executor_, context, *request);
}

grpc::ServerUnaryReactor* AdminServiceImpl::LookUpPayments(grpc::CallbackServerContext* context,
                                                           const v1::LookUpPaymentsRequest* request,
                                                           v1::LookUpPaymentsResponse* response) {
  return Run(context, response, [this, request] { return handlers_.payment->LookUp(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::ApplyCorrections(grpc::CallbackServerContext* context,
                                                             const v1::ApplyCorrectionsRequest* request,
                                                             v1::ApplyCorrectionsResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.payment->Apply(*request, ActorOf(*context)); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::DumpCoordination(grpc::CallbackServerContext* context,
                                                             const v1::DumpCoordinationRequest* request,
                                                             v1::DumpCoordinationResponse* response) {
  return Run(context, response, [this, request] { return handlers_.coordination->Dump(*request); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::RebuildCoordination(grpc::CallbackServerContext* context,
                                                                const v1::RebuildCoordinationRequest* request,
                                                                v1::RebuildCoordinationResponse* response) {
  return Run(context, response,
             [this, context, request] { return handlers_.coordination->Rebuild(*request, ActorOf(*context)); });
}

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(AdminHandlers handlers, storage::Executor* executor,
                                                storage::Executor* move_executor) {
  return std::make_unique<AdminServiceImpl>(handlers, executor, move_executor);
}

}  // namespace tranche::server
