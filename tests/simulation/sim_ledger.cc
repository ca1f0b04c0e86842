#include "tests/simulation/sim_ledger.h"

#include <algorithm>

#include "storage/ledger/ledger_error.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kLeastLate = absl::Milliseconds(300);
constexpr absl::Duration kMostLate = absl::Seconds(4);
// As the connection pool's: for so long after the statement's own time it waits for the server's word.
constexpr absl::Duration kStatementGrace = absl::Seconds(2);

}  // namespace

using storage::IncarnationId;
using storage::Sku;
using storage::Uuid;

SimLedger::Fate SimLedger::ChooseFate(Kind kind) {
  World& world = process_->world();
  if (!world.faulty) return Fate::kAnswered;
  if (world.call_random.Chance(world.scenario.call_faults.ledger_late)) {
    return world.call_random.Chance(0.5) ? Fate::kHeldUp : Fate::kAnswerLate;
  }
  if (!world.call_random.Chance(world.scenario.call_faults.ledger)) return Fate::kAnswered;
  if (kind == Kind::kRead) return Fate::kFails;
  const int64_t kinds = kind == Kind::kCommit ? 4 : 3;
  static constexpr Fate kFates[] = {Fate::kFails, Fate::kAnswerLost, Fate::kCallLost, Fate::kDeadlock};
  return kFates[world.call_random.Below(kinds)];
}

absl::Duration SimLedger::ChooseLateness() {
  const absl::Duration late = process_->world().call_random.Between(kLeastLate, kMostLate);
  process_->NoteFault(Fault::kLedgerLate, absl::ToInt64Milliseconds(late));
  return late;
}

absl::Status SimLedger::Begin(Fate fate) {
  const Scenario& scenario = process_->world().scenario;
  if (!process_->Await(scenario.ledger_delay_min, scenario.ledger_delay_max)) return absl::UnavailableError("crashed");
  if (!process_->ReachesLedger()) return absl::UnavailableError("the ledger does not answer");
  switch (fate) {
    case Fate::kFails:
      process_->NoteFault(Fault::kLedgerCallFails);
      return absl::UnavailableError("failed");
    case Fate::kCallLost:
      process_->NoteFault(Fault::kLedgerCallLost);
      return storage::UnknownCommitError("lost on the way there");
    case Fate::kDeadlock:
      process_->NoteFault(Fault::kLedgerDeadlock);
      return storage::RetryTransactionError("deadlock");
    case Fate::kAnswered:
    case Fate::kAnswerLost:
    case Fate::kHeldUp:
    case Fate::kAnswerLate:
      break;
  }
  return absl::OkStatus();
}

// By a lock, or because the ledger is slow. It does not notice when the process that called it is paused, is cut off or
// dies meanwhile: it goes on.
absl::Status SimLedger::BeHeldUp(Kind kind) {
  World& world = process_->world();
  const absl::Duration timeout = world.scenario.statement_timeout;
  const absl::Duration late = ChooseLateness();
  const absl::Duration waits = std::min(late, timeout);
  process_->Hinder(waits);
  world.scheduler.Sleep(waits);
  if (world.scheduler.stopping()) return absl::UnavailableError("crashed");
  if (world.ledger_down) return Lost(kind, "the ledger went down");
  if (late > waits) return absl::UnavailableError("cancelled by the statement timeout");
  return absl::OkStatus();
}

absl::Status SimLedger::End(Kind kind, Fate fate) {
  const Scenario& scenario = process_->world().scenario;
  const absl::Duration late = fate == Fate::kAnswerLate ? ChooseLateness() : absl::ZeroDuration();
  const absl::Duration waits = std::min(late, scenario.statement_timeout + kStatementGrace);
  process_->Hinder(waits);
  if (!process_->Await(scenario.ledger_delay_min + waits, scenario.ledger_delay_max + waits)) {
    return absl::UnavailableError("crashed");
  }
  if (fate == Fate::kAnswerLost) process_->NoteFault(Fault::kLedgerAnswerLost);
  if (fate != Fate::kAnswerLost && late == waits && process_->ReachesLedger()) return absl::OkStatus();
  return Lost(kind, "lost on the way back");
}

// Of what changes nothing, a lost answer leaves no doubt.
absl::Status SimLedger::Lost(Kind kind, const char* why) {
  return kind == Kind::kRead ? absl::UnavailableError(why) : storage::UnknownCommitError(why);
}

void SimLedger::OnCommitted(IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims,
                            absl::Span<const storage::CommitResult> results) {
  process_->world().checker.OnCommit(process_->actor(), incarnation, claims, results);
  process_->world().life.OnCommit(results);
}

absl::StatusOr<std::vector<storage::CommitResult>> SimLedger::CommitReservations(
    IncarnationId incarnation, storage::LockMode mode, absl::Span<const storage::ReservationClaim> claims) {
  const auto perform = [&]() -> absl::StatusOr<std::vector<storage::CommitResult>> {
    auto results = process_->world().ledger.CommitReservations(incarnation, mode, claims);
    if (results.ok()) OnCommitted(incarnation, claims, *results);
    return results;
  };
  auto results = Call(Kind::kCommit, perform);
  if (storage::IsUnknownCommit(results.status())) process_->world().checker.OnCommitUnknown(incarnation, claims);
  return results;
}

absl::StatusOr<storage::CommitResult> SimLedger::FindReservation(const Uuid& reservation_id) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.FindReservation(reservation_id); });
}

absl::StatusOr<Sku> SimLedger::CreateSku(const Sku& sku, const std::string& actor) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<Sku> {
    auto created = process_->world().ledger.CreateSku(sku, actor);
    if (created.ok()) process_->world().checker.OnSkuCreated(*created);
    return created;
  });
}

absl::StatusOr<Sku> SimLedger::GetSku(const std::string& sku_id) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.GetSku(sku_id); });
}

absl::StatusOr<std::vector<Sku>> SimLedger::ListSkus(const std::string& after, int limit) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ListSkus(after, limit); });
}

absl::StatusOr<Sku> SimLedger::CloseSku(const std::string& sku_id, const std::string& actor) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<Sku> {
    auto closed = process_->world().ledger.CloseSku(sku_id, actor);
    if (closed.ok()) process_->world().checker.OnStock(process_->actor(), *closed, 0);
    return closed;
  });
}

absl::StatusOr<Sku> SimLedger::AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                                        const std::string& actor) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<Sku> {
    auto added = process_->world().ledger.AddStock(sku_id, units, expected_stock, actor);
    if (added.ok()) process_->world().checker.OnStock(process_->actor(), *added, units);
    return added;
  });
}

absl::StatusOr<storage::ReducedStock> SimLedger::ReduceStock(const std::string& sku_id, int64_t units,
                                                             std::optional<int64_t> expected_stock,
                                                             const std::string& actor) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<storage::ReducedStock> {
    auto reduced = process_->world().ledger.ReduceStock(sku_id, units, expected_stock, actor);
    if (reduced.ok()) process_->world().checker.OnStock(process_->actor(), reduced->sku, -reduced->units_taken);
    return reduced;
  });
}

absl::StatusOr<Sku> SimLedger::SetQuotaFrozen(const std::string& sku_id, bool frozen, const std::string& actor) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<Sku> {
    auto sku = process_->world().ledger.SetQuotaFrozen(sku_id, frozen, actor);
    if (sku.ok()) process_->world().checker.OnStock(process_->actor(), *sku, 0);
    return sku;
  });
}

absl::StatusOr<std::vector<storage::SkuQuota>> SimLedger::ReadQuotas(absl::Span<const std::string> sku_ids) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ReadQuotas(sku_ids); });
}

absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> SimLedger::MoveUnitsBatch(
    absl::Span<const storage::QuotaMove> moves, const std::string& actor) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> {
    auto moved = process_->world().ledger.MoveUnitsBatch(moves, actor);
    if (moved.ok()) process_->world().checker.OnMoved(process_->actor(), actor == "balancer", moves, *moved);
    return moved;
  });
}

absl::StatusOr<std::vector<std::string>> SimLedger::ListPooledSkus(const std::string& after, int limit) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ListPooledSkus(after, limit); });
}

absl::StatusOr<std::vector<std::string>> SimLedger::ListReturnedSkus(const std::string& after, int limit) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ListReturnedSkus(after, limit); });
}

absl::Status SimLedger::AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) {
  return Call(Kind::kChange, [&] { return process_->world().ledger.AckReturnedSkus(announced); });
}

absl::StatusOr<std::vector<std::pair<std::string, storage::Slice>>> SimLedger::ListSlices(IncarnationId incarnation) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ListSlices(incarnation); });
}

absl::StatusOr<IncarnationId> SimLedger::RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                             bool draining) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<IncarnationId> {
    auto id = process_->world().ledger.RegisterIncarnation(node_name, address, draining);
    if (id.ok()) process_->world().checker.OnRegistered(process_->actor(), *id);
    return id;
  });
}

absl::StatusOr<std::vector<storage::Incarnation>> SimLedger::ListLiveIncarnations() {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ListLiveIncarnations(); });
}

absl::StatusOr<storage::Incarnation> SimLedger::SetDraining(IncarnationId incarnation, bool draining,
                                                            const std::string& actor) {
  return Call(Kind::kChange, [&] { return process_->world().ledger.SetDraining(incarnation, draining, actor); });
}

absl::StatusOr<std::vector<std::string>> SimLedger::ReclaimIncarnation(IncarnationId incarnation) {
  return Call(Kind::kChange, [&]() -> absl::StatusOr<std::vector<std::string>> {
    auto skus = process_->world().ledger.ReclaimIncarnation(incarnation);
    if (skus.ok()) process_->world().checker.OnReclaimed(process_->actor(), incarnation);
    return skus;
  });
}

absl::StatusOr<std::vector<storage::AuditEntry>> SimLedger::ListAudit(const std::string& sku_id, int64_t before,
                                                                      int limit) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ListAudit(sku_id, before, limit); });
}

absl::StatusOr<storage::VerifyReport> SimLedger::Verify(const std::string& sku_id) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.Verify(sku_id); });
}

}  // namespace tranche::simulation
