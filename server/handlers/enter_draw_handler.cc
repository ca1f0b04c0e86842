#include "server/handlers/enter_draw_handler.h"

#include <memory>
#include <optional>
#include <utility>

#include "server/errors.h"
#include "server/handlers/draw_messages.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/log_trace.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using storage::Refusal;

absl::Status CheckVisit(const v1::EnterDrawRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckBuyer(request.user_id()));
  RETURN_IF_ERROR(CheckPurchaseToken(request.purchase_token()));
  return CheckBuyerAddress(request.buyer_address());
}

absl::StatusOr<v1::EnterDrawResponse> EnteredOrRefused(const std::string& sku_id,
                                                       const absl::StatusOr<storage::DrawEntryResult>& result) {
  if (!result.ok()) return LedgerError(result.status(), sku_id, Repeatable::kYes);
  if (result->refusal != Refusal::kNone) {
    quota::Refused refused{.refusal = result->refusal};
    if (result->state.has_value()) refused.about = DrawStateName(*result->state);
    return RefusalError(refused, sku_id);
  }
  v1::EnterDrawResponse response;
  response.set_draw_number(result->draw_number);
  response.set_entry_id(result->entry_id.ToString());
  response.set_replayed(result->replayed);
  return response;
}

}  // namespace

void EnterDrawHandler::Enter(const v1::EnterDrawRequest& request, absl::Time deadline, const std::string& buyer_address,
                             Done done) {
  absl::Status valid = CheckVisit(request);
  if (valid.ok()) valid = MayServe(request.sku_id());
  if (!valid.ok()) return done(std::move(valid));
  Visit visit{.claim = {.sku_id = request.sku_id(), .user_id = request.user_id(), .trace = CurrentTrace()},
              .visitor = {.address = buyer_address, .purchase_token = request.purchase_token()},
              .deadline = deadline,
              .done = std::move(done)};
  check_(request.sku_id(), [this, visit = std::move(visit)](std::optional<quota::Refused> refused) mutable {
    // An entry takes no unit: where none is left, the draw is over, and its state is the better answer.
    if (refused.has_value() && refused->refusal != Refusal::kSoldOut) {
      return visit.done(RefusalError(*refused, visit.claim.sku_id));
    }
    AskDoor(std::move(visit));
  });
}

absl::Status EnterDrawHandler::MayServe(const std::string& sku_id) const {
  if (!serving_.load(std::memory_order_acquire)) return RefusalError({.refusal = Refusal::kExhaustedHere}, sku_id);
  if (!accepting_.load(std::memory_order_relaxed)) return RefusalError({.refusal = Refusal::kDraining});
  return absl::OkStatus();
}

void EnterDrawHandler::AskDoor(Visit visit) {
  const quota::GateVerdict verdict =
      door_->CheckDrawEntry(visit.claim.sku_id, visit.claim.user_id, visit.visitor, clock_->Now(), visit.deadline);
  if (verdict.refused.has_value()) return visit.done(RefusalError(*verdict.refused, visit.claim.sku_id));
  if (verdict.wait <= absl::ZeroDuration()) return Book(std::move(visit));
  BookAfterWait(verdict.wait, std::move(visit));
}

void EnterDrawHandler::BookAfterWait(absl::Duration wait, Visit visit) {
  // Shared, so that it can still be answered when the door has ended.
  auto waiting = std::make_shared<Visit>(std::move(visit));
  const bool parked = door_->Park(wait, [this, waiting] {
    // A node that ends calls those who wait before their time has come.
    if (absl::Status may = MayServe(waiting->claim.sku_id); !may.ok()) return waiting->done(std::move(may));
    Book(std::move(*waiting));
  });
  if (!parked) waiting->done(RefusalError({.refusal = Refusal::kDraining}));
}

void EnterDrawHandler::Book(Visit visit) {
  const std::string sku_id = visit.claim.sku_id;
  books_->EnterDraw(
      slices_->ShardOf(sku_id), std::move(visit.claim), visit.deadline,
      [sku_id, done = std::move(visit.done)](const absl::StatusOr<storage::DrawEntryResult>& result) mutable {
        done(EnteredOrRefused(sku_id, result));
      });
}

}  // namespace tranche::server
