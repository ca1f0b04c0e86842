#include "server/handlers/room_handler.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "quota/coordination/room_announcements.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_policy.h"
#include "server/admission/room_counts.h"
#include "server/admission/room_rank.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/status_handler.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using AnnouncedRoom = internal::v1::RoomBoards::Room;

// More than anybody sells to, and far from what an integer cannot hold.
constexpr double kLargestFigure = 1e15;

// What is announced is input: no figure that cannot be, nor one that JSON cannot say.
double BoundedFigure(double told) { return std::isfinite(told) ? std::clamp(told, 0.0, kLargestFigure) : 0.0; }

v1::Room::Held HeldToMessage(internal::v1::RoomBoards::Held held) {
  switch (held) {
    case internal::v1::RoomBoards::HELD_NOT_OPEN:
      return v1::Room::HELD_NOT_OPEN;
    case internal::v1::RoomBoards::HELD_RATE_ZERO:
      return v1::Room::HELD_RATE_ZERO;
    case internal::v1::RoomBoards::HELD_ENOUGH:
      return v1::Room::HELD_ENOUGH;
    case internal::v1::RoomBoards::HELD_NOBODY_WAITS:
      return v1::Room::HELD_NOBODY_WAITS;
    case internal::v1::RoomBoards::HELD_LEDGER_SILENT:
      return v1::Room::HELD_LEDGER_SILENT;
    case internal::v1::RoomBoards::HELD_COUNTING:
      return v1::Room::HELD_COUNTING;
    default:
      return v1::Room::HELD_UNSPECIFIED;
  }
}

// Who is below the threshold was let in, and only has not asked again yet.
void FillWaiting(const AnnouncedRoom& board, v1::Room& room) {
  const std::optional<RoomCounts> counts = RoomCounts::FromMessage(board.waiting());
  if (!counts.has_value()) return;
  const uint64_t threshold = board.threshold();
  if (threshold < kFirstLateRank) {
    room.set_shuffled_waiting(std::llround(BoundedFigure(counts->Between(threshold, kFirstLateRank))));
  }
  const uint64_t late_from = std::max(threshold, kFirstLateRank);
  room.set_late_waiting(std::llround(BoundedFigure(counts->Between(late_from, std::numeric_limits<uint64_t>::max()))));
}

void FillBoard(const AnnouncedRoom& board, absl::Time now, v1::Room& room) {
  FillWaiting(board, room);
  room.set_threshold(board.threshold());
  room.set_let_in_per_second(BoundedFigure(board.let_in_per_s()));
  room.set_leaving_per_second(BoundedFigure(board.leaving_per_s()));
  room.set_conversion(BoundedFigure(board.conversion()));
  room.set_under_way(std::max<int64_t>(0, board.under_way()));
  room.set_unsold(std::max<int64_t>(0, board.unsold()));
  const absl::Time computed_at = absl::FromUnixMicros(board.computed_at_us());
  const google::protobuf::Timestamp timestamp = ToTimestamp(computed_at);
  if (FromTimestamp(timestamp).has_value()) *room.mutable_compute_time() = timestamp;
  room.set_held(now - computed_at > RoomHandler::kFresh ? v1::Room::HELD_NO_BALANCER : HeldToMessage(board.held()));
}

// Of a policy that has a room; nullopt: it has none, or this version cannot read it.
std::optional<v1::Room> ListedRoom(const storage::FrontPolicyRow& row) {
  const absl::StatusOr<v1::FrontPolicy> policy = FromDocument(row.document);
  if (!policy.ok() || !policy->has_room()) return std::nullopt;
  v1::Room room;
  room.set_sku_id(row.sku_id);
  *room.mutable_rule() = policy->room();
  if (row.round.has_value()) room.set_round(row.round->number);
  room.set_held(v1::Room::HELD_NO_BALANCER);
  return room;
}

}  // namespace

absl::StatusOr<v1::ListRoomsResponse> RoomHandler::List(const v1::ListRoomsRequest& request) {
  if (!request.sku_id().empty()) RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  const auto policies = ledger_->ListFrontPolicies(request.sku_id());
  if (!policies.ok()) return LedgerError(policies.status(), "", Repeatable::kYes);
  v1::ListRoomsResponse response;
  for (const storage::FrontPolicyRow& row : *policies) {
    if (response.rooms_size() == kMostRooms) break;
    if (std::optional<v1::Room> room = ListedRoom(row); room.has_value()) *response.add_rooms() = *std::move(room);
  }
  if (response.rooms().empty()) return response;
  const internal::v1::RoomBoards boards = ReadBoards();
  const absl::Time now = clock_->Now();
  for (v1::Room& room : *response.mutable_rooms()) {
    for (const AnnouncedRoom& board : boards.rooms()) {
      if (board.sku_id() == room.sku_id() && board.round() == room.round()) FillBoard(board, now, room);
    }
  }
  return response;
}

v1::Room RoomHandler::ToMessage(const internal::v1::RoomBoards::Room& board, absl::Time now) {
  v1::Room room;
  room.set_sku_id(board.sku_id());
  room.set_round(board.round());
  FillBoard(board, now, room);
  return room;
}

internal::v1::RoomBoards RoomHandler::ReadBoards() {
  using Boards = internal::v1::RoomBoards;
  const auto asked = boards_.Ask(*executor_, [sessions = sessions_]() -> absl::StatusOr<Boards> {
    const std::shared_ptr<quota::Coordination> session = sessions->Session();
    if (session == nullptr) return absl::UnavailableError("no session");
    return quota::ReadRoomBoards(*session);
  });
  return asked->Await(absl::Now() + StatusHandler::kPatience).value_or(Boards());
}

}  // namespace tranche::server
