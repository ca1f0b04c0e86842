#include "server/handlers/status_handler.h"

#include <utility>

#include "absl/time/clock.h"
#include "quota/coordination/coordination_paths.h"
#include "server/handlers/status_messages.h"
#include "server/handlers/status_problems.h"
#include "server/plain_utf8.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr size_t kMostNodesTold = 1000;
constexpr size_t kBusiestTold = 10;

std::string ReasonText(const absl::Status& status) {
  std::string text(status.message());
  return IsPlainUtf8(text) ? text : "(unreadable)";
}

}  // namespace

absl::StatusOr<StatusHandler::Tree> StatusHandler::LookAtTree(quota::SessionSource& sessions,
                                                              const std::vector<std::string>& shards) {
  const std::shared_ptr<quota::Coordination> session = sessions.Session();
  if (session == nullptr) return absl::UnavailableError("this node has no session");
  Tree tree;
  ASSIGN_OR_RETURN(tree.nodes, quota::ListLiveNodes(*session));
  ASSIGN_OR_RETURN(tree.traffic, ReadClusterTraffic(*session));
  std::vector<std::string> paths;
  for (const std::string& shard : shards) paths.push_back(quota::LeaderPath(shard));
  const auto leaders = session->GetMany(paths, quota::Watch::kNo);
  for (size_t i = 0; i < leaders.size(); ++i) {
    if (absl::IsNotFound(leaders[i].status())) continue;
    if (!leaders[i].ok()) return leaders[i].status();
    // One that no session owns is of no balancer, and a balancer removes it.
    if (!leaders[i]->owned_by_session()) continue;
    const std::string& name = leaders[i]->data;
    tree.leaders[shards[i]] = !name.empty() && IsPlainUtf8(name) ? name : "(unnamed)";
  }
  return tree;
}

absl::StatusOr<StatusHandler::Books> StatusHandler::LookAtBooks(storage::HealthLedger& ledger) {
  Books books;
  ASSIGN_OR_RETURN(books.health, ledger.Health());
  ASSIGN_OR_RETURN(books.heartbeats, ledger.Heartbeats());
  return books;
}

absl::StatusOr<v1::GetStatusResponse> StatusHandler::Get(const v1::GetStatusRequest& /*request*/) {
  const absl::Time until = absl::Now() + patience_;
  const storage::ShardList shards = shards_->All();
  std::vector<std::string> names;
  for (const auto& shard : shards) names.push_back(shard->name);

  const auto tree_asked = tree_.Ask(*executor_, [sessions = sessions_, names] { return LookAtTree(*sessions, names); });
  std::vector<std::shared_ptr<BoundedLook<Books>::Question>> asked;
  for (const auto& shard : shards) {
    asked.push_back(
        LooksAt(shard->name)->books.Ask(*shard->executor, [ledger = shard->health] { return LookAtBooks(*ledger); }));
  }
  const absl::StatusOr<Tree> tree = tree_asked->Await(until);
  std::vector<absl::StatusOr<Books>> books;
  storage::ShardList answering;
  for (size_t i = 0; i < shards.size(); ++i) {
    books.push_back(asked[i]->Await(until));
    if (books.back().ok()) answering.push_back(shards[i]);
  }

  v1::GetStatusResponse response;
  const absl::Time now = clock_->Now();
  *response.mutable_time() = ToTimestamp(now);
  FillCoordination(tree, now, &response);
  for (size_t i = 0; i < shards.size(); ++i) FillShard(names[i], books[i], tree, now, response.add_shards());
  // Without ZooKeeper it is not known who serves.
  if (tree.ok()) FillGoneNodes(answering, *tree, until, &response);
  for (v1::Problem& problem : ProblemsOf(response)) *response.add_problems() = std::move(problem);
  return response;
}

std::shared_ptr<StatusHandler::ShardLooks> StatusHandler::LooksAt(const std::string& shard) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<ShardLooks>& looks = looks_[shard];
  if (looks == nullptr) looks = std::make_shared<ShardLooks>();
  return looks;
}

void StatusHandler::FillCoordination(const absl::StatusOr<Tree>& tree, absl::Time now,
                                     v1::GetStatusResponse* response) {
  v1::CoordinationStatus* coordination = response->mutable_coordination();
  coordination->set_answers(tree.ok());
  {
    absl::MutexLock lock(&mutex_);
    if (tree.ok()) {
      tree_answered_at_ = now;
    } else if (tree_answered_at_ > absl::InfinitePast()) {
      *coordination->mutable_silent_since() = ToTimestamp(tree_answered_at_);
    }
  }
  if (!tree.ok()) {
    coordination->set_error(ReasonText(tree.status()));
    return;
  }
  for (const quota::LiveNode& node : tree->nodes) {
    if (static_cast<size_t>(response->nodes_size()) == kMostNodesTold) break;
    const auto report = tree->traffic.nodes.find(node.incarnation);
    *response->add_nodes() = ToMessage(node, report == tree->traffic.nodes.end() ? nullptr : &report->second, now);
  }
  for (v1::SkuTraffic& sku : BusiestSkus(tree->traffic, kBusiestTold)) *response->add_busiest() = std::move(sku);
}

void StatusHandler::FillShard(const std::string& name, const absl::StatusOr<Books>& books,
                              const absl::StatusOr<Tree>& tree, absl::Time now, v1::ShardStatus* message) {
  message->set_name(name);
  message->set_answers(books.ok());
  if (tree.ok()) {
    const auto leader = tree->leaders.find(name);
    if (leader != tree->leaders.end()) message->set_leader(leader->second);
  }
  if (!books.ok()) {
    message->set_error(ReasonText(books.status()));
    return;
  }
  *message->mutable_ledger() = ToMessage(books->health);
  for (const storage::Heartbeat& heartbeat : books->heartbeats) {
    const bool balancer = heartbeat.kind == storage::Heartbeat::Kind::kBalancer;
    *(balancer ? message->add_balancers() : message->add_workers()) = ToMessage(heartbeat);
  }
  for (const storage::OutboxDepth& depth : books->health.sinks) *message->add_sinks() = ToMessage(depth);
  const std::vector<absl::Duration> untouched = pools_.Untouched(name, books->health.pools, now);
  for (size_t i = 0; i < untouched.size(); ++i) {
    v1::WaitingPool* pool = message->add_pools();
    pool->set_sku_id(books->health.pools[i].sku_id);
    pool->set_units(books->health.pools[i].units);
    *pool->mutable_untouched_for() = ToDuration(untouched[i]);
  }
}

void StatusHandler::FillGoneNodes(const storage::ShardList& shards, const Tree& tree, absl::Time until,
                                  v1::GetStatusResponse* response) {
  std::vector<storage::IncarnationId> serving;
  for (const quota::LiveNode& node : tree.nodes) serving.push_back(node.incarnation);
  std::vector<std::shared_ptr<BoundedLook<Gone>::Question>> asked;
  for (const auto& shard : shards) {
    asked.push_back(LooksAt(shard->name)->gone.Ask(*shard->executor, [ledger = shard->health, serving] {
      return ledger->GoneIncarnations(serving);
    }));
  }
  std::map<storage::IncarnationId, v1::GoneNode, std::greater<>> gone;
  for (size_t i = 0; i < shards.size(); ++i) {
    const absl::StatusOr<Gone> told = asked[i]->Await(until);
    if (!told.ok()) continue;
    const bool home = shards[i]->name == storage::kHomeShard;
    for (const storage::GoneIncarnation& incarnation : *told) {
      // Home decides whether it has ended; of the others, only what it holds counts.
      if (!home && incarnation.units == 0) continue;
      const auto [known, is_new] = gone.try_emplace(incarnation.id, ToMessage(incarnation));
      if (!is_new) known->second.set_units(known->second.units() + incarnation.units);
    }
  }
  for (auto& [_, node] : gone) {
    if (response->gone_nodes_size() == storage::kMostGoneTold) break;
    *response->add_gone_nodes() = std::move(node);
  }
}

}  // namespace tranche::server
