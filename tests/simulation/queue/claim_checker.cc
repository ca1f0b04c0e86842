#include "tests/simulation/queue/claim_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tranche::simulation {
namespace {

bool SameTurn(const server::QueuedClaim& a, const server::QueuedClaim& b) {
  return std::any_of(a.lines.begin(), a.lines.end(), [&](const storage::ReservationClaim& line) {
    return std::any_of(b.lines.begin(), b.lines.end(), [&](const storage::ReservationClaim& other) {
      return line.user_id == other.user_id && line.sku_id == other.sku_id;
    });
  });
}

}  // namespace

void ClaimChecker::Violated(const char* rule, const storage::Uuid& id, const char* detail) {
  checker_->Violated(rule, absl::StrCat(id.ToString(), ": ", detail));
}

void ClaimChecker::Decide(const storage::Reservation& row) {
  const std::optional<storage::Refusal> refusal = storage::RefusalOf(row);
  const bool fresh = decisions_.try_emplace(row.reservation_id, refusal).second;
  undecided_.erase(row.reservation_id);
  if (fresh) return;
  Violated("once", row.reservation_id,
           refusal.has_value() ? "refused when it was decided" : "sold when it was decided");
}

void ClaimChecker::CheckRow(const storage::Reservation& row) {
  const auto decision = decisions_.find(row.reservation_id);
  if (decision == decisions_.end()) return Violated("told", row.reservation_id, "a row that nobody has made");
  if (decision->second == storage::RefusalOf(row)) return;
  Violated("once", row.reservation_id, "its row says something else than when it was decided");
}

void ClaimChecker::OnCommit(absl::Span<const storage::CommitResult> results) {
  if (!watches_) return;
  for (const storage::CommitResult& result : results) {
    if (result.outcome == storage::CommitOutcome::kCreated) Decide(result.reservation);
    if (result.outcome == storage::CommitOutcome::kReplayed) CheckRow(result.reservation);
  }
}

void ClaimChecker::OnRefused(absl::Span<const storage::ClaimRefusal> batch,
                             absl::Span<const storage::RefuseResult> results) {
  if (!watches_) return;
  for (size_t i = 0; i < batch.size(); ++i) {
    const storage::Uuid& id = batch[i].claim.reservation_id;
    const storage::Reservation& row = results[i].reservation;
    switch (results[i].outcome) {
      case storage::RefuseOutcome::kRefused:
        Count("refused");
        Decide(row);
        if (storage::RefusalOf(row) != batch[i].refusal) Violated("once", id, "refused for another reason than given");
        break;
      case storage::RefuseOutcome::kReplayed:
      case storage::RefuseOutcome::kSold: {
        const bool replayed = results[i].outcome == storage::RefuseOutcome::kReplayed;
        Count(replayed ? "refused again" : "sold before it was refused");
        CheckRow(row);
        if (storage::RefusalOf(row).has_value() != replayed) Violated("once", id, "said to be what it is not");
        break;
      }
      case storage::RefuseOutcome::kConflict:
        Violated("once", id, "nobody uses an id for two purposes here");
        break;
      case storage::RefuseOutcome::kSkuNotFound:
      case storage::RefuseOutcome::kSkuMoving:
        Violated("once", id, "no SKU goes away here");
        break;
    }
  }
}

void ClaimChecker::OnQueued(absl::Span<const storage::ReservationClaim> lines) {
  Count("queued");
  for (const storage::ReservationClaim& line : lines) {
    // It may be decided before its buyer hears that it is queued.
    if (!decisions_.contains(line.reservation_id)) undecided_.insert(line.reservation_id);
  }
}

ClaimTold ClaimChecker::OnTold(absl::Span<const storage::Uuid> ids, absl::Span<const storage::Reservation> rows,
                               absl::Time asked_at, absl::Time now) {
  if (!watches_) return ClaimTold::kUndecided;
  const auto before = told_.find(ids.front());
  if (rows.empty()) {
    if (before != told_.end() && before->second.at < asked_at)
      Violated("once", ids.front(), "not decided, although it was said to be");
    return ClaimTold::kUndecided;
  }
  size_t refused = 0;
  for (const storage::Reservation& row : rows) {
    CheckRow(row);
    if (storage::RefusalOf(row).has_value()) ++refused;
    if (ledger_->FindReservation(row.reservation_id).ok()) continue;
    Violated("told", row.reservation_id, "the buyer was told of a decision that is not there");
  }
  // The lines of a cart may be refused one after the other, and are sold together.
  const bool mixed = refused > 0 ? refused < rows.size() : rows.size() < ids.size();
  if (mixed) Violated("cart", ids.front(), "some of its lines are sold, and others are not");
  const ClaimTold told = refused > 0 ? ClaimTold::kRefused : ClaimTold::kSold;
  if (before != told_.end() && before->second.told != told)
    Violated("once", ids.front(), "its buyer was told otherwise");
  if (before == told_.end()) {
    told_.emplace(ids.front(), Told{.told = told, .at = now});
    Count(refused > 0 ? "told refused" : "told sold");
  }
  return told;
}

bool ClaimChecker::AnyRefused(absl::Span<const storage::Uuid> ids) const {
  return std::any_of(ids.begin(), ids.end(), [this](const storage::Uuid& id) {
    const auto decision = decisions_.find(id);
    return decision != decisions_.end() && decision->second.has_value();
  });
}

void ClaimChecker::OnDone(const server::QueuedClaim& claim, const std::map<uint64_t, server::QueuedClaim>& held,
                          uint64_t tag) {
  Count("done");
  for (const storage::ReservationClaim& line : claim.lines) {
    if (ledger_->FindReservation(line.reservation_id).ok()) continue;
    Violated("settled", line.reservation_id, "its message leaves the queue before it is decided");
  }
  for (const auto& [earlier, other] : held) {
    if (earlier >= tag) break;
    if (!SameTurn(claim, other)) continue;
    Violated("order", claim.lines.front().reservation_id, "decided before an earlier claim of its buyer");
  }
}

void ClaimChecker::OnOvertaken(const std::string& sku_id) {
  checker_->Violated("order", absl::StrCat(sku_id, ": sold at once while others' claims for it are waiting"));
}

}  // namespace tranche::simulation
