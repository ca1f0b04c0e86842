#include "tests/simulation/watched_ledger.h"

namespace tranche::simulation {

using storage::ChangeResult;
using storage::IncarnationId;
using storage::Sku;

void WatchedLedger::OnCommitted(IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims,
                                absl::Span<const storage::CommitResult> results) {
  process_->world().checker.OnCommit(process_->actor(), incarnation, claims, results);
  process_->world().life.OnCommit(results);
  process_->world().groups.OnCommit(process_->actor(), claims, results);
  process_->world().claims.OnCommit(results);
}

absl::StatusOr<std::vector<storage::CommitResult>> WatchedLedger::CommitReservations(
    IncarnationId incarnation, storage::LockMode mode, absl::Span<const storage::ReservationClaim> claims) {
  auto results = ledger().CommitReservations(incarnation, mode, claims);
  if (results.ok()) OnCommitted(incarnation, claims, *results);
  return results;
}

absl::StatusOr<Sku> WatchedLedger::CreateSku(const Sku& sku, const storage::Actor& actor) {
  auto created = ledger().CreateSku(sku, actor);
  if (created.ok()) process_->world().checker.OnSkuCreated(*created);
  return created;
}

absl::StatusOr<Sku> WatchedLedger::CloseSku(const std::string& sku_id, const storage::Actor& actor) {
  auto closed = ledger().CloseSku(sku_id, actor);
  if (closed.ok()) process_->world().checker.OnStock(process_->actor(), *closed, 0);
  return closed;
}

absl::StatusOr<Sku> WatchedLedger::ReopenSku(const std::string& sku_id, const storage::Actor& actor) {
  auto reopened = ledger().ReopenSku(sku_id, actor);
  if (reopened.ok()) process_->world().checker.OnStock(process_->actor(), *reopened, 0);
  return reopened;
}

absl::StatusOr<Sku> WatchedLedger::SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                                std::optional<int64_t> expected_terms_version,
                                                const storage::Actor& actor) {
  auto sku = ledger().SetSkuPaused(sku_id, paused, reason, expected_terms_version, actor);
  if (sku.ok()) process_->world().checker.OnStock(process_->actor(), *sku, 0);
  return sku;
}

absl::StatusOr<Sku> WatchedLedger::UpdateSku(const Sku& sku, const storage::Actor& actor) {
  auto updated = ledger().UpdateSku(sku, actor);
  if (updated.ok()) process_->world().checker.OnStock(process_->actor(), *updated, 0);
  return updated;
}

absl::StatusOr<Sku> WatchedLedger::AddStock(const std::string& sku_id, int64_t units,
                                            std::optional<int64_t> expected_stock, const storage::Actor& actor) {
  auto added = ledger().AddStock(sku_id, units, expected_stock, actor);
  if (added.ok()) process_->world().checker.OnStock(process_->actor(), *added, units);
  return added;
}

absl::StatusOr<storage::ReducedStock> WatchedLedger::ReduceStock(const std::string& sku_id, int64_t units,
                                                                 std::optional<int64_t> expected_stock,
                                                                 const storage::Actor& actor) {
  auto reduced = ledger().ReduceStock(sku_id, units, expected_stock, actor);
  if (reduced.ok()) process_->world().checker.OnStock(process_->actor(), reduced->sku, -reduced->units_taken);
  return reduced;
}

absl::StatusOr<Sku> WatchedLedger::SetQuotaFrozen(const std::string& sku_id, bool frozen, const storage::Actor& actor) {
  auto sku = ledger().SetQuotaFrozen(sku_id, frozen, actor);
  if (sku.ok()) process_->world().checker.OnStock(process_->actor(), *sku, 0);
  return sku;
}

absl::StatusOr<Sku> WatchedLedger::RaiseVersion(const std::string& sku_id, int64_t above, const storage::Actor& actor) {
  auto sku = ledger().RaiseVersion(sku_id, above, actor);
  if (sku.ok()) process_->world().checker.OnStock(process_->actor(), *sku, 0);
  return sku;
}

absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> WatchedLedger::MoveUnitsBatch(
    absl::Span<const storage::QuotaMove> moves, const storage::Actor& actor) {
  auto moved = ledger().MoveUnitsBatch(moves, actor);
  if (moved.ok()) process_->world().checker.OnMoved(process_->actor(), /*automatic=*/actor.empty(), moves, *moved);
  return moved;
}

absl::StatusOr<storage::PoolTake> WatchedLedger::TakeFromPool(const storage::PoolRequest& request) {
  auto take = ledger().TakeFromPool(request);
  if (take.ok()) process_->world().checker.OnTaken(process_->actor(), request, *take);
  return take;
}

absl::StatusOr<IncarnationId> WatchedLedger::RegisterIncarnation(const std::string& node_name,
                                                                 const std::string& address, bool draining) {
  auto id = ledger().RegisterIncarnation(node_name, address, draining);
  if (id.ok()) process_->world().checker.OnRegistered(process_->actor(), *id);
  return id;
}

absl::StatusOr<std::vector<std::string>> WatchedLedger::ReclaimIncarnation(IncarnationId incarnation) {
  auto skus = ledger().ReclaimIncarnation(incarnation);
  if (skus.ok()) process_->world().checker.OnReclaimed(process_->actor(), incarnation);
  return skus;
}

absl::StatusOr<IncarnationId> WatchedLedger::BeginHistory(IncarnationId above, const storage::Actor& actor) {
  auto first = ledger().BeginHistory(above, actor);
  if (first.ok()) process_->world().checker.OnHistoryBegun(process_->actor(), *first);
  return first;
}

template <typename Asked>
absl::StatusOr<std::vector<ChangeResult>> WatchedLedger::Watched(absl::Span<const Asked> batch,
                                                                 absl::StatusOr<std::vector<ChangeResult>> results) {
  if (results.ok()) process_->world().life.OnChanges<Asked>(process_->actor(), batch, *results);
  return results;
}

absl::StatusOr<std::vector<ChangeResult>> WatchedLedger::ConfirmReservations(storage::LockMode mode,
                                                                             absl::Span<const storage::Payment> batch) {
  return Watched(batch, ledger().ConfirmReservations(mode, batch));
}

absl::StatusOr<std::vector<ChangeResult>> WatchedLedger::CancelReservations(
    storage::LockMode mode, absl::Span<const storage::Cancellation> batch) {
  return Watched(batch, ledger().CancelReservations(mode, batch));
}

absl::StatusOr<std::vector<ChangeResult>> WatchedLedger::ExtendReservations(
    storage::LockMode mode, absl::Span<const storage::Extension> batch) {
  return Watched(batch, ledger().ExtendReservations(mode, batch));
}

absl::StatusOr<ChangeResult> WatchedLedger::ConfirmLate(const storage::Payment& payment) {
  auto result = ledger().ConfirmLate(payment);
  if (result.ok()) process_->world().life.OnConfirmedLate(process_->actor(), payment, *result);
  return result;
}

absl::StatusOr<storage::CartResult> WatchedLedger::CommitCart(IncarnationId incarnation, storage::LockMode mode,
                                                              absl::Span<const storage::ReservationClaim> lines) {
  auto cart = ledger().CommitCart(incarnation, mode, lines);
  if (!cart.ok()) return cart;
  if (cart->committed) {
    OnCommitted(incarnation, lines, cart->lines);
  } else {
    process_->world().checker.OnCartRefused(lines);
  }
  return cart;
}

absl::StatusOr<std::vector<storage::RefuseResult>> WatchedLedger::RefuseClaims(
    absl::Span<const storage::ClaimRefusal> batch) {
  auto results = ledger().RefuseClaims(batch);
  if (!results.ok()) return results;
  process_->Note("refuses for good", static_cast<int64_t>(batch.size()));
  process_->world().claims.OnRefused(batch, *results);
  return results;
}

absl::StatusOr<storage::ExpiredHolds> WatchedLedger::ExpireDue(int limit) {
  auto holds = ledger().ExpireDue(limit);
  if (holds.ok()) process_->world().life.OnExpired(process_->actor(), limit, *holds);
  return holds;
}

absl::StatusOr<storage::GroupOffer> WatchedLedger::CreateGroupOffer(const storage::GroupOffer& offer, bool preview,
                                                                    const storage::Actor& actor) {
  auto created = ledger().CreateGroupOffer(offer, preview, actor);
  if (created.ok() && !preview) process_->world().groups.OnOffer(*created);
  return created;
}

absl::StatusOr<storage::GroupOffer> WatchedLedger::CloseGroupOffer(const std::string& sku_id,
                                                                   const std::string& offer_id, bool preview,
                                                                   const storage::Actor& actor) {
  auto closed = ledger().CloseGroupOffer(sku_id, offer_id, preview, actor);
  if (closed.ok() && !preview) process_->world().groups.OnOffer(*closed);
  return closed;
}

absl::StatusOr<storage::Group> WatchedLedger::CancelGroup(const storage::Uuid& group_id, const std::string& sku_id,
                                                          const std::string& reason, bool preview,
                                                          const storage::Actor& actor) {
  auto group = ledger().CancelGroup(group_id, sku_id, reason, preview, actor);
  if (group.ok() && !preview) process_->world().life.OnGroupCancelled(process_->actor(), group_id);
  return group;
}

absl::StatusOr<storage::ExpiredGroups> WatchedLedger::ExpireGroups(int limit) {
  auto done = ledger().ExpireGroups(limit);
  if (done.ok()) process_->world().life.OnGroupsExpired(process_->actor(), *done);
  return done;
}

}  // namespace tranche::simulation
