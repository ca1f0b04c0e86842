// tranchectl door rooms

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/ctl/commands.h"
#include "client/ctl/live_view.h"
#include "client/ctl/parse.h"
#include "client/ctl/room_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::ListRoomsResponse;

struct RoomsFlags {
  std::string sku_id;
  bool watch = false;
  std::string interval = "1s";
};

absl::StatusOr<ListRoomsResponse> LookAtRooms(Session& session, const std::string& sku_id) {
  tranche::v1::ListRoomsRequest request;
  request.set_sku_id(sku_id);
  return session.Admin(&tranche::v1::AdminService::Stub::ListRooms, request);
}

// Of the rooms that are held because their sales are not open. What cannot be read is left out: the rest counts.
SkusOfRooms ReadSkusOf(Session& session, const ListRoomsResponse& rooms) {
  SkusOfRooms skus;
  for (const tranche::v1::Room& room : rooms.rooms()) {
    if (room.held() != tranche::v1::Room::HELD_NOT_OPEN) continue;
    tranche::v1::GetSkuRequest request;
    request.set_sku_id(room.sku_id());
    const auto response = session.Admin(&tranche::v1::AdminService::Stub::GetSku, request);
    if (response.ok()) skus[room.sku_id()] = response->sku();
  }
  return skus;
}

void ShowRooms(Session& session, const RoomsFlags& flags, const ListRoomsResponse& rooms, bool one_line) {
  if (session.json()) return one_line ? session.PrintJsonLine(rooms) : session.PrintJson(rooms);
  PrintRooms(session, rooms, absl::Now(), ReadSkusOf(session, rooms));
  if (!rooms.rooms().empty()) return;
  const std::string& sku = flags.sku_id;
  session.err() << (sku.empty() ? "There is no waiting room" : absl::StrCat(sku, " has no waiting room"))
                << ": `tranchectl door set " << (sku.empty() ? "SKU" : sku)
                << " --room 200/s --token --limit user=10/10s` makes one.\n";
}

void Rooms(Session& session, const RoomsFlags& flags) {
  const absl::StatusOr<absl::Duration> interval = OfFlag("--interval", ParseDuration(flags.interval));
  if (!interval.ok()) return session.FailLocally(interval.status().message());
  if (!flags.watch) {
    const auto rooms = LookAtRooms(session, flags.sku_id);
    if (!rooms.ok()) return session.FailRemotely(rooms.status());
    return ShowRooms(session, flags, *rooms, /*one_line=*/false);
  }
  WatchLive<ListRoomsResponse>(
      session, *interval, [&] { return LookAtRooms(session, flags.sku_id); },
      [&](const ListRoomsResponse& rooms) { ShowRooms(session, flags, rooms, /*one_line=*/true); });
}

}  // namespace

void AddDoorRoomCommands(CLI::App* door, Session& session) {
  auto flags = std::make_shared<RoomsFlags>();
  CLI::App* rooms = door->add_subcommand("rooms", "How far the waiting rooms are: who waits, and who is let in");
  AddSkuArgument(rooms, flags->sku_id)->required(false);
  rooms->add_flag("-w,--watch", flags->watch, "Show it again and again, with the time, until it is interrupted");
  rooms->add_option("--interval", flags->interval, "Time between two looks of --watch")->capture_default_str();
  rooms->footer(
      "WAITING: those who joined before the sale opened, and are shuffled, + those who came later. LET IN/S: lately;\n"
      "WANTED/S: the policy's rate. CONVERSION: the part of those who were let in lately that bought. UNDER WAY: let "
      "in\n"
      "lately, and not known to have bought. Balancers compute it twice a second; if none does, nobody new is let in.\n"
      "Examples:\n"
      "  tranchectl door rooms\n"
      "  tranchectl door rooms tv --watch\n"
      "  tranchectl door rooms tv -o json | jq '.rooms[0].held'");
  rooms->callback([&session, flags] { Rooms(session, *flags); });
}

}  // namespace tranche::ctl
