#include "server/node/front_node.h"

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "glog/logging.h"
#include "quota/node/node_agent.h"
#include "quota/node/node_host.h"
#include "server/node/agent_options.h"
#include "server/node/buyer_calls.h"
#include "server/node/last_resort.h"
#include "server/node/node_access.h"
#include "server/node/node_door.h"
#include "server/node/node_ledger.h"
#include "server/node/node_metrics.h"
#include "server/node/node_queue.h"
#include "server/node/node_sale.h"
#include "server/node/operator_calls.h"
#include "server/outbound/make_outside_checks.h"
#include "server/process/admin_address.h"
#include "server/process/backends.h"
#include "server/process/descriptor_limit.h"
#include "server/process/dsn.h"
#include "server/process/listener_probe.h"
#include "server/process/periodic_task.h"
#include "server/process/served_certificates.h"
#include "server/rpc/access_log.h"
#include "server/rpc/grpc_server.h"
#include "storage/base/address.h"
#include "storage/base/log_identity.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// An exit status.
constexpr int kNotReachable = 4;
// Time between two checks for overdue calls.
constexpr absl::Duration kCheckCalls = absl::Seconds(1);
// Health reports a fault only after this many checks in a row with overdue calls: one slow call is no reason to send
// all callers elsewhere, and a short stall of the ledger must not make all nodes do so together.
constexpr int kOverdueChecks = 5;
// Time between two looks at the own port, and for which one waits for an answer.
constexpr absl::Duration kProbeListener = absl::Seconds(1);
constexpr absl::Duration kProbeTimeout = absl::Seconds(2);
// So many looks in a row without an answer end the node: 5 s if connections are refused, and 15 s if one stays open
// without an answer.
constexpr int kSilentProbes = 5;
// Below this limit of open files the node warns: each caller's connection takes one.
constexpr uint64_t kFewDescriptors = 4096;

std::unique_ptr<AccessLog> MakeAccessLog(const ServerOptions& options) {
  if (options.access_log == AccessLogMode::kOff) return nullptr;
  return std::make_unique<AccessLog>(options.access_log, options.access_log_sample, storage::Clock::Real());
}

AccessFile::Place AccessPlace(const ServerOptions& options) {
  return {.reached_by_others = IsReachedByOthers(options),
          .asks_for_certificates = !options.tls.files.authorities.empty()};
}

}  // namespace

// In the order of their dependencies, so that they are destroyed in the opposite one.
class FrontNode::Parts : public quota::SessionSource, public quota::NodeHost {
 public:
  Parts(const ServerOptions& options, OutsideChecks outside, EndRequested end_requested)
      : end_requested_(std::move(end_requested)),
        ledger_(options, [this](storage::IncarnationId id) { slices_.NoteIncarnationEnded(id); }),
        connector_(ToZookeeperOptions(options.backends)),
        door_(
            options, std::move(outside), &ledger_, this, [this] { return Incarnation(); },
            [this] { return sale_.waiting(); }),
        queue_(options.queue.enabled() ? std::make_unique<NodeQueue>(options.queue, &slices_, &ledger_, &door_.door())
                                       : nullptr),
        sale_(options, &slices_, ledger_.books(), door_.gate(), diversion()),
        access_log_(MakeAccessLog(options)),
        access_(options.access_file.empty()
                    ? nullptr
                    : std::make_unique<NodeAccess>(options.access_file, AccessPlace(options), &ledger_.stock())),
        call_metrics_(options.metrics.listen.empty() ? nullptr : std::make_unique<CallMetrics>(storage::Clock::Real())),
        buyer_calls_(options, &slices_, &ledger_, &sale_, &door_, queue_.get(), call_metrics_.get(), access_log_.get(),
                     control()),
        operator_calls_(options, &ledger_, this, buyer_calls_.handlers_of_operators(), &slices_,
                        {.door = &door_.door(),
                         .age = [this] { return door_.age(); },
                         .catch_up = [this](absl::Duration timeout) { door_.CatchUp(timeout); }},
                        Broker(), call_metrics_.get(), access_log_.get(), control()) {}

  ~Parts() override {
    NoteStopping();
    ledger_.GiveUpAfter(absl::ZeroDuration());
    if (grpc_.server != nullptr) EndCalls(absl::ZeroDuration());
    metrics_.reset();
    // They use the agent's session and the ledger.
    door_.StopThreads();
    if (queue_ != nullptr) queue_->StopThreads();
    std::unique_ptr<quota::NodeAgent> agent;
    {
      absl::MutexLock lock(&mutex_);
      agent = std::move(agent_);
    }
    agent.reset();
    // Its lanes answer through the sellers and the handlers, so they must end before those.
    ledger_.Stop();
  }

  absl::Status Start(const ServerOptions& options) {
    ASSIGN_OR_RETURN(certificates_, ServedCertificates::Open(options.tls));
    // What is wrong there is told at once.
    if (access_ != nullptr) RETURN_IF_ERROR(access_->Start());
    // Before the others, so that a supervisor hears that the process lives while it waits for others.
    if (!options.metrics.listen.empty()) RETURN_IF_ERROR(StartMetrics(options.metrics));
    RETURN_IF_ERROR(ledger_.Start(options.backends));
    RETURN_IF_ERROR(door_.Start());
    RETURN_IF_ERROR(StartCalls(options));
    RETURN_IF_ERROR(StartAgent(options));
    door_.FindHomes();
    buyer_calls_.StartServing();
    absl::MutexLock lock(&mutex_);
    serving_ = true;
    UpdateHealth();
    return absl::OkStatus();
  }

  void Drain(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    ledger_.GiveUpAfter(timeout);
    NoteStopping();
    SetAccepting(false);
    door_.EndTurns();
    buyer_calls_.StopStreams();
    ledger_.DrainClaims(deadline);
    const bool carts_decided = sale_.carts().AwaitAnswered(std::max(absl::ZeroDuration(), deadline - absl::Now()));
    LOG_IF(WARNING, !carts_decided) << "some carts are not decided by the drain timeout";
    ledger_.DrainChanges(deadline);
    ledger_.RefuseWaiting();
    // The units first: others can sell them while a slow call still runs.
    const absl::Status released = Agent()->Release();
    if (!released.ok()) LOG(WARNING) << "units not returned, left to the balancer: " << released;
    EndCalls(std::max(absl::ZeroDuration(), deadline - absl::Now()));
  }

  int port() const { return grpc_.port; }
  int admin_port() const { return grpc_.admin ? grpc_.port : admin_grpc_.port; }

  // NodeHost.
  void SetDraining(bool draining) override {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    SetAccepting(!draining);
    draining_ = draining;
    UpdateHealth();
  }
  bool Idle() override {
    return ledger_.Idle() && sale_.carts().unanswered() == 0 && (queue_ == nullptr || queue_->under_way() == 0);
  }
  void ExitAfterDrain() override { end_requested_("an operator has drained this node and wants it to end", 0); }
  bool LedgerAnswers() override { return ledger_.shards().home().Answers(); }
  std::vector<std::string> SilentShards() override { return ledger_.shards().Silent(); }
  std::string WhyUnhealthy() override {
    absl::MutexLock lock(&mutex_);
    return WhyNotHealthy();
  }
  std::vector<std::string> FaultyFiles() override {
    std::vector<std::string> flags;
    if (access_ != nullptr && access_->file_faulty()) flags.emplace_back("--access-file");
    if (certificates_ != nullptr && certificates_->faulty()) flags.emplace_back("--tls-certificate");
    return flags;
  }

  void NoteFrontDoor(int64_t version) override { door_.NoteAnnounced(version); }

  // SessionSource: for admin calls and the front door, which may come before the agent exists.
  std::shared_ptr<quota::Coordination> Session() override {
    quota::NodeAgent* agent = Agent();
    return agent == nullptr ? nullptr : agent->Session();
  }

 private:
  // A port of this node that callers connect to.
  struct WatchedListener {
    ListenerProbe probe;
    int silent_probes = 0;  // in a row
  };

  absl::Status StartMetrics(const MetricsOptions& options) {
    ASSIGN_OR_RETURN(metrics_, NodeMetrics::Start(options, {.slices = &slices_,
                                                            .ledger = &ledger_,
                                                            .sale = &sale_,
                                                            .door = &door_,
                                                            .queue = queue_.get(),
                                                            .buyer_calls = &buyer_calls_,
                                                            .operator_calls = &operator_calls_,
                                                            .calls = call_metrics_.get(),
                                                            .certificates = certificates_.get(),
                                                            .access = access_.get(),
                                                            .agent = [this] { return Agent(); },
                                                            .health = [this] { return Health(); }}));
    return absl::OkStatus();
  }

  absl::Status StartCalls(const ServerOptions& options) {
    ASSIGN_OR_RETURN(const AdminAddress admin, FindAdminAddress(options));
    const bool at_listen = admin.kind == AdminAddress::Kind::kAtListen;
    std::vector<grpc::Service*> services = buyer_calls_.services();
    if (at_listen) services.push_back(operator_calls_.service());
    const GrpcListener to_buyers{.address = options.listen, .admin = at_listen, .certificates = certificates_.get()};
    ASSIGN_OR_RETURN(grpc_, StartGrpcServer(options, to_buyers, services));
    if (admin.kind == AdminAddress::Kind::kByItself) RETURN_IF_ERROR(StartAdminCalls(options, admin));
    {
      absl::MutexLock lock(&mutex_);
      UpdateHealth();
    }
    check_calls_task_ = std::make_unique<PeriodicTask>(kCheckCalls, [this] { CheckCalls(); });
    LOG_IF(WARNING, DescriptorLimit() < kFewDescriptors)
        << "this process may have only " << DescriptorLimit()
        << " files and connections open; raise the hard limit (ulimit -Hn, LimitNOFILE=)";
    WatchListener(*ParseAddress(options.listen), grpc_.port);
    if (admin_grpc_.server != nullptr) WatchListener(*ParseAddress(admin.address), admin_grpc_.port);
    return absl::OkStatus();
  }

  // Operators also use the services for buyers: tranchectl shows and changes reservations with them.
  absl::Status StartAdminCalls(const ServerOptions& options, const AdminAddress& admin) {
    std::vector<grpc::Service*> services = buyer_calls_.services_for_operators();
    services.push_back(operator_calls_.service());
    const GrpcListener to_operators{
        .address = admin.address, .flag = "--admin-listen", .admin = true, .certificates = certificates_.get()};
    ASSIGN_OR_RETURN(admin_grpc_, StartGrpcServer(options, to_operators, services));
    LOG(INFO) << "AdminService at " << ParseAddress(admin.address)->host << ":" << admin_grpc_.port
              << (options.access_file.empty() ? ", for everybody on this machine: there is no --access-file" : "");
    return absl::OkStatus();
  }

  void WatchListener(Address listening, int port) {
    listening.port = port;
    const auto protocol = certificates_ == nullptr ? ListenerProbe::Protocol::kHttp2 : ListenerProbe::Protocol::kTls;
    absl::StatusOr<ListenerProbe> probe = ListenerProbe::Make(listening, protocol);
    if (probe.ok()) (void)probe->Ask(kProbeTimeout);
    if (!probe.ok() || !probe->has_answered()) {
      LOG(WARNING) << "this process cannot connect to its own port " << port
                   << ", and so cannot notice when nobody can";
      return;
    }
    auto watched = std::make_shared<WatchedListener>(WatchedListener{.probe = *std::move(probe)});
    probe_tasks_.push_back(
        std::make_unique<PeriodicTask>(kProbeListener, [this, watched] { ProbeListener(*watched); }));
  }

  absl::Status StartAgent(const ServerOptions& options) {
    const quota::NodeAgentOptions agent_options = ToAgentOptions(options, grpc_.port);
    SetLogNode(agent_options.node_name);
    auto agent = std::make_unique<quota::NodeAgent>(
        &connector_, &ledger_.stock(), &slices_, this, storage::Clock::Real(),
        [this](const std::string& sku_id) { return sale_.waiting(sku_id); }, agent_options);
    if (absl::Status started = agent->Start(); !started.ok()) return ZookeeperStartError(started, options.backends);
    absl::MutexLock lock(&mutex_);
    agent_ = std::move(agent);
    return absl::OkStatus();
  }

  void SetAccepting(bool accepting) {
    sale_.SetAccepting(accepting);
    buyer_calls_.SetAccepting(accepting);
  }

  // Not called after NoteStopping: the gRPC server exists until then, unless the start failed before.
  void UpdateHealth() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // Operators are answered all the time; a drained node is undrained by one of them.
    for (GrpcServer* const grpc : {&grpc_, &admin_grpc_}) {
      if (grpc->server != nullptr) grpc->SetServing(/*buyers=*/WhyNotServing().empty(), /*operators=*/!stopping_);
    }
  }

  // "" while buyers are served.
  std::string WhyNotServing() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (stopping_) return "this node ends";
    if (not_reachable_) return WhyNotHealthy();
    if (draining_) return "this node is drained";
    if (!serving_) return "this node has not begun to serve";
    return WhyNotHealthy();
  }

  // Of that, what is wrong with the node: nobody has asked for it.
  std::string WhyNotHealthy() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (not_reachable_) return "nobody can connect to this node any more";
    return overdue_ ? "calls are overdue" : "";
  }

  NodeHealth Health() {
    absl::MutexLock lock(&mutex_);
    return {.why_not_serving = WhyNotServing(), .draining = draining_ || stopping_};
  }

  void CheckCalls() {
    overdue_checks_ = buyer_calls_.open_calls().Check() ? overdue_checks_ + 1 : 0;
    const bool overdue = overdue_checks_ >= kOverdueChecks;
    absl::MutexLock lock(&mutex_);
    if (overdue == overdue_ || stopping_) return;
    overdue_ = overdue;
    LOG_IF(WARNING, serving_) << "health: " << (overdue ? "NOT_SERVING while calls are overdue" : "no call is overdue");
    UpdateHealth();
  }

  // A listener that takes no connections does not recover (listener_probe.h). Those who are connected are served until
  // the node ends, but units that only they can buy are better off elsewhere.
  void ProbeListener(WatchedListener& watched) {
    const absl::Status answer = watched.probe.Ask(kProbeTimeout);
    watched.silent_probes = answer.ok() ? 0 : watched.silent_probes + 1;
    if (watched.silent_probes < kSilentProbes) return;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_ || not_reachable_) return;
      not_reachable_ = true;
      UpdateHealth();
    }
    LOG(ERROR) << "no connection is taken any more: " << kSilentProbes
               << " looks at the own port in a row found no answer (" << answer.message() << ")";
    end_requested_("nobody can connect to this node any more: it must be started again", kNotReachable);
  }

  // From now on an operator's request to drain or undrain comes too late, and health says that the node serves no more.
  void NoteStopping() {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    stopping_ = true;
    UpdateHealth();
  }

  // Lets running calls go on for `timeout`, then cancels them. Afterwards no task uses the handlers.
  //
  // gRPC waits for the answer of every call, even a cancelled one. So each must be answered independently: calls that
  // wait are refused here; calls that are under way at a ledger end when it is given up, at the latest; and the threads
  // that answer run until every call has its answer.
  void EndCalls(absl::Duration timeout) {
    SetAccepting(false);
    if (queue_ != nullptr) queue_->NoteEnding();
    door_.EndTurns();
    ledger_.RefuseWaiting();
    ShutDownServers(timeout);
    // It looks at what ends from here on.
    metrics_.reset();
    // Nobody waits any more, so nothing below uses the executors.
    sale_.StopTasks();
    door_.StopThreads();
    buyer_calls_.StopThreads();
    operator_calls_.StopThreads();
    // Operators' calls use the broker, too. A claim that is being queued has its answer within the 2 s that this may
    // take and a moment.
    if (queue_ != nullptr) queue_->StopThreads();
    if (access_ != nullptr) access_->StopThreads();
    ledger_.StopExecutors();
  }

  // Side by side: from now on neither takes calls.
  void ShutDownServers(absl::Duration timeout) {
    const auto deadline = std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout);
    std::thread admin([this, deadline] {
      if (admin_grpc_.server != nullptr) admin_grpc_.server->Shutdown(deadline);
    });
    grpc_.server->Shutdown(deadline);
    admin.join();
    grpc_.server.reset();
    admin_grpc_.server.reset();
  }

  // Also of a node without a broker: it must not sell what is only sold through a queue.
  quota::ClaimDiversion* diversion() { return queue_ == nullptr ? &no_queue_ : queue_->diversion(); }

  ClaimBroker Broker() {
    if (queue_ == nullptr) return {};
    return {.admin = queue_->admin(), .publisher = queue_->publisher(), .partitions = queue_->options().partitions};
  }

  AccessControl* control() { return access_ == nullptr ? nullptr : access_->control(); }

  quota::NodeAgent* Agent() {
    absl::MutexLock lock(&mutex_);
    return agent_.get();
  }

  // kPool before the agent exists.
  storage::IncarnationId Incarnation() {
    const quota::NodeAgent* const agent = Agent();
    return agent == nullptr ? storage::kPool : agent->incarnation();
  }

  const EndRequested end_requested_;
  std::unique_ptr<ServedCertificates> certificates_;  // null: plain text; set once, before anything is served
  quota::SliceTable slices_;
  NodeLedger ledger_;
  quota::ZookeeperConnector connector_;
  NodeDoor door_;
  NoClaimQueue no_queue_;
  const std::unique_ptr<NodeQueue> queue_;  // null: there is no broker
  NodeSale sale_;
  const std::unique_ptr<AccessLog> access_log_;      // null: off
  const std::unique_ptr<NodeAccess> access_;         // null: everybody may call everything
  const std::unique_ptr<CallMetrics> call_metrics_;  // null if nobody is shown them
  BuyerCalls buyer_calls_;
  OperatorCalls operator_calls_;

  absl::Mutex mutex_;
  // Set once, before the node serves.
  std::unique_ptr<quota::NodeAgent> agent_ ABSL_GUARDED_BY(mutex_);
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool overdue_ ABSL_GUARDED_BY(mutex_) = false;  // some call is, and has been for several checks
  bool not_reachable_ ABSL_GUARDED_BY(mutex_) = false;
  int overdue_checks_ = 0;  // in a row; only in CheckCalls
  GrpcServer grpc_;
  GrpcServer admin_grpc_;  // without a server if operators connect where buyers do, or not at all
  // Last: they use the others.
  std::unique_ptr<PeriodicTask> check_calls_task_;
  std::vector<std::unique_ptr<PeriodicTask>> probe_tasks_;  // of each watched listener
  std::unique_ptr<NodeMetrics> metrics_;
};

FrontNode::FrontNode(const ServerOptions& options, EndRequested end_requested)
    : options_(options), end_requested_(std::move(end_requested)) {}

FrontNode::~FrontNode() {
  EndWithin(absl::ZeroDuration());
  parts_.reset();
}

absl::Status FrontNode::Start() {
  ASSIGN_OR_RETURN(OutsideChecks outside, MakeOutsideChecks(options_, storage::Clock::Real()));
  parts_ = std::make_unique<Parts>(options_, std::move(outside), end_requested_);
  RETURN_IF_ERROR(parts_->Start(options_));
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

void FrontNode::EndWithin(absl::Duration timeout) {
  if (last_resort_ == nullptr) last_resort_ = EndProcessAfter(timeout);
}

int FrontNode::port() const { return parts_->port(); }

int FrontNode::admin_port() const { return parts_->admin_port(); }

}  // namespace tranche::server
