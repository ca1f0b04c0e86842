// FrontDoorService.EnterSale, without gRPC: checks a request against the API's limits, asks whether there is anything
// to buy, then the front door, and translates what it says into the API's messages. In a waiting room buyers also wait
// before the sale opens, and while it is held.
//
// Where the door would judge by a score or a captcha, those who know are asked before the door is: first the scorer,
// since the captcha depends on the tier that its score gives. Without an answer the door goes by the policy alone. Only
// one visit of a user is asked about at a time, and others are refused for a moment: limits count a visit afterwards.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
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
#include "server/admission/outside_checks.h"
#include "server/handlers/users_asked_about.h"
#include "storage/clock.h"
#include "storage/ledger/refusal.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies. It must not end before every call has its answer: until then the scorer,
// the captcha's provider and the door's turns call back into it.
class EnterSaleHandler {
 public:
  // quota::CheckEntry, or a stand-in for it. Of a paused sale it should say when it opens, too; otherwise the sale is
  // taken to have opened.
  using CheckEntry = std::function<void(const std::string& sku_id, quota::EntryChecked done)>;
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::EnterSaleResponse>)>;

  // `scorer` and `captcha` may be null: then this node asks nobody.
  EnterSaleHandler(CheckEntry check, FrontDoor* door, storage::Clock* clock, RiskScorer* scorer = nullptr,
                   CaptchaVerifier* captcha = nullptr)
      : check_(std::move(check)), door_(door), clock_(clock), scorer_(scorer), captcha_(captcha) {}

  // `request` is not used after this returns. `buyer_address`: as for ReservationHandler::Create. Who would have to
  // wait for their turn until the deadline or longer is told so at once. Who still waits, or is asked about elsewhere,
  // when the node stops accepting is refused with DRAINING.
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
    std::string delay_ticket;
    std::string captcha_response;                           // "" once the provider is asked
    std::unique_ptr<const v1::BuyerHints> hints = nullptr;  // null: none
    bool without_scripts = false;
    // What was heard outside.
    bool score_asked = false;
    std::optional<int> scored = {};
    CaptchaVerdict captcha = CaptchaVerdict::kNone;
    // Why the sale lets nobody in now; set only for who may wait in a room all the same.
    std::optional<quota::Refused> held_by = {};
    // While somebody outside is asked about them.
    std::unique_ptr<const UsersAskedAbout::Place> asked_about = nullptr;
    absl::Time deadline;
    Done done;
  };

  absl::Status MayServe(const std::string& sku_id) const;
  // What becomes of a visit about whose sale this is said. Where a draw decides who gets the units, an entry takes
  // none, and needs the token all the same. In a room buyers wait until nobody can be let in any more.
  enum class Way : uint8_t { kRefuse, kAskDoor, kWaitInRoom };
  Way WayOf(const quota::Refused& refused, const std::string& sku_id) const;
  // Asks outside what the door needs, and then the door.
  void Judge(Visit visit);
  void AskScorer(Visit visit);
  void AskCaptcha(Visit visit);
  bool MayVerify(const Visit& visit) const { return captcha_ != nullptr && !visit.captcha_response.empty(); }
  // Of a visit that was asked about. False: it is sent elsewhere, since the node ends.
  bool StillServes(Visit& visit) const;
  // They may come again after that.
  void HoldBack(Visit visit, absl::Duration retry_after);
  // Points into `visit`.
  DoorVisit ToDoorVisit(const Visit& visit, absl::Time now) const;
  // `now`: of the last NeedsOf, so that the door does not find other needs.
  void AskDoor(Visit visit, absl::Time now);
  void AnswerAfterWait(const DoorEntry& entry, Visit visit);

  const CheckEntry check_;
  FrontDoor* const door_;
  storage::Clock* const clock_;
  RiskScorer* const scorer_;        // null: none
  CaptchaVerifier* const captcha_;  // null: none
  UsersAskedAbout asked_about_;
  std::atomic<bool> serving_{false};
  std::atomic<bool> accepting_{true};
};

}  // namespace tranche::server
