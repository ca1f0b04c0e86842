#include "client/ctl/room_view.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::Room;

constexpr double kPercent = 100;

std::string RoomRate(double per_second) { return absl::StrFormat("%.1f", per_second); }

std::string ConversionOf(const Room& room) { return absl::StrFormat("%.0f%%", room.conversion() * kPercent); }

// In one word.
const char* BriefState(const Room& room) {
  switch (room.held()) {
    case Room::HELD_UNSPECIFIED:
      return "open";
    case Room::HELD_NOBODY_WAITS:
      return "empty";
    default:
      return "held";
  }
}

std::string SinceComputed(const Room& room, absl::Time now) {
  if (!room.has_compute_time()) return "no balancer has computed it yet";
  const absl::Time computed_at =
      absl::FromUnixSeconds(room.compute_time().seconds()) + absl::Nanoseconds(room.compute_time().nanos());
  return absl::StrCat("no balancer has computed it for ",
                      FormatHold(std::max(absl::ZeroDuration(), now - computed_at)));
}

std::string DescribeClosedSale(const std::string& sku_id, const tranche::v1::Sku* sku) {
  const std::string closed = absl::StrCat(
      "held: the sale is not open, or paused, or the service mode is not NORMAL; see `tranchectl sku show ", sku_id,
      "` and `tranchectl door mode`");
  if (sku == nullptr) return closed;
  switch (sku->state()) {
    case tranche::v1::SKU_STATE_NOT_YET:
      return absl::StrCat("held: the sale has not opened yet; it opens at ", FormatTime(sku->open_time()));
    case tranche::v1::SKU_STATE_PAUSED:
      return absl::StrCat("held: the sale is paused; `tranchectl sku resume ", sku_id, " --yes` goes on with it");
    case tranche::v1::SKU_STATE_CLOSED:
    case tranche::v1::SKU_STATE_ENDED:
      return absl::StrCat("held: the sale is closed; `tranchectl door set ", sku_id,
                          " --no-room --yes` ends the round");
    default:
      return closed;
  }
}

const tranche::v1::Sku* SkuOf(const Room& room, const SkusOfRooms& skus) {
  const auto found = skus.find(room.sku_id());
  return found == skus.end() ? nullptr : &found->second;
}

// Before anybody has computed it, there are no figures.
std::vector<std::string> RowOf(const Room& room) {
  const bool known = room.has_compute_time();
  const auto figure = [known](std::string text) { return known ? std::move(text) : std::string("?"); };
  return {room.sku_id(),
          figure(absl::StrCat(room.shuffled_waiting(), "+", room.late_waiting())),
          figure(RoomRate(room.let_in_per_second())),
          absl::StrCat(room.rule().buyers_per_second()),
          figure(ConversionOf(room)),
          figure(absl::StrCat(room.under_way())),
          figure(absl::StrCat(room.unsold())),
          BriefState(room)};
}

}  // namespace

std::string DescribeRoomState(const Room& room, absl::Time now, const tranche::v1::Sku* sku_read) {
  const std::string& sku = room.sku_id();
  switch (room.held()) {
    case Room::HELD_UNSPECIFIED:
      return "open: buyers are let in";
    case Room::HELD_NOT_OPEN:
      return DescribeClosedSale(sku, sku_read);
    case Room::HELD_RATE_ZERO:
      return absl::StrCat("held: its rate is 0; `tranchectl door set ", sku, " --room 200/s --yes` lets buyers in");
    case Room::HELD_ENOUGH:
      return absl::StrCat(
          "held: enough are let in for what is unsold, until they buy or give up; `tranchectl door set ", sku,
          " --room ", room.rule().buyers_per_second(), "/s,ahead=PERCENT` lets in more");
    case Room::HELD_NOBODY_WAITS:
      return "empty: nobody waits";
    case Room::HELD_LEDGER_SILENT:
      return "held: the ledger does not say what is unsold; see `tranchectl status`";
    case Room::HELD_COUNTING:
      return "held: those who wait are being counted, so that nobody loses their turn; it goes on by itself";
    case Room::HELD_NO_BALANCER:
      return absl::StrCat("held: ", SinceComputed(room, now), "; see `tranchectl status`");
    default:
      return "held: for a reason that this version does not know; use a newer tranchectl";
  }
}

void PrintRooms(Session& session, const tranche::v1::ListRoomsResponse& rooms, absl::Time now,
                const SkusOfRooms& skus) {
  std::vector<std::string> headers = {"SKU",        "WAITING",   "LET IN/S", "WANTED/S",
                                      "CONVERSION", "UNDER WAY", "UNSOLD",   "STATE"};
  if (session.wide()) headers.insert(headers.end(), {"LEAVING/S", "ROUND", "THRESHOLD", "COMPUTED"});
  Table table(headers);
  for (const Room& room : rooms.rooms()) {
    std::vector<std::string> row = RowOf(room);
    if (session.wide()) {
      row.insert(row.end(),
                 {absl::StrFormat("%.2f%%", room.leaving_per_second() * kPercent), absl::StrCat(room.round()),
                  absl::StrCat(room.threshold()), room.has_compute_time() ? FormatTime(room.compute_time()) : "never"});
    }
    table.AddRow(row);
  }
  session.Print(table);
  for (const Room& room : rooms.rooms()) {
    if (room.held() == Room::HELD_UNSPECIFIED) continue;
    session.out() << "\n" << room.sku_id() << ": " << DescribeRoomState(room, now, SkuOf(room, skus)) << "\n";
  }
}

std::string WarningOfLaterOpening(const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                                  const tranche::v1::ListRoomsResponse& rooms) {
  const auto moment = [](const tranche::v1::Sku& sku) {
    return std::make_pair(sku.open_time().seconds(), sku.open_time().nanos());
  };
  const bool will_open =
      after.state() == tranche::v1::SKU_STATE_NOT_YET || after.state() == tranche::v1::SKU_STATE_PAUSED;
  if (!will_open || moment(after) <= moment(before)) return "";
  for (const Room& room : rooms.rooms()) {
    if (room.sku_id() != after.sku_id() || room.threshold() == 0) continue;
    return absl::StrCat(
        "Buyers were let in from its waiting room: those and all with lower ranks are let in at once when "
        "it opens again. Begin a new round, `tranchectl door round ",
        after.sku_id(), " --yes`, before anybody joins.");
  }
  return "";
}

}  // namespace tranche::ctl
