// The calls of AdminService on a front node: their handlers, the threads that they run on, and the service.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "quota/coordination/announcer.h"
#include "quota/coordination/quota_mover.h"
#include "quota/slices/slice_table.h"
#include "server/access/access_control.h"
#include "server/handlers/access_entry_handler.h"
#include "server/handlers/audit_handler.h"
#include "server/handlers/audited_change_handler.h"
#include "server/handlers/bounded_look.h"
#include "server/handlers/claim_path_warnings.h"
#include "server/handlers/claim_queue_handler.h"
#include "server/handlers/claim_queues.h"
#include "server/handlers/cluster_handler.h"
#include "server/handlers/coordination_handler.h"
#include "server/handlers/draw_admin_handler.h"
#include "server/handlers/explain_admission_handler.h"
#include "server/handlers/front_announcer.h"
#include "server/handlers/front_key_handler.h"
#include "server/handlers/front_policy_handler.h"
#include "server/handlers/group_admin_handler.h"
#include "server/handlers/node_handler.h"
#include "server/handlers/outbox_handler.h"
#include "server/handlers/payment_handler.h"
#include "server/handlers/preview_handler.h"
#include "server/handlers/quota_handler.h"
#include "server/handlers/room_handler.h"
#include "server/handlers/service_mode_handler.h"
#include "server/handlers/shard_handler.h"
#include "server/handlers/sku_change_handler.h"
#include "server/handlers/sku_handler.h"
#include "server/handlers/status_handler.h"
#include "server/handlers/stock_handler.h"
#include "server/handlers/traffic_handler.h"
#include "server/handlers/verify_handler.h"
#include "server/node/node_ledger.h"
#include "server/process/options.h"
#include "server/process/periodic_task.h"
#include "server/rpc/access_log.h"
#include "server/rpc/answer_budget.h"
#include "server/rpc/call_metrics.h"
#include "server/services/admin_service.h"
#include "server/services/export_stream.h"
#include "server/services/reservation_service.h"
#include "storage/bounded_executor.h"

namespace tranche::server {

// Thread-safe, except for ending. Outlived by its dependencies.
class OperatorCalls {
 public:
  // `reservations` are the handlers of buyers' calls, `slices` tell which shard a SKU is believed to be on, and
  // `door` is what this node knows of the front door. `broker` has no pointers where there is none. `metrics` may be
  // null: then calls are not counted by method; so may `access_log`: then they have no lines; and so may `access`: then
  // everybody may make every call.
  OperatorCalls(const ServerOptions& options, NodeLedger* ledger, quota::SessionSource* sessions,
                const ReservationHandlers& reservations, const quota::SliceTable* slices, AdmissionSource door,
                const ClaimBroker& broker, CallMetrics* metrics, AccessLog* access_log, AccessControl* access);

  grpc::Service* service() { return service_.get(); }

  // Calls that wait for a thread. Not after StopThreads.
  size_t queued() const { return executor_->queued(); }
  size_t queued_moves() const { return move_executor_->queued(); }
  size_t queued_status() const { return status_executor_->queued(); }
  size_t queued_long_reads() const { return long_read_executor_->queued(); }

  int64_t groups_cancelled() const { return groups_.cancelled(); }

  // Ends the threads; what is queued still runs. Call it when no call is under way any more.
  void StopThreads();

 private:
  // For the service. `watches_exports`: those of callers who may not go on are cut off.
  AdminHandlers Handlers(bool watches_exports);
  // Null: this node has no broker.
  CountConsumers ConsumersAt(const ClaimBroker& broker, NodeLedger* ledger);

  quota::Announcer announcer_;
  quota::QuotaMover mover_;
  SkuHandler skus_;
  SkuChangeHandler sku_changes_;
  StockHandler stock_;
  QuotaHandler quota_;
  NodeHandler nodes_;
  VerifyHandler verify_;
  CoordinationHandler coordination_;
  AuditHandler audit_;
  OutboxHandler outbox_;
  PaymentHandler payments_;
  PreviewHandler previews_;
  ShardHandler shards_;
  ClusterHandler cluster_;
  AuditedChangeHandler reservations_;
  FrontAnnouncer front_announcer_;
  FrontPolicyHandler front_policies_;
  AccessEntryHandler access_entries_;
  FrontKeyHandler front_keys_;
  ExplainAdmissionHandler explanations_;
  ServiceModeHandler service_mode_;
  DrawAdminHandler draws_;
  GroupAdminHandler groups_;
  ClaimQueueHandler claim_queues_;
  std::unique_ptr<storage::BoundedExecutor> looks_;  // for questions of the next four
  BoundedLook<std::vector<v1::ClaimQueueState>> claim_queues_look_;
  RoomHandler rooms_;
  StatusHandler status_;
  TrafficHandler traffic_;
  AnswerBudget answers_;
  AnswerBudget exports_;
  OpenExports open_exports_;
  std::unique_ptr<storage::BoundedExecutor> executor_;
  std::unique_ptr<storage::BoundedExecutor> move_executor_;
  std::unique_ptr<storage::BoundedExecutor> status_executor_;
  std::unique_ptr<storage::BoundedExecutor> long_read_executor_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<PeriodicTask> check_exports_task_;  // last: it uses the others. Null if everybody may make every call
};

}  // namespace tranche::server
