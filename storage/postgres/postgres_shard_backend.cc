#include "storage/postgres/postgres_shard_backend.h"

#include <algorithm>
#include <utility>

namespace tranche::storage {
namespace {

// Entries into draws share the call pool, so that they take no connection from claims and payments. One lane writes
// them by hundreds at a time.
constexpr int kEntryLanes = 1;
// Connections of the call pool besides those of --blocking-threads: 4 for late payments, 2 for lists, 2 for admin
// calls and 2 for their long reads, those for a moving SKU, the node's agent, watches, the front door's watch and the
// refresh of shards, 3 for looks, and those of the entries' lanes. Enough for all at once, so that slow lists take no
// connection from a cart. Only the threads for units of a pool and for watches of groups have none of their own: they
// borrow some of these, which are never all in use.
constexpr int kMoreConnections = 18 + kEntryLanes;
// Of the shared threads: who waits for units of a pool is a buyer, and their node sells nothing meanwhile.
constexpr int kPoolThreads = 1;
// Kinds of calls that share threads.
enum ThreadKind : size_t { kForCarts, kForReads, kForUnits };
// The state of the shard, the incarnations that have gone, and whether it answers at all: one question of each at a
// time.
constexpr int kLookThreads = 3;

// A page of a verification may have a single SKU with millions of reservations, which are read in one snapshot.
constexpr absl::Duration kVerifyTimeout = absl::Minutes(10);
constexpr int kVerifyConnections = 1;
// Other calls are not tried again. They give up when most of their callers have.
constexpr absl::Duration kCallLockTimeout = absl::Seconds(2);

PoolOptions PoolOf(PoolOptions options, const std::shared_ptr<ConnectionShare>& share, const char* application_name,
                   int max_connections, absl::Duration lock_timeout) {
  options.share = share;
  options.application_name = application_name;
  options.max_connections = max_connections;
  options.lock_timeout = lock_timeout;
  return options;
}

PoolOptions LanePoolOf(const PostgresShardOptions& options, const std::shared_ptr<ConnectionShare>& share,
                       const char* application_name) {
  PoolOptions pool = PoolOf(options.pool, share, application_name, options.pipeline.lanes, options.pipeline.lock_wait);
  pool.for_changes = true;
  return pool;
}

PipelineOptions EntryPipelineOf(PipelineOptions options) {
  options.lanes = kEntryLanes;
  options.lock_wait = kCallLockTimeout;
  return options;
}

PoolOptions VerifyPoolOf(PoolOptions options, const std::shared_ptr<ConnectionShare>& share) {
  options.statement_timeout = kVerifyTimeout;
  return PoolOf(std::move(options), share, "tranched-verify", kVerifyConnections, kCallLockTimeout);
}

// Reads may be slow, and many, without keeping a cart waiting, and the other way round. With a single thread they share
// it, and take turns.
std::vector<SharedThreads::Kind> KindsOf(const PostgresShardOptions& options) {
  const int threads = options.blocking_threads;
  const int for_carts = threads > 1 ? std::max(threads / 4, 1) : 0;
  const int for_reads = threads > 1 ? 1 : 0;
  std::vector<SharedThreads::Kind> kinds(3);
  kinds[kForCarts] = {.reserved = for_carts, .max_queue = options.blocking_queue};
  kinds[kForReads] = {.reserved = for_reads, .max_queue = options.blocking_queue};
  kinds[kForUnits] = {.reserved = kPoolThreads, .max_queue = options.blocking_queue};
  return kinds;
}

}  // namespace

ConnectionNeeds PostgresShardBackend::NeedsOf(const PostgresShardOptions& options) {
  return {.most = 2 * options.pipeline.lanes + options.blocking_threads + kMoreConnections + kVerifyConnections,
          .least = 3};
}

PostgresShardBackend::PostgresShardBackend(std::string shard_name, const PostgresShardOptions& options)
    : commit_pool_(LanePoolOf(options, share_, "tranched-commit")),
      call_pool_(
          PoolOf(options.pool, share_, "tranched", options.blocking_threads + kMoreConnections, kCallLockTimeout)),
      change_pool_(LanePoolOf(options, share_, "tranched-change")),
      verify_pool_(VerifyPoolOf(options.pool, share_)),
      commit_ledger_(&commit_pool_),
      ledger_(&call_pool_),
      stock_ledger_(&call_pool_, &verify_pool_, shard_name),
      lifecycle_ledger_(&call_pool_),
      change_ledger_(&change_pool_),
      shard_ledger_(&call_pool_),
      outbox_ledger_(&call_pool_),
      payment_ledger_(&call_pool_),
      whereabouts_ledger_(&call_pool_),
      health_ledger_(&call_pool_),
      front_ledger_(&call_pool_),
      draw_ledger_(&call_pool_),
      group_ledger_(&call_pool_),
      claims_(std::make_unique<CommitPipeline>(&commit_ledger_, Clock::Real(), options.pipeline)),
      changes_(std::make_unique<ChangePipeline>(&change_ledger_, Clock::Real(), options.pipeline)),
      entries_(std::make_unique<EntryPipeline>(&draw_ledger_, Clock::Real(), EntryPipelineOf(options.pipeline))),
      threads_(std::make_unique<SharedThreads>(options.blocking_threads + kPoolThreads, KindsOf(options))),
      look_executor_(std::make_unique<BoundedExecutor>(kLookThreads, kLookThreads)) {
  carts_ = std::make_unique<CartPipeline>(&lifecycle_ledger_, threads_->Of(kForCarts), Clock::Real());
  name = std::move(shard_name);
  dsn = options.pool.dsn;
  reservations = &ledger_;
  stock = &stock_ledger_;
  lifecycle = &lifecycle_ledger_;
  shards = &shard_ledger_;
  outbox = &outbox_ledger_;
  payments = &payment_ledger_;
  whereabouts = &whereabouts_ledger_;
  health = &health_ledger_;
  front = &front_ledger_;
  draws = &draw_ledger_;
  groups = &group_ledger_;
  claims = claims_.get();
  changes = changes_.get();
  carts = carts_.get();
  entries = entries_.get();
  executor = threads_->Of(kForCarts);
  read_executor = threads_->Of(kForReads);
  pool_executor = threads_->Of(kForUnits);
  look_executor = look_executor_.get();
}

std::vector<ConnectionCounts> PostgresShardBackend::Connections() const {
  std::vector<ConnectionCounts> counts;
  const auto add = [&counts](const char* name, const ConnectionPool& pool) {
    const PoolUse now = pool.use();
    counts.push_back({.pool = name, .used = now.in_use, .idle = now.open - now.in_use, .limit = now.limit});
  };
  add("commit", commit_pool_);
  add("change", change_pool_);
  add("call", call_pool_);
  add("verify", verify_pool_);
  return counts;
}

}  // namespace tranche::storage
