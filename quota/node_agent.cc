#include "quota/node_agent.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "quota/coordination_paths.h"
#include "quota/incarnation_znodes.h"
#include "quota/sku_announcement.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;
using internal::v1::NodeRegistration;
using internal::v1::SkuAnnouncement;
using internal::v1::SliceAnnouncement;

// Least time between two tries to begin an incarnation while ZooKeeper or the ledger does not answer.
constexpr absl::Duration kRestartPause = absl::Milliseconds(200);
// With ids of 64 characters well within kMaxZnodeBytes.
constexpr int kMaxReportedSkus = 500;

// Creates a node that an earlier run of the same incarnation, or a try whose answer was lost, may have left.
absl::Status CreateIfMissing(Coordination& session, const std::string& path, const std::string& data, CreateMode mode) {
  const absl::Status status = session.Create(path, data, mode);
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

// The last component of a path.
std::string LastName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

NodeAgent::NodeAgent(CoordinationConnector* connector, storage::StockLedger* ledger, SliceTable* slices,
                     NodeAgentOptions options, std::function<void()> drain_requested)
    : connector_(connector),
      ledger_(ledger),
      slices_(slices),
      options_(std::move(options)),
      drain_requested_(std::move(drain_requested)) {
  slices_->SetListener(
      {.exhausted = [this] { Wake([](Work&) {}); },
       // The latest one counts: a late note of an earlier incarnation must not hide that the present one has ended.
       .incarnation_ended =
           [this](storage::IncarnationId id) { Wake([id](Work& work) { work.ended = std::max(work.ended, id); }); }});
}

NodeAgent::~NodeAgent() {
  slices_->SetListener({});
  Wake([](Work& work) { work.stop = true; });
  if (thread_.joinable()) thread_.join();
  // Closed while everything that its callbacks touch is still there, and outside of the lock that they want.
  std::shared_ptr<Coordination> session;
  {
    absl::MutexLock lock(&mutex_);
    session = std::move(session_);
  }
}

absl::Status NodeAgent::Start() {
  auto session = connector_->Connect(this);
  if (!session.ok()) return session.status();
  {
    absl::MutexLock lock(&mutex_);
    session_ = *std::move(session);
  }
  if (absl::Status status = BeginIncarnation(); !status.ok()) return status;
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

absl::Status NodeAgent::Release() {
  Wake([](Work& work) { work.stop = true; });
  if (thread_.joinable()) thread_.join();
  const storage::IncarnationId incarnation = incarnation_.load();
  slices_->Clear();
  const absl::Status reclaimed = ledger_->ReclaimIncarnation(incarnation).status();
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return reclaimed;
  RemoveIncarnationZnodes(*session, incarnation);
  {
    absl::MutexLock lock(&mutex_);
    session_.reset();
  }
  return reclaimed;
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

void NodeAgent::OnChanged(const std::string& path) {
  Wake([&](Work& work) { work.changed.insert(path); });
}

void NodeAgent::OnConnected() {
  Wake([](Work& work) { work.everything = true; });
}

void NodeAgent::OnDisconnected() { LOG(WARNING) << "ZooKeeper does not answer: selling goes on with the units held"; }

void NodeAgent::OnSessionExpired() {
  Wake([](Work& work) { work.expired = true; });
}

NodeAgent::Work NodeAgent::WaitForWork() {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&work_to_do_), options_.resync_interval);
  work_to_do_ = false;
  return std::exchange(work_, Work{});
}

void NodeAgent::Run() {
  absl::Time last_full_sync = absl::InfinitePast();
  while (true) {
    Work work = WaitForWork();
    if (work.stop) return;
    // Claims of an earlier incarnation may still be answered, and say that it is over: that is no news.
    const bool ended = work.ended != storage::kPool && work.ended == incarnation_.load();
    if (work.expired || ended) {
      Restart(/*new_session=*/work.expired);
      last_full_sync = absl::InfinitePast();
      continue;
    }
    // A failed sync is made good by a full one; so is what was never heard of, however busy the events are.
    if (absl::Now() - last_full_sync >= options_.resync_interval) work.everything = true;
    const absl::Status synced = Sync(work);
    if (!synced.ok()) {
      VLOG(1) << "sync: " << synced;
      last_full_sync = absl::InfinitePast();
    } else if (work.everything) {
      last_full_sync = absl::Now();
    }
    if (absl::Status status = ReportDemand(); !status.ok()) {
      VLOG(1) << "demand report: " << status;
    }
  }
}

// Forgets what was held and begins a new incarnation, however often that has to be tried. What the old one held is
// reclaimed: by us if the ledger answers, else by the balancer.
void NodeAgent::Restart(bool new_session) {
  const storage::IncarnationId old = incarnation_.load();
  LOG(WARNING) << "incarnation " << old << " is over"
               << (new_session ? ": the ZooKeeper session expired" : ": it was reclaimed") << "; beginning a new one";
  slices_->Clear();
  ledger_->ReclaimIncarnation(old).IgnoreError();
  std::shared_ptr<Coordination> dead;
  if (!new_session) {
    // The session lives on, and so would the old registration.
    if (const auto session = Session(); session != nullptr) RemoveIncarnationZnodes(*session, old);
  }
  while (true) {
    if (new_session) {
      {
        absl::MutexLock lock(&mutex_);
        dead = std::move(session_);
        session_.reset();
        work_.expired = false;
      }
      dead.reset();  // closes it, outside of the lock that its callbacks want
      auto session = connector_->Connect(this);
      if (session.ok()) {
        absl::MutexLock lock(&mutex_);
        session_ = *std::move(session);
        new_session = false;
      }
    }
    if (!new_session) {
      const absl::Status status = BeginIncarnation();
      if (status.ok()) return;
      LOG_EVERY_N(WARNING, 25) << "cannot begin an incarnation yet: " << status.message();
      new_session = absl::IsUnauthenticated(status);
    }
    absl::MutexLock lock(&mutex_);
    const auto stop = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return work_.stop; };
    if (mutex_.AwaitWithTimeout(absl::Condition(&stop), kRestartPause)) return;
  }
}

// A registration in the ledger that did not make it into ZooKeeper is taken up again, so that a long outage does not
// leave a trail of them; unless the balancer has ended it meanwhile.
absl::StatusOr<storage::IncarnationId> NodeAgent::RegisterInLedger() {
  if (beginning_ != storage::kPool) {
    const auto live = ledger_->ListLiveIncarnations();
    if (!live.ok()) return live.status();
    const bool still_live =
        std::any_of(live->begin(), live->end(), [&](const auto& incarnation) { return incarnation.id == beginning_; });
    if (still_live) return beginning_;
  }
  const auto registered = ledger_->RegisterIncarnation(options_.node_name, options_.address);
  if (registered.ok()) beginning_ = *registered;
  return registered;
}

absl::Status NodeAgent::BeginIncarnation() {
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return absl::UnauthenticatedError("no session with ZooKeeper");
  const auto incarnation = RegisterInLedger();
  if (!incarnation.ok()) return incarnation.status();
  if (absl::Status status = Register(*session, *incarnation); !status.ok()) return status;
  beginning_ = storage::kPool;
  incarnation_.store(*incarnation, std::memory_order_release);
  report_sequence_ = 0;
  last_report_.clear();
  drain_seen_ = false;
  LOG(INFO) << "node " << options_.node_name << " at " << options_.address << " is incarnation " << *incarnation;
  Wake([](Work& work) { work.everything = true; });
  return absl::OkStatus();
}

// The folder for slices comes first: once the registration is there, the balancer writes into it.
absl::Status NodeAgent::Register(Coordination& session, storage::IncarnationId incarnation) {
  absl::Status status = CreateIfMissing(session, SlicesPath(incarnation), "", CreateMode::kPersistent);
  if (!status.ok()) return status;
  NodeRegistration registration;
  registration.set_name(options_.node_name);
  registration.set_address(options_.address);
  registration.set_started_at_us(absl::ToUnixMicros(absl::Now()));
  return CreateIfMissing(session, NodePath(incarnation), registration.SerializeAsString(), CreateMode::kEphemeral);
}

absl::Status NodeAgent::Sync(const Work& work) {
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return absl::UnauthenticatedError("no session with ZooKeeper");
  return work.everything ? SyncAll(*session) : SyncChanged(*session, work.changed);
}

absl::Status NodeAgent::SyncAll(Coordination& session) {
  const storage::IncarnationId incarnation = incarnation_.load();
  const auto registration = session.Get(NodePath(incarnation), Watch::kYes);
  const bool foreign = registration.ok() && registration->ephemeral_owner != session.SessionId();
  if (absl::IsNotFound(registration.status()) || foreign) {
    // Somebody removed it: the balancer counts us out and reclaims, so this incarnation is over.
    Wake([incarnation](Work& work) { work.ended = incarnation; });
    return absl::OkStatus();
  }
  const auto skus = session.List(SlicesPath(incarnation), Watch::kYes);
  if (!skus.ok()) return skus.status();
  absl::Status status = ReadSkus(session, *skus);
  status.Update(ReadSlices(session, *skus));
  status.Update(ReadDrain(session));
  return status;
}

absl::Status NodeAgent::SyncChanged(Coordination& session, const absl::flat_hash_set<std::string>& changed) {
  const std::string own_slices = SlicesPath(incarnation_.load());
  std::vector<std::string> slices, skus;
  for (const std::string& path : changed) {
    // New and deleted slices, a registration that went, a request to drain: rare, and cheap to read all over.
    if (absl::StartsWith(path, own_slices + "/")) {
      slices.push_back(LastName(path));
    } else if (absl::StartsWith(path, std::string(kSkusPath) + "/")) {
      skus.push_back(LastName(path));
    } else {
      return SyncAll(session);
    }
  }
  absl::Status status = ReadSkus(session, skus);
  status.Update(ReadSlices(session, slices));
  return status;
}

absl::Status NodeAgent::ReadSlices(Coordination& session, const std::vector<std::string>& skus) {
  const storage::IncarnationId incarnation = incarnation_.load();
  std::vector<std::string> paths;
  for (const std::string& sku : skus) paths.push_back(SlicePath(incarnation, sku));
  const auto read = session.GetMany(paths, Watch::kYes);
  absl::Status status;
  for (size_t i = 0; i < read.size(); ++i) {
    if (absl::IsNotFound(read[i].status())) {
      slices_->Remove(skus[i]);
      continue;
    }
    SliceAnnouncement announcement;
    if (!read[i].ok()) {
      status = read[i].status();
    } else if (!announcement.ParseFromString(read[i]->data)) {
      LOG(ERROR) << paths[i] << " is not a slice announcement";
    } else {
      const std::shared_ptr<Slice> slice = slices_->FindOrAdd(skus[i], incarnation);
      slice->counter().Apply(announcement.allotted(), announcement.version());
      slice->ClearWantedIfMet();
    }
  }
  return status;
}

absl::Status NodeAgent::ReadSkus(Coordination& session, const std::vector<std::string>& skus) {
  std::vector<std::string> paths;
  for (const std::string& sku : skus) paths.push_back(SkuPath(sku));
  const auto read = session.GetMany(paths, Watch::kYes);
  absl::Status status;
  for (size_t i = 0; i < read.size(); ++i) {
    SkuAnnouncement announcement;
    if (absl::IsNotFound(read[i].status())) continue;  // not announced yet; the next resync finds it
    if (!read[i].ok()) {
      status = read[i].status();
    } else if (!announcement.ParseFromString(read[i]->data)) {
      LOG(ERROR) << paths[i] << " is not a SKU announcement";
    } else {
      slices_->FindOrAdd(skus[i], incarnation_.load())->SetTerms(TermsOf(announcement));
    }
  }
  return status;
}

absl::Status NodeAgent::ReadDrain(Coordination& session) {
  const auto requests = session.List(kDrainPath, Watch::kYes);
  if (!requests.ok()) return requests.status();
  const std::string own = LastName(DrainPath(incarnation_.load()));
  if (drain_seen_ || std::find(requests->begin(), requests->end(), own) == requests->end()) return absl::OkStatus();
  drain_seen_ = true;
  LOG(INFO) << "an operator asks this node to drain";
  if (drain_requested_) drain_requested_();
  return absl::OkStatus();
}

// Says of which SKUs the node has run dry. Nothing is written while that stays the same.
absl::Status NodeAgent::ReportDemand() {
  DemandReport report;
  auto slices = slices_->All();
  std::sort(slices.begin(), slices.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [sku, slice] : slices) {
    const auto terms = slice->terms();
    // What is sold out or over is nobody's demand; when stock is added, the terms say so first.
    if (slice->wanted() == 0 || terms == nullptr || terms->sold_out || terms->closed) continue;
    if (report.skus_size() >= kMaxReportedSkus) break;
    DemandReport::SkuDemand* demand = report.add_skus();
    demand->set_sku_id(sku);
    demand->set_wanted(slice->wanted());
    demand->set_free(slice->counter().free());
    // A slice that got units and is dry again is a new demand.
    demand->set_slice_version(slice->counter().version());
  }
  const std::string content = report.SerializeAsString();
  if (content == last_report_) return absl::OkStatus();
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return absl::UnauthenticatedError("no session with ZooKeeper");
  report.set_sequence(++report_sequence_);
  const std::string path = DemandPath(incarnation_.load());
  absl::Status status = session->Set(path, report.SerializeAsString(), kAnyVersion);
  if (absl::IsNotFound(status)) status = session->Create(path, report.SerializeAsString(), CreateMode::kEphemeral);
  if (status.ok()) last_report_ = content;
  return status;
}

}  // namespace tranche::quota
