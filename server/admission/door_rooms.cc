#include "server/admission/door_rooms.h"

#include <algorithm>
#include <utility>

#include "storage/mutation.h"

namespace tranche::server {
namespace {

// The first by sku_id, each once.
std::vector<OpenRoom> PacedRooms(absl::Span<const OpenRoom> rooms) {
  std::vector<OpenRoom> paced(rooms.begin(), rooms.end());
  const auto before = [](const OpenRoom& one, const OpenRoom& other) { return one.sku_id < other.sku_id; };
  const auto same = [](const OpenRoom& one, const OpenRoom& other) { return one.sku_id == other.sku_id; };
  std::stable_sort(paced.begin(), paced.end(), before);
  paced.erase(std::unique(paced.begin(), paced.end(), same), paced.end());
  if (paced.size() > size_t{kMostRooms}) paced.erase(paced.begin() + kMostRooms, paced.end());
  return paced;
}

}  // namespace

void DoorRooms::SetRooms(absl::Span<const OpenRoom> rooms) {
  absl::flat_hash_map<std::string, Room> next;
  absl::MutexLock lock(&mutex_);
  for (const OpenRoom& open : PacedRooms(rooms)) {
    Room room = {.round = open.round, .tally = nullptr, .board = nullptr};
    const auto found = rooms_.find(open.sku_id);
    if (found != rooms_.end() && found->second.round == open.round) {
      room.board = found->second.board;
      if (found->second.tally->window() == open.poll_interval) room.tally = found->second.tally;
    }
    if (room.tally == nullptr) room.tally = std::make_shared<RoomTally>(open.poll_interval);
    next.emplace(open.sku_id, std::move(room));
  }
  rooms_ = std::move(next);
}

void DoorRooms::SetBoards(absl::Span<const RoomBoard> boards) {
  absl::MutexLock lock(&mutex_);
  for (const RoomBoard& board : boards) {
    const auto found = rooms_.find(board.sku_id);
    if (found == rooms_.end() || found->second.round != board.round) continue;
    std::shared_ptr<const RoomBoard>& known = found->second.board;
    auto next = std::make_shared<RoomBoard>(board);
    const bool may_fall = storage::Mutated(storage::Mutation::kThresholdFalls);
    if (known != nullptr && !may_fall) next->threshold = std::max(next->threshold, known->threshold);
    known = std::move(next);
  }
}

std::shared_ptr<const RoomBoard> DoorRooms::Board(absl::string_view sku_id, int64_t round) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = rooms_.find(sku_id);
  return found == rooms_.end() || found->second.round != round ? nullptr : found->second.board;
}

void DoorRooms::Count(absl::string_view sku_id, int64_t round, uint64_t rank, absl::Time now) {
  std::shared_ptr<RoomTally> tally;
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto found = rooms_.find(sku_id);
    if (found == rooms_.end() || found->second.round != round) return;
    tally = found->second.tally;
  }
  tally->Count(rank, now);
}

std::vector<RoomTallied> DoorRooms::Tallied(absl::Time now) const {
  std::vector<std::pair<std::string, Room>> rooms;
  {
    absl::ReaderMutexLock lock(&mutex_);
    rooms.assign(rooms_.begin(), rooms_.end());
  }
  std::vector<RoomTallied> tallied;
  for (const auto& [sku_id, room] : rooms) {
    RoomTallied here = {.sku_id = sku_id, .round = room.round, .waiting = room.tally->Living(now), .threshold = 0};
    if (room.board != nullptr) here.threshold = room.board->threshold;
    if (here.waiting.total() != 0 || here.threshold != 0) tallied.push_back(std::move(here));
  }
  std::sort(tallied.begin(), tallied.end(),
            [](const RoomTallied& one, const RoomTallied& other) { return one.sku_id < other.sku_id; });
  return tallied;
}

bool DoorRooms::empty() const {
  absl::ReaderMutexLock lock(&mutex_);
  return rooms_.empty();
}

}  // namespace tranche::server
