#include "server/lifecycle.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "quota/cart_seller.h"
#include "quota/node_agent.h"
#include "quota/node_host.h"
#include "quota/seller.h"
#include "server/address.h"
#include "server/backends.h"
#include "server/dsn.h"
#include "server/grpc_server.h"
#include "server/periodic_task.h"
#include "server/services/admin_service.h"
#include "server/services/reservation_service.h"
#include "storage/bounded_executor.h"
#include "storage/change_pipeline.h"
#include "storage/commit_pipeline.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"

namespace tranche::server {
namespace {

// Admin calls are few and may be slow; they share nothing with sales but the database.
constexpr int kAdminThreads = 2;
constexpr int kAdminQueue = 64;
// The agent, and who reads what is watched.
constexpr int kMoreConnections = 2;
// How exactly the end of a wait for units is met.
constexpr absl::Duration kWaitGranularity = absl::Milliseconds(10);

storage::PipelineOptions ToPipelineOptions(const ServerOptions& options) {
  storage::PipelineOptions pipeline;
  pipeline.lanes = options.lanes;
  pipeline.max_batch = options.max_batch;
  pipeline.max_queue = options.max_queue;
  return pipeline;
}

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

// To a node's one shard: the SKU says nothing.
ChangeCalls ChangesTo(storage::ChangePipeline* pipeline, storage::LifecycleLedger* ledger) {
  return ChangeCalls{
      .confirm = [pipeline](
                     const std::string&, storage::Confirmation change, absl::Time deadline,
                     ChangeCalls::Done done) { pipeline->Confirm(std::move(change), deadline, std::move(done)); },
      .cancel = [pipeline](const std::string&, storage::Cancellation change, absl::Time deadline,
                           ChangeCalls::Done done) { pipeline->Cancel(std::move(change), deadline, std::move(done)); },
      .extend = [pipeline](const std::string&, storage::Extension change, absl::Time deadline,
                           ChangeCalls::Done done) { pipeline->Extend(std::move(change), deadline, std::move(done)); },
      .confirm_late = [ledger](const std::string&,
                               const storage::Confirmation& payment) { return ledger->ConfirmLate(payment); }};
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
        commit_pool_(ToPoolOptions(options.backends, "tranched-commit", options.lanes)),
        call_pool_(
            ToPoolOptions(options.backends, "tranched", options.blocking_threads + kAdminThreads + kMoreConnections)),
        change_pool_(ToPoolOptions(options.backends, "tranched-change", options.lanes)),
        commit_ledger_(&commit_pool_),
        ledger_(&call_pool_),
        stock_ledger_(&call_pool_),
        lifecycle_ledger_(&call_pool_),
        change_ledger_(&change_pool_),
        outbox_ledger_(&call_pool_),
        connector_(ToZookeeperOptions(options.backends)),
        pipeline_(std::make_unique<storage::CommitPipeline>(&commit_ledger_, storage::Clock::Real(),
                                                            ToPipelineOptions(options))),
        change_pipeline_(std::make_unique<storage::ChangePipeline>(&change_ledger_, storage::Clock::Real(),
                                                                   ToPipelineOptions(options))),
        executor_(std::make_unique<storage::BoundedExecutor>(options.blocking_threads, options.blocking_queue)),
        admin_executor_(std::make_unique<storage::BoundedExecutor>(kAdminThreads, kAdminQueue)),
        directory_(&stock_ledger_, executor_.get(), storage::Clock::Real()),
        seller_(&slices_, &directory_, pipeline_.get(), &ledger_, executor_.get(), storage::Clock::Real(),
                ToSellerOptions(options)),
        cart_seller_(&slices_, &directory_, &lifecycle_ledger_, executor_.get(), storage::Clock::Real()),
        overdue_task_(std::make_unique<PeriodicTask>(kWaitGranularity, [this] { seller_.AnswerOverdue(); })),
        announcer_(this),
        mover_(&stock_ledger_, &announcer_),
        reservation_handler_(
            [this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done) {
              seller_.Sell(std::move(claim), deadline, may_exist, std::move(done));
            },
            &ledger_, executor_.get(), storage::Clock::Real(), ToHandlerOptions(options)),
        cart_handler_(
            [this](std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                   quota::CartDone done) { cart_seller_.Sell(std::move(lines), deadline, may_exist, std::move(done)); },
            storage::Clock::Real(), ToHandlerOptions(options)),
        change_handler_(ChangesTo(change_pipeline_.get(), &lifecycle_ledger_), executor_.get(), storage::Clock::Real(),
                        ToHandlerOptions(options)),
        list_handler_([this](const storage::ReservationFilter& filter, const storage::ReservationCursor& after,
                             int limit) { return lifecycle_ledger_.ListReservations(filter, after, limit); },
                      executor_.get(), storage::Clock::Real(), ToHandlerOptions(options)),
        watch_hub_([this](absl::Span<const storage::Uuid> ids) { return lifecycle_ledger_.ReadReservations(ids); },
                   ToWatchOptions(options)),
        sku_handler_(&stock_ledger_, &announcer_),
        stock_handler_(&stock_ledger_, &announcer_),
        quota_handler_(&stock_ledger_, &mover_, this, storage::Clock::Real()),
        node_handler_(&stock_ledger_, this, storage::Clock::Real()),
        verify_handler_(&stock_ledger_),
        coordination_handler_(this, &stock_ledger_, storage::Clock::Real()),
        audit_handler_(&stock_ledger_),
        outbox_handler_(&outbox_ledger_),
        reservation_service_({&reservation_handler_, &cart_handler_, &change_handler_, &list_handler_, &watch_hub_},
                             storage::Clock::Real(), ReservationStreamOptions{options.max_stream_outstanding}),
        admin_service_({&sku_handler_, &stock_handler_, &quota_handler_, &node_handler_, &verify_handler_,
                        &coordination_handler_, &audit_handler_, &outbox_handler_},
                       admin_executor_.get()) {}

  ~Parts() override {
    NoteStopping();
    if (grpc_.server != nullptr) EndCalls(absl::ZeroDuration());
    std::unique_ptr<quota::NodeAgent> agent;
    {
      absl::MutexLock lock(&agent_mutex_);
      agent = std::move(agent_);
    }
    agent.reset();
    // Their lanes give answers through the seller and the handlers: they end while those are there.
    pipeline_.reset();
    change_pipeline_.reset();
  }

  absl::Status Start(const ServerOptions& options) {
    if (absl::Status ledger = WaitForLedger(stock_ledger_, options.backends); !ledger.ok()) return ledger;
    std::vector<grpc::Service*> services = {&reservation_service_};
    if (options.admin) services.push_back(&admin_service_);
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
    grpc_.SetServing(!draining_);
    return absl::OkStatus();
  }

  void Drain(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    NoteStopping();
    grpc_.SetServing(false);
    SetAccepting(false);
    reservation_service_.StopStreams();
    if (!pipeline_->Drain(timeout)) LOG(WARNING) << "some claims are not decided after " << timeout;
    const auto time_left = [deadline] { return std::max(absl::ZeroDuration(), deadline - absl::Now()); };
    if (!cart_seller_.AwaitAnswered(time_left())) LOG(WARNING) << "some carts are not decided after " << timeout;
    if (!change_pipeline_->Drain(time_left())) LOG(WARNING) << "some changes are not decided after " << timeout;
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
    if (serving_) grpc_.SetServing(!draining);
  }
  bool Idle() override {
    return pipeline_->Stats().unanswered == 0 && change_pipeline_->Stats().unanswered == 0 &&
           cart_seller_.unanswered() == 0;
  }
  void ExitAfterDrain() override { exit_requested_(); }
  bool LedgerAnswers() override { return pipeline_->Stats().ledger_answers; }

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

  // From now on an operator's wish to drain or undrain comes too late.
  void NoteStopping() {
    absl::MutexLock lock(&agent_mutex_);
    stopping_ = true;
  }

  // Lets running calls go on for `timeout`, then cancels them. Afterwards no task uses the handlers.
  void EndCalls(absl::Duration timeout) {
    grpc_.server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
    grpc_.server.reset();
    // Nobody waits any more, so nothing below uses the executors.
    overdue_task_.reset();
    SetAccepting(false);
    admin_executor_.reset();
    executor_.reset();
  }

  quota::NodeAgent* Agent() {
    absl::MutexLock lock(&agent_mutex_);
    return agent_.get();
  }

  const std::function<void()> exit_requested_;
  storage::ConnectionPool commit_pool_;
  storage::ConnectionPool call_pool_;
  storage::ConnectionPool change_pool_;
  storage::PostgresLedger commit_ledger_;
  storage::PostgresLedger ledger_;
  storage::PostgresStockLedger stock_ledger_;
  storage::PostgresLifecycleLedger lifecycle_ledger_;
  storage::PostgresLifecycleLedger change_ledger_;
  storage::PostgresOutboxLedger outbox_ledger_;
  quota::ZookeeperConnector connector_;
  quota::SliceTable slices_;
  std::unique_ptr<storage::CommitPipeline> pipeline_;
  std::unique_ptr<storage::ChangePipeline> change_pipeline_;
  std::unique_ptr<storage::BoundedExecutor> executor_;
  std::unique_ptr<storage::BoundedExecutor> admin_executor_;
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
  ReservationServiceImpl reservation_service_;
  AdminServiceImpl admin_service_;

  absl::Mutex agent_mutex_;
  // Set once, before the node serves.
  std::unique_ptr<quota::NodeAgent> agent_ ABSL_GUARDED_BY(agent_mutex_);
  bool serving_ ABSL_GUARDED_BY(agent_mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(agent_mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(agent_mutex_) = false;
  GrpcServer grpc_;
};

FrontNode::FrontNode(const ServerOptions& options, std::function<void()> exit_requested)
    : options_(options), exit_requested_(std::move(exit_requested)) {}

FrontNode::~FrontNode() = default;

absl::Status FrontNode::Start() {
  parts_ = std::make_unique<Parts>(options_, exit_requested_);
  if (absl::Status started = parts_->Start(options_); !started.ok()) return started;
  LOG(INFO) << "serving at port " << parts_->port() << ", PostgreSQL at "
            << DescribeDsn(options_.backends.postgres).value_or("(unreadable)") << ", ZooKeeper at "
            << options_.backends.zookeeper << options_.backends.zookeeper_root;
  return absl::OkStatus();
}

void FrontNode::Drain() {
  parts_->Drain(absl::Milliseconds(options_.drain_timeout_ms));
  LOG(INFO) << "drained";
}

int FrontNode::port() const { return parts_->port(); }

}  // namespace tranche::server
