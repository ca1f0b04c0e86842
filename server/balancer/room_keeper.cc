#include "server/balancer/room_keeper.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/front_door_announcement.h"
#include "quota/coordination/room_announcements.h"
#include "server/admission/door_rooms.h"
#include "server/admission/room_rank.h"
#include "storage/base/log_event.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;
using internal::v1::RoomReport;

absl::Status NoSession() { return absl::UnavailableError("no session with ZooKeeper"); }

// Nobody is kept waiting for these: that would be told with each buyer who comes alone.
bool IsWorthTelling(RoomBoards::Held held) {
  return held != RoomBoards::HELD_UNSPECIFIED && held != RoomBoards::HELD_NOBODY_WAITS;
}

// Boards and reports are trusted, as whoever can write to ZooKeeper can let buyers in too soon. But not past what a
// leader may announce: garbage, such as 2^64 - 1, lets in those who wait now, and nobody who comes later.
uint64_t AtMostNow(uint64_t threshold, absl::Time now) { return std::min(threshold, LateRank(now)); }

// Where the leader before was, by what is announced.
RoomStep FoundStep(const RoomBoards& found, const std::string& sku_id, int64_t round, absl::Time now) {
  RoomStep step;
  for (const RoomBoards::Room& room : found.rooms()) {
    if (room.sku_id() != sku_id || room.round() != round || room.threshold() < step.threshold) continue;
    step.threshold = room.threshold();
    step.let_in_per_s = room.let_in_per_s();
    step.leaving_per_s = room.leaving_per_s();
    step.conversion = room.conversion();
    step.under_way = room.under_way();
  }
  step.threshold = AtMostNow(step.threshold, now);
  return step;
}

// How much longer the leader before wanted to count. Its clock may differ.
absl::Duration FoundLeftToCount(const RoomBoards& found, const std::string& sku_id, int64_t round, absl::Time now) {
  absl::Duration left = absl::ZeroDuration();
  for (const RoomBoards::Room& room : found.rooms()) {
    if (room.sku_id() != sku_id || room.round() != round || room.counting_until_us() <= 0) continue;
    left = std::max(left, absl::FromUnixMicros(room.counting_until_us()) - now);
  }
  return std::min(left, RoomKeeper::kLongestCount);
}

absl::Duration TimeToCount(absl::Duration poll_interval) {
  return RoomKeeper::kNodesFollow + RoomKeeper::kIntervalsToCount * poll_interval;
}

void SetComputed(const RoomStep& step, RoomBoards::Room* board) {
  board->set_threshold(step.threshold);
  *board->mutable_waiting() = step.waiting.ToMessage();
  board->set_let_in_per_s(step.let_in_per_s);
  board->set_leaving_per_s(step.leaving_per_s);
  board->set_conversion(step.conversion);
  board->set_under_way(step.under_way);
  board->set_held(step.held);
}

bool SaysTheSame(RoomBoards a, RoomBoards b) {
  for (RoomBoards* const boards : {&a, &b}) {
    for (RoomBoards::Room& room : *boards->mutable_rooms()) room.clear_computed_at_us();
  }
  return a.SerializeAsString() == b.SerializeAsString();
}

}  // namespace

const char* HeldName(RoomBoards::Held held) {
  switch (held) {
    case RoomBoards::HELD_NOT_OPEN:
      return "not_open";
    case RoomBoards::HELD_RATE_ZERO:
      return "rate_zero";
    case RoomBoards::HELD_ENOUGH:
      return "enough";
    case RoomBoards::HELD_NOBODY_WAITS:
      return "nobody_waits";
    case RoomBoards::HELD_LEDGER_SILENT:
      return "ledger_silent";
    case RoomBoards::HELD_COUNTING:
      return "counting";
    default:
      return "";
  }
}

RoomKeeper::RoomKeeper(storage::FrontLedger* home, quota::SessionSource* sessions, std::function<bool()> leads,
                       FindSale find_sale, storage::Clock* clock)
    : sessions_(sessions),
      leads_(std::move(leads)),
      find_sale_(std::move(find_sale)),
      clock_(clock),
      rules_(home, clock),
      reports_(clock) {}

absl::Status RoomKeeper::Tick() {
  if (!leads_()) {
    StandBy();
    return absl::OkStatus();
  }
  int64_t front_version = 0;
  const absl::StatusOr<RoomBoards> found = Find(&front_version);
  if (!found.ok()) {
    reports_.NoteSilence();
    return found.status();
  }
  // Without the ledger, what is known of the policies holds.
  absl::Status status = rules_.Follow(front_version);
  if (!rules_.known()) return status;
  FollowRounds(*found);
  ASSIGN_OR_RETURN(const Counts waiting, Waiting());
  FollowReports();
  AskForSales();
  // Meanwhile another may lead.
  if (!leads_()) return status;
  const auto computed = std::make_shared<const RoomBoards>(Compute(waiting));
  status.Update(Announce(*found, *computed));
  Show(computed);
  return status;
}

std::shared_ptr<const RoomBoards> RoomKeeper::Boards() const {
  absl::MutexLock lock(&mutex_);
  return shown_;
}

void RoomKeeper::Show(std::shared_ptr<const RoomBoards> boards) {
  absl::MutexLock lock(&mutex_);
  shown_ = std::move(boards);
}

// Whoever leads meanwhile goes on; what was known here is old when this process leads again.
void RoomKeeper::StandBy() {
  rooms_.clear();
  reports_.Forget();
  follows_ = false;
  rules_.LookSoon();
  written_at_ = absl::InfinitePast();
  Show(nullptr);
}

absl::StatusOr<RoomBoards> RoomKeeper::Find(int64_t* front_version) {
  const std::shared_ptr<quota::Coordination> session = sessions_->Session();
  if (session == nullptr) return NoSession();
  const std::vector<std::string> paths = {quota::kFrontDoorPath, quota::kRoomsPath};
  const std::vector<absl::StatusOr<quota::Znode>> znodes = session->GetMany(paths, quota::Watch::kNo);
  if (znodes[0].ok()) *front_version = quota::ReadFrontDoorVersion(znodes[0]->data);
  // Nobody else looks for this one.
  if (absl::IsNotFound(znodes[1].status())) {
    RETURN_IF_ERROR(session->EnsureFixedPaths());
    found_version_ = quota::kAnyVersion;
    return RoomBoards();
  }
  if (!znodes[1].ok()) return znodes[1].status();
  found_version_ = znodes[1]->version;
  RoomBoards found;
  if (!found.ParseFromString(znodes[1]->data)) return RoomBoards();
  return found;
}

void RoomKeeper::FollowRounds(const RoomBoards& found) {
  const std::map<std::string, RoomRound>& rules = rules_.rooms();
  std::erase_if(rooms_, [&](const auto& room) {
    const auto rule = rules.find(room.first);
    return rule == rules.end() || rule->second.round != room.second.round;
  });
  for (const auto& [sku_id, rule] : rules) {
    const auto known = rooms_.find(sku_id);
    if (known == rooms_.end()) {
      rooms_.emplace(sku_id, NewRoom(found, sku_id, rule));
      continue;
    }
    // Another has led meanwhile, or still did when this process began to.
    if (const RoomStep before = FoundStep(found, sku_id, rule.round, clock_->Now());
        before.threshold > known->second.pacer.threshold()) {
      GoOnFrom(before, known->second);
    }
    // Those who wait come as the interval before said; and nodes have forgotten, or keep, those of another time.
    Room& room = known->second;
    const absl::Duration interval = rule.pace.poll_interval;
    if (room.poll_interval == interval) continue;
    CountAnew(room, TimeToCount(std::max(room.poll_interval, interval)), clock_->Now());
    room.poll_interval = interval;
  }
  follows_ = true;
}

// Boards can be lost with the tree, or be older than what nodes have read. Nodes keep what they have read, so less
// would keep buyers waiting at one node whom another lets in.
void RoomKeeper::FollowReports() {
  const absl::Time now = clock_->Now();
  for (const RoomReport* const report : reports_.All()) {
    const int count = std::min(report->rooms_size(), kMostRooms);
    for (int i = 0; i < count; ++i) {
      const RoomReport::Room& reported = report->rooms(i);
      const auto room = rooms_.find(reported.sku_id());
      if (room == rooms_.end() || room->second.round != reported.round()) continue;
      // 0, as an earlier version reports, is never higher.
      const uint64_t threshold = AtMostNow(reported.threshold(), now);
      if (threshold <= room->second.pacer.threshold()) continue;
      // Rates and who is under way: as this leader knows them.
      RoomStep before = room->second.step;
      before.threshold = threshold;
      GoOnFrom(before, room->second);
    }
  }
}

void RoomKeeper::GoOnFrom(const RoomStep& before, Room& room) {
  room.pacer = RoomPacer(before);
  room.step = before;
  room.anybody_let_in = true;
}

RoomKeeper::Room RoomKeeper::NewRoom(const RoomBoards& found, const std::string& sku_id, const RoomRound& rule) const {
  const absl::Time now = clock_->Now();
  const RoomStep before = FoundStep(found, sku_id, rule.round, now);
  Room room{.round = rule.round,
            .pacer = RoomPacer(before),
            .anybody_let_in = before.threshold > 0,
            .poll_interval = rule.pace.poll_interval};
  room.step = before;
  CountAnew(room, FoundLeftToCount(found, sku_id, rule.round, now), now);
  // One room too many before, and so counted by nobody, although buyers wait in it. Of a round that has just begun,
  // nobody has waited.
  const absl::Duration whole = TimeToCount(rule.pace.poll_interval);
  if (follows_ && now - rule.started_at > whole) CountAnew(room, whole, now);
  return room;
}

void RoomKeeper::CountAnew(Room& room, absl::Duration count_for, absl::Time now) {
  room.count_for = std::max(LeftToCount(room, now), count_for);
  room.count_since = now;
}

absl::Duration RoomKeeper::LeftToCount(const Room& room, absl::Time now) {
  // It takes no longer because the clock was set back.
  return std::max(absl::ZeroDuration(), std::min(room.count_since, now) + room.count_for - now);
}

absl::StatusOr<RoomKeeper::Counts> RoomKeeper::Waiting() {
  Counts waiting;
  {
    const std::shared_ptr<quota::Coordination> session = sessions_->Session();
    if (session == nullptr) {
      reports_.NoteSilence();
      return NoSession();
    }
    if (rooms_.empty()) {
      // It has just answered, when it was asked for what is announced.
      reports_.NoteNoRooms(*session);
      return waiting;
    }
    RETURN_IF_ERROR(reports_.Read(*session));
  }
  const absl::Time now = clock_->Now();
  for (const RoomReport* const report : reports_.Living()) {
    const int count = std::min(report->rooms_size(), kMostRooms);
    for (int i = 0; i < count; ++i) {
      const RoomReport::Room& reported = report->rooms(i);
      const auto room = rooms_.find(reported.sku_id());
      if (room == rooms_.end() || room->second.round != reported.round()) continue;
      std::optional<RoomCounts> counts = RoomCounts::FromMessage(reported.waiting());
      if (!counts.has_value()) continue;
      const RoomRound& rule = rules_.rooms().at(reported.sku_id());
      counts->DropLateOutside(rule.started_at - kClocksDiffer, now + kClocksDiffer);
      waiting[reported.sku_id()].Merge(*counts);
    }
  }
  return waiting;
}

void RoomKeeper::AskForSales() {
  std::vector<std::pair<absl::Time, std::string>> in_order;
  in_order.reserve(rooms_.size());
  for (const auto& [sku_id, room] : rooms_) in_order.emplace_back(room.ask_at, sku_id);
  std::sort(in_order.begin(), in_order.end());
  for (const auto& [ask_at, sku_id] : in_order) {
    // A balancer that ends, or leads no more, waits for one answer at most.
    if (!leads_()) return;
    const absl::Time began_at = clock_->Now();
    AskForSale(sku_id, rooms_.at(sku_id));
    if (clock_->Now() - began_at > kSlowAnswer) return;
  }
}

void RoomKeeper::AskForSale(const std::string& sku_id, Room& room) {
  const absl::Time began_at = clock_->Now();
  const bool clock_was_set_back = room.ask_at - began_at > kAskAfterFailure;
  if (began_at < room.ask_at && !clock_was_set_back) return;
  const absl::StatusOr<std::optional<RoomSale>> found = find_sale_(sku_id);
  if (!found.ok()) {
    LOG_EVERY_T(WARNING, 60) << "the waiting room of " << sku_id
                             << " is held, as its ledger does not say what is unsold: " << found.status().message();
    room.sale.reset();
    room.ask_at = clock_->Now() + kAskAfterFailure;
    return;
  }
  // What no shard has is not sold.
  room.sale = found->value_or(RoomSale());
  room.sale_at = clock_->Now();
  room.ask_at = began_at + kAskEvery;
}

RoomBoards RoomKeeper::Compute(const Counts& waiting) {
  RoomBoards boards;
  const std::map<std::string, RoomRound>& rules = rules_.rooms();
  for (auto& [sku_id, room] : rooms_) {
    const auto counted = waiting.find(sku_id);
    const RoomCounts living = counted == waiting.end() ? RoomCounts() : counted->second;
    const absl::Time now = clock_->Now();
    if (now - room.sale_at > kSaleLasts) room.sale.reset();
    const RoomStep step = NextStep(room, rules.at(sku_id).pace, living, now);
    Tell(sku_id, room, step);
    RoomBoards::Room* const board = boards.add_rooms();
    board->set_sku_id(sku_id);
    board->set_round(room.round);
    SetComputed(step, board);
    board->set_unsold(room.sale.has_value() ? room.sale->unsold : 0);
    board->set_computed_at_us(absl::ToUnixMicros(now));
    const absl::Duration left = LeftToCount(room, now);
    if (left > absl::ZeroDuration()) board->set_counting_until_us(absl::ToUnixMicros(now + left));
  }
  return boards;
}

RoomStep RoomKeeper::NextStep(Room& room, const RoomPace& pace, const RoomCounts& living, absl::Time now) {
  if (!reports_.complete() || LeftToCount(room, now) > absl::ZeroDuration()) {
    RoomStep still = room.step;
    still.threshold = room.pacer.threshold();
    still.let_in_per_s = 0;
    still.waiting = living;
    still.held = RoomBoards::HELD_COUNTING;
    return still;
  }
  std::optional<RoomSale> sale = room.sale;
  // Who is let in could not claim.
  if (sale.has_value() && !rules_.sells()) sale->open = false;
  room.step = room.pacer.Step(now, pace, living, sale);
  return room.step;
}

void RoomKeeper::Tell(const std::string& sku_id, Room& room, const RoomStep& step) {
  if (!room.anybody_let_in && step.threshold > 0) {
    room.anybody_let_in = true;
    LogEvent("room.opened", {{"sku", sku_id}, {"round", room.round}});
  }
  const absl::Time now = clock_->Now();
  const bool held = IsWorthTelling(step.held), was_held = IsWorthTelling(room.told);
  const bool news = held ? step.held != room.told : was_held;
  const bool rests = now >= room.told_at && now - room.told_at < kTellEvery;
  if (!news || rests || !room.anybody_let_in) return;
  room.told = step.held;
  room.told_at = now;
  if (held) {
    LogEvent("room.held", {{"sku", sku_id}, {"round", room.round}, {"reason", HeldName(step.held)}});
  } else {
    LogEvent("room.goes_on", {{"sku", sku_id}, {"round", room.round}});
  }
}

absl::Status RoomKeeper::Announce(const RoomBoards& found, const RoomBoards& computed) {
  const absl::Time now = clock_->Now();
  const bool rests = now >= written_at_ && now - written_at_ < kWriteEvery;
  // Without rooms there is nothing to be kept alive.
  const bool due = computed.rooms_size() > 0 && !rests;
  if (!due && SaysTheSame(found, computed)) return absl::OkStatus();
  const std::shared_ptr<quota::Coordination> session = sessions_->Session();
  if (session == nullptr) return NoSession();
  const absl::Status written = quota::WriteRoomBoards(*session, computed, found_version_);
  // What was read was not the newest: another leader has written, or this one's server lags behind. With its threshold
  // overwritten, nodes that have read it would let in buyers whom others keep waiting.
  if (absl::IsAborted(written)) return absl::OkStatus();
  RETURN_IF_ERROR(written);
  written_at_ = now;
  return absl::OkStatus();
}

}  // namespace tranche::server
