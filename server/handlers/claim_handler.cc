#include "server/handlers/claim_handler.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "server/errors.h"
#include "server/handlers/join_refused.h"
#include "server/handlers/reservation_messages.h"
#include "storage/ledger/claim_refusal.h"

namespace tranche::server {
namespace {

using storage::Refusal;
using storage::Reservation;

v1::GetClaimResponse RefusedAnswer(const absl::Status& error) {
  v1::GetClaimResponse response;
  *response.mutable_refused() = ToRpcStatus(error);
  return response;
}

absl::Status RefusalOfTicket(Refusal refusal, const std::string& sku_id, const ClaimTicket& ticket) {
  if (ticket.group == nullptr) return RefusalError({.refusal = refusal}, sku_id);
  return JoinRefused({.refusal = refusal}, sku_id, *ticket.group);
}

v1::GetClaimResponse SoldClaim(bool cart, absl::Span<const Reservation* const> lines, absl::Time now) {
  v1::GetClaimResponse response;
  if (!cart) {
    Fill(*lines.front(), now, response.mutable_created()->mutable_reservation());
    response.mutable_created()->set_replayed(true);
    return response;
  }
  for (const Reservation* line : lines) Fill(*line, now, response.mutable_cart_created()->add_reservations());
  response.mutable_cart_created()->set_replayed(true);
  return response;
}

// `rows`: those that exist, at least one. nullopt: they are no decision yet.
std::optional<v1::GetClaimResponse> DecisionOf(const ClaimTicket& ticket, absl::Span<const Reservation> rows,
                                               absl::Time now) {
  absl::flat_hash_map<storage::Uuid, const Reservation*> by_id;
  for (const Reservation& row : rows) by_id.emplace(row.reservation_id, &row);
  std::vector<const Reservation*> lines;
  std::vector<storage::ReservationClaim> claims;
  bool of_group = true;
  for (const storage::Uuid& id : ticket.ids) {
    const auto row = by_id.find(id);
    if (row == by_id.end()) continue;
    const Reservation& line = *row->second;
    lines.push_back(&line);
    // The row tells the group, and the group's offer is what it was opened with.
    claims.push_back({.reservation_id = id,
                      .sku_id = line.sku_id,
                      .user_id = line.user_id,
                      .quantity = line.quantity,
                      .order_reference = line.order_reference,
                      .group = ticket.group});
    of_group = of_group && storage::IsOf(line, claims.back());
  }
  // All lines are sold together. But a refusal may be noted of some before the others.
  const bool whole = lines.size() == ticket.ids.size();
  const bool ours = whole && of_group && PayloadOf(claims) == ticket.payload;
  if (ours || !whole) {
    for (const Reservation* line : lines) {
      const std::optional<Refusal> refusal = storage::RefusalOf(*line);
      if (refusal.has_value()) return RefusedAnswer(RefusalOfTicket(*refusal, line->sku_id, ticket));
    }
  }
  if (ours) return SoldClaim(ticket.cart, lines, now);
  // Lines of a cart lie on one shard, but they are not always read at one time: others may have been committed since.
  if (!whole) return std::nullopt;
  // Somebody has used the id for another claim.
  return RefusedAnswer(
      WithReservationId(RefusalError({.refusal = Refusal::kReservationIdReused}), rows.front().reservation_id));
}

}  // namespace

ClaimHandler::ClaimHandler(storage::Books* books, storage::Clock* clock, KeysOf keys, OutlookOf outlook)
    : books_(books), clock_(clock), keys_(std::move(keys)), outlook_(std::move(outlook)), reads_(books, clock) {}

absl::StatusOr<ClaimTicket> ClaimHandler::Read(const std::string& text) const {
  const std::shared_ptr<const FrontKeys> keys = keys_();
  std::optional<ClaimTicket> ticket;
  if (keys != nullptr) ticket = ReadClaimTicket(*keys, text, clock_->Now());
  if (ticket.has_value()) return *std::move(ticket);
  return FieldError(v1::ERROR_REASON_CLAIM_TICKET_INVALID, "ticket",
                    "must be the ticket of a claim that was queued within the last 24 hours");
}

v1::GetClaimResponse ClaimHandler::StillQueued(const ClaimTicket& ticket, const std::string& text) const {
  const ClaimOutlook outlook = outlook_(ticket);
  v1::GetClaimResponse response;
  FillQueued({.ticket = text, .ahead = outlook.ahead, .poll_after = outlook.poll_after, .decide_at = ticket.decide_at},
             response.mutable_queued());
  return response;
}

// Most who ask are still queued: one read tells them so.
void ClaimHandler::Get(const v1::GetClaimRequest& request, absl::Time deadline, Done done) {
  absl::StatusOr<ClaimTicket> ticket = Read(request.ticket());
  if (!ticket.ok()) return done(ticket.status());
  std::vector<storage::Uuid> ids = ticket->ids;
  Asked asked{*std::move(ticket), request.ticket(), deadline, std::move(done)};
  reads_.Read(std::move(ids), deadline,
              [this, asked = std::move(asked)](absl::StatusOr<std::vector<Reservation>> found) mutable {
                if (!found.ok()) {
                  return asked.done(LedgerError(found.status(), asked.ticket.sku_id, Repeatable::kYes));
                }
                if (found->empty()) return asked.done(StillQueued(asked.ticket, asked.text));
                AnswerFrom(*std::move(found), std::move(asked));
              });
}

// All rows of a claim are committed together, so that one of them tells whether the standby has them.
void ClaimHandler::AnswerFrom(std::vector<Reservation> found, Asked asked) {
  std::optional<v1::GetClaimResponse> decision = DecisionOf(asked.ticket, found, clock_->Now());
  if (!decision.has_value()) return asked.done(StillQueued(asked.ticket, asked.text));
  const storage::Uuid id = found.front().reservation_id;
  const absl::Time deadline = asked.deadline;
  books_->Find(id, storage::Assurance::kReplicated, deadline,
               [this, decision = *std::move(decision),
                asked = std::move(asked)](const absl::StatusOr<Reservation>& one) mutable {
                 if (one.ok()) return asked.done(std::move(decision));
                 if (absl::IsNotFound(one.status())) return asked.done(StillQueued(asked.ticket, asked.text));
                 asked.done(LedgerError(one.status(), asked.ticket.sku_id, Repeatable::kYes));
               });
}

}  // namespace tranche::server
