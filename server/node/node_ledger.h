// A front node's access to the ledger: its shards, the books over them, and the shutdown of calls that hang there.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/handlers/draw_prover.h"
#include "server/node/clock_offsets.h"
#include "server/process/delayed_task.h"
#include "server/process/options.h"
#include "server/process/periodic_task.h"
#include "server/process/shard_check.h"
#include "storage/bounded_executor.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/group_ledger.h"
#include "storage/postgres/connection_limits.h"
#include "storage/shards/routing_draw_ledger.h"
#include "storage/shards/routing_group_ledger.h"
#include "storage/shards/routing_outbox_ledger.h"
#include "storage/shards/routing_payment_ledger.h"
#include "storage/shards/routing_stock_ledger.h"
#include "storage/shards/shard_router.h"
#include "storage/shards/shard_set.h"

namespace tranche::server {

// Thread-safe, except for starting and ending.
class NodeLedger {
 public:
  // `incarnation_ended`: see storage::ShardSet.
  NodeLedger(const ServerOptions& options, std::function<void(storage::IncarnationId)> incarnation_ended);
  // Call Stop first if anybody may still be answered through the books.
  ~NodeLedger();
  NodeLedger(const NodeLedger&) = delete;
  NodeLedger& operator=(const NodeLedger&) = delete;

  // Waits until home answers, and reads its list of shards. An error's message is one line for operators.
  absl::Status Start(const BackendOptions& options);

  storage::Books* books() { return &router_; }
  storage::ShardRouter& router() { return router_; }
  storage::ShardSet& shards() { return shards_; }
  storage::RoutingStockLedger& stock() { return stock_; }
  storage::RoutingOutboxLedger& outbox() { return outbox_; }
  storage::RoutingDrawLedger& draws() { return draws_; }
  storage::RoutingGroupLedger& groups() { return groups_; }
  storage::RoutingPaymentLedger& payments() { return payments_; }

  // The first `limit` SKUs after the id, for callers that must not block; see SkuLedger::ListSkus.
  void ListSkus(const std::string& after, int limit,
                absl::AnyInvocable<void(absl::StatusOr<std::vector<storage::Sku>>)> done);

  // See FrontLedger::ListLotteryRounds, likewise.
  void ListLotteryRounds(const std::string& policy_sku_id,
                         absl::AnyInvocable<void(absl::StatusOr<std::vector<storage::LotteryRound>>)> done);

  // See DrawLedger::GetDraw, likewise.
  void GetDraw(const storage::DrawKey& key, absl::AnyInvocable<void(absl::StatusOr<storage::Draw>)> done);
  // See DrawProver::Find, likewise, on the shards' threads for reads. For a caller who bounds how much they ask: no
  // shard is still busy with it when `done` is called, and `prover` lives until then. kDeadlineExceeded when the
  // deadline has passed before a thread had time.
  void FindDrawEntry(DrawProver* prover, const storage::DrawKey& key, const std::string& user_id, absl::Time deadline,
                     absl::AnyInvocable<void(absl::StatusOr<ProvenEntry>)> done);

  // See GroupLedger, likewise. kDeadlineExceeded when the deadline has passed before a thread had time.
  void GetGroup(const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time deadline,
                absl::AnyInvocable<void(absl::StatusOr<storage::GroupWithMembers>)> done);
  void ListGroups(const storage::GroupFilter& filter, const storage::GroupCursor& after, int limit,
                  absl::AnyInvocable<void(absl::StatusOr<storage::GroupPage>)> done);
  void ListGroupOffers(const std::string& sku_id,
                       absl::AnyInvocable<void(absl::StatusOr<std::vector<storage::GroupOffer>>)> done);

  // Calls that wait for one of the threads that all shards share. Not after StopExecutors.
  size_t queued_late_payments() const { return late_payment_executor_->queued(); }
  size_t queued_lists() const { return list_executor_->queued(); }

  MetricSource* clock_offsets() { return &clock_offsets_; }

  // Is no claim, no change and no entry into a draw waiting or under way?
  bool Idle() const;

  // Shutdown, in this order. Waits for accepted claims, changes and (with these) entries into draws until the deadline
  // and accepts no more. Then refuses those that still wait; shards that home lists from now on are ignored.
  void DrainClaims(absl::Time deadline);
  void DrainChanges(absl::Time deadline);
  void RefuseWaiting() { shards_.RefuseWaiting(); }
  // Aborts statements that are still under way after `timeout` and one more second. Only the first call has an effect.
  void GiveUpAfter(absl::Duration timeout);
  // Ends the threads for blocking calls; what is queued still runs. Call it when nobody calls the books any more.
  void StopExecutors();
  // Ends the rest, after answering what is in flight.
  void Stop();

 private:
  void RefreshShards();
  // Of shards that were not found to fit yet. One that does not fit answers nothing until it does: it may have SKUs, so
  // it must not look as if it were not there.
  void CheckShards();
  // Of this machine and of each shard's database, now and then. Does not wait for the answers.
  void CompareClocks();

  const storage::ConnectionNeeds needs_;                 // of each shard's server
  ShardCheck check_;                                     // after the start, only on the refreshing task's thread
  std::map<std::string, std::string> unfit_;             // shards that were given up, with their DSNs; likewise
  absl::Time compare_clocks_at_ = absl::InfinitePast();  // by SteadyNow; likewise
  ClockOffsets clock_offsets_;                           // outlives the shards, whose threads write it
  storage::ShardSet shards_;
  // Outlives everything that may wait for a ledger.
  std::unique_ptr<DelayedTask> give_up_;
  // For calls that may ask several shards one after the other.
  std::unique_ptr<storage::BoundedExecutor> late_payment_executor_;
  std::unique_ptr<storage::BoundedExecutor> list_executor_;
  storage::ShardRouter router_;
  storage::RoutingStockLedger stock_;
  storage::RoutingOutboxLedger outbox_;
  storage::RoutingDrawLedger draws_;
  storage::RoutingGroupLedger groups_;
  storage::RoutingPaymentLedger payments_;
  // Last: they use the others.
  std::unique_ptr<PeriodicTask> carts_task_;
  std::unique_ptr<PeriodicTask> refresh_task_;
};

}  // namespace tranche::server
