// AdminService: which handler answers which call. Most block, so they run on an executor.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <vector>

#include "server/handlers/access_entry_handler.h"
#include "server/handlers/audit_handler.h"
#include "server/handlers/audited_change_handler.h"
#include "server/handlers/claim_queue_handler.h"
#include "server/handlers/cluster_handler.h"
#include "server/handlers/coordination_handler.h"
#include "server/handlers/draw_admin_handler.h"
#include "server/handlers/explain_admission_handler.h"
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
#include "server/rpc/call_table.h"
#include "server/services/export_stream.h"

namespace tranche::server {

struct AdminHandlers {
  SkuHandler* sku = nullptr;
  SkuChangeHandler* sku_change = nullptr;
  StockHandler* stock = nullptr;
  QuotaHandler* quota = nullptr;
  NodeHandler* node = nullptr;
  VerifyHandler* verify = nullptr;
  CoordinationHandler* coordination = nullptr;
  AuditHandler* audit = nullptr;
  OutboxHandler* outbox = nullptr;
  PaymentHandler* payment = nullptr;
  PreviewHandler* preview = nullptr;
  ShardHandler* shard = nullptr;
  ClusterHandler* cluster = nullptr;
  AuditedChangeHandler* reservations = nullptr;
  FrontPolicyHandler* front_policy = nullptr;
  AccessEntryHandler* access_entry = nullptr;
  FrontKeyHandler* front_key = nullptr;
  ExplainAdmissionHandler* explain_admission = nullptr;
  RoomHandler* room = nullptr;
  ServiceModeHandler* service_mode = nullptr;
  DrawAdminHandler* draw = nullptr;
  GroupAdminHandler* group = nullptr;
  ClaimQueueHandler* claim_queue = nullptr;
  StatusHandler* status = nullptr;
  TrafficHandler* traffic = nullptr;
  // The exports that are open are added; may be absent.
  OpenExports* open_exports = nullptr;
};

std::vector<CallEntry> AdminCalls(const AdminHandlers& handlers);

// The frame needs the executors; its move_executor runs moves of SKUs, which take long. Outlived by the handlers and
// everything that the frame points to.
std::unique_ptr<grpc::Service> MakeAdminService(const AdminHandlers& handlers, const CallFrame& frame);

}  // namespace tranche::server
