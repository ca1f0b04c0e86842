// A waiting room from its buyers to its pacer, in simulated time: nodes that count who asks and report it, a leading
// balancer, and buyers who wait, leave, and buy. One seed reproduces all of it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"
#include "server/admission/room_counts.h"
#include "server/admission/room_entry.h"
#include "server/balancer/room_pacer.h"

namespace tranche::server {

// Seconds are those since the start of the run.
struct RoomScenario {
  uint64_t seed = 1;
  int early = 2000;        // so many join before the opening, evenly
  double late_per_s = 0;   // and so many after it
  double leave_per_s = 0;  // this part of those who wait gives up each second
  int32_t buyers_per_s = 20;
  double poll_s = 20;
  double token_s = 120;
  double opening_s = 60;
  double ends_s = 240;
  int64_t stock = 1'000'000;
  double conversion = 0.5;
  double buys_within_s = 30;  // of being let in, evenly
  double most_leave_s = -1;   // then 9 of 10 of those who wait give up at once
  double leader_dies_s = -1;  // another leads 10 s later
  double loses_ticket = 0;    // this part of the early ones has lost it at the first try after the opening
  int bots = 0;               // of the early ones: they ask ten times in an interval
};

class RoomSimulation {
 public:
  struct Told {
    double at_s = 0;
    double wait_s = 0;
  };
  struct Buyer {
    std::string user_id;
    bool bot = false;
    bool loses_ticket = false;
    double joined_s = 0;
    double leaves_s = 0;
    double let_in_s = -1;  // not yet
    std::string ticket;
    bool tried = false;
    bool shuffled = false;
    uint64_t rank = 0;
    std::vector<Told> told;
  };
  // What a buyer was told of their place, and how it was.
  struct Position {
    double told = 0;
    double real = 0;
  };
  struct Step {
    double at_s = 0;
    int64_t unsold = 0;     // as the step saw it
    int64_t under_way = 0;  // really: let in within a token's life and an interval, less what was sold in it
    RoomStep step;
  };

  explicit RoomSimulation(const RoomScenario& scenario);
  RoomSimulation(const RoomSimulation&) = delete;
  RoomSimulation& operator=(const RoomSimulation&) = delete;
  void Run();

  const std::vector<Buyer>& buyers() const { return buyers_; }
  const std::vector<Position>& positions() const { return positions_; }
  const std::vector<Step>& steps() const { return steps_; }
  int64_t unsold() const { return unsold_; }
  // Let in from then until before the other.
  int LetIn(double from_s, double until_s) const;
  // With the same ticket a buyer had another rank.
  int changed_ranks() const { return changed_ranks_; }
  // Shuffled ones who were refused more than 3 s after a late one was let in: a board is not older.
  int overtaken() const { return overtaken_; }

 private:
  enum class Kind { kTry, kReport, kLead, kBuy, kMostLeave };
  struct Event {
    double at_s = 0;
    uint64_t number = 0;
    Kind kind = Kind::kTry;
    size_t whose = 0;  // a buyer, or a node
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at_s != b.at_s ? a.at_s > b.at_s : a.number > b.number;
    }
  };
  static constexpr size_t kNodes = 4;

  absl::Time Now() const;
  double Uniform();  // [0, 1)
  double Exponential(double per_s);
  bool open() const { return now_s_ >= scenario_.opening_s; }
  void At(double at_s, Kind kind, size_t whose = 0);
  void AddBuyer(double joined_s);
  void Happen(const Event& event);
  void Try(size_t index);
  void NoteLetIn(size_t index);
  void NotePlace(Buyer& buyer, const RoomPlace& place);
  void Report(size_t node);
  void Lead();
  void Publish(const RoomStep& step);
  void Buy();
  void MostLeave();
  bool Waits(const Buyer& buyer) const;

  const RoomScenario scenario_;
  std::mt19937_64 random_;
  double now_s_ = 0;
  std::priority_queue<Event, std::vector<Event>, Later> events_;
  uint64_t next_event_ = 0;

  const FrontKeys keys_;
  DoorPolicy policy_;
  std::array<DoorRooms, kNodes> nodes_;
  std::array<RoomCounts, kNodes> reports_;
  std::deque<RoomBoard> boards_;  // the newest first
  RoomStep announced_;
  std::optional<RoomPacer> pacer_;

  std::vector<Buyer> buyers_;
  int64_t unsold_;
  std::deque<double> let_in_;  // when, of one window
  std::deque<double> sold_;
  double first_late_s_ = -1;  // when the first of them was let in
  int changed_ranks_ = 0;
  int overtaken_ = 0;
  std::vector<Position> positions_;
  std::vector<Step> steps_;
};

}  // namespace tranche::server
