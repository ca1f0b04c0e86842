// FrontDoorService.EnterSale, without gRPC: checks a request against the API's limits, asks whether there is anything
// to buy, then the front door, and translates what it says into the API's messages. In a waiting room buyers also wait
// before the sale opens, and while it is held.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/sale/entry_check.h"
#include "quota/sale/sale_result.h"
#include "server/admission/front_door.h"
#include "storage/clock.h"
#include "storage/ledger/refusal.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class EnterSaleHandler {
 public:
  // quota::CheckEntry, or a stand-in for it. Of a paused sale it should say when it opens, too; otherwise the sale is
  // taken to have opened.
  using CheckEntry = std::function<void(const std::string& sku_id, quota::EntryChecked done)>;
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::EnterSaleResponse>)>;

  EnterSaleHandler(CheckEntry check, FrontDoor* door, storage::Clock* clock)
      : check_(std::move(check)), door_(door), clock_(clock) {}

  // `request` is not used after this returns. `buyer_address`: as for ReservationHandler::Create. Who would have to
  // wait for their turn until the deadline or longer is told so at once, and who still waits when the node stops
  // accepting is refused with DRAINING.
  void Enter(const v1::EnterSaleRequest& request, absl::Time deadline, const std::string& buyer_address, Done done);

  // Until this is called, callers are sent elsewhere, as those of claims are.
  void StartServing() { serving_.store(true, std::memory_order_release); }
  // While not accepting, every call is refused with DRAINING.
  void SetAccepting(bool accepting) { accepting_.store(accepting, std::memory_order_relaxed); }

 private:
  struct Visit {
    std::string sku_id;
    std::string user_id;
    std::string address;
    std::string challenge_solution;
    std::string waiting_ticket;
    // Why the sale lets nobody in now; set only for who may wait in a room all the same.
    std::optional<quota::Refused> held_by = {};
    absl::Time deadline;
    Done done;
  };

  absl::Status MayServe(const std::string& sku_id) const;
  // What becomes of a visit about whose sale this is said. Where a draw decides who gets the units, an entry takes
  // none, and needs the token all the same. In a room buyers wait until nobody can be let in any more.
  enum class Way : uint8_t { kRefuse, kAskDoor, kWaitInRoom };
  Way WayOf(const quota::Refused& refused, const std::string& sku_id) const;
  void AskDoor(Visit visit);
  void AnswerAfterWait(const DoorEntry& entry, Visit visit);

  const CheckEntry check_;
  FrontDoor* const door_;
  storage::Clock* const clock_;
  std::atomic<bool> serving_{false};
  std::atomic<bool> accepting_{true};
};

}  // namespace tranche::server
