// AdminService on gRPC's callback API: only translates between gRPC and the handlers, which run on the executor because
// they block.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

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

// Its class stays in one file: gRPC's base class costs every file that sees it some seconds to compile. Handlers and
// executors outlive it; `move_executor` runs moves of SKUs, which take long.
std::unique_ptr<grpc::Service> MakeAdminService(AdminHandlers handlers, storage::Executor* executor,
                                                storage::Executor* move_executor);

}  // namespace tranche::server
