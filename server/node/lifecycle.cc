#include "server/node/lifecycle.h"

#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "quota/node/node_agent.h"
#include "quota/node/node_host.h"
#include "quota/sale/cart_seller.h"
#include "quota/sale/seller.h"
#include "server/process/address.h"
#include "server/process/backends.h"
#include "server/process/delayed_task.h"
#include "server/process/dsn.h"
#include "server/process/periodic_task.h"
#include "server/process/stop_request.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/open_calls.h"
#include "server/services/admin_service.h"
#include "server/services/reservation_service.h"
#include "storage/bounded_executor.h"
#include "storage/postgres/postgres_shard_backend.h"
#include "storage/shards/routing_outbox_ledger.h"
#include "storage/shards/routing_payment_ledger.h"
#include "storage/shards/routing_stock_ledger.h"
#include "storage/shards/shard_router.h"
#include "storage/shards/shard_set.h"

namespace tranche::server {
namespace {

// Admin calls are few and may be slow; they share nothing with sales but the database.
constexpr int kAdminThreads = 2;
constexpr int kAdminQueue = 64;
// Late payments.
constexpr int kCallThreads = 4;
// Lists may be slow and many pages long: they share no thread with what buyers wait for.
constexpr int kListThreads = 2;
constexpr int kListQueue = 64;
// Of each shard, while a SKU moves.
constexpr int kMoveConnections = 2;
// A shard that was added is known to every node after this long.
constexpr absl::Duration kRefreshShards = absl::Seconds(1);
// Both after the drain timeout. A ledger that hangs is given up, so that whoever waits for it is answered; and whatever
// else holds the process up, it ends.
constexpr absl::Duration kGiveUpLedgersAfter = absl::Seconds(1);
constexpr absl::Duration kEndAfter = absl::Seconds(6);
constexpr int kCannotEnd = 3;  // exit status
// Between two looks for calls that are overdue.
constexpr absl::Duration kCheckCalls = absl::Seconds(1);
// So often in a row must some be, until health says so: one slow call is no reason to send all callers elsewhere, and a
// short stall of the ledger is none to do so at all nodes together.
constexpr int kOverdueChecks = 5;
// How exactly the end of a wait for units is met.
constexpr absl::Duration kWaitGranularity = absl::Milliseconds(10);

quota::SellerOptions ToSellerOptions(const ServerOptions& options) {
  quota::SellerOptions seller;
  seller.exhausted_wait = absl::Milliseconds(options.exhausted_wait_ms);
  seller.max_waiting = options.max_waiting;
  return seller;
}

CallDeadlines ToHandlerOptions(const ServerOptions& options) {
  CallDeadlines handler;
  handler.default_deadline = absl::Milliseconds(options.default_deadline_ms);
  handler.max_deadline = absl::Milliseconds(options.max_deadline_ms);
  return handler;
}

WatchHubOptions ToWatchOptions(const ServerOptions& options) {
  WatchHubOptions watch;
  watch.max_watches = static_cast<size_t>(options.max_watches);
  return watch;
}

// Where the SKU is taken to be; "" where nothing is known of it.
std::string ShardOf(const quota::SliceTable& slices, const std::string& sku_id) {
  const auto slice = sku_id.empty() ? nullptr : slices.Find(sku_id);
  const auto terms = slice == nullptr ? nullptr : slice->terms();
  return terms == nullptr ? "" : terms->shard;
}

ChangeCalls ChangesBy(storage::ShardRouter* router, const quota::SliceTable* slices) {
  return ChangeCalls{
      .confirm =
          [=](const std::string& sku_id, storage::Confirmation change, absl::Time deadline, ChangeCalls::Done done) {
            router->Confirm(ShardOf(*slices, sku_id), std::move(change), deadline, std::move(done));
          },
      .cancel =
          [=](const std::string& sku_id, storage::Cancellation change, absl::Time deadline, ChangeCalls::Done done) {
            router->Cancel(ShardOf(*slices, sku_id), std::move(change), deadline, std::move(done));
          },
      .extend =
          [=](const std::string& sku_id, storage::Extension change, absl::Time deadline, ChangeCalls::Done done) {
            router->Extend(ShardOf(*slices, sku_id), change, deadline, std::move(done));
          },
      .confirm_late = [router](const std::string&,
                               const storage::Confirmation& payment) { return router->ConfirmLate(payment); }};
}

storage::PostgresShardOptions ShardOptions(const ServerOptions& options, const std::string& dsn) {
  storage::PostgresShardOptions shard;
  shard.pool = ToPoolOptions(options.backends, "", 0);
  shard.pool.dsn = dsn;
  shard.pipeline.lanes = options.lanes;
  shard.pipeline.max_batch = options.max_batch;
  shard.pipeline.max_queue = options.max_queue;
  shard.blocking_threads = options.blocking_threads;
  shard.blocking_queue = options.blocking_queue;
  return shard;
}

quota::NodeAgentOptions ToAgentOptions(const ServerOptions& options, int port) {
  quota::NodeAgentOptions agent;
  const std::string listen_host = ParseAddress(options.listen)->host;
  agent.node_name = options.node_name.empty() ? absl::StrCat(HostName(), ":", port) : options.node_name;
  agent.address = options.advertise;
  if (agent.address.empty())
    agent.address = absl::StrCat(IsWildcard(listen_host) ? HostName() : listen_host, ":", port);
  return agent;
}

}  // namespace

// In the order in which they depend on each other, so that they are destroyed in the opposite one.
class FrontNode::Parts : public quota::SessionSource, public quota::NodeHost {
 public:
  Parts(const ServerOptions& options, std::function<void()> exit_requested)
      : exit_requested_(std::move(exit_requested)),
        shards_(
            std::make_unique<storage::PostgresShardBackend>(storage::kHomeShard,
                                                            ShardOptions(options, options.backends.postgres)),
            [options](const storage::Shard& shard) {
              return std::make_unique<storage::PostgresShardBackend>(shard.name, ShardOptions(options, shard.dsn));
            },
            [this](storage::IncarnationId id) { slices_.NoteIncarnationEnded(id); }),
        router_(&shards_),
        stock_ledger_(&shards_),
        outbox_ledger_(&shards_),
        payment_ledger_(&shards_),
        connector_(ToZookeeperOptions(options.backends)),
        call_executor_(std::make_unique<storage::BoundedExecutor>(kCallThreads, options.blocking_queue)),
        list_executor_(std::make_unique<storage::BoundedExecutor>(kListThreads, kListQueue)),
        admin_executor_(std::make_unique<storage::BoundedExecutor>(kAdminThreads, kAdminQueue)),
        move_executor_(std::make_unique<storage::BoundedExecutor>(1, 1)),
        directory_([this](const std::string& sku_id,
                          quota::SkuDirectory::ReadDone done) { router_.ReadSku(sku_id, std::move(done)); },
                   storage::Clock::Real()),
        seller_(&slices_, &directory_, &router_, storage::Clock::Real(), ToSellerOptions(options)),
        cart_seller_(
            &slices_, &directory_, [this](const std::string& shard) { return CartsOf(shard); }, storage::Clock::Real()),
        overdue_task_(std::make_unique<PeriodicTask>(kWaitGranularity, [this] { seller_.AnswerOverdue(); })),
        announcer_(this),
        mover_(&stock_ledger_, &announcer_),
        reservation_handler_(
            [this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done) {
              seller_.Sell(std::move(claim), deadline, may_exist, std::move(done));
            },
            [this](const storage::Uuid& id, storage::Books::FindDone done) { router_.Find(id, std::move(done)); },
            storage::Clock::Real(), ToHandlerOptions(options)),
        cart_handler_(
            [this](std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                   quota::CartDone done) { cart_seller_.Sell(std::move(lines), deadline, may_exist, std::move(done)); },
            storage::Clock::Real(), ToHandlerOptions(options)),
        change_handler_(ChangesBy(&router_, &slices_), call_executor_.get(), storage::Clock::Real(),
                        ToHandlerOptions(options)),
        list_handler_([this](const storage::ReservationFilter& filter, const storage::ReservationCursor& after,
                             int limit) { return router_.List(filter, after, limit); },
                      list_executor_.get(), storage::Clock::Real(), ToHandlerOptions(options)),
        watch_hub_([this](absl::Span<const storage::Uuid> ids) { return router_.Read(ids); }, ToWatchOptions(options)),
        sku_handler_(&stock_ledger_, &announcer_),
        stock_handler_(&stock_ledger_, &announcer_),
        quota_handler_(&stock_ledger_, &mover_, this, storage::Clock::Real()),
        node_handler_(&stock_ledger_, this, storage::Clock::Real()),
        verify_handler_(&stock_ledger_),
        coordination_handler_(this, &stock_ledger_, storage::Clock::Real()),
        audit_handler_(&stock_ledger_,
                       [this] {
                         std::vector<std::pair<std::string, storage::AuditLedger*>> logs;
                         for (const auto& shard : shards_.All()) logs.emplace_back(shard->name, shard->stock);
                         return logs;
                       }),
        outbox_handler_(&outbox_ledger_),
        payment_handler_(&payment_ledger_),
        shard_handler_(&shards_, &announcer_, storage::Clock::Real(),
                       [options](const std::string& dsn) {
                         storage::PoolOptions pool = ToPoolOptions(options.backends, "tranched-move", kMoveConnections);
                         pool.dsn = dsn;
                         return pool;
                       }),
        open_calls_(storage::Clock::Real(), absl::Milliseconds(options.max_deadline_ms)),
        reservation_service_({&reservation_handler_, &cart_handler_, &change_handler_, &list_handler_, &watch_hub_},
                             storage::Clock::Real(), &open_calls_,
                             ReservationStreamOptions{options.max_stream_outstanding}),
        admin_service_(MakeAdminService(
            {&sku_handler_, &stock_handler_, &quota_handler_, &node_handler_, &verify_handler_, &coordination_handler_,
             &audit_handler_, &outbox_handler_, &payment_handler_, &shard_handler_},
            admin_executor_.get(), move_executor_.get())),
        // After all that they use.
        refresh_task_(std::make_unique<PeriodicTask>(kRefreshShards, [this] { RefreshShards(); })),
        check_calls_task_(std::make_unique<PeriodicTask>(kCheckCalls, [this] { CheckCalls(); })) {}

  ~Parts() override {
    NoteStopping();
    if (give_up_ledgers_ == nullptr) GiveUpLedgersAfter(absl::ZeroDuration());
    if (grpc_.server != nullptr) EndCalls(absl::ZeroDuration());
    std::unique_ptr<quota::NodeAgent> agent;
    {
      absl::MutexLock lock(&agent_mutex_);
      agent = std::move(agent_);
    }
    agent.reset();
    // Their lanes give answers through the seller and the handlers: they end while those are there.
    refresh_task_.reset();
    shards_.StopMirrors();
    shards_.StopPipelines();
  }

  absl::Status Start(const ServerOptions& options) {
    if (absl::Status ledger = WaitForLedger(*shards_.home().stock, options.backends); !ledger.ok()) return ledger;
    if (absl::Status home = RequireHome(*shards_.home().shards, options.backends); !home.ok()) return home;
    if (absl::Status shards = shards_.Refresh(); !shards.ok()) return shards;
    std::vector<grpc::Service*> services = {&reservation_service_};
    if (options.admin) services.push_back(admin_service_.get());
    absl::StatusOr<GrpcServer> grpc = StartGrpcServer(options, services);
    if (!grpc.ok()) return grpc.status();
    grpc_ = *std::move(grpc);

    auto agent = std::make_unique<quota::NodeAgent>(
        &connector_, &stock_ledger_, &slices_, this, storage::Clock::Real(),
        [this](const std::string& sku_id) { return static_cast<int64_t>(seller_.waiting(sku_id)); },
        ToAgentOptions(options, grpc_.port));
    if (absl::Status started = agent->Start(); !started.ok()) return ZookeeperStartError(started, options.backends);
    {
      absl::MutexLock lock(&agent_mutex_);
      agent_ = std::move(agent);
    }
    reservation_handler_.StartServing();
    cart_handler_.StartServing();
    absl::MutexLock lock(&agent_mutex_);
    serving_ = true;
    UpdateHealth();
    return absl::OkStatus();
  }

  void Drain(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    GiveUpLedgersAfter(timeout);
    NoteStopping();
    SetAccepting(false);
    reservation_service_.StopStreams();
    const auto time_left = [deadline] { return std::max(absl::ZeroDuration(), deadline - absl::Now()); };
    // Home first, then the others by name; one that is down has no claims that wait.
    for (const auto& shard : shards_.All()) {
      LOG_IF(WARNING, !shard->claims->Drain(time_left())) << "some claims are not decided after " << timeout;
    }
    if (!cart_seller_.AwaitAnswered(time_left())) LOG(WARNING) << "some carts are not decided after " << timeout;
    for (const auto& shard : shards_.All()) {
      LOG_IF(WARNING, !shard->changes->Drain(time_left())) << "some changes are not decided after " << timeout;
    }
    shards_.RefuseWaiting();
    // The units first: others can sell them while a slow call still ends.
    const absl::Status released = Agent()->Release();
    if (!released.ok()) LOG(WARNING) << "units not returned, left to the balancer: " << released;
    EndCalls(time_left());
  }

  int port() const { return grpc_.port; }

  // NodeHost.
  void SetDraining(bool draining) override {
    absl::MutexLock lock(&agent_mutex_);
    if (stopping_) return;
    SetAccepting(!draining);
    draining_ = draining;
    UpdateHealth();
  }
  bool Idle() override {
    for (const auto& shard : shards_.All()) {
      if (shard->claims->Stats().unanswered > 0 || shard->changes->Stats().unanswered > 0) return false;
    }
    return cart_seller_.unanswered() == 0;
  }
  void ExitAfterDrain() override { exit_requested_(); }
  bool LedgerAnswers() override { return shards_.home().Answers(); }
  std::vector<std::string> SilentShards() override { return shards_.Silent(); }

  // SessionSource: for admin calls, which may come before the agent is there.
  std::shared_ptr<quota::Coordination> Session() override {
    quota::NodeAgent* agent = Agent();
    return agent == nullptr ? nullptr : agent->Session();
  }

 private:
  // Claims, carts, changes and watches: what another node does as well.
  void SetAccepting(bool accepting) {
    seller_.SetAccepting(accepting);
    cart_seller_.SetAccepting(accepting);
    change_handler_.SetAccepting(accepting);
    watch_hub_.SetAccepting(accepting);
  }

  // Only from Start until NoteStopping: the gRPC server is there all that time.
  void UpdateHealth() ABSL_EXCLUSIVE_LOCKS_REQUIRED(agent_mutex_) {
    if (serving_) grpc_.SetServing(!draining_ && !stopping_ && !overdue_);
  }

  void CheckCalls() {
    overdue_checks_ = open_calls_.Check() ? overdue_checks_ + 1 : 0;
    const bool overdue = overdue_checks_ >= kOverdueChecks;
    absl::MutexLock lock(&agent_mutex_);
    if (overdue == overdue_ || stopping_) return;
    overdue_ = overdue;
    LOG_IF(WARNING, serving_) << "health: " << (overdue ? "NOT_SERVING while calls are overdue" : "no call is overdue");
    UpdateHealth();
  }

  // A statement that is under way `timeout` from now, and a moment longer, is broken off.
  void GiveUpLedgersAfter(absl::Duration timeout) {
    give_up_ledgers_ = std::make_unique<DelayedTask>(timeout + kGiveUpLedgersAfter, [this] {
      // First: a log that nobody reads may hold up whoever writes to it.
      shards_.GiveUpLedgers();
      LOG(WARNING) << "what was still under way at PostgreSQL is given up";
    });
  }

  void RefreshShards() {
    if (Stopping()) return;
    const absl::Status refreshed = shards_.Refresh();
    LOG_IF_EVERY_N(WARNING, !refreshed.ok(), 30) << "cannot ask home for the shards: " << refreshed.message();
  }

  quota::CartSeller::Shard CartsOf(const std::string& name) {
    const auto shard = shards_.Find(name);
    if (shard == nullptr) return {};
    return {shard->lifecycle, shard->executor};
  }

  // From now on an operator's wish to drain or undrain comes too late, and health says that the node serves no more.
  void NoteStopping() {
    absl::MutexLock lock(&agent_mutex_);
    if (stopping_) return;
    stopping_ = true;
    UpdateHealth();
  }

  bool Stopping() {
    absl::MutexLock lock(&agent_mutex_);
    return stopping_;
  }

  // Lets running calls go on for `timeout`, then cancels them. Afterwards no task uses the handlers.
  //
  // gRPC waits for every call's answer, also of those that it has cancelled. So each must get one without the calls'
  // end: what waits is refused here; what is under way at a ledger ends when that is given up, at the latest; and the
  // threads that give answers run until all calls have theirs.
  void EndCalls(absl::Duration timeout) {
    SetAccepting(false);
    shards_.RefuseWaiting();
    grpc_.server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
    grpc_.server.reset();
    // Nobody waits any more, so nothing below uses the executors.
    overdue_task_.reset();
    watch_hub_.Stop();
    move_executor_.reset();
    admin_executor_.reset();
    list_executor_.reset();
    call_executor_.reset();
    shards_.StopExecutors();
  }

  quota::NodeAgent* Agent() {
    absl::MutexLock lock(&agent_mutex_);
    return agent_.get();
  }

  const std::function<void()> exit_requested_;
  quota::SliceTable slices_;
  storage::ShardSet shards_;
  // Outlives all that may wait for a ledger.
  std::unique_ptr<DelayedTask> give_up_ledgers_;
  storage::ShardRouter router_;
  storage::RoutingStockLedger stock_ledger_;
  storage::RoutingOutboxLedger outbox_ledger_;
  storage::RoutingPaymentLedger payment_ledger_;
  quota::ZookeeperConnector connector_;
  // For calls that may ask several shards one after the other.
  std::unique_ptr<storage::BoundedExecutor> call_executor_;
  std::unique_ptr<storage::BoundedExecutor> list_executor_;
  std::unique_ptr<storage::BoundedExecutor> admin_executor_;
  std::unique_ptr<storage::BoundedExecutor> move_executor_;
  quota::SkuDirectory directory_;
  quota::Seller seller_;
  quota::CartSeller cart_seller_;
  std::unique_ptr<PeriodicTask> overdue_task_;
  quota::Announcer announcer_;
  quota::QuotaMover mover_;

  ReservationHandler reservation_handler_;
  CartHandler cart_handler_;
  ChangeHandler change_handler_;
  ListHandler list_handler_;
  WatchHub watch_hub_;
  SkuHandler sku_handler_;
  StockHandler stock_handler_;
  QuotaHandler quota_handler_;
  NodeHandler node_handler_;
  VerifyHandler verify_handler_;
  CoordinationHandler coordination_handler_;
  AuditHandler audit_handler_;
  OutboxHandler outbox_handler_;
  PaymentHandler payment_handler_;
  ShardHandler shard_handler_;
  OpenCalls open_calls_;
  ReservationServiceImpl reservation_service_;
  std::unique_ptr<grpc::Service> admin_service_;

  absl::Mutex agent_mutex_;
  // Set once, before the node serves.
  std::unique_ptr<quota::NodeAgent> agent_ ABSL_GUARDED_BY(agent_mutex_);
  bool serving_ ABSL_GUARDED_BY(agent_mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(agent_mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(agent_mutex_) = false;
  bool overdue_ ABSL_GUARDED_BY(agent_mutex_) = false;  // some call is, and has been for a while
  int overdue_checks_ = 0;                              // in a row; only in CheckCalls
  GrpcServer grpc_;
  // Last: they use the others.
  std::unique_ptr<PeriodicTask> refresh_task_;
  std::unique_ptr<PeriodicTask> check_calls_task_;
};

FrontNode::FrontNode(const ServerOptions& options, std::function<void()> exit_requested)
    : options_(options), exit_requested_(std::move(exit_requested)) {}

FrontNode::~FrontNode() {
  EndWithin(absl::ZeroDuration());
  parts_.reset();
}

absl::Status FrontNode::Start() {
  parts_ = std::make_unique<Parts>(options_, exit_requested_);
  if (absl::Status started = parts_->Start(options_); !started.ok()) return started;
  LOG(INFO) << "serving at port " << parts_->port() << ", PostgreSQL at "
            << DescribeDsn(options_.backends.postgres).value_or("(unreadable)") << ", ZooKeeper at "
            << options_.backends.zookeeper << options_.backends.zookeeper_root;
  return absl::OkStatus();
}

void FrontNode::Drain() {
  const absl::Duration timeout = absl::Milliseconds(options_.drain_timeout_ms);
  EndWithin(timeout);
  parts_->Drain(timeout);
  LOG(INFO) << "drained";
}

// Nothing is known that would need it, and nothing is lost by it: what was acknowledged is committed, and the balancer
// reclaims the units.
void FrontNode::EndWithin(absl::Duration timeout) {
  if (last_resort_ != nullptr) return;
  last_resort_ = std::make_unique<DelayedTask>(timeout + kEndAfter, [] {
    EndSoonWhateverHappens();
    LOG(ERROR) << "ending at once: something does not end by itself";
    _exit(kCannotEnd);
  });
}

int FrontNode::port() const { return parts_->port(); }

}  // namespace tranche::server
