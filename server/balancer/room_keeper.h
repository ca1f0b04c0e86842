// Lets buyers into waiting rooms: reads who waits from the nodes' reports, asks the ledgers what is unsold, and
// announces the thresholds (quota/coordination/room_announcements.h). Only where home's balancer leads; otherwise it
// does nothing.
//
// What is announced is all that lasts: a leader goes on from the threshold that it finds. If nobody leads, thresholds
// stand, and who was let in goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "server/admission/room_counts.h"
#include "server/balancer/room_pacer.h"
#include "server/balancer/room_rules.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/incarnation_id.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

// For logs and metrics; "" if the room is not held.
const char* HeldName(internal::v1::RoomBoards::Held held);

// Used by one thread, except for Boards. Outlived by its dependencies.
class RoomKeeper {
 public:
  // What the ledger of its shard says of a SKU. nullopt: no shard has it.
  using FindSale = std::function<absl::StatusOr<std::optional<RoomSale>>(const std::string& sku_id)>;

  // A ledger is asked for a SKU at most so often; after a failure, for a while, not.
  static constexpr absl::Duration kAskEvery = absl::Seconds(1);
  static constexpr absl::Duration kAskAfterFailure = absl::Seconds(3);
  // What it said counts for so long. A ledger that takes longer than kSlowAnswer has kept the other rooms waiting: they
  // are paced first, before anything else is asked.
  static constexpr absl::Duration kSaleLasts = absl::Seconds(5);
  static constexpr absl::Duration kSlowAnswer = absl::Seconds(1);
  // Boards of which nothing has changed are written so often, so that all see that somebody keeps the rooms.
  static constexpr absl::Duration kWriteEvery = absl::Seconds(5);
  // A report that has not changed for so long is that of a node that hangs. Nodes report twice a second.
  static constexpr absl::Duration kReportsLast = absl::Seconds(10);
  // What happens to a room is told in the log at most so often.
  static constexpr absl::Duration kTellEvery = absl::Seconds(10);

  // `leads`: does home's balancer lead? Asked again before anything is written.
  RoomKeeper(storage::FrontLedger* home, quota::SessionSource* sessions, std::function<bool()> leads,
             FindSale find_sale, storage::Clock* clock);

  // One look at everything; about twice a second. Blocks, for ZooKeeper and for ledgers; it holds no session while it
  // waits for a ledger, so that a balancer that ends can close it. An error says what could not be done; the rest is.
  absl::Status Tick();

  // What was computed at the last look, by sku_id; null while this process does not lead. Thread-safe.
  std::shared_ptr<const internal::v1::RoomBoards> Boards() const;

 private:
  using Counts = std::map<std::string, RoomCounts>;  // by sku_id

  // A round of a room that is paced here.
  struct Room {
    int64_t round = 0;
    RoomPacer pacer;
    bool anybody_let_in = false;
    absl::Time ask_at = absl::InfinitePast();
    // The ledger's last answer, and when; nullopt: it gave none.
    std::optional<RoomSale> sale = {};
    absl::Time sale_at = absl::InfinitePast();
    // What was told, and when.
    internal::v1::RoomBoards::Held told = internal::v1::RoomBoards::HELD_UNSPECIFIED;
    absl::Time told_at = absl::InfinitePast();
  };
  struct Heard {
    int64_t reported_at_us = 0;
    absl::Time changed_at;  // by this process's clock
  };

  void StandBy();
  // What is announced now; makes the path where it is missing.
  absl::StatusOr<internal::v1::RoomBoards> Find(int64_t* front_version);
  absl::StatusOr<Counts> Waiting();
  bool IsLive(storage::IncarnationId node, const internal::v1::RoomReport& report, absl::Time now);
  void FollowRounds(const internal::v1::RoomBoards& found);
  // Asks those first that were not asked for longest.
  void AskForSales();
  void AskForSale(const std::string& sku_id, Room& room);
  internal::v1::RoomBoards Compute(const Counts& waiting);
  void Tell(const std::string& sku_id, Room& room, const RoomStep& step);
  absl::Status Announce(const internal::v1::RoomBoards& found, const internal::v1::RoomBoards& computed);
  void Show(std::shared_ptr<const internal::v1::RoomBoards> boards);

  quota::SessionSource* const sessions_;
  const std::function<bool()> leads_;
  const FindSale find_sale_;
  storage::Clock* const clock_;
  RoomRules rules_;
  std::map<std::string, Room> rooms_;  // by sku_id
  std::map<storage::IncarnationId, Heard> heard_;
  absl::Time written_at_ = absl::InfinitePast();

  mutable absl::Mutex mutex_;
  std::shared_ptr<const internal::v1::RoomBoards> shown_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
