// What a shop might use instead of Tranche to sell limited stock, each behind the same interface: so that all of them
// do the same job, are called by the same generator, and are counted alike.
//
// The job: one unit for each claim; at most one order for each buyer and SKU; a claim that is repeated gets its first
// outcome again. A claim is answered when the store has it durably; a peer that answers earlier says so in its header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::peers {

struct Claim {
  std::string reservation_id = {};  // a UUID; names the order, so that a repeated claim finds it
  std::string sku_id = {};
  std::string user_id = {};
  int quantity = 1;  // units; the limit of a buyer is one for each SKU
};

enum class Outcome {
  kCreated,
  kReplayed,   // this id has an order already
  kSoldOut,    // also for a SKU that does not exist
  kUserLimit,  // the buyer has an order for this SKU, of another id
  kConflict,   // given up after bounded tries against other claims; nothing was sold
};

// Sells, one claim after the other, over a connection of its own. Blocks; used by one thread at a time.
class Seller {
 public:
  virtual ~Seller() = default;

  // An error is a fault of the store; the outcome is unknown until the claim is repeated. The next call connects again
  // by itself.
  virtual absl::StatusOr<Outcome> Sell(const Claim& claim) = 0;
};

// What the durable store holds, of all SKUs together.
struct Stored {
  int64_t units_left = 0;                   // as the store says; less than 0 if it went so far
  std::vector<std::string> order_ids = {};  // each once, in no order
  int64_t units_sold = 0;                   // by the orders
};

// A store and a way to sell from it. Thread-safe.
class Peer {
 public:
  virtual ~Peer() = default;

  // Makes tables and stock anew, and forgets what was there: `skus` SKUs, "sku-0" and so on, with `stock` units each.
  // Not while anybody sells.
  virtual absl::Status Prepare(int skus, int64_t stock) = 0;

  // Connects. The peer must outlive its sellers.
  virtual absl::StatusOr<std::unique_ptr<Seller>> MakeSeller() = 0;

  // Background work, such as the consumer of a stream. Before the first MakeSeller or Count; an error: it cannot serve
  // as it is set up.
  virtual absl::Status Start() { return absl::OkStatus(); }
  // Ends it, after what it has taken. After the last Sell and Count; then it may be started again.
  virtual void Stop() {}

  // What the durable store holds now. Where a queue is in front of it, after the queue is drained, or an error if that
  // takes too long.
  virtual absl::StatusOr<Stored> Count() = 0;
};

}  // namespace tranche::peers
