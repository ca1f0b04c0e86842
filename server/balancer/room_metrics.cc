#include "server/balancer/room_metrics.h"

#include <cstdint>
#include <limits>
#include <memory>

#include "server/admission/room_counts.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;

constexpr RoomBoards::Held kReasonsToHold[] = {RoomBoards::HELD_NOT_OPEN,      RoomBoards::HELD_RATE_ZERO,
                                               RoomBoards::HELD_ENOUGH,        RoomBoards::HELD_NOBODY_WAITS,
                                               RoomBoards::HELD_LEDGER_SILENT, RoomBoards::HELD_COUNTING};

void AddRoom(MetricSet* metrics, const RoomBoards::Room& room) {
  const MetricLabels labels = {{"sku", room.sku_id()}};
  const auto add = [&](const char* name, const char* help, double value) {
    metrics->AddGauge(name, help, value, labels);
  };
  const RoomCounts waiting = RoomCounts::FromMessage(room.waiting()).value_or(RoomCounts());
  add("tranche_room_waiting", "Buyers who have asked to be let in within the room's poll interval, and have not been.",
      waiting.Between(room.threshold(), std::numeric_limits<uint64_t>::max()));
  add("tranche_room_let_in_per_second", "Waiting buyers whom the threshold passed per second, lately.",
      room.let_in_per_s());
  add("tranche_room_leaving_per_second", "The part of those who wait that gives up each second, lately.",
      room.leaving_per_s());
  add("tranche_room_conversion", "The part of those who were let in lately that bought, 0.05 to 1.", room.conversion());
  add("tranche_room_under_way", "Buyers who were let in lately and are not known to have bought.",
      static_cast<double>(room.under_way()));
  add("tranche_room_unsold", "Units that nobody has reserved, when the ledger was last asked.",
      static_cast<double>(room.unsold()));
  for (const RoomBoards::Held reason : kReasonsToHold) {
    metrics->AddGauge("tranche_room_held", "1 if nobody is let in, for this reason.", room.held() == reason,
                      {{"sku", room.sku_id()}, {"reason", HeldName(reason)}});
  }
  add("tranche_room_computed_timestamp_seconds", "When the room's threshold was last computed, in Unix time.",
      static_cast<double>(room.computed_at_us()) / 1e6);
}

}  // namespace

void RoomMetrics::Collect(MetricSet* metrics) {
  const std::shared_ptr<const RoomBoards> boards = keeper_->Boards();
  if (boards == nullptr) return;
  for (const RoomBoards::Room& room : boards->rooms()) AddRoom(metrics, room);
}

}  // namespace tranche::server
