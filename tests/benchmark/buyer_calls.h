// What buyers ask of one front node, as the programs here measure it: to be let in, and for a unit.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/benchmark/async_calls.h"
#include "tranche/v1/front_door_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {

// Connections to a node, which take turns. Thread-safe.
class NodeConnections {
 public:
  // At least one.
  NodeConnections(const std::string& endpoint, int count);

  v1::FrontDoorService::Stub& door() const { return *Next().door; }
  v1::ReservationService::Stub& reservations() const { return *Next().reservations; }

 private:
  struct Stubs {
    std::unique_ptr<v1::FrontDoorService::Stub> door;
    std::unique_ptr<v1::ReservationService::Stub> reservations;
  };

  const Stubs& Next() const { return stubs_[turn_.fetch_add(1, std::memory_order_relaxed) % stubs_.size()]; }

  std::vector<Stubs> stubs_;
  mutable std::atomic<size_t> turn_ = 0;
};

struct Buyer {
  std::string user_id;
  std::string token;  // "": none
};
// Whose turn it is; nullopt: there is nobody left. Called on many threads at once.
using BuyerSource = std::function<std::optional<Buyer>()>;
// Somebody new each time, without a token.
std::optional<Buyer> NewBuyer();

// Who has been let in and has not made use of it yet. Thread-safe.
class LetIn {
 public:
  void Add(Buyer buyer);
  std::optional<Buyer> Take();

 private:
  absl::Mutex mutex_;
  std::vector<Buyer> buyers_ ABSL_GUARDED_BY(mutex_);
};

struct BuyerLoad {
  std::string sku;
  absl::Duration duration;
  int in_flight = 256;
  int node_pid = 0;    // 0: its CPU time is not measured
  bool token = false;  // the SKU's policy asks for a purchase token
};

// EnterSale of new buyers, whom it adds.
CallFigures EnterSales(const NodeConnections& node, const BuyerLoad& load, LetIn& buyers);
// CreateReservation, of one unit each.
CallFigures Claims(const NodeConnections& node, const BuyerLoad& load, const BuyerSource& next);

}  // namespace tranche::benchmark
