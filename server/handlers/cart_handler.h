// CreateReservations, without gRPC: checks a cart against the API's limits, passes it on and translates the outcome
// into the API's messages.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "server/handlers/outcome_counts.h"
#include "storage/clock.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// A cart's serialized size may be at most this.
inline constexpr size_t kMaxCartBytes = 16384;

// The claims of a cart, or an error about the field that is wrong.
absl::StatusOr<std::vector<storage::ReservationClaim>> CheckCart(const v1::CreateReservationsRequest& request);

// Thread-safe. Outlived by its dependencies.
class CartHandler {
 public:
  // quota::CartSeller::Sell, or a stand-in for it. `visitors`: one for each line; empty if nothing is known of the
  // buyer.
  using Sell = std::function<void(std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                                  quota::CartDone, std::vector<quota::Visitor> visitors)>;
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::CreateReservationsResponse>)>;

  CartHandler(Sell sell, storage::Clock* clock) : sell_(std::move(sell)), clock_(clock) {}

  // `request` is not used after Create returns. `buyer_address`, and what was queued: as for
  // ReservationHandler::Create.
  void Create(const v1::CreateReservationsRequest& request, absl::Time deadline, Done done,
              const std::string& buyer_address = {});

  // Until this is called, every cart is answered as if this node had no units, so callers go elsewhere.
  void StartServing() { serving_.store(true, std::memory_order_release); }

  // Of every Create.
  const OutcomeCounts& outcomes() const { return outcomes_; }

 private:
  enum Outcome : size_t { kCreated, kReplayed, kQueued };

  // Counts it.
  absl::StatusOr<v1::CreateReservationsResponse> AnswerOf(const quota::CartSale& sale);

  const Sell sell_;
  storage::Clock* const clock_;
  std::atomic<bool> serving_{false};
  OutcomeCounts outcomes_{{"created", "replayed", "queued"}};
};

}  // namespace tranche::server
