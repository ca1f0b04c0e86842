#include "server/consumer/consumer_node.h"

#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "glog/logging.h"
#include "quota/node/node_agent.h"
#include "quota/node/node_host.h"
#include "quota/slices/slice_table.h"
#include "server/consumer/consumer_metrics.h"
#include "server/consumer/rest_orders.h"
#include "server/consumer/shard_queues.h"
#include "server/metrics/metrics_door.h"
#include "server/node/agent_options.h"
#include "server/node/last_resort.h"
#include "server/node/ledger_metrics.h"
#include "server/node/node_ledger.h"
#include "server/node/node_sale.h"
#include "server/process/backends.h"
#include "server/process/dsn.h"
#include "server/process/periodic_task.h"
#include "server/process/served_certificates.h"
#include "server/queue/rabbit_claim_queue.h"
#include "server/rpc/grpc_server.h"
#include "storage/base/log_identity.h"
#include "storage/base/status_macros.h"
#include "tranche/v1/catalog_service.grpc.pb.h"

namespace tranche::server {
namespace {

// Time between looks whether a claim is to be tried again.
constexpr absl::Duration kTickQueues = absl::Milliseconds(50);
// Time between looks whether operators let consumers rest, and whether there are new shards.
constexpr absl::Duration kLookAtPause = absl::Seconds(1);
constexpr absl::Duration kLookForShards = absl::Seconds(5);

}  // namespace

// In the order of their dependencies, so that they are destroyed in the opposite one.
class ConsumerNode::Parts : public quota::NodeHost {
 public:
  Parts(const ConsumerOptions& options, EndRequested end_requested)
      : end_requested_(std::move(end_requested)),
        ledger_(options.node, [this](storage::IncarnationId id) { slices_.NoteIncarnationEnded(id); }),
        ledger_metrics_(&ledger_),
        connector_(ToZookeeperOptions(options.node.backends)),
        sale_(options.node, &slices_, ledger_.books(), /*gate=*/nullptr),
        broker_(options.node.queue),
        metrics_(storage::Clock::Real()),
        queues_(QueueParts(options)) {}

  ~Parts() override {
    NoteStopping();
    ledger_.GiveUpAfter(absl::ZeroDuration());
    End();
    std::unique_ptr<quota::NodeAgent> agent;
    {
      absl::MutexLock lock(&mutex_);
      agent = std::move(agent_);
    }
    agent.reset();
    // Its lanes answer through the sellers to the consumers.
    ledger_.Stop();
  }

  absl::Status Start(const ConsumerOptions& options) {
    ASSIGN_OR_RETURN(certificates_, ServedCertificates::Open(options.node.tls));
    // Before the others, so that a supervisor hears that the process lives while it waits for others.
    if (!options.node.metrics.listen.empty()) {
      ASSIGN_OR_RETURN(door_, MetricsDoor::Start(
                                  options.node.metrics, {&metrics_, &ledger_metrics_, ledger_.clock_offsets()},
                                  [this] { return Ready(); }, certificates_.get()));
    }
    RETURN_IF_ERROR(ledger_.Start(options.node.backends));
    RETURN_IF_ERROR(StartListening(options.node));
    RETURN_IF_ERROR(StartAgent(options.node));
    return StartQueues();
  }

  void Drain(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    ledger_.GiveUpAfter(timeout);
    NoteStopping();
    queues_.Drain(timeout);
    sale_.SetAccepting(false);
    ledger_.DrainClaims(deadline);
    const bool carts_decided = sale_.carts().AwaitAnswered(std::max(absl::ZeroDuration(), deadline - absl::Now()));
    LOG_IF(WARNING, !carts_decided) << "some carts are not decided by the drain timeout";
    ledger_.RefuseWaiting();
    if (const absl::Status released = Agent()->Release(); !released.ok()) {
      LOG(WARNING) << "units not returned, left to the balancer: " << released;
    }
    End();
  }

  int port() const { return grpc_.port; }

  // NodeHost.
  void SetDraining(bool draining) override {
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
      draining_ = draining;
    }
    queues_.SetDraining(draining);
  }
  bool Idle() override { return queues_.Idle() && ledger_.Idle() && sale_.carts().unanswered() == 0; }
  void ExitAfterDrain() override { end_requested_("an operator has drained this consumer and wants it to end", 0); }
  bool LedgerAnswers() override { return ledger_.shards().home().Answers(); }
  std::vector<std::string> SilentShards() override { return ledger_.shards().Silent(); }
  std::string WhyUnhealthy() override { return ""; }
  std::vector<std::string> FaultyFiles() override {
    const bool faulty = certificates_ != nullptr && certificates_->faulty();
    return faulty ? std::vector<std::string>{"--tls-certificate"} : std::vector<std::string>{};
  }

 private:
  ShardQueues::Parts QueueParts(const ConsumerOptions& options) {
    ShardQueues::Parts parts;
    parts.partitions = options.node.queue.partitions;
    parts.prefetch = options.prefetch;
    parts.make_source = [broker = options.node.queue] { return MakeRabbitClaimSource(broker); };
    parts.admin = &broker_;
    parts.sell = [this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done) {
      sale_.seller().Sell(std::move(claim), deadline, may_exist, std::move(done));
    };
    parts.sell_cart = [this](std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                             quota::CartDone done) {
      sale_.carts().Sell(std::move(lines), deadline, may_exist, std::move(done));
    };
    parts.shard_of = [this](const std::string& sku_id) { return slices_.ShardOf(sku_id); };
    parts.books = ledger_.books();
    parts.clock = storage::Clock::Real();
    parts.metrics = &metrics_;
    parts.seed = std::random_device()();
    return parts;
  }

  // For balancers, who only connect; and gRPC serves no port without a service. Nobody is answered by this one, and no
  // health says that it is there.
  absl::Status StartListening(const ServerOptions& options) {
    const GrpcListener listener{.address = options.listen, .certificates = certificates_.get()};
    ASSIGN_OR_RETURN(grpc_, StartGrpcServer(options, listener, {&no_calls_}));
    grpc_.server->GetHealthCheckService()->SetServingStatus("", true);
    return absl::OkStatus();
  }

  absl::Status StartAgent(const ServerOptions& options) {
    quota::NodeAgentOptions agent_options = ToAgentOptions(options, grpc_.port);
    agent_options.consumer = true;
    SetLogNode(agent_options.node_name);
    auto agent = std::make_unique<quota::NodeAgent>(
        &connector_, &ledger_.stock(), &slices_, this, storage::Clock::Real(),
        [this](const std::string& sku_id) { return sale_.waiting(sku_id); }, agent_options);
    if (absl::Status started = agent->Start(); !started.ok()) return ZookeeperStartError(started, options.backends);
    absl::MutexLock lock(&mutex_);
    agent_ = std::move(agent);
    return absl::OkStatus();
  }

  absl::Status StartQueues() {
    rest_orders_.emplace(ledger_.shards().home().stock, ledger_.shards().home().front);
    LookAtPause();
    const absl::Status served = queues_.Serve(Shards());
    // One that has other properties than it should must be mended by somebody.
    if (absl::IsFailedPrecondition(served)) return served;
    LOG_IF(WARNING, !served.ok()) << "cannot make the claim queues, and tries again: " << served.message();
    tasks_.push_back(std::make_unique<PeriodicTask>(kTickQueues, [this] { queues_.Tick(); }));
    tasks_.push_back(std::make_unique<PeriodicTask>(kLookAtPause, [this] { LookAtPause(); }));
    tasks_.push_back(std::make_unique<PeriodicTask>(kLookForShards, [this] { LookForShards(); }));
    return absl::OkStatus();
  }

  void LookAtPause() { queues_.SetPaused(rest_orders_->Look()); }

  void LookForShards() {
    const absl::Status served = queues_.Serve(Shards());
    LOG_IF_EVERY_N(WARNING, !served.ok(), 12) << "cannot make some claim queues: " << served.message();
  }

  std::vector<std::string> Shards() {
    std::vector<std::string> names;
    const storage::ShardList all = ledger_.shards().All();
    names.reserve(all.size());
    for (const auto& shard : all) names.push_back(shard->name);
    return names;
  }

  absl::Status Ready() {
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return absl::UnavailableError("this process ends");
      if (draining_) return absl::UnavailableError("this consumer is drained");
      if (agent_ == nullptr) return absl::UnavailableError("the consumer is starting");
    }
    return metrics_.Ready();
  }

  // From now on an operator's request to drain or undrain comes too late.
  void NoteStopping() {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }

  // Whatever is held comes to others. Afterwards no task uses the sellers. Only the first call has an effect.
  void End() {
    if (ended_) return;
    ended_ = true;
    // First: who makes queues at a broker that hangs looks at it between two of them.
    queues_.Stop();
    tasks_.clear();
    sale_.SetAccepting(false);
    ledger_.RefuseWaiting();
    if (grpc_.server != nullptr) grpc_.server->Shutdown(std::chrono::system_clock::now());
    grpc_.server.reset();
    door_.reset();
    sale_.StopTasks();
    ledger_.StopExecutors();
  }

  quota::NodeAgent* Agent() {
    absl::MutexLock lock(&mutex_);
    return agent_.get();
  }

  const EndRequested end_requested_;
  std::unique_ptr<ServedCertificates> certificates_;  // null: plain text; set once, before anything is served
  quota::SliceTable slices_;
  NodeLedger ledger_;
  LedgerMetrics ledger_metrics_;
  quota::ZookeeperConnector connector_;
  NodeSale sale_;
  RabbitClaimQueueAdmin broker_;
  ConsumerMetrics metrics_;
  ShardQueues queues_;
  std::optional<RestOrders> rest_orders_;  // set once home is reached; its task's alone, afterwards
  v1::CatalogService::CallbackService no_calls_;

  absl::Mutex mutex_;
  // Set once, before anything is taken out of queues.
  std::unique_ptr<quota::NodeAgent> agent_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ = false;  // only on the thread that ends it
  GrpcServer grpc_;
  // Last: they use the others.
  std::vector<std::unique_ptr<PeriodicTask>> tasks_;
  std::unique_ptr<MetricsDoor> door_;
};

ConsumerNode::ConsumerNode(const ConsumerOptions& options, EndRequested end_requested)
    : options_(options), end_requested_(std::move(end_requested)) {}

ConsumerNode::~ConsumerNode() {
  EndWithin(absl::ZeroDuration());
  parts_.reset();
}

absl::Status ConsumerNode::Start() {
  parts_ = std::make_unique<Parts>(options_, end_requested_);
  RETURN_IF_ERROR(parts_->Start(options_));
  LOG(INFO) << "consumer runs, PostgreSQL at " << DescribeDsn(options_.node.backends.postgres).value_or("(unreadable)")
            << ", ZooKeeper at " << options_.node.backends.zookeeper << options_.node.backends.zookeeper_root
            << ", RabbitMQ at " << options_.node.queue.brokers;
  return absl::OkStatus();
}

void ConsumerNode::Drain() {
  const absl::Duration timeout = absl::Milliseconds(options_.node.drain_timeout_ms);
  EndWithin(timeout);
  parts_->Drain(timeout);
  LOG(INFO) << "drained";
}

void ConsumerNode::EndWithin(absl::Duration timeout) {
  if (last_resort_ == nullptr) last_resort_ = EndProcessAfter(timeout);
}

int ConsumerNode::port() const { return parts_->port(); }

}  // namespace tranche::server
