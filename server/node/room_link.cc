#include "server/node/room_link.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "glog/logging.h"
#include "quota/coordination/room_announcements.h"
#include "server/admission/room_counts.h"
#include "server/admission/room_rank.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;
using internal::v1::RoomReport;

// What nobody writes who means it counts as not known.
double RateOrNone(double announced) { return std::isfinite(announced) && announced > 0 ? announced : 0; }

// No balancer announces more than its own time, so more than this is damage or malice. Taken over as it is, it would
// hold for the whole round: for everybody here, and for all who are told of it by this node's report.
constexpr absl::Duration kClockAhead = absl::Minutes(1);

RoomBoard BoardOf(const RoomBoards::Room& room, absl::Time now) {
  RoomBoard board;
  board.sku_id = room.sku_id();
  board.round = room.round();
  board.threshold = std::min<uint64_t>(room.threshold(), LateRank(now + kClockAhead));
  board.waiting = RoomCounts::FromMessage(room.waiting()).value_or(RoomCounts());
  board.let_in_per_s = RateOrNone(room.let_in_per_s());
  board.leaving_per_s = RateOrNone(room.leaving_per_s());
  board.computed_at = absl::FromUnixMicros(room.computed_at_us());
  return board;
}

RoomReport ReportOf(const std::vector<RoomTallied>& tallied, absl::Time now) {
  RoomReport report;
  report.set_reported_at_us(absl::ToUnixMicros(now));
  for (const RoomTallied& room : tallied) {
    if (report.rooms_size() == kMostRooms) break;
    RoomReport::Room* const added = report.add_rooms();
    added->set_sku_id(room.sku_id);
    added->set_round(room.round);
    *added->mutable_waiting() = room.waiting.ToMessage();
    added->set_threshold(room.threshold);
  }
  return report;
}

}  // namespace

void RoomLink::Tick() {
  if (rooms_->empty() && reported_as_ == storage::kPool) return;
  const std::shared_ptr<quota::Coordination> session = sessions_->Session();
  if (session == nullptr) return;
  absl::Status status = Report(*session);
  // A report that is too large, or not allowed, is no reason to let nobody in.
  const bool answers = !absl::IsUnavailable(status) && !absl::IsUnauthenticated(status);
  if (answers && !rooms_->empty()) status.Update(ReadBoards(*session));
  if (status.ok()) return;
  LOG_EVERY_T(WARNING, 60) << "waiting rooms are held up: " << status.message();
}

void RoomLink::AwaitFirstLook(absl::Duration at_most) const {
  if (!rooms_->empty()) looked_.WaitForNotificationWithTimeout(at_most);
}

absl::Status RoomLink::Report(quota::Coordination& session) {
  const storage::IncarnationId self = self_();
  const absl::Time now = clock_->Now();
  const std::vector<RoomTallied> tallied = rooms_->Tallied(now);
  if (reported_as_ != storage::kPool && (reported_as_ != self || tallied.empty())) {
    RETURN_IF_ERROR(quota::DeleteRoomReport(session, reported_as_));
    reported_as_ = storage::kPool;
  }
  if (tallied.empty() || self == storage::kPool) return absl::OkStatus();
  // Also if the outcome of the write is not known.
  reported_as_ = self;
  return quota::WriteRoomReport(session, self, ReportOf(tallied, now));
}

absl::Status RoomLink::ReadBoards(quota::Coordination& session) {
  ASSIGN_OR_RETURN(const RoomBoards announced, quota::ReadRoomBoards(session));
  std::vector<RoomBoard> boards;
  const int count = std::min(announced.rooms_size(), kMostRooms);
  boards.reserve(static_cast<size_t>(count));
  const absl::Time now = clock_->Now();
  for (int i = 0; i < count; ++i) boards.push_back(BoardOf(announced.rooms(i), now));
  rooms_->SetBoards(boards);
  if (!looked_.HasBeenNotified()) looked_.Notify();
  return absl::OkStatus();
}

}  // namespace tranche::server
