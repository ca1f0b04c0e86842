#include "quota/balancer/balancer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "glog/logging.h"
#include "quota/balancer/allocation.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/incarnation_znodes.h"
#include "storage/ledger/ledger_error.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::kMaxQuotaBatch;
using storage::QuotaDelta;
using storage::QuotaMove;
using storage::SkuQuota;

constexpr char kActor[] = "balancer";

// Pieces of work per round. With many nodes, a SKU has many slices to be read and changed: they count, not the SKUs.
// SKUs whose demand is looked at, or whose pools are shared, and the slices that this may read or change.
constexpr size_t kSkusPerRound = 256;
constexpr size_t kSlicesReadPerRound = 16384;
constexpr size_t kSlicesChangedPerRound = 2048;
// Demand changes few of a SKU's slices.
constexpr size_t kLeastDemandBatch = 16;
// The page of SKUs that is looked through for newcomers.
constexpr int kWelcomePage = 256;
// Nodes that are told, or asked about, what they hold.
constexpr int kNodesPerRound = 32;

}  // namespace

Balancer::Balancer(CoordinationConnector* connector, storage::StockLedger* ledger, storage::Clock* clock,
                   BalancerOptions options)
    : connector_(connector),
      ledger_(ledger),
      clock_(clock),
      options_(std::move(options)),
      announcer_(this),
      mover_(ledger, &announcer_),
      board_(options_.demand_retry, options_.shard),
      repair_(ledger, &announcer_, options_.shard == storage::kHomeShard) {}

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

bool Balancer::HasWork() const {
  absl::MutexLock lock(&mutex_);
  return woken_;
}

std::shared_ptr<Coordination> Balancer::Session() {
  absl::MutexLock lock(&mutex_);
  return session_;
}

void Balancer::Wake(absl::FunctionRef<void(News&)> note) {
  absl::MutexLock lock(&mutex_);
  note(news_);
  woken_ = true;
}

void Balancer::OnChanged(const std::string& path) {
  Wake([&](News& news) {
    if (absl::StartsWith(path, kBalancerPath)) {
      news.leader = true;
    } else if (absl::StartsWith(path, kDemandPath)) {
      news.demand = true;
      news.reports.insert(ParseIncarnation(path.substr(path.rfind('/') + 1)));
    } else {
      news.nodes = true;
    }
  });
}

void Balancer::OnConnected() {
  Wake([](News& news) { news.everything = true; });
}

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
  news_.everything = true;
  return absl::OkStatus();
}

void Balancer::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || woken_; };
      mutex_.AwaitWithTimeout(absl::Condition(&wanted), options_.poll_interval);
      if (stopping_) return;
    }
    const absl::Status status = RunOnce();
    LOG_IF_EVERY_N(WARNING, !status.ok(), 50) << "balancing is held up: " << status.message();
  }
}

Balancer::News Balancer::TakeNews() {
  absl::MutexLock lock(&mutex_);
  woken_ = false;
  return std::exchange(news_, News::Nothing());
}

absl::Status Balancer::RunOnce() {
  bool must_connect = false;
  {
    absl::MutexLock lock(&mutex_);
    must_connect = expired_ || session_ == nullptr;
  }
  if (must_connect) {
    if (absl::Status connected = Connect(); !connected.ok()) {
      TakeNews();
      return connected;
    }
  }
  const std::shared_ptr<Coordination> session = Session();
  // What could not be looked at in earlier rounds is still news.
  const News fresh = TakeNews();
  pending_.everything =
      pending_.everything || fresh.everything || clock_->Now() - refreshed_at_ >= options_.refresh_interval;
  pending_.leader = pending_.leader || fresh.leader;
  pending_.nodes = pending_.nodes || fresh.nodes;
  pending_.demand = pending_.demand || fresh.demand;
  pending_.reports.insert(fresh.reports.begin(), fresh.reports.end());
  if (absl::Status checked = CheckLeadership(*session); !checked.ok()) return checked;
  if (!leading()) {
    if (pending_.everything) refreshed_at_ = clock_->Now();
    pending_ = News::Nothing();
    return absl::OkStatus();
  }
  const absl::Time began_at = clock_->Now();
  const absl::Status led = Lead(*session);
  MindTheLedger(*session, led, began_at);
  return led;
}

// Leads, if nobody does, and only who reaches the ledger.
absl::Status Balancer::CheckLeadership(Coordination& session) {
  if (abstaining_) {
    if (absl::Status ledger = ledger_->ListLiveIncarnations().status(); !ledger.ok()) return ledger;
    abstaining_ = false;
    pending_.leader = true;
  }
  if (!pending_.leader && !pending_.everything) return absl::OkStatus();
  const absl::StatusOr<bool> leader = Campaign(session);
  if (absl::IsNotFound(leader.status())) return RestoreTree(session);
  if (!leader.ok()) return leader.status();
  pending_.leader = false;
  const bool before = leading();
  {
    absl::MutexLock lock(&mutex_);
    leading_ = *leader;
  }
  if (!before && *leader) {
    LOG(INFO) << options_.name << " leads, shard " << options_.shard;
    ForgetAll();
    pending_.everything = true;
  }
  return absl::OkStatus();
}

// Is this session the leader, now or after trying? Whoever creates the node leads; it goes with the session.
absl::StatusOr<bool> Balancer::Campaign(Coordination& session) {
  auto leader = session.Get(LeaderPath(options_.shard), Watch::kYes);
  if (absl::IsNotFound(leader.status())) {
    const absl::Status created = session.Create(LeaderPath(options_.shard), options_.name, CreateMode::kEphemeral);
    if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
    leader = session.Get(LeaderPath(options_.shard), Watch::kYes);
    if (absl::IsNotFound(leader.status())) return false;  // it has just gone; its watch tells
  }
  if (!leader.ok()) return leader.status();
  return leader->ephemeral_owner == session.SessionId();
}

// Forgets what only a leader who has led all the time may believe.
void Balancer::ForgetAll() {
  looked_around_ = false;
  taking_over_after_ = storage::kPool;
  new_nodes_.clear();
  welcomed_.clear();
  welcome_.reset();
  seen_registered_.clear();
  first_seen_unregistered_.clear();
  unable_since_.clear();
  evacuated_.clear();
  board_.Clear();
  pool_cursor_.clear();
  returned_cursor_.clear();
  last_repair_ = absl::InfinitePast();
  ledger_failing_since_ = absl::InfiniteFuture();
}

// After a failed round: was it the ledger, and since when?
void Balancer::MindTheLedger(Coordination& session, const absl::Status& led, absl::Time began_at) {
  if (led.ok() || ledger_->ListLiveIncarnations().ok()) {
    ledger_failing_since_ = absl::InfiniteFuture();
    return;
  }
  ledger_failing_since_ = std::min(ledger_failing_since_, began_at);
  unable_since_.clear();  // nobody is unable alone
  if (clock_->Now() - ledger_failing_since_ >= options_.resign_after) Resign(session);
}

// Another may reach the ledger. We stand again when we do.
void Balancer::Resign(Coordination& session) {
  LOG(WARNING) << options_.name << " does not reach the ledger and gives up leadership";
  abstaining_ = true;
  ledger_failing_since_ = absl::InfiniteFuture();
  {
    absl::MutexLock lock(&mutex_);
    leading_ = false;
  }
  session.Delete(LeaderPath(options_.shard), kAnyVersion).IgnoreError();
}

absl::Status Balancer::Lead(Coordination& session) {
  if (pending_.everything || pending_.nodes) {
    const absl::Status looked = LookAround(session);
    if (absl::IsNotFound(looked)) return RestoreTree(session);
    if (!looked.ok()) return looked;
    pending_.nodes = false;
  }
  if (pending_.everything || pending_.demand) {
    const absl::Status read = board_.Read(session, pending_.everything, pending_.reports);
    if (absl::IsNotFound(read)) return RestoreTree(session);
    // Without ZooKeeper no move would be heard of.
    if (!read.ok()) return read;
    if (pending_.everything) refreshed_at_ = clock_->Now();
    pending_ = News::Nothing();
  }
  slices_changed_ = 0;
  // Each step stands alone: a failing one is tried again in the next round and does not hold up the others.
  AnnounceToNewNodes();
  absl::Status status = TakeOver();
  status.Update(ReclaimDead(session));
  status.Update(EvacuateUnable());
  status.Update(MeetDemand());
  status.Update(SharePools());
  status.Update(AnnounceReturned());
  status.Update(WelcomeNewcomers());
  status.Update(Repair(session));
  return status;
}

// Who is live by the ledger, who is registered in ZooKeeper, and so who may receive.
absl::Status Balancer::LookAround(Coordination& session) {
  const auto nodes = ListLiveNodes(session, Watch::kYes);
  if (!nodes.ok()) return nodes.status();
  const auto incarnations = ledger_->ListLiveIncarnations();
  if (!incarnations.ok()) return incarnations.status();
  live_.clear();
  std::set<IncarnationId> draining;
  for (const storage::Incarnation& incarnation : *incarnations) {
    live_[incarnation.id] = incarnation.started_at;
    if (incarnation.draining) draining.insert(incarnation.id);
  }
  MeetNewNodes(*nodes);
  receivers_.clear();
  for (const LiveNode& node : *nodes) {
    // One that the ledger has ended can be given nothing, whatever is still registered.
    const bool receives = !node.draining && !draining.contains(node.incarnation) && live_.contains(node.incarnation);
    if (receives && !evacuated_.contains(node.incarnation)) receivers_.push_back(node.incarnation);
  }
  return absl::OkStatus();
}

void Balancer::MeetNewNodes(const std::vector<LiveNode>& nodes) {
  std::set<IncarnationId> registered;
  for (const LiveNode& node : nodes) {
    registered.insert(node.incarnation);
    if (looked_around_ && !registered_.contains(node.incarnation)) new_nodes_.insert(node.incarnation);
  }
  looked_around_ = true;
  seen_registered_.insert(registered.begin(), registered.end());
  registered_ = std::move(registered);
}

// Whoever registers hears soon what it holds: nothing, if it is new; all of its slices, if the tree was deleted.
void Balancer::AnnounceToNewNodes() {
  for (int told = 0; told < kNodesPerRound && !new_nodes_.empty(); ++told) {
    const IncarnationId incarnation = *new_nodes_.begin();
    new_nodes_.erase(new_nodes_.begin());
    if (!repair_.AnnounceSlicesOf(incarnation).ok()) last_repair_ = absl::InfinitePast();
  }
  if (!new_nodes_.empty()) Wake([](News&) {});
}

// Whoever holds something has been welcomed by an earlier leader.
absl::Status Balancer::TakeOver() {
  if (!taking_over_after_.has_value()) return absl::OkStatus();
  int asked = 0;
  for (const IncarnationId incarnation : receivers_) {
    if (incarnation <= *taking_over_after_) continue;
    if (++asked > kNodesPerRound) {
      Wake([](News&) {});
      return absl::OkStatus();
    }
    const auto slices = ledger_->ListSlices(incarnation);
    if (!slices.ok()) return slices.status();
    if (!slices->empty()) welcomed_.insert(incarnation);
    taking_over_after_ = incarnation;
  }
  taking_over_after_.reset();
  return absl::OkStatus();
}

// How many SKUs may be worked on when each has so many slices to be read or changed, at least one.
size_t Balancer::SkusPerRound(size_t slices) const {
  return std::clamp<size_t>(slices / std::max<size_t>(1, receivers_.size()), 1, kSkusPerRound);
}

// Somebody deleted the tree, or a part of it. The nodes are still there, and register again; until then nobody is
// taken for dead.
absl::Status Balancer::RestoreTree(Coordination& session) {
  LOG(WARNING) << "the coordination tree has gone; restoring it";
  nobody_dead_before_ = clock_->Now() + options_.restore_grace;
  registered_.clear();
  last_repair_ = absl::InfinitePast();
  Wake([](News& news) { news.everything = true; });
  return session.EnsureFixedPaths();
}

absl::Status Balancer::ReclaimDead(Coordination& session) {
  if (clock_->Now() < nobody_dead_before_) return absl::OkStatus();
  absl::Status status;
  const std::map<IncarnationId, absl::Time> live = live_;
  for (const auto& [incarnation, started_at] : live) {
    if (registered_.contains(incarnation)) continue;
    const absl::Time first = first_seen_unregistered_.try_emplace(incarnation, clock_->Now()).first->second;
    // One that we saw registered is gone. One that we did not may be just starting, unless it began long ago.
    const bool gone = seen_registered_.contains(incarnation) || clock_->Now() - first >= options_.unregistered_grace ||
                      clock_->Now() - started_at >= options_.unregistered_grace;
    if (!gone || storage::Mutated(storage::Mutation::kBalancerDoesNotReclaim)) continue;
    // When many die at once, those who run dry need not wait for all of them.
    if (slices_changed_ >= kSlicesChangedPerRound) {
      Wake([](News&) {});
      break;
    }
    const absl::StatusOr<size_t> reclaimed = Reclaim(session, incarnation);
    status.Update(reclaimed.status());
    if (reclaimed.ok()) slices_changed_ += *reclaimed;
  }
  // What is over need not be remembered.
  std::erase_if(first_seen_unregistered_, [&](const auto& entry) { return !live_.contains(entry.first); });
  std::erase_if(seen_registered_, [&](IncarnationId id) { return !live_.contains(id) && !registered_.contains(id); });
  return status;
}

absl::StatusOr<size_t> Balancer::Reclaim(Coordination& session, IncarnationId incarnation) {
  const auto skus = ledger_->ReclaimIncarnation(incarnation);
  if (!skus.ok()) return skus.status();
  LOG(INFO) << "reclaimed incarnation " << incarnation << ": " << skus->size() << " slices back in the pool";
  live_.erase(incarnation);
  RemoveIncarnationZnodes(session, incarnation);
  return skus->size();
}

// Nodes that do not reach the ledger, while we do, cannot sell what they hold: it goes to the others.
absl::Status Balancer::EvacuateUnable() {
  const std::set<IncarnationId> unable = board_.CannotCommit();
  std::erase_if(unable_since_, [&](const auto& entry) { return !unable.contains(entry.first); });
  const size_t evacuated_before = evacuated_.size();
  std::erase_if(evacuated_, [&](IncarnationId id) { return !unable.contains(id); });
  if (evacuated_.size() != evacuated_before) Wake([](News& news) { news.nodes = true; });
  // When most are unable, it is not they who are cut off: moving everything to the few, or to nobody, helps no buyer.
  if (unable.size() * 2 > registered_.size()) return absl::OkStatus();
  absl::Status status;
  for (const IncarnationId incarnation : unable) {
    const absl::Time since = unable_since_.try_emplace(incarnation, clock_->Now()).first->second;
    if (clock_->Now() - since < options_.cannot_commit_grace || evacuated_.contains(incarnation)) continue;
    const auto slices = ledger_->ListSlices(incarnation);
    if (!slices.ok()) return slices.status();
    LOG(WARNING) << "incarnation " << incarnation << " does not reach the ledger: its units go to the others";
    std::erase(receivers_, incarnation);
    welcomed_.erase(incarnation);
    std::vector<std::string> held;
    for (const auto& [sku_id, slice] : *slices) {
      if (slice.remaining > 0) held.push_back(sku_id);
    }
    const absl::Status moved = MoveUnitsOf(held, [&](const SkuQuota& now) -> std::vector<QuotaDelta> {
      if (now.sku.quota_frozen) return {};
      for (const storage::Slice& slice : now.quota.slices) {
        if (slice.holder == incarnation && slice.remaining > 0) return {QuotaDelta{incarnation, -slice.remaining}};
      }
      return {};
    });
    if (moved.ok()) evacuated_.insert(incarnation);
    status.Update(moved);
  }
  return status;
}

absl::Status Balancer::MeetDemand() {
  if (receivers_.empty() || storage::Mutated(storage::Mutation::kBalancerIgnoresDemand)) return absl::OkStatus();
  absl::Status status;
  const size_t batch = std::clamp<size_t>(SkusPerRound(kSlicesChangedPerRound), kLeastDemandBatch, kMaxQuotaBatch);
  size_t left = SkusPerRound(kSlicesReadPerRound);
  do {
    const std::vector<std::string> due = board_.TakeDue(clock_->Now(), std::min(left, batch));
    if (due.empty()) return status;
    left -= due.size();
    status.Update(MeetDemandFor(due));
    if (!status.ok()) return status;
  } while (left > 0 && slices_changed_ < kSlicesChangedPerRound);
  if (board_.HasDue()) Wake([](News&) {});
  return status;
}

// Some nodes are dry: either nobody has a unit, then everybody shall know (and nobody reports it any more); or others
// have, then they share.
absl::Status Balancer::MeetDemandFor(const std::vector<std::string>& sku_ids) {
  std::vector<SkuToAnnounce> sold_out;
  std::vector<SliceToAnnounce> unheard;
  absl::Status status = MoveUnitsOf(sku_ids, [&](const SkuQuota& now) -> std::vector<QuotaDelta> {
    const DemandByNode demand = board_.DemandOf(now.sku.sku_id);
    if (now.sku.unsold == 0 && board_.Wanted(now.sku.sku_id)) sold_out.push_back({now.sku, /*always=*/false});
    if (now.sku.unsold == 0 || now.sku.closed) return {};
    for (const storage::Slice& slice : now.quota.slices) {
      // It asks and has not heard of its last move: perhaps the announcement was lost.
      const auto asks = demand.find(slice.holder);
      if (asks != demand.end() && asks->second.wanted > 0 && slice.version > asks->second.slice_version) {
        unheard.push_back({slice.holder, now.sku.sku_id, slice.allotted, slice.version});
      }
    }
    if (now.sku.quota_frozen) return {};
    return PlanForDemand(now.quota, receivers_, demand, /*pool_feeds=*/!now.sku.presplit, options_.demand);
  });
  status.Update(announcer_.Announce(sold_out, unheard));
  return status;
}

absl::Status Balancer::SharePools() {
  if (receivers_.empty()) return absl::OkStatus();
  absl::Status status;
  size_t left = SkusPerRound(kSlicesChangedPerRound);
  while (left > 0) {
    const size_t limit = std::min<size_t>(left, kMaxQuotaBatch);
    const auto skus = ledger_->ListPooledSkus(pool_cursor_, static_cast<int>(limit));
    if (!skus.ok()) return skus.status();
    left -= skus->size();
    status.Update(MoveUnitsOf(*skus, [&](const SkuQuota& now) -> std::vector<QuotaDelta> {
      if (now.sku.closed || now.sku.quota_frozen || !now.sku.presplit) return {};
      return SharePool(now.quota, receivers_);
    }));
    pool_cursor_ = skus->size() < limit ? "" : skus->back();
    if (pool_cursor_.empty()) return status;
  }
  Wake([](News&) {});
  return status;
}

// Units of cancelled and expired reservations came back into an empty pool: nobody shall take the SKU for sold out any
// more. Those of a presplit one are on their way to the nodes; those of another wait until they are asked for, and who
// hears "sold out" does not ask. Or a late payment has taken units, perhaps out of slices, which are smaller then.
absl::Status Balancer::AnnounceReturned() {
  if (storage::Mutated(storage::Mutation::kBalancerIgnoresReturned)) return absl::OkStatus();
  const size_t limit = std::min<size_t>(SkusPerRound(kSlicesChangedPerRound), kMaxQuotaBatch);
  const auto returned = ledger_->ListReturnedSkus(returned_cursor_, static_cast<int>(limit));
  if (!returned.ok()) return returned.status();
  // On, whatever becomes of these: SKUs that cannot be done with, as they change all the time, hold up no others.
  returned_cursor_ = returned->size() < limit ? "" : returned->back();
  if (!returned_cursor_.empty()) Wake([](News&) {});
  if (returned->empty()) return absl::OkStatus();
  const auto quotas = ledger_->ReadQuotas(*returned);
  if (!quotas.ok()) return quotas.status();
  std::vector<SkuToAnnounce> skus;
  std::vector<SliceToAnnounce> slices;
  for (const SkuQuota& now : *quotas) {
    skus.push_back({now.sku, /*always=*/true});
    // All of them: which ones late payments have made smaller since the last time, no version tells.
    for (const storage::Slice& slice : now.quota.slices) {
      if (slice.holder == storage::kPool) continue;
      slices.push_back({slice.holder, now.sku.sku_id, slice.allotted, slice.version});
    }
  }
  std::set<std::string> failed;
  absl::Status status = announcer_.Announce(skus, slices, &failed);
  std::vector<std::pair<std::string, int64_t>> announced;
  for (const SkuQuota& now : *quotas) {
    if (!failed.contains(now.sku.sku_id)) announced.emplace_back(now.sku.sku_id, now.sku.quota_version);
  }
  // What changed meanwhile stays listed, and is announced in a later round.
  if (!announced.empty()) status.Update(ledger_->AckReturnedSkus(announced));
  return status;
}

// A node that joins gets its equal share of every open SKU, in mid-sale too. Who joins during a pass over the SKUs
// waits for the next one: if each began the pass anew, a long restart of all nodes would never reach the last SKUs.
absl::Status Balancer::WelcomeNewcomers() {
  if (taking_over_after_.has_value()) return absl::OkStatus();
  const std::set<IncarnationId> now(receivers_.begin(), receivers_.end());
  // One that only lost its registration still has its share when it registers again.
  std::erase_if(welcomed_, [&](IncarnationId id) {
    return !now.contains(id) && (registered_.contains(id) || !live_.contains(id));
  });
  std::set<IncarnationId> newcomers;
  std::set_difference(now.begin(), now.end(), welcomed_.begin(), welcomed_.end(),
                      std::inserter(newcomers, newcomers.end()));
  if (newcomers.empty()) {
    welcome_.reset();
    return absl::OkStatus();
  }
  if (!welcome_.has_value()) welcome_ = Welcome{std::move(newcomers), ""};
  std::erase_if(welcome_->newcomers, [&](IncarnationId id) { return !now.contains(id); });

  const auto page = ledger_->ListSkus(welcome_->after_sku, kWelcomePage);
  if (!page.ok()) return page.status();
  std::vector<std::string> open;
  std::string last;
  for (const storage::Sku& sku : *page) {
    if (open.size() >= SkusPerRound(kSlicesReadPerRound)) break;
    last = sku.sku_id;
    if (!sku.closed && sku.presplit && !sku.quota_frozen && sku.unsold > 0) open.push_back(sku.sku_id);
  }
  const absl::Status shared = MoveUnitsOf(
      open, [&](const SkuQuota& now) { return ShareWithNewcomers(now.quota, receivers_, welcome_->newcomers); });
  if (!shared.ok()) return shared;
  const bool looked_at_all = page->empty() || last == page->back().sku_id;
  if (page->size() < static_cast<size_t>(kWelcomePage) && looked_at_all) {
    welcomed_.insert(welcome_->newcomers.begin(), welcome_->newcomers.end());
    welcome_.reset();
    if (!std::includes(welcomed_.begin(), welcomed_.end(), now.begin(), now.end())) Wake([](News&) {});
  } else {
    welcome_->after_sku = last;
    Wake([](News&) {});
  }
  return absl::OkStatus();
}

absl::Status Balancer::Repair(Coordination& session) {
  if (storage::Mutated(storage::Mutation::kBalancerNeverRepairs)) return absl::OkStatus();
  const absl::Time now = clock_->Now();
  if (!repair_.running()) {
    if (now - last_repair_ < options_.repair_interval) return absl::OkStatus();
    repair_.Begin();
    last_repair_ = now;
  } else if (now - last_repair_step_ < options_.poll_interval) {
    return absl::OkStatus();  // no hurry: rounds that follow each other are about something else
  }
  last_repair_step_ = now;
  return repair_.Step(session);
}

// Reads the SKUs, plans each, and moves. A quota that changed between reading and moving is left to the next look.
absl::Status Balancer::MoveUnitsOf(absl::Span<const std::string> sku_ids, PlanMove plan) {
  absl::Status status;
  for (size_t begin = 0; begin < sku_ids.size(); begin += kMaxQuotaBatch) {
    const auto quotas = ledger_->ReadQuotas(sku_ids.subspan(begin, kMaxQuotaBatch));
    if (!quotas.ok()) return quotas.status();
    std::vector<QuotaMove> moves;
    for (const SkuQuota& now : *quotas) {
      std::vector<QuotaDelta> deltas = plan(now);
      if (!deltas.empty()) moves.push_back({now.sku.sku_id, std::move(deltas), now.quota.quota_version});
    }
    status.Update(Move(moves));
  }
  return status;
}

absl::Status Balancer::Move(const std::vector<QuotaMove>& moves) {
  absl::Status status;
  for (size_t begin = 0; begin < moves.size(); begin += kMaxQuotaBatch) {
    for (const QuotaMove& move : absl::MakeConstSpan(moves).subspan(begin, kMaxQuotaBatch)) {
      slices_changed_ += move.deltas.size();
    }
    const auto moved = mover_.MoveBatch(absl::MakeConstSpan(moves).subspan(begin, kMaxQuotaBatch), kActor);
    if (!moved.ok()) {
      // Perhaps it was made, and then it must be announced.
      if (storage::IsUnknownCommit(moved.status())) last_repair_ = absl::InfinitePast();
      return moved.status();
    }
    for (const auto& sku : moved->skus) {
      if (!sku.ok() && !absl::IsAborted(sku.status()) && !absl::IsNotFound(sku.status())) status.Update(sku.status());
    }
    // Moved and not announced: repair it as soon as ZooKeeper answers.
    if (!moved->announced.ok()) last_repair_ = absl::InfinitePast();
    status.Update(moved->announced);
  }
  return status;
}

}  // namespace tranche::quota
