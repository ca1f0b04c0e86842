// The calls of ReservationService, CatalogService, FrontDoorService and GroupService on a front node: their handlers
// and the services.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "quota/slices/slice_table.h"
#include "server/access/access_control.h"
#include "server/handlers/cart_handler.h"
#include "server/handlers/catalog_handler.h"
#include "server/handlers/change_handler.h"
#include "server/handlers/claim_handler.h"
#include "server/handlers/draw_handler.h"
#include "server/handlers/draw_prover.h"
#include "server/handlers/enter_draw_handler.h"
#include "server/handlers/enter_sale_handler.h"
#include "server/handlers/group_join_handler.h"
#include "server/handlers/group_read_handler.h"
#include "server/handlers/list_handler.h"
#include "server/handlers/lottery_round_handler.h"
#include "server/handlers/reservation_handler.h"
#include "server/handlers/watch_hub.h"
#include "server/node/node_door.h"
#include "server/node/node_ledger.h"
#include "server/node/node_queue.h"
#include "server/node/node_sale.h"
#include "server/process/options.h"
#include "server/process/periodic_task.h"
#include "server/rpc/access_log.h"
#include "server/rpc/answer_budget.h"
#include "server/rpc/call_metrics.h"
#include "server/rpc/caller_calls.h"
#include "server/rpc/open_calls.h"
#include "server/services/front_door_service.h"
#include "server/services/group_service.h"
#include "server/services/reservation_service.h"
#include "server/services/visitor_addresses.h"

namespace tranche::server {

// Thread-safe, except for ending. Outlived by its dependencies.
class BuyerCalls {
 public:
  // `queue` may be null: there is no broker; so may `metrics`: then calls are not counted by method; so may
  // `access_log`: then they have no lines; and so may `access`: then everybody may make every call.
  BuyerCalls(const ServerOptions& options, const quota::SliceTable* slices, NodeLedger* ledger, NodeSale* sale,
             NodeDoor* door, const NodeQueue* queue, CallMetrics* metrics, AccessLog* access_log,
             AccessControl* access);

  std::vector<grpc::Service*> services() { return served_.services(); }
  // The same calls for those who connect where operators do, if that is an address of its own. Their streams and unread
  // answers have the same limits, but are counted by themselves, so that buyers leave operators room.
  std::vector<grpc::Service*> services_for_operators();
  OpenCalls& open_calls() { return open_calls_; }
  // For operators' changes of reservations, which are the same ones, but for what a service mode limits.
  ReservationHandlers handlers_of_operators() { return HandlersWith(&changes_of_operators_); }
  // Of all streams.
  int open_streams();
  int64_t unread_answers();
  // Calls that --max-calls-per-caller has refused.
  int64_t caller_limited() const { return caller_calls_ == nullptr ? 0 : caller_calls_->refused(); }
  const OutcomeCounts& claims() const { return reservations_.outcomes(); }
  const OutcomeCounts& carts() const { return carts_.outcomes(); }
  const ChangeHandler& changes() const { return changes_; }

  // Until this is called, claims, carts and entries are answered as if this node had no units, so callers go elsewhere.
  void StartServing();
  // While not accepting, changes, entries and watches are refused with DRAINING: another node can serve them.
  void SetAccepting(bool accepting);
  // Streams accept no more requests, and end when they have answered those they have.
  void StopStreams();
  // Call it when no call is under way any more.
  void StopThreads() {
    watch_hub_.Stop();
    group_watch_hub_.Stop();
  }

 private:
  // What one gRPC server serves: gRPC takes a service for one server only.
  struct Served {
    Served(const ServerOptions& options, const ReservationHandlers& handlers, CatalogHandler* catalog,
           const FrontDoorHandlers& front_door, const GroupHandlers& groups, CallFrame frame);
    std::vector<grpc::Service*> services() {
      return {reservations.service(), catalog_service.get(), front_door_service.get(), group_service.get()};
    }

    AnswerBudget answers;
    ReservationServiceImpl reservations;
    std::unique_ptr<grpc::Service> catalog_service;
    std::unique_ptr<grpc::Service> front_door_service;
    std::unique_ptr<grpc::Service> group_service;
  };

  ReservationHandlers HandlersWith(ChangeHandler* changes) {
    return {&reservations_, &carts_, changes, &lists_, &watch_hub_, visitors_, &claims_};
  }
  FrontDoorHandlers front_door_handlers() {
    return {.enter = &enter_, .rounds = &rounds_, .enter_draw = &enter_draw_, .draws = &draws_, .visitors = visitors_};
  }
  GroupHandlers group_handlers() {
    return {.join = &group_joins_, .read = &groups_, .watch = &group_watch_hub_, .visitors = visitors_};
  }
  // Of streams and watches: what has room again goes on, and what may not go on ends.
  void CheckStreams();

  AccessControl* const access_;
  const absl::Duration unread_timeout_;
  uint64_t checked_generation_ = 0;  // of the access file, when the watches were checked last
  absl::Time check_again_at_ = absl::InfiniteFuture();
  const VisitorAddresses visitors_;
  ReservationHandler reservations_;
  CartHandler carts_;
  ChangeHandler changes_;
  ChangeHandler changes_of_operators_;
  ListHandler lists_;
  WatchHub watch_hub_;
  ClaimHandler claims_;
  CatalogHandler catalog_;
  EnterSaleHandler enter_;
  LotteryRoundHandler rounds_;
  EnterDrawHandler enter_draw_;
  DrawProver prover_;
  DrawHandler draws_;
  GroupJoinHandler group_joins_;
  GroupReadHandler groups_;
  GroupWatchHub group_watch_hub_;
  OpenCalls open_calls_;
  const std::unique_ptr<CallerCalls> caller_calls_;  // null: no limit
  Served served_;
  const std::unique_ptr<Served> served_to_operators_;  // null: they connect where buyers do
  PeriodicTask check_streams_task_;                    // last: it uses the others
};

}  // namespace tranche::server
