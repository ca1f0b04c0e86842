#include "quota/balancer.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"
#include "quota/allocation.h"
#include "quota/coordination_paths.h"
#include "quota/incarnation_znodes.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

constexpr char kActor[] = "balancer";
constexpr int kPage = 500;

// Calls `visit` with page after page of the ledger's SKUs.
template <typename Visit>
absl::Status ForEachPage(storage::StockLedger& ledger, const Visit& visit) {
  absl::Status status;
  std::string after;
  while (true) {
    const auto page = ledger.ListSkus(after, kPage);
    if (!page.ok()) return page.status();
    // A page that fails does not hold up the others.
    status.Update(visit(*page));
    if (page->size() < static_cast<size_t>(kPage)) return status;
    after = page->back().sku_id;
  }
}

int64_t RemainingOf(const storage::QuotaSnapshot& quota, IncarnationId holder) {
  for (const storage::Slice& slice : quota.slices) {
    if (slice.holder == holder) return slice.remaining;
  }
  return 0;
}

}  // namespace

Balancer::Balancer(CoordinationConnector* connector, storage::StockLedger* ledger, storage::Clock* clock,
                   BalancerOptions options)
    : connector_(connector),
      ledger_(ledger),
      clock_(clock),
      options_(std::move(options)),
      announcer_(this),
      mover_(ledger, &announcer_) {}

Balancer::~Balancer() { Stop(); }

absl::Status Balancer::Start() {
  if (absl::Status status = Connect(); !status.ok()) return status;
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Balancer::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  std::shared_ptr<Coordination> session;
  {
    absl::MutexLock lock(&mutex_);
    session = std::move(session_);
    session_.reset();
    leading_ = false;
  }
  // Closing the session (here, outside of the lock) removes the leader's ephemeral node.
}

bool Balancer::leading() const {
  absl::MutexLock lock(&mutex_);
  return leading_;
}

std::shared_ptr<Coordination> Balancer::Session() {
  absl::MutexLock lock(&mutex_);
  return session_;
}

void Balancer::Wake() {
  absl::MutexLock lock(&mutex_);
  woken_ = true;
}

void Balancer::OnChanged(const std::string& path) { Wake(); }
void Balancer::OnConnected() { Wake(); }
void Balancer::OnDisconnected() { LOG(WARNING) << "ZooKeeper does not answer: no units are moved until it does"; }
void Balancer::OnSessionExpired() {
  absl::MutexLock lock(&mutex_);
  expired_ = true;
  woken_ = true;
}

absl::Status Balancer::Connect() {
  std::shared_ptr<Coordination> old;
  {
    absl::MutexLock lock(&mutex_);
    old = std::move(session_);
    session_.reset();
    leading_ = false;
    expired_ = false;
  }
  old.reset();
  auto session = connector_->Connect(this);
  if (!session.ok()) return session.status();
  absl::MutexLock lock(&mutex_);
  session_ = *std::move(session);
  return absl::OkStatus();
}

void Balancer::Run() {
  while (true) {
    bool expired = false;
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || woken_; };
      mutex_.AwaitWithTimeout(absl::Condition(&wanted), options_.poll_interval);
      if (stopping_) return;
      woken_ = false;
      expired = expired_ || session_ == nullptr;
    }
    absl::Status status = expired ? Connect() : absl::OkStatus();
    if (status.ok()) status = RunOnce();
    LOG_IF_EVERY_N(WARNING, !status.ok(), 50) << "balancing is held up: " << status.message();
  }
}

absl::Status Balancer::RunOnce() {
  const std::shared_ptr<Coordination> session = Session();
  if (session == nullptr) return absl::UnauthenticatedError("no session with ZooKeeper");
  const absl::StatusOr<bool> leader = Campaign(*session);
  if (!leader.ok()) return leader.status();
  bool newly = false;
  {
    absl::MutexLock lock(&mutex_);
    newly = *leader && !leading_;
    leading_ = *leader;
  }
  if (!*leader) return absl::OkStatus();
  if (newly) {
    LOG(INFO) << options_.name << " leads";
    welcomed_.clear();
    last_repair_ = absl::InfinitePast();
  }
  return Lead(*session);
}

// Is this session the leader, now or after trying? Whoever creates the node leads; it goes with the session.
absl::StatusOr<bool> Balancer::Campaign(Coordination& session) {
  const absl::Status created = session.Create(LeaderPath(), options_.name, CreateMode::kEphemeral);
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  const auto leader = session.Get(LeaderPath(), Watch::kYes);
  if (absl::IsNotFound(leader.status())) return false;  // it has just gone; the next round tries again
  if (!leader.ok()) return leader.status();
  return leader->ephemeral_owner == session.SessionId();
}

absl::Status Balancer::Lead(Coordination& session) {
  const auto nodes = ListLiveNodes(session, Watch::kYes);
  if (!nodes.ok()) return nodes.status();
  const auto incarnations = ledger_->ListLiveIncarnations();
  if (!incarnations.ok()) return incarnations.status();
  std::set<IncarnationId> live;
  for (const storage::Incarnation& incarnation : *incarnations) live.insert(incarnation.id);
  receivers_.clear();
  for (const LiveNode& node : *nodes) {
    seen_registered_.insert(node.incarnation);
    // One that the ledger has ended can be given nothing, whatever is still registered.
    if (!node.draining && live.contains(node.incarnation)) receivers_.push_back(node.incarnation);
  }
  // Each step stands alone: a failing one is tried again in the next round and does not hold up the others.
  absl::Status status = ReclaimDead(session, *nodes, live);
  status.Update(WelcomeNewNodes());
  status.Update(SharePools());
  status.Update(MeetDemand(session));
  if (clock_->Now() - last_repair_ >= options_.repair_interval) {
    const absl::Status repaired = Repair(session, live);
    if (repaired.ok()) last_repair_ = clock_->Now();
    status.Update(repaired);
  }
  return status;
}

absl::Status Balancer::ReclaimDead(Coordination& session, const std::vector<LiveNode>& nodes,
                                   const std::set<IncarnationId>& live) {
  std::set<IncarnationId> registered;
  for (const LiveNode& node : nodes) registered.insert(node.incarnation);
  absl::Status status;
  for (const IncarnationId incarnation : live) {
    if (registered.contains(incarnation)) continue;
    const absl::Time first = first_seen_unregistered_.try_emplace(incarnation, clock_->Now()).first->second;
    // One that we saw registered is gone. One that we did not may be just starting.
    const bool gone = seen_registered_.contains(incarnation) || clock_->Now() - first >= options_.unregistered_grace;
    if (gone) status.Update(Reclaim(session, incarnation));
  }
  // What is over need not be remembered.
  std::erase_if(first_seen_unregistered_, [&](const auto& entry) { return !live.contains(entry.first); });
  std::erase_if(seen_registered_, [&](IncarnationId id) { return !live.contains(id) && !registered.contains(id); });
  return status;
}

absl::Status Balancer::Reclaim(Coordination& session, IncarnationId incarnation) {
  const auto skus = ledger_->ReclaimIncarnation(incarnation);
  if (!skus.ok()) return skus.status();
  LOG(INFO) << "reclaimed incarnation " << incarnation << ": " << skus->size() << " slices back in the pool";
  RemoveIncarnationZnodes(session, incarnation);
  return absl::OkStatus();
}

// A node that joins gets its equal share of every open SKU at once, in mid-sale too.
absl::Status Balancer::WelcomeNewNodes() {
  const std::set<IncarnationId> now(receivers_.begin(), receivers_.end());
  const bool someone_new =
      std::any_of(now.begin(), now.end(), [&](IncarnationId id) { return !welcomed_.contains(id); });
  if (!someone_new) {
    welcomed_ = now;
    return absl::OkStatus();
  }
  const absl::Status status = ForEachPage(*ledger_, [&](const std::vector<storage::Sku>& skus) {
    absl::Status page_status;
    for (const storage::Sku& sku : skus) {
      if (!sku.closed && sku.unsold > 0) page_status.Update(ShareEqually(sku.sku_id, {}, /*lot=*/1));
    }
    return page_status;
  });
  if (status.ok()) welcomed_ = now;
  return status;
}

// Evens out one SKU. A quota that changed between reading and moving is left to the next round.
absl::Status Balancer::ShareEqually(const std::string& sku_id, const std::set<IncarnationId>& dry, int64_t lot) {
  const auto quota = ledger_->ReadQuota(sku_id);
  if (!quota.ok()) return quota.status();
  const auto deltas = EqualShares(*quota, receivers_, dry, lot);
  if (deltas.empty()) return absl::OkStatus();
  const auto moved = mover_.Move(sku_id, deltas, quota->quota_version, kActor);
  return absl::IsAborted(moved.status()) ? absl::OkStatus() : moved.status();
}

absl::Status Balancer::SharePools() {
  if (receivers_.empty()) return absl::OkStatus();
  absl::Status status;
  std::string after;
  while (true) {
    const auto skus = ledger_->ListPooledSkus(after, kPage);
    if (!skus.ok()) return skus.status();
    for (const std::string& sku_id : *skus) status.Update(SharePoolOf(sku_id));
    if (skus->size() < static_cast<size_t>(kPage)) return status;
    after = skus->back();
  }
}

absl::Status Balancer::SharePoolOf(const std::string& sku_id) {
  const auto quota = ledger_->ReadQuota(sku_id);
  if (!quota.ok()) return quota.status();
  const auto deltas = SharePool(*quota, receivers_);
  if (deltas.empty()) return absl::OkStatus();
  const auto moved = mover_.Move(sku_id, deltas, quota->quota_version, kActor);
  return absl::IsAborted(moved.status()) ? absl::OkStatus() : moved.status();
}

absl::Status Balancer::MeetDemand(Coordination& session) {
  const auto reporters = session.List(kDemandPath, Watch::kYes);
  if (!reporters.ok()) return reporters.status();
  std::vector<std::string> paths;
  std::vector<IncarnationId> incarnations;
  for (const std::string& name : *reporters) {
    incarnations.push_back(ParseIncarnation(name));
    paths.push_back(DemandPath(incarnations.back()));
  }
  const auto reports = session.GetMany(paths, Watch::kYes);
  std::map<std::string, Demand> wanted;
  for (size_t i = 0; i < reports.size(); ++i) {
    internal::v1::DemandReport report;
    if (!reports[i].ok() || !report.ParseFromString(reports[i]->data)) continue;
    const auto receives = std::find(receivers_.begin(), receivers_.end(), incarnations[i]);
    if (receives == receivers_.end()) continue;
    for (const auto& demand : report.skus()) {
      if (demand.wanted() > 0) wanted[demand.sku_id()][incarnations[i]] = demand.wanted();
    }
  }
  absl::Status status;
  for (const auto& [sku_id, demand] : wanted) status.Update(MeetDemandFor(sku_id, demand));
  return status;
}

// Some nodes are dry: either nobody has a unit, then everybody shall know (and nobody reports it any more); or others
// have, then they share.
absl::Status Balancer::MeetDemandFor(const std::string& sku_id, const Demand& demand) {
  const auto quota = ledger_->ReadQuota(sku_id);
  if (absl::IsNotFound(quota.status())) return absl::OkStatus();
  if (!quota.ok()) return quota.status();
  if (quota->closed) return absl::OkStatus();
  int64_t unsold = 0;
  for (const storage::Slice& slice : quota->slices) unsold += slice.remaining;
  if (unsold == 0) {
    const auto sku = ledger_->GetSku(sku_id);
    return sku.ok() ? announcer_.AnnounceSkus({*sku}) : sku.status();
  }
  std::set<IncarnationId> dry;
  int64_t lot = 0;
  for (const auto& [incarnation, wanted] : demand) {
    // One that has enough by the ledger will hear of it: the units are on their way. One that wants more than there is
    // gets nothing that way.
    if (RemainingOf(*quota, incarnation) >= wanted || wanted > unsold) continue;
    dry.insert(incarnation);
    // Whole lots, or each node would be left with too few for anybody.
    lot = std::max(lot, wanted);
  }
  return dry.empty() ? absl::OkStatus() : ShareEqually(sku_id, dry, lot);
}

// Announces everything that the ledger says. What is announced already costs a read and no write.
absl::Status Balancer::Repair(Coordination& session, const std::set<IncarnationId>& live) {
  absl::Status status =
      ForEachPage(*ledger_, [&](const std::vector<storage::Sku>& skus) { return announcer_.AnnounceSkus(skus); });
  for (const IncarnationId incarnation : receivers_) {
    const auto slices = ledger_->ListSlices(incarnation);
    if (!slices.ok()) return slices.status();
    std::vector<SliceToAnnounce> announcements;
    for (const auto& [sku_id, slice] : *slices) {
      announcements.push_back({incarnation, sku_id, slice.allotted, slice.version});
    }
    status.Update(announcer_.AnnounceSlices(announcements));
  }
  status.Update(RemoveLeftovers(session, live));
  return status;
}

// Slices and requests to drain of incarnations that ended while ZooKeeper or the balancer was away.
absl::Status Balancer::RemoveLeftovers(Coordination& session, const std::set<IncarnationId>& live) {
  for (const char* folder : {kSlicesPath, kDrainPath}) {
    const auto names = session.List(folder, Watch::kNo);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      const IncarnationId incarnation = ParseIncarnation(name);
      // A higher number than we know of is one that has just begun.
      const bool known = !live.empty() && incarnation <= *live.rbegin();
      if (incarnation != storage::kPool && known && !live.contains(incarnation)) {
        RemoveIncarnationZnodes(session, incarnation);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace tranche::quota
