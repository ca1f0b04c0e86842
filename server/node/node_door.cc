#include "server/node/node_door.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/clock.h"

namespace tranche::server {
namespace {

// How precisely the end of a wait for a turn is kept.
constexpr absl::Duration kTurnGranularity = absl::Milliseconds(10);
// How often waiting rooms are reported and read.
constexpr absl::Duration kRoomsEvery = absl::Milliseconds(500);
// Without ZooKeeper a node serves all the same: its buyers wait until it answers.
constexpr absl::Duration kFirstLookAtMost = absl::Seconds(1);

size_t DoorTableBytes(const ServerOptions& options) { return static_cast<size_t>(options.door_memory_mib) << 20; }

}  // namespace

NodeDoor::NodeDoor(const ServerOptions& options, OutsideChecks outside, NodeLedger* ledger,
                   quota::SessionSource* sessions, std::function<storage::IncarnationId()> self,
                   std::function<size_t()> waiting_for_units)
    : outside_(std::move(outside)),
      turns_(storage::Clock::Real(), static_cast<size_t>(options.max_waiting), std::move(waiting_for_units)),
      door_(DoorTableBytes(options), &turns_),
      watch_(ledger->shards().home().front, &door_, sessions, self, storage::Clock::Real()),
      room_link_(&door_.rooms(), sessions, std::move(self), storage::Clock::Real()),
      turns_task_(std::make_unique<PeriodicTask>(kTurnGranularity, [this] { turns_.CallDue(); })) {}

absl::Status NodeDoor::Start() {
  if (const absl::Status read = watch_.Begin(); !read.ok()) {
    return absl::Status(read.code(), absl::StrCat("what the front door goes by cannot be read from the database: ",
                                                  std::string(read.message())));
  }
  watch_.StartThread();
  rooms_task_ = std::make_unique<PeriodicTask>(kRoomsEvery, [this] { room_link_.Tick(); });
  return absl::OkStatus();
}

void NodeDoor::FindHomes() {
  watch_.FindHomes();
  room_link_.AwaitFirstLook(kFirstLookAtMost);
}

void NodeDoor::StopThreads() {
  watch_.StopThread();
  turns_.End();
  turns_task_.reset();
  rooms_task_.reset();
  outside_ = OutsideChecks();
}

}  // namespace tranche::server
