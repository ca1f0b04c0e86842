// The waiting rooms as one node knows them: who has asked here, and how far the balancer has let buyers in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/admission/room_counts.h"
#include "server/admission/room_tally.h"

namespace tranche::server {

// More are not paced: the first by sku_id are.
inline constexpr int kMostRooms = 16;

// What the balancer says of a room.
struct RoomBoard {
  std::string sku_id;
  int64_t round = 0;
  uint64_t threshold = 0;  // whoever's rank is below is let in
  RoomCounts waiting;      // at all nodes
  double let_in_per_s = 0;
  double leaving_per_s = 0;
  absl::Time computed_at = absl::InfinitePast();
};

// What a policy says that counts here.
struct OpenRoom {
  std::string sku_id;
  int64_t round = 0;
  absl::Duration poll_interval;
};

struct RoomTallied {
  std::string sku_id;
  int64_t round = 0;
  RoomCounts waiting;
  uint64_t threshold = 0;  // the highest that this node has heard of; 0: none
};

// Thread-safe.
class DoorRooms {
 public:
  // The rooms that there are from now on. One that goes on, with its round and interval, keeps its counts and its
  // board.
  void SetRooms(absl::Span<const OpenRoom> rooms);
  // As announced. A threshold never falls within a round, whatever is announced. Boards of other rooms or rounds than
  // those that there are, are ignored.
  void SetBoards(absl::Span<const RoomBoard> boards);

  // Null: nothing is known of this round, so nobody is let in.
  std::shared_ptr<const RoomBoard> Board(absl::string_view sku_id, int64_t round) const;
  // Somebody waits. Ignored if there is no such room.
  void Count(absl::string_view sku_id, int64_t round, uint64_t rank, absl::Time now);
  // The rooms where somebody waits at this node, or of which it knows a threshold, by sku_id.
  std::vector<RoomTallied> Tallied(absl::Time now) const;
  bool empty() const;

 private:
  struct Room {
    int64_t round = 0;
    std::shared_ptr<RoomTally> tally;        // never null
    std::shared_ptr<const RoomBoard> board;  // null: nothing is known
  };

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Room> rooms_ ABSL_GUARDED_BY(mutex_);  // by sku_id
};

}  // namespace tranche::server
