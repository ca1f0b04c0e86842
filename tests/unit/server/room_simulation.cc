#include "tests/unit/server/room_simulation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

constexpr char kSku[] = "tv";
constexpr int64_t kRound = 3;
constexpr double kTickS = 0.5;
constexpr double kNewLeaderS = 10;
// Half of the nodes read what was announced one step before.
constexpr size_t kBoards = 2;
// No board that a node has is older.
constexpr double kOldestBoardS = 3;
// Of the tries; each looks at all buyers.
constexpr double kPositionsSeen = 0.02;
// Shorter ones are told in whole seconds.
constexpr double kLeastWaitSeenS = 5;

DoorPolicy PolicyOf(const RoomScenario& scenario) {
  DoorPolicy policy;
  policy.sku_id = kSku;
  policy.version = 1;
  policy.token_lifetime = absl::Seconds(scenario.token_s);
  policy.room = DoorRoom{.key = std::string(32, 'k'),
                         .commitment = "",
                         .round = kRound,
                         .buyers_per_s = scenario.buyers_per_s,
                         .ahead = 2,
                         .poll_interval = absl::Seconds(scenario.poll_s)};
  return policy;
}

}  // namespace

RoomSimulation::RoomSimulation(const RoomScenario& scenario)
    : scenario_(scenario),
      random_(scenario.seed),
      keys_(CurrentTestKey()),
      policy_(PolicyOf(scenario)),
      unsold_(scenario.stock) {
  const std::vector<OpenRoom> rooms = {{.sku_id = kSku, .round = kRound, .poll_interval = policy_.room->poll_interval}};
  for (size_t node = 0; node < kNodes; ++node) {
    nodes_[node].SetRooms(rooms);
    At(Uniform() * kTickS, Kind::kReport, node);
  }
  At(Uniform() * kTickS, Kind::kLead);
  for (int i = 0; i < scenario_.early; ++i) AddBuyer(Uniform() * scenario_.opening_s);
  for (int i = 0; i < scenario_.bots; ++i) buyers_[static_cast<size_t>(i)].bot = true;
  for (Buyer& buyer : buyers_) buyer.loses_ticket = Uniform() < scenario_.loses_ticket;
  if (scenario_.most_leave_s >= 0) At(scenario_.most_leave_s, Kind::kMostLeave);
  if (scenario_.late_per_s <= 0) return;
  for (double at_s = scenario_.opening_s; at_s < scenario_.ends_s; at_s += Exponential(scenario_.late_per_s)) {
    AddBuyer(at_s);
  }
}

absl::Time RoomSimulation::Now() const { return absl::UnixEpoch() + absl::Hours(24 * 365) + absl::Seconds(now_s_); }

double RoomSimulation::Uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

double RoomSimulation::Exponential(double per_s) { return -std::log(1 - Uniform()) / per_s; }

void RoomSimulation::At(double at_s, Kind kind, size_t whose) {
  events_.push({.at_s = at_s, .number = next_event_++, .kind = kind, .whose = whose});
}

void RoomSimulation::AddBuyer(double joined_s) {
  Buyer buyer;
  buyer.user_id = absl::StrCat("user-", scenario_.seed, "-", buyers_.size());
  buyer.joined_s = joined_s;
  buyer.leaves_s = scenario_.leave_per_s > 0 ? joined_s + Exponential(scenario_.leave_per_s) : scenario_.ends_s;
  At(joined_s, Kind::kTry, buyers_.size());
  buyers_.push_back(std::move(buyer));
}

void RoomSimulation::Run() {
  while (!events_.empty() && events_.top().at_s < scenario_.ends_s) {
    const Event event = events_.top();
    events_.pop();
    now_s_ = event.at_s;
    Happen(event);
  }
}

void RoomSimulation::Happen(const Event& event) {
  switch (event.kind) {
    case Kind::kTry:
      return Try(event.whose);
    case Kind::kReport:
      return Report(event.whose);
    case Kind::kLead:
      return Lead();
    case Kind::kBuy:
      return Buy();
    case Kind::kMostLeave:
      return MostLeave();
  }
}

// Each try is at any node.
void RoomSimulation::Try(size_t index) {
  Buyer& buyer = buyers_[index];
  if (buyer.let_in_s >= 0 || now_s_ >= buyer.leaves_s) return;
  if (open() && std::exchange(buyer.loses_ticket, false)) buyer.ticket.clear();
  const bool keeps_place = !buyer.ticket.empty();
  DoorRooms& node = nodes_[static_cast<size_t>(random_() % kNodes)];
  const RoomPlace place = EnterRoom(policy_, keys_, node,
                                    {.sku_id = kSku,
                                     .user_id = buyer.user_id,
                                     .ticket = buyer.ticket,
                                     .opened = open(),
                                     .may_enter = open(),
                                     .opens_in = absl::Seconds(std::max(scenario_.opening_s - now_s_, 0.0))},
                                    Now(), [](absl::Duration) { return absl::ZeroDuration(); });
  if (keeps_place && place.rank != buyer.rank) ++changed_ranks_;
  buyer.ticket = place.ticket;
  buyer.rank = place.rank;
  buyer.shuffled = place.shuffled;
  buyer.tried = true;
  if (place.let_in) return NoteLetIn(index);
  NotePlace(buyer, place);
  const double retry_s = buyer.bot ? scenario_.poll_s / 10 : absl::ToDoubleSeconds(place.retry_after);
  At(now_s_ + std::max(retry_s, 0.01) + Uniform() * 0.5, Kind::kTry, index);
}

void RoomSimulation::NoteLetIn(size_t index) {
  Buyer& buyer = buyers_[index];
  buyer.let_in_s = now_s_;
  let_in_.push_back(now_s_);
  if (!buyer.shuffled && first_late_s_ < 0) first_late_s_ = now_s_;
  if (Uniform() < scenario_.conversion) At(now_s_ + Uniform() * scenario_.buys_within_s, Kind::kBuy);
}

void RoomSimulation::NotePlace(Buyer& buyer, const RoomPlace& place) {
  if (buyer.shuffled && first_late_s_ >= 0 && now_s_ > first_late_s_ + kOldestBoardS) ++overtaken_;
  // It takes an interval until what is told of leaving is known.
  if (now_s_ < scenario_.opening_s + scenario_.poll_s + kOldestBoardS) return;
  if (place.expected_wait.has_value() && *place.expected_wait >= absl::Seconds(kLeastWaitSeenS)) {
    buyer.told.push_back({.at_s = now_s_, .wait_s = absl::ToDoubleSeconds(*place.expected_wait)});
  }
  if (!place.ahead.has_value() || Uniform() >= kPositionsSeen) return;
  // What is told counts from the threshold that is told with it, which is up to two seconds old.
  const auto before = std::count_if(buyers_.begin(), buyers_.end(), [&](const Buyer& other) {
    return Waits(other) && other.rank < buyer.rank && other.rank >= place.threshold;
  });
  positions_.push_back({.told = static_cast<double>(*place.ahead), .real = static_cast<double>(before)});
}

bool RoomSimulation::Waits(const Buyer& buyer) const {
  return buyer.tried && buyer.let_in_s < 0 && now_s_ < buyer.leaves_s;
}

// The nodes read boards of different ages.
void RoomSimulation::Report(size_t node) {
  reports_[node] = RoomCounts();
  for (const RoomTallied& tallied : nodes_[node].Tallied(Now())) reports_[node].Merge(tallied.waiting);
  if (!boards_.empty()) {
    const std::vector<RoomBoard> read = {boards_[std::min(node % kBoards, boards_.size() - 1)]};
    nodes_[node].SetBoards(read);
  }
  At(now_s_ + kTickS, Kind::kReport, node);
}

void RoomSimulation::Lead() {
  At(now_s_ + kTickS, Kind::kLead);
  const double died_s = scenario_.leader_dies_s;
  if (died_s >= 0 && now_s_ >= died_s && now_s_ < died_s + kNewLeaderS) {
    pacer_.reset();
    return;
  }
  if (!pacer_.has_value()) pacer_.emplace(announced_);
  RoomCounts living;
  for (const RoomCounts& report : reports_) living.Merge(report);
  const RoomPace pace = {.buyers_per_s = scenario_.buyers_per_s,
                         .ahead = policy_.room->ahead,
                         .poll_interval = policy_.room->poll_interval,
                         .token_lifetime = absl::Seconds(scenario_.token_s)};
  announced_ = pacer_->Step(Now(), pace, living, RoomSale{.open = open(), .unsold = unsold_, .stock = scenario_.stock});
  Publish(announced_);
  const double since_s = now_s_ - scenario_.poll_s - scenario_.token_s;
  for (std::deque<double>* const times : {&let_in_, &sold_}) {
    while (!times->empty() && times->front() < since_s) times->pop_front();
  }
  const auto under_way = static_cast<int64_t>(let_in_.size()) - static_cast<int64_t>(sold_.size());
  steps_.push_back({.at_s = now_s_, .unsold = unsold_, .under_way = under_way, .step = announced_});
}

void RoomSimulation::Publish(const RoomStep& step) {
  boards_.push_front({.sku_id = kSku,
                      .round = kRound,
                      .threshold = step.threshold,
                      .waiting = step.waiting,
                      .let_in_per_s = step.let_in_per_s,
                      .leaving_per_s = step.leaving_per_s,
                      .computed_at = Now()});
  if (boards_.size() > kBoards) boards_.pop_back();
}

void RoomSimulation::Buy() {
  if (unsold_ == 0) return;
  --unsold_;
  sold_.push_back(now_s_);
}

void RoomSimulation::MostLeave() {
  for (Buyer& buyer : buyers_) {
    if (Waits(buyer) && Uniform() < 0.9) buyer.leaves_s = now_s_;
  }
}

int RoomSimulation::LetIn(double from_s, double until_s) const {
  return static_cast<int>(std::count_if(buyers_.begin(), buyers_.end(), [&](const Buyer& buyer) {
    return buyer.let_in_s >= from_s && buyer.let_in_s < until_s;
  }));
}

}  // namespace tranche::server
