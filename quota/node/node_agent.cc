#include "quota/node/node_agent.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/front_door_announcement.h"
#include "quota/coordination/incarnation_znodes.h"
#include "quota/coordination/ledger_mark.h"
#include "storage/base/log_event.h"
#include "storage/base/log_identity.h"
#include "storage/base/status_macros.h"
#include "storage/mutation.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;
using internal::v1::NodeRegistration;
using storage::IncarnationId;
using storage::kPool;

// Creates a znode that may be left from an earlier run of the same incarnation, or from a try whose answer was lost.
absl::Status CreateIfMissing(Coordination& session, const std::string& path, const std::string& data, CreateMode mode) {
  const absl::Status status = session.Create(path, data, mode);
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

// The last component of a path.
std::string LastName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

const storage::Incarnation* Find(const std::vector<storage::Incarnation>& incarnations, IncarnationId id) {
  const auto found =
      std::find_if(incarnations.begin(), incarnations.end(), [id](const auto& entry) { return entry.id == id; });
  return found == incarnations.end() ? nullptr : &*found;
}

}  // namespace

NodeAgent::NodeAgent(CoordinationConnector* connector, storage::StockLedger* ledger, SliceTable* slices, NodeHost* host,
                     storage::Clock* clock, DemandReporter::WaitingCount waiting, NodeAgentOptions options)
    : connector_(connector),
      ledger_(ledger),
      slices_(slices),
      host_(host),
      clock_(clock),
      options_(std::move(options)),
      announcer_(this),
      reader_(slices, clock),
      drain_(ledger, &announcer_, host, clock, options_.drain_patience),
      reporter_(slices, std::move(waiting), options_.demand) {
  slices_->SetListener(
      {.exhausted = [this] { Wake([](Work&) {}); },
       // The latest one counts: a late note of an earlier incarnation must not hide that the present one has ended.
       .incarnation_ended =
           [this](IncarnationId id) { Wake([id](Work& work) { work.ended = std::max(work.ended, id); }); },
       .pool_news = [this](PoolNews news) { NotePoolNews(std::move(news)); },
       .terms_wanted = [this](const std::string& sku_id) { OnChanged(SkuPath(sku_id)); }});
}

NodeAgent::~NodeAgent() {
  slices_->SetListener({});
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  // Closed while everything that its callbacks use still exists, and outside of the lock that they take.
  std::shared_ptr<Coordination> session;
  {
    absl::MutexLock lock(&mutex_);
    session = std::move(session_);
  }
}

absl::Status NodeAgent::Start() {
  RETURN_IF_ERROR(Begin());
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

absl::Status NodeAgent::Begin() {
  RETURN_IF_ERROR(NewSession());
  return BeginIncarnation();
}

absl::Status NodeAgent::Release() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  const IncarnationId incarnation = incarnation_.load();
  slices_->Begin(kPool);
  const auto skus = ledger_->ReclaimIncarnation(incarnation);
  LogEvent("node.ended", {{"node", options_.node_name},
                          {"incarnation", incarnation},
                          {"reason", "the process stops"},
                          {"skus_returned", skus.ok() ? static_cast<int64_t>(skus->size()) : int64_t{0}},
                          {"returned", skus.ok()}});
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return skus.status();
  RemoveIncarnationZnodes(*session, incarnation);
  {
    absl::MutexLock lock(&mutex_);
    session_.reset();
  }
  return skus.status();
}

std::shared_ptr<Coordination> NodeAgent::Session() {
  absl::MutexLock lock(&mutex_);
  return session_;
}

void NodeAgent::Wake(absl::FunctionRef<void(Work&)> note) {
  absl::MutexLock lock(&mutex_);
  note(work_);
  work_to_do_ = true;
}

// One SKU's news come one after the other, so the latest is the newest; but it does not repeat what others had to hear.
void NodeAgent::NotePoolNews(PoolNews news) {
  Wake([&](Work& work) {
    PoolNews& known = work.pool_news[news.take.sku.sku_id];
    news.about_sku |= known.about_sku;
    news.more_than_known |= known.more_than_known;
    known = std::move(news);
  });
}

void NodeAgent::OnChanged(const std::string& path) {
  const absl::Time now = clock_->Now();
  Wake([&](Work& work) {
    if (work.changed.empty()) work.changed_at = now;
    work.changed.insert(path);
  });
}

void NodeAgent::OnConnected() {
  connected_ = true;
  Wake([](Work& work) { work.everything = !storage::Mutated(storage::Mutation::kNoReread); });
}

void NodeAgent::OnDisconnected() {
  connected_ = false;
  LOG(WARNING) << "ZooKeeper does not answer: selling goes on with the units held";
}

void NodeAgent::OnSessionExpired() {
  connected_ = false;
  Wake([](Work& work) { work.expired = true; });
}

bool NodeAgent::HasWork() const {
  absl::MutexLock lock(&mutex_);
  return work_to_do_;
}

absl::Duration NodeAgent::TurnInterval() const {
  if (!begun_) return options_.restart_pause;
  return drain_.waiting() ? absl::Milliseconds(10) : std::min(options_.resync_interval, options_.demand.interval);
}

void NodeAgent::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]()
                              ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || (work_to_do_ && begun_); };
      mutex_.AwaitWithTimeout(absl::Condition(&wanted), TurnInterval());
      if (stopping_) return;
    }
    RunOnce();
  }
}

NodeAgent::Work NodeAgent::TakeWork() {
  absl::MutexLock lock(&mutex_);
  work_to_do_ = false;
  return std::exchange(work_, Work{});
}

void NodeAgent::RunOnce() {
  Work work = TakeWork();
  // Claims of an earlier incarnation may still be answered, and say that it has ended: that is no news.
  const bool ended = work.ended != kPool && work.ended == incarnation_.load();
  const bool keeps = storage::Mutated(storage::Mutation::kKeepsDeadIncarnation);
  if (begun_ && (work.expired || ended) && !keeps) {
    LOG(WARNING) << "incarnation " << incarnation_.load()
                 << " is over: " << (work.expired ? "the ZooKeeper session expired" : "it was reclaimed")
                 << "; beginning a new one";
    LogEvent("node.ended", {{"node", options_.node_name},
                            {"incarnation", incarnation_.load()},
                            {"reason", work.expired ? "the ZooKeeper session expired" : "it was reclaimed"}});
    SetLogIncarnation(0);
    EndIncarnation();
  }
  if (!begun_) {
    absl::Status status = work.expired || Session() == nullptr ? NewSession() : absl::OkStatus();
    if (status.ok()) status = BeginIncarnation();
    LOG_IF_EVERY_N(WARNING, !status.ok(), 25) << "cannot begin an incarnation yet: " << status.message();
    return;
  }
  // A full sync repairs a failed one and finds what no event announced, even under a steady stream of events.
  const absl::Time now = clock_->Now();
  if (last_full_sync_ == absl::InfinitePast()) work.everything = true;
  work.resync = now - last_full_sync_ >= options_.resync_interval;
  if (storage::Mutated(storage::Mutation::kNoReread) && last_full_sync_ != absl::InfinitePast()) {
    work.everything = work.resync = false;
  }
  if (const absl::Status synced = Sync(work); !synced.ok()) {
    VLOG(1) << "sync: " << synced;
    // An operator must mend this.
    if (absl::IsPermissionDenied(synced)) {
      LOG_EVERY_T(WARNING, 60) << "this node hears of no new units: " << synced.message();
    }
    last_full_sync_ = absl::InfinitePast();
  } else {
    if (work.everything || work.resync) last_full_sync_ = now;
    if (!work.changed.empty()) applying_s_.Observe(std::max(absl::ZeroDuration(), clock_->Now() - work.changed_at));
  }
  AnnouncePoolNews(work);
  if (drain_.requested()) drain_.ReturnUnits(incarnation_.load()).IgnoreError();
  if (absl::Status status = ReportDemand(); !status.ok()) VLOG(1) << "demand report: " << status;
}

// Forgets what was held. What the old incarnation held is reclaimed: by us if the ledger answers, otherwise by the
// balancer.
void NodeAgent::EndIncarnation() {
  begun_ = false;
  const IncarnationId old = incarnation_.load();
  slices_->Begin(kPool);
  ledger_->ReclaimIncarnation(old).IgnoreError();
  // If the session lives on, so does the old registration: remove it.
  if (const auto session = Session(); session != nullptr) RemoveIncarnationZnodes(*session, old);
}

absl::Status NodeAgent::NewSession() {
  std::shared_ptr<Coordination> old;
  {
    absl::MutexLock lock(&mutex_);
    old = std::move(session_);
    session_.reset();
  }
  old.reset();  // closes it, outside of the lock that its callbacks take
  {
    absl::MutexLock lock(&mutex_);
    work_.expired = false;  // that was about the old session
  }
  ASSIGN_OR_RETURN(auto session, connector_->Connect(this));
  absl::MutexLock lock(&mutex_);
  session_ = std::move(session);
  return absl::OkStatus();
}

// A registration in the ledger that did not reach ZooKeeper is used again, so that a long outage does not leave many of
// them, unless the balancer has ended it meanwhile.
absl::StatusOr<IncarnationId> NodeAgent::RegisterInLedger() {
  if (beginning_ != kPool) {
    ASSIGN_OR_RETURN(const auto live, ledger_->ListLiveIncarnations());
    if (Find(live, beginning_) != nullptr) return beginning_;
  }
  const auto registered = ledger_->RegisterIncarnation(options_.node_name, options_.address, drain_.requested());
  if (registered.ok()) beginning_ = *registered;
  return registered;
}

absl::Status NodeAgent::BeginIncarnation() {
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return absl::UnauthenticatedError("no session with ZooKeeper");
  RETURN_IF_ERROR(RequireTreeOf(*session, storage::kHomeShard, *ledger_));
  ASSIGN_OR_RETURN(const auto incarnation, RegisterInLedger());
  absl::Status registered = Register(*session, incarnation);
  if (absl::IsUnauthenticated(registered)) {
    absl::MutexLock lock(&mutex_);
    work_.expired = true;
  }
  if (!registered.ok()) return registered;
  beginning_ = kPool;
  slices_->Begin(incarnation);
  incarnation_.store(incarnation, std::memory_order_release);
  reporter_.Reset();
  begun_ = true;
  last_full_sync_ = absl::InfinitePast();
  SetLogIncarnation(incarnation);
  LogEvent("node.began", {{"node", options_.node_name}, {"incarnation", incarnation}, {"address", options_.address}});
  Wake([](Work& work) { work.everything = true; });
  return absl::OkStatus();
}

// The folder for slices comes first: once the registration exists, the balancer writes into the folder.
absl::Status NodeAgent::Register(Coordination& session, IncarnationId incarnation) {
  absl::Status status = CreateIfMissing(session, SlicesPath(incarnation), "", CreateMode::kPersistent);
  if (absl::IsNotFound(status)) {
    // Somebody deleted the tree.
    status = session.EnsureFixedPaths();
    if (status.ok()) status = CreateIfMissing(session, SlicesPath(incarnation), "", CreateMode::kPersistent);
  }
  if (status.ok() && drain_.requested()) {
    status = CreateIfMissing(session, DrainPath(incarnation), drain_.Request(), CreateMode::kPersistent);
  }
  if (!status.ok()) return status;
  if (registration_of_ != incarnation) {
    NodeRegistration registration;
    registration.set_name(options_.node_name);
    registration.set_address(options_.address);
    registration.set_started_at_us(absl::ToUnixMicros(clock_->Now()));
    registration.set_consumer(options_.consumer);
    registration_ = registration.SerializeAsString();
    registration_of_ = incarnation;
  }
  return CreateIfMissing(session, NodePath(incarnation), registration_, CreateMode::kEphemeral);
}

absl::Status NodeAgent::Sync(const Work& work) {
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return absl::UnauthenticatedError("no session with ZooKeeper");
  if (work.everything) return SyncAll(*session, SliceReader::Which::kAll);
  absl::Status status = SyncChanged(*session, work.changed);
  if (status.ok() && work.resync) status = SyncAll(*session, SliceReader::Which::kNewAndInTurn);
  return status;
}

absl::Status NodeAgent::SyncAll(Coordination& session, SliceReader::Which which) {
  const IncarnationId incarnation = incarnation_.load();
  const auto registration = session.Get(NodePath(incarnation), Watch::kYes);
  if (registration.ok() && registration->ephemeral_owner != session.SessionId()) {
    // It belongs to another session and will vanish with that one.
    Wake([incarnation](Work& work) { work.ended = incarnation; });
    return absl::OkStatus();
  }
  if (absl::IsNotFound(registration.status())) return RegisterAgain(session);
  if (registration.ok() && registration->data != registration_) RestoreRegistration(session, registration->version);
  const auto skus = session.List(SlicesPath(incarnation), Watch::kYes);
  if (absl::IsNotFound(skus.status())) return RegisterAgain(session);
  if (!skus.ok()) return skus.status();
  absl::Status status = reader_.ReadFollowed(session, incarnation, *skus, which);
  const absl::Status drain = drain_.Read(session, incarnation);
  status.Update(absl::IsNotFound(drain) ? RegisterAgain(session) : drain);
  ReadFrontDoor(session);
  return status;
}

// A failure is no reason to read the slices again: the process also looks by itself.
void NodeAgent::ReadFrontDoor(Coordination& session) {
  auto znode = session.Get(kFrontDoorPath, Watch::kYes);
  if (absl::IsNotFound(znode.status()) && session.EnsureFixedPaths().ok()) {
    // A znode that is not there is not watched.
    znode = session.Get(kFrontDoorPath, Watch::kYes);
  }
  if (znode.ok()) host_->NoteFrontDoor(ReadFrontDoorVersion(znode->data));
}

// Somebody wrote over it, and others would not find us by our name and address. If it fails, the next look tries again.
void NodeAgent::RestoreRegistration(Coordination& session, int32_t version) {
  const std::string path = NodePath(incarnation_.load());
  LOG(WARNING) << path << " is not what this node wrote; writing it again. Restrict who may write to ZooKeeper";
  session.Set(path, registration_, version).IgnoreError();
}

// The registration or the folder has gone. If the ledger has ended the incarnation, that is why, and a new one begins.
// Otherwise somebody deleted the tree: we may still sell what the ledger says we hold, and only register again.
absl::Status NodeAgent::RegisterAgain(Coordination& session) {
  const IncarnationId incarnation = incarnation_.load();
  ASSIGN_OR_RETURN(const auto live, ledger_->ListLiveIncarnations());
  const storage::Incarnation* const present = Find(live, incarnation);
  if (present == nullptr) {
    Wake([incarnation](Work& work) { work.ended = incarnation; });
    return absl::OkStatus();
  }
  // In another ledger's tree its number may be somebody else's. It goes on selling what its ledger says it holds.
  if (absl::Status own = RequireTreeOf(session, storage::kHomeShard, *ledger_); !own.ok()) {
    if (IsAnotherLedgersTree(own)) {
      LOG_EVERY_T(ERROR, 60) << "incarnation " << incarnation << " does not register again: " << own.message();
    }
    return own;
  }
  LOG(WARNING) << "the registration of incarnation " << incarnation << " has gone from ZooKeeper; registering again";
  drain_.FollowLedger(present->draining);
  absl::Status registered = session.EnsureFixedPaths();
  if (registered.ok()) registered = Register(session, incarnation);
  reporter_.Repeat();
  Wake([](Work& work) { work.everything = true; });
  return registered;
}

absl::Status NodeAgent::SyncChanged(Coordination& session, const std::set<std::string>& changed) {
  const IncarnationId incarnation = incarnation_.load();
  const std::string own_slices = SlicesPath(incarnation);
  std::vector<std::string> slices, skus;
  bool others = false, front_door = false;
  for (const std::string& path : changed) {
    if (absl::StartsWith(path, own_slices + "/")) {
      slices.push_back(LastName(path));
    } else if (absl::StartsWith(path, std::string(kSkusPath) + "/")) {
      skus.push_back(LastName(path));
    } else if (path == kFrontDoorPath) {
      front_door = true;
    } else {
      others = true;  // new and deleted slices, a lost registration, a request to drain
    }
  }
  absl::Status status = reader_.ReadChanged(session, incarnation, skus, slices);
  if (front_door) ReadFrontDoor(session);
  if (others) status.Update(SyncAll(session, SliceReader::Which::kNew));
  return status;
}

// They count already. If this fails, the balancer's repair finds what was not announced.
void NodeAgent::AnnouncePoolNews(const Work& work) {
  std::vector<SkuToAnnounce> skus;
  std::vector<SliceToAnnounce> slices;
  for (const auto& [sku_id, news] : work.pool_news) {
    const storage::HeldSlice& slice = news.take.slice;
    if (slice.holder != incarnation_.load()) continue;
    if (news.about_sku) skus.push_back({news.take.sku, /*always=*/news.more_than_known});
    if (slice.version > 0) slices.push_back({slice.holder, sku_id, slice.allotted, slice.version});
  }
  if (skus.empty() && slices.empty()) return;
  const absl::Status announced = announcer_.Announce(skus, slices);
  if (!announced.ok()) VLOG(1) << "units from pools: " << announced;
}

absl::Status NodeAgent::ReportDemand() {
  if (storage::Mutated(storage::Mutation::kDemandNotReported)) return absl::OkStatus();
  const absl::Time now = clock_->Now();
  const std::optional<DemandReport> report =
      reporter_.Due(now, host_->LedgerAnswers(), host_->SilentShards(), host_->WhyUnhealthy(), host_->FaultyFiles());
  if (!report.has_value()) return absl::OkStatus();
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return absl::UnauthenticatedError("no session with ZooKeeper");
  const std::string path = DemandPath(incarnation_.load());
  const std::string data = report->SerializeAsString();
  absl::Status status = session->Set(path, data, kAnyVersion);
  if (absl::IsNotFound(status)) status = session->Create(path, data, CreateMode::kEphemeral);
  if (status.ok()) reporter_.Written(*report, now);
  return status;
}

}  // namespace tranche::quota
