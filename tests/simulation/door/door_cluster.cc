#include "tests/simulation/door/door_cluster.h"

#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/admission/homes.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kDoorDeadline = absl::Seconds(1);
// A node's look for itself, if it does not hear of a change before.
constexpr absl::Duration kLongestLookPause = absl::Seconds(10);
constexpr absl::Duration kLongestTelling = absl::Seconds(2);
constexpr double kLookFails = 0.05;
constexpr double kThresholdIsLost = 0.1;
constexpr double kIsCutOff = 0.005;  // at each look

int64_t TraceNumberOf(const std::optional<quota::Refused>& refused) {
  return refused.has_value() ? static_cast<int64_t>(refused->refusal) : 0;
}

}  // namespace

// Its incarnation is told to the homes, and not to its watch, which would look for the other nodes in ZooKeeper.
DoorCluster::Node::Node(storage::IncarnationId self, DoorCluster* cluster)
    : turns(cluster->scheduler_, /*max_waiting=*/1, [] { return size_t{0}; }),
      door(cluster->plan_.table_bytes, &turns, cluster->scheduler_),
      watch(
          cluster->home_.ledger(), &door, /*sessions=*/nullptr, [] { return storage::kPool; }, cluster->scheduler_) {
  std::vector<storage::IncarnationId> all;
  for (storage::IncarnationId node = 1; node <= cluster->plan_.nodes; ++node) all.push_back(node);
  door.SetHomes(std::make_shared<const server::Homes>(self, all));
}

DoorCluster::DoorCluster(const DoorPlan& plan, Random random, Scheduler* scheduler, Trace* trace, DoorChecker* checker)
    : plan_(plan), random_(random), scheduler_(scheduler), trace_(trace), checker_(checker), home_(scheduler) {}

void DoorCluster::Start() {
  for (const auto& [sku_id, terms] : plan_.skus) home_.SetTerms(sku_id, terms, /*new_round=*/false);
  for (int i = 0; i < plan_.nodes; ++i) {
    actors_.push_back(trace_->AddActor(absl::StrCat("node-", i)));
    nodes_.push_back(std::make_unique<Node>(i + 1, this));
    CHECK(nodes_.back()->watch.Begin().ok());
    checker_->OnHeard(i, home_.books());
    KeepLooking(i);
  }
}

void DoorCluster::Heal() {
  healed_ = true;
  for (const auto& node : nodes_) node->cut_off_until = absl::InfinitePast();
}

bool DoorCluster::IsCutOff(int node) const {
  return scheduler_->Now() < nodes_[static_cast<size_t>(node)]->cut_off_until;
}

void DoorCluster::KeepLooking(int node) {
  scheduler_->After(random_.Between(absl::Milliseconds(100), kLongestLookPause), [this, node] {
    Node& looks = *nodes_[static_cast<size_t>(node)];
    if (!healed_ && !IsCutOff(node) && random_.Chance(kIsCutOff)) {
      looks.cut_off_until = scheduler_->Now() + random_.Between(absl::Seconds(10), absl::Minutes(10));
      trace_->Add(scheduler_->Now(), actors_[static_cast<size_t>(node)], "is cut off");
    }
    if (!IsCutOff(node)) Look(node);
    KeepLooking(node);
  });
}

void DoorCluster::Look(int node) {
  server::DoorWatch& watch = nodes_[static_cast<size_t>(node)]->watch;
  const uint64_t failures = watch.failures();
  if (!healed_ && random_.Chance(kLookFails)) home_.ledger()->FailNext(1);
  watch.Look();
  if (watch.failures() == failures) checker_->OnHeard(node, home_.books());
}

quota::GateVerdict DoorCluster::Claim(int node, const DoorTry& asks) {
  storage::ReservationClaim claim;
  claim.sku_id = asks.sku_id;
  claim.user_id = asks.user_id;
  claim.quantity = 1;
  const quota::Visitor visitor = {.address = asks.address, .purchase_token = asks.token};
  const quota::GateLine line = {.claim = &claim, .visitor = &visitor};
  const absl::Time now = scheduler_->Now();
  quota::GateVerdict verdict =
      nodes_[static_cast<size_t>(node)]->door.Check(absl::MakeConstSpan(&line, 1), now, now + kDoorDeadline);
  trace_->Add(now, actors_[static_cast<size_t>(node)], "claim", TraceNumberOf(verdict.refused));
  checker_->OnClaim(node, asks, verdict);
  return verdict;
}

void DoorCluster::AskOutside(const Node& node, absl::Time now, DoorTry* asks, server::DoorVisit* visit) {
  // As the handler does: the tier that follows from the score says whether there is a captcha.
  visit->score_asked = node.door.NeedsOf(*visit, now).score;
  if (!visit->score_asked) asks->scored.reset();
  visit->scored = asks->scored;
  if (asks->captcha != server::CaptchaVerdict::kNone && !node.door.NeedsOf(*visit, now).captcha) {
    asks->captcha = server::CaptchaVerdict::kNone;
  }
  if (asks->captcha != server::CaptchaVerdict::kNone && !asks->captcha_available) {
    asks->captcha = server::CaptchaVerdict::kUnknown;
  }
  visit->captcha = asks->captcha;
}

server::DoorEntry DoorCluster::Enter(int node, DoorTry asks) {
  const absl::Time now = scheduler_->Now();
  server::DoorVisit visit = {.sku_id = asks.sku_id,
                             .user_id = asks.user_id,
                             .address = asks.address,
                             .challenge_solution = asks.solution,
                             .waiting_ticket = asks.ticket,
                             .opened = asks.sale_open,
                             .may_enter = asks.sale_open,
                             .opens_in = asks.sale_open ? absl::ZeroDuration() : absl::InfiniteDuration(),
                             .hints = asks.hints.has_value() ? &*asks.hints : nullptr,
                             .can_score = true,
                             .without_scripts = asks.without_scripts,
                             .delay_ticket = asks.delay_ticket,
                             .captcha_available = asks.captcha_available};
  AskOutside(*nodes_[static_cast<size_t>(node)], now, &asks, &visit);
  server::DoorEntry entry = nodes_[static_cast<size_t>(node)]->door.Enter(visit, now, now + kDoorDeadline);
  trace_->Add(now, actors_[static_cast<size_t>(node)], "enter", TraceNumberOf(entry.refused),
              static_cast<int64_t>(entry.rank % 1'000'000), 10 * entry.tier + (entry.purchase_token.empty() ? 0 : 1));
  checker_->OnEnter(node, asks, entry);
  return entry;
}

void DoorCluster::Tell(int64_t round, uint64_t threshold) {
  for (int i = 0; i < nodes(); ++i) {
    if (!healed_ && random_.Chance(kThresholdIsLost)) continue;
    scheduler_->After(random_.Between(absl::ZeroDuration(), kLongestTelling), [this, i, round, threshold] {
      if (!IsCutOff(i)) Hear(i, round, threshold);
    });
  }
}

void DoorCluster::Hear(int node, int64_t round, uint64_t threshold) {
  server::RoomBoard board;
  board.sku_id = kRoomSku;
  board.round = round;
  board.threshold = threshold;
  board.computed_at = scheduler_->Now();
  nodes_[static_cast<size_t>(node)]->door.rooms().SetBoards(absl::MakeConstSpan(&board, 1));
  checker_->OnTold(node, kRoomSku, round, threshold);
}

}  // namespace tranche::simulation
