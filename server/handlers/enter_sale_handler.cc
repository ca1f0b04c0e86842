#include "server/handlers/enter_sale_handler.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/errors.h"
#include "server/handlers/enter_sale_messages.h"
#include "tranche/v1/risk_scorer.pb.h"

namespace tranche::server {
namespace {

// What is asked outside takes no longer than this, but for delays of the machine.
constexpr absl::Duration kAfterTheAnswer = absl::Milliseconds(250);
// Too many are asked about: who comes again at once makes it no better.
constexpr absl::Duration kAfterTheRush = absl::Milliseconds(500);

// Buyers may be let in later: the sale opens or goes on, or units that are held come back.
bool MayGoOn(const quota::Refused& refused) {
  switch (refused.refusal) {
    case storage::Refusal::kSaleNotOpen:
    case storage::Refusal::kSalePaused:
      return true;
    case storage::Refusal::kSoldOut:
      return refused.holds_may_lapse;
    default:
      return false;
  }
}

bool HasOpened(const quota::Refused& held_by, absl::Time now) {
  return held_by.refusal != storage::Refusal::kSaleNotOpen && held_by.opens_at <= now;
}

// Of one that has not.
absl::Duration UntilOpening(const quota::Refused& held_by, absl::Time now) {
  if (held_by.opens_at == absl::InfinitePast()) return absl::InfiniteDuration();
  return std::max(held_by.opens_at - now, absl::ZeroDuration());
}

}  // namespace

void EnterSaleHandler::Enter(const v1::EnterSaleRequest& request, absl::Time deadline, const std::string& buyer_address,
                             Done done) {
  absl::Status valid = CheckEnterSale(request);
  if (valid.ok()) valid = MayServe(request.sku_id());
  if (!valid.ok()) return done(std::move(valid));
  Visit visit{.sku_id = request.sku_id(),
              .user_id = request.user_id(),
              .address = buyer_address,
              .challenge_solution = request.challenge_solution(),
              .waiting_ticket = request.waiting_ticket(),
              .delay_ticket = request.delay_ticket(),
              .captcha_response = request.captcha_response(),
              .hints = request.has_hints() ? std::make_unique<const v1::BuyerHints>(request.hints()) : nullptr,
              .without_scripts = request.without_scripts(),
              .deadline = deadline,
              .done = std::move(done)};
  check_(request.sku_id(), [this, visit = std::move(visit)](std::optional<quota::Refused> refused) mutable {
    const Way way = refused.has_value() ? WayOf(*refused, visit.sku_id) : Way::kAskDoor;
    if (way == Way::kRefuse) return visit.done(RefusalError(*refused, visit.sku_id));
    if (way == Way::kWaitInRoom) visit.held_by = std::move(refused);
    Judge(std::move(visit));
  });
}

absl::Status EnterSaleHandler::MayServe(const std::string& sku_id) const {
  if (!serving_.load(std::memory_order_acquire)) {
    return RefusalError({.refusal = storage::Refusal::kExhaustedHere}, sku_id);
  }
  if (!accepting_.load(std::memory_order_relaxed)) return RefusalError({.refusal = storage::Refusal::kDraining});
  return absl::OkStatus();
}

EnterSaleHandler::Way EnterSaleHandler::WayOf(const quota::Refused& refused, const std::string& sku_id) const {
  const std::shared_ptr<const DoorState> state = door_->state();
  const DoorPolicy* const policy = state->PolicyOf(sku_id);
  if (policy == nullptr) return Way::kRefuse;
  if (policy->draw && refused.refusal == storage::Refusal::kSoldOut) return Way::kAskDoor;
  return policy->room.has_value() && MayGoOn(refused) ? Way::kWaitInRoom : Way::kRefuse;
}

void EnterSaleHandler::Judge(Visit visit) {
  if (!visit.held_by.has_value() && !door_->closed_to_some()) {
    v1::EnterSaleResponse open;
    open.set_admitted(true);
    return visit.done(std::move(open));
  }
  // Nobody could be asked about it.
  if (captcha_ == nullptr && !visit.captcha_response.empty()) visit.captcha = CaptchaVerdict::kUnknown;
  const absl::Time now = clock_->Now();
  if (scorer_ == nullptr && !MayVerify(visit)) return AskDoor(std::move(visit), now);
  const DoorNeeds needs = door_->NeedsOf(ToDoorVisit(visit, now), now);
  const bool score = needs.score && scorer_ != nullptr;
  if (!score && !(needs.captcha && MayVerify(visit))) return AskDoor(std::move(visit), now);
  visit.asked_about = asked_about_.Take(visit.user_id);
  if (visit.asked_about == nullptr) return HoldBack(std::move(visit), kAfterTheAnswer);
  if (score) return AskScorer(std::move(visit));
  AskCaptcha(std::move(visit));
}

void EnterSaleHandler::HoldBack(Visit visit, absl::Duration retry_after) {
  visit.asked_about.reset();
  visit.done(RefusalError(door_->HoldBack(retry_after), visit.sku_id));
}

bool EnterSaleHandler::StillServes(Visit& visit) const {
  absl::Status may = MayServe(visit.sku_id);
  if (may.ok()) return true;
  visit.asked_about.reset();
  visit.done(std::move(may));
  return false;
}

void EnterSaleHandler::AskScorer(Visit visit) {
  v1::ScoreBuyerRequest buyer;
  buyer.set_sku_id(visit.sku_id);
  buyer.set_user_id(visit.user_id);
  buyer.set_buyer_address(visit.address);
  if (visit.hints != nullptr) *buyer.mutable_hints() = *visit.hints;
  buyer.set_without_scripts(visit.without_scripts);
  scorer_->Score(buyer, [this, visit = std::move(visit)](std::optional<int> scored) mutable {
    if (!StillServes(visit)) return;
    visit.score_asked = true;
    visit.scored = scored;
    const absl::Time now = clock_->Now();
    // Which tier it is, the score decides: it may not ask for a captcha.
    if (MayVerify(visit) && door_->NeedsOf(ToDoorVisit(visit, now), now).captcha) return AskCaptcha(std::move(visit));
    AskDoor(std::move(visit), now);
  });
}

void EnterSaleHandler::AskCaptcha(Visit visit) {
  const std::string response = std::move(visit.captcha_response);
  const std::string address = visit.address;
  captcha_->Verify(response, address, [this, visit = std::move(visit)](CaptchaVerdict verdict) mutable {
    if (!StillServes(visit)) return;
    // Never a challenge in its place: who sends many at once would have the cheaper way.
    if (verdict == CaptchaVerdict::kBusy) return HoldBack(std::move(visit), kAfterTheRush);
    visit.captcha = verdict;
    AskDoor(std::move(visit), clock_->Now());
  });
}

DoorVisit EnterSaleHandler::ToDoorVisit(const Visit& visit, absl::Time now) const {
  const bool held = visit.held_by.has_value();
  const bool opened = !held || HasOpened(*visit.held_by, now);
  return {.sku_id = visit.sku_id,
          .user_id = visit.user_id,
          .address = visit.address,
          .challenge_solution = visit.challenge_solution,
          .waiting_ticket = visit.waiting_ticket,
          .opened = opened,
          .may_enter = !held,
          .opens_in = opened ? absl::ZeroDuration() : UntilOpening(*visit.held_by, now),
          .hints = visit.hints.get(),
          .scored = visit.scored,
          .can_score = scorer_ != nullptr,
          .score_asked = visit.score_asked,
          .without_scripts = visit.without_scripts,
          .delay_ticket = visit.delay_ticket,
          .captcha = visit.captcha,
          .captcha_available = captcha_ != nullptr && captcha_->available()};
}

void EnterSaleHandler::AskDoor(Visit visit, absl::Time now) {
  // Before the answer: who hears it may come again at once.
  visit.asked_about.reset();
  const bool held = visit.held_by.has_value();
  DoorEntry entry = door_->Enter(ToDoorVisit(visit, now), now, visit.deadline);
  if (entry.refused.has_value()) return visit.done(RefusalError(*entry.refused, visit.sku_id));
  // The room was taken out of the policy meanwhile: nobody enters a sale that is held.
  if (held && !entry.place.has_value()) return visit.done(RefusalError(*visit.held_by, visit.sku_id));
  // As a claim would be told: the sale's word comes before the service mode's.
  if (held) entry.held_by = std::move(visit.held_by);
  if (entry.wait <= absl::ZeroDuration()) return visit.done(ToEnterSaleResponse(entry, captcha_));
  AnswerAfterWait(entry, std::move(visit));
}

void EnterSaleHandler::AnswerAfterWait(const DoorEntry& entry, Visit visit) {
  // Shared, so that it can still be called when the door has ended.
  auto done = std::make_shared<Done>(std::move(visit.done));
  const bool parked = door_->Park(
      entry.wait, [this, done, sku_id = visit.sku_id, response = ToEnterSaleResponse(entry, captcha_)]() mutable {
        // A node that ends calls those who wait before their time has come.
        if (absl::Status may = MayServe(sku_id); !may.ok()) return (*done)(std::move(may));
        (*done)(std::move(response));
      });
  if (!parked) (*done)(RefusalError({.refusal = storage::Refusal::kDraining}));
}

}  // namespace tranche::server
