// Lets buyers into waiting rooms: reads who waits from the nodes' reports, asks the ledgers what is unsold, and
// announces the thresholds (quota/coordination/room_announcements.h). Only where home's balancer leads; otherwise it
// does nothing.
//
// A leader goes on from the highest threshold that it finds: of the boards, and of the nodes' reports, where these are
// gone or old. If nobody leads, thresholds stand, and who was let in goes on.
//
// A threshold passes empty buckets at no cost. So buyers who wait and are not counted lose their turns to whoever comes
// first, and a room lets nobody in (HELD_COUNTING) before all have had the time to be counted.
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
#include "server/balancer/room_reports.h"
#include "server/balancer/room_rules.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"
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
  // After a change of the poll interval all nodes go by it within this, also those that miss its announcement.
  static constexpr absl::Duration kNodesFollow = absl::Seconds(6);
  // Then all who wait ask within this many intervals: each within one, and up to a tenth of it later.
  static constexpr double kIntervalsToCount = 1.1;
  // No room counts anew for longer, whatever is announced.
  static constexpr absl::Duration kLongestCount = absl::Seconds(72);
  // Late ranks are times by nodes' clocks. Those that cannot be, even if clocks differ by so much, are not counted.
  static constexpr absl::Duration kClocksDiffer = absl::Minutes(1);
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
    RoomStep step = {};  // the last one
    bool anybody_let_in = false;
    absl::Duration poll_interval = absl::ZeroDuration();
    // Those who wait are counted anew, since when and for how long.
    absl::Time count_since = absl::InfinitePast();
    absl::Duration count_for = absl::ZeroDuration();
    absl::Time ask_at = absl::InfinitePast();
    // The ledger's last answer, and when; nullopt: it gave none.
    std::optional<RoomSale> sale = {};
    absl::Time sale_at = absl::InfinitePast();
    // What was told, and when.
    internal::v1::RoomBoards::Held told = internal::v1::RoomBoards::HELD_UNSPECIFIED;
    absl::Time told_at = absl::InfinitePast();
  };

  void StandBy();
  // What is announced now; makes the path where it is missing.
  absl::StatusOr<internal::v1::RoomBoards> Find(int64_t* front_version);
  absl::StatusOr<Counts> Waiting();
  void FollowRounds(const internal::v1::RoomBoards& found);
  // As FollowRounds, by what nodes have heard of.
  void FollowReports();
  static void GoOnFrom(const RoomStep& before, Room& room);
  Room NewRoom(const internal::v1::RoomBoards& found, const std::string& sku_id, const RoomRound& rule) const;
  // Nobody of the room is let in for so long; longer if that was so already.
  static void CountAnew(Room& room, absl::Duration count_for, absl::Time now);
  static absl::Duration LeftToCount(const Room& room, absl::Time now);
  // Asks those first that were not asked for longest.
  void AskForSales();
  void AskForSale(const std::string& sku_id, Room& room);
  internal::v1::RoomBoards Compute(const Counts& waiting);
  RoomStep NextStep(Room& room, const RoomPace& pace, const RoomCounts& living, absl::Time now);
  void Tell(const std::string& sku_id, Room& room, const RoomStep& step);
  absl::Status Announce(const internal::v1::RoomBoards& found, const internal::v1::RoomBoards& computed);
  void Show(std::shared_ptr<const internal::v1::RoomBoards> boards);

  quota::SessionSource* const sessions_;
  const std::function<bool()> leads_;
  const FindSale find_sale_;
  storage::Clock* const clock_;
  RoomRules rules_;
  std::map<std::string, Room> rooms_;  // by sku_id
  RoomReports reports_;
  bool follows_ = false;  // the rooms were known at an earlier look, and it has led since
  absl::Time written_at_ = absl::InfinitePast();
  int32_t found_version_ = quota::kAnyVersion;  // of the boards that were read last

  mutable absl::Mutex mutex_;
  std::shared_ptr<const internal::v1::RoomBoards> shown_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
