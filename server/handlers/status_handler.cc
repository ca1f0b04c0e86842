#include "server/handlers/status_handler.h"

#include <utility>

#include "absl/time/clock.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/room_announcements.h"
#include "server/admission/door_rooms.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/room_handler.h"
#include "server/handlers/service_mode_handler.h"
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

absl::StatusOr<ClusterTraffic> StatusHandler::LookAtTraffic(quota::SessionSource& sessions) {
  const std::shared_ptr<quota::Coordination> session = sessions.Session();
  if (session == nullptr) return absl::UnavailableError("this node has no session");
  return ReadClusterTraffic(*session);
}

absl::StatusOr<internal::v1::RoomBoards> StatusHandler::LookAtRooms(quota::SessionSource& sessions) {
  const std::shared_ptr<quota::Coordination> session = sessions.Session();
  if (session == nullptr) return absl::UnavailableError("this node has no session");
  return quota::ReadRoomBoards(*session);
}

absl::StatusOr<StatusHandler::Books> StatusHandler::LookAtBooks(storage::HealthLedger& ledger,
                                                                storage::DrawLedger& draws,
                                                                storage::GroupLedger& groups,
                                                                storage::FrontLedger* front) {
  Books books;
  ASSIGN_OR_RETURN(books.health, ledger.Health());
  ASSIGN_OR_RETURN(books.heartbeats, ledger.Heartbeats());
  ASSIGN_OR_RETURN(books.draws, draws.ListDrawWork());
  // What else is known is told without them.
  const absl::StatusOr<storage::GroupCounts> counted = groups.CountGroups();
  if (counted.ok()) books.groups = *counted;
  if (front != nullptr) {
    ASSIGN_OR_RETURN(books.mode, front->ReadServiceMode());
  }
  return books;
}

absl::StatusOr<v1::GetStatusResponse> StatusHandler::Get(const v1::GetStatusRequest& /*request*/) {
  const absl::Time until = absl::Now() + patience_;
  const storage::ShardList shards = shards_->All();
  std::vector<std::string> names;
  for (const auto& shard : shards) names.push_back(shard->name);

  const auto tree_asked = tree_.Ask(*executor_, [sessions = sessions_, names] { return LookAtTree(*sessions, names); });
  const auto traffic_asked = traffic_.Ask(*executor_, [sessions = sessions_] { return LookAtTraffic(*sessions); });
  const auto rooms_asked = rooms_.Ask(*executor_, [sessions = sessions_] { return LookAtRooms(*sessions); });
  const auto broker_asked = AskBroker();
  std::vector<ShardQuestions> asked = AskShards(shards);
  const absl::StatusOr<Tree> tree = tree_asked->Await(until);
  // Before any shard is waited for, so that one that hangs hides nothing that the others know.
  if (tree.ok()) AskForGoneNodes(shards, *tree, &asked);
  const absl::StatusOr<ClusterTraffic> traffic = traffic_asked->Await(until);
  const absl::StatusOr<internal::v1::RoomBoards> rooms = rooms_asked->Await(until);

  v1::GetStatusResponse response;
  for (size_t i = 0; i < shards.size(); ++i) FillShard(*shards[i], asked[i], until, tree, &response);
  const absl::Time now = clock_->Now();
  *response.mutable_time() = ToTimestamp(now);
  FillCoordination(tree, traffic, now, &response);
  if (rooms.ok()) FillRooms(*rooms, now, &response);
  if (broker_asked != nullptr) FillBroker(broker_asked->Await(until), &response);
  // Without ZooKeeper it is not known who serves.
  if (tree.ok()) FillGoneNodes(shards, asked, until, &response);
  for (v1::Problem& problem : ProblemsOf(response)) *response.add_problems() = std::move(problem);
  return response;
}

std::shared_ptr<BoundedLook<StatusHandler::BrokerState>::Question> StatusHandler::AskBroker() {
  if (!read_broker_) return nullptr;
  const absl::Time now = clock_->Now();
  absl::MutexLock lock(&mutex_);
  const absl::Duration age = now - broker_asked_at_;
  // Below zero, the clock was set back.
  if (age >= absl::ZeroDuration() && age < kBrokerLooks) return broker_asked_;
  broker_asked_ = broker_.Ask(*executor_, read_broker_);
  broker_asked_at_ = now;
  return broker_asked_;
}

std::vector<StatusHandler::ShardQuestions> StatusHandler::AskShards(const storage::ShardList& shards) {
  std::vector<ShardQuestions> asked;
  for (const auto& shard : shards) {
    const std::shared_ptr<ShardLooks> looks = LooksAt(shard->name);
    ShardQuestions& questions = asked.emplace_back();
    storage::FrontLedger* const front = shard->name == storage::kHomeShard ? shard->front : nullptr;
    questions.books =
        looks->books.Ask(*shard->look_executor, [ledger = shard->health, draws = shard->draws, groups = shard->groups,
                                                 front] { return LookAtBooks(*ledger, *draws, *groups, front); });
    questions.ping = looks->ping.Ask(*shard->look_executor, [ledger = shard->health]() -> absl::StatusOr<Pong> {
      RETURN_IF_ERROR(ledger->Ping());
      return Pong();
    });
  }
  return asked;
}

void StatusHandler::AskForGoneNodes(const storage::ShardList& shards, const Tree& tree,
                                    std::vector<ShardQuestions>* asked) {
  std::vector<storage::IncarnationId> serving;
  for (const quota::LiveNode& node : tree.nodes) serving.push_back(node.incarnation);
  for (size_t i = 0; i < shards.size(); ++i) {
    (*asked)[i].gone =
        LooksAt(shards[i]->name)->gone.Ask(*shards[i]->look_executor, [ledger = shards[i]->health, serving] {
          return ledger->GoneIncarnations(serving);
        });
  }
}

std::shared_ptr<StatusHandler::ShardLooks> StatusHandler::LooksAt(const std::string& shard) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<ShardLooks>& looks = looks_[shard];
  if (looks == nullptr) looks = std::make_shared<ShardLooks>();
  return looks;
}

void StatusHandler::FillCoordination(const absl::StatusOr<Tree>& tree, const absl::StatusOr<ClusterTraffic>& traffic,
                                     absl::Time now, v1::GetStatusResponse* response) {
  v1::CoordinationStatus* coordination = response->mutable_coordination();
  // That something is not there is an answer, too.
  const bool tree_gone = absl::IsNotFound(tree.status());
  coordination->set_answers(tree.ok() || tree_gone);
  coordination->set_tree_gone(tree_gone);
  {
    absl::MutexLock lock(&mutex_);
    if (coordination->answers()) {
      tree_answered_at_ = now;
    } else if (tree_answered_at_ > absl::InfinitePast()) {
      *coordination->mutable_last_answer_time() = ToTimestamp(tree_answered_at_);
    }
  }
  if (!tree.ok()) {
    coordination->set_error(ReasonText(tree.status()));
    return;
  }
  coordination->set_reports_missing(!traffic.ok());
  const ClusterTraffic none;
  const ClusterTraffic& told = traffic.ok() ? *traffic : none;
  for (const quota::LiveNode& node : tree->nodes) {
    if (static_cast<size_t>(response->nodes_size()) == kMostNodesTold) break;
    const auto report = told.nodes.find(node.incarnation);
    *response->add_nodes() = ToMessage(node, report == told.nodes.end() ? nullptr : &report->second, now);
  }
  for (v1::SkuTraffic& sku : BusiestSkus(told, kBusiestTold)) *response->add_busiest() = std::move(sku);
}

void StatusHandler::FillRooms(const internal::v1::RoomBoards& boards, absl::Time now, v1::GetStatusResponse* response) {
  for (const internal::v1::RoomBoards::Room& board : boards.rooms()) {
    if (response->rooms_size() == kMostRooms) break;
    // Anybody may have written it.
    if (CheckSkuId(board.sku_id()).ok()) *response->add_rooms() = RoomHandler::ToMessage(board, now);
  }
}

void StatusHandler::FillBroker(const absl::StatusOr<BrokerState>& broker, v1::GetStatusResponse* response) {
  response->set_broker_out_of_reach(!broker.ok());
  if (!broker.ok()) return;
  response->set_broker_blocked(!broker->takes_claims);
  for (const v1::ClaimQueueState& queue : broker->queues) *response->add_claim_queues() = queue;
}

void StatusHandler::FillShard(const storage::ShardBackend& shard, const ShardQuestions& asked, absl::Time until,
                              const absl::StatusOr<Tree>& tree, v1::GetStatusResponse* response) {
  v1::ShardStatus* const message = response->add_shards();
  message->set_name(shard.name);
  if (tree.ok()) {
    const auto leader = tree->leaders.find(shard.name);
    if (leader != tree->leaders.end()) message->set_leader(leader->second);
  }
  const absl::StatusOr<Books> books = asked.books->Await(until);
  message->set_answers(books.ok());
  if (books.ok()) {
    if (shard.name == storage::kHomeShard) response->set_claim_queues_paused(books->health.claims_paused);
    if (books->mode.has_value()) *response->mutable_service_mode() = ToMessage(*books->mode);
    return FillBooks(shard.name, *books, clock_->Now(), message);
  }
  message->set_error(ReasonText(books.status()));
  if (const std::string unfit = shard.unfit(); !unfit.empty()) {
    message->set_unfit(IsPlainUtf8(unfit) ? unfit : "(unreadable)");
    return;
  }
  message->set_slow(absl::IsDeadlineExceeded(books.status()) && asked.ping->Await(until).ok());
}

void StatusHandler::FillBooks(const std::string& shard, const Books& books, absl::Time now, v1::ShardStatus* message) {
  *message->mutable_ledger() = ToMessage(books.health);
  if (books.groups.has_value()) {
    message->set_groups_forming(books.groups->forming);
    message->set_groups_overdue(books.groups->overdue);
  }
  for (const storage::Heartbeat& heartbeat : books.heartbeats) {
    const bool balancer = heartbeat.kind == storage::Heartbeat::Kind::kBalancer;
    *(balancer ? message->add_balancers() : message->add_workers()) = ToMessage(heartbeat);
  }
  for (const storage::OutboxDepth& depth : books.health.sinks) *message->add_sinks() = ToMessage(depth);
  const std::vector<absl::Duration> untouched = pools_.Untouched(shard, books.health.pools, now);
  for (size_t i = 0; i < untouched.size(); ++i) {
    v1::WaitingPool* pool = message->add_pools();
    pool->set_sku_id(books.health.pools[i].sku_id);
    pool->set_units(books.health.pools[i].units);
    *pool->mutable_untouched_for() = ToDuration(untouched[i]);
  }
  for (v1::WaitingDraw& draw : draws_.Waiting(shard, books.draws, now)) *message->add_draws() = std::move(draw);
}

void StatusHandler::FillGoneNodes(const storage::ShardList& shards, const std::vector<ShardQuestions>& asked,
                                  absl::Time until, v1::GetStatusResponse* response) {
  std::map<storage::IncarnationId, v1::GoneNode, std::greater<>> gone;
  bool all_told = true;
  for (size_t i = 0; i < shards.size(); ++i) {
    const absl::StatusOr<Gone> told = asked[i].gone->Await(until);
    all_told = all_told && told.ok();
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
  response->set_gone_nodes_known(all_told);
}

}  // namespace tranche::server
