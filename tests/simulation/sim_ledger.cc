#include "tests/simulation/sim_ledger.h"

#include <algorithm>

#include "storage/ledger/ledger_error.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kLeastLate = absl::Milliseconds(300);
constexpr absl::Duration kMostLate = absl::Seconds(4);
// Like the connection pool's: this long after the statement's own timeout it still waits for the server's answer.
constexpr absl::Duration kLockTimeout = absl::Milliseconds(500);
constexpr absl::Duration kStatementGrace = absl::Seconds(2);
constexpr absl::Duration kLeastLock = absl::Milliseconds(200);
constexpr absl::Duration kMostLock = absl::Seconds(6);

}  // namespace

SimLedger::Fate SimLedger::ChooseFate(Effect effect) {
  World& world = process_->world();
  if (!world.faulty) return Fate::kAnswered;
  if (world.call_random.Chance(world.scenario.call_faults.ledger_late)) {
    return world.call_random.Chance(0.5) ? Fate::kHeldUp : Fate::kAnswerLate;
  }
  if (!world.call_random.Chance(world.scenario.call_faults.ledger)) return Fate::kAnswered;
  if (effect == Effect::kRead) return Fate::kFails;
  const int64_t fates = effect == Effect::kChangesReservations ? 4 : 3;
  static constexpr Fate kFates[] = {Fate::kFails, Fate::kAnswerLost, Fate::kCallLost, Fate::kDeadlock};
  return kFates[world.call_random.Below(fates)];
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

// By a lock, or because the ledger is slow. The ledger does not notice if the process that called it is paused, cut off
// or dies meanwhile: it goes on.
absl::Status SimLedger::BeHeldUp(Effect effect, int epoch) {
  World& world = process_->world();
  const absl::Duration timeout = world.scenario.statement_timeout;
  const absl::Duration late = ChooseLateness();
  const absl::Duration waits = std::min(late, timeout);
  process_->Hinder(waits);
  world.scheduler.Sleep(waits);
  if (world.scheduler.stopping()) return absl::UnavailableError("crashed");
  if (world.ledger_down || world.ledger_epoch != epoch) return Lost(effect, "the ledger went down");
  if (late > waits) return absl::UnavailableError("cancelled by the statement timeout");
  return absl::OkStatus();
}

absl::Status SimLedger::End(Effect effect, Fate fate, int epoch) {
  const Scenario& scenario = process_->world().scenario;
  const absl::Duration late = fate == Fate::kAnswerLate ? ChooseLateness() : absl::ZeroDuration();
  const absl::Duration waits = std::min(late, scenario.statement_timeout + kStatementGrace);
  process_->Hinder(waits);
  if (!process_->Await(scenario.ledger_delay_min + waits, scenario.ledger_delay_max + waits)) {
    return absl::UnavailableError("crashed");
  }
  if (fate == Fate::kAnswerLost) process_->NoteFault(Fault::kLedgerAnswerLost);
  const bool same_server = process_->ReachesLedger() && process_->world().ledger_epoch == epoch;
  if (fate != Fate::kAnswerLost && late == waits && same_server) return absl::OkStatus();
  return Lost(effect, "lost on the way back");
}

// If the call changes nothing, a lost answer leaves no doubt.
absl::Status SimLedger::Lost(Effect effect, const char* why) {
  return effect == Effect::kRead ? absl::UnavailableError(why) : storage::UnknownCommitError(why);
}

absl::StatusOr<std::vector<storage::CommitResult>> SimLedger::CommitReservations(
    storage::IncarnationId incarnation, storage::LockMode mode, absl::Span<const storage::ReservationClaim> claims) {
  const std::string locked = process_->world().locked_sku;
  const bool blocked =
      std::any_of(claims.begin(), claims.end(), [&](const auto& claim) { return claim.sku_id == locked; });
  if (blocked && storage::MayWait(mode)) return WaitInVain(mode);
  auto results = blocked ? CommitUnlocked(locked, incarnation, mode, claims)
                         : ForwardingReservationLedger::CommitReservations(incarnation, mode, claims);
  if (storage::IsUnknownCommit(results.status())) {
    process_->world().checker.OnCommitUnknown(incarnation, claims);
    LockNowAndThen(claims.front().sku_id);
  }
  return results;
}

// Whoever takes long enough for answers to be lost may have a lock, too: then claims are in doubt, and have to wait.
void SimLedger::LockNowAndThen(const std::string& sku_id) {
  World& world = process_->world();
  const bool may = world.faulty && world.scenario.call_faults.ledger > 0 && world.locked_sku.empty();
  if (!may || !world.call_random.Chance(0.3)) return;
  const absl::Duration lasts = world.call_random.Between(kLeastLock, kMostLock);
  world.locked_sku = sku_id;
  process_->NoteFault(Fault::kSkuLocked, absl::ToInt64Milliseconds(lasts));
  world.scheduler.After(lasts, [&world] { world.locked_sku.clear(); });
}

absl::StatusOr<storage::CartResult> SimLedger::CommitCart(storage::IncarnationId incarnation, storage::LockMode mode,
                                                          absl::Span<const storage::ReservationClaim> lines) {
  const std::string locked = process_->world().locked_sku;
  const bool blocked = std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.sku_id == locked; });
  if (blocked && storage::MayWait(mode)) return WaitInVain(mode);
  if (blocked) return FindLocked(locked, lines);
  auto cart = ForwardingLifecycleLedger::CommitCart(incarnation, mode, lines);
  if (storage::IsUnknownCommit(cart.status())) process_->world().checker.OnCommitUnknown(incarnation, lines);
  return cart;
}

absl::StatusOr<storage::CartResult> SimLedger::FindLocked(const std::string& locked,
                                                          absl::Span<const storage::ReservationClaim> lines) {
  if (absl::Status begun = Begin(Fate::kAnswered); !begun.ok()) return begun;
  const int epoch = process_->world().ledger_epoch;
  if (absl::Status ended = End(Effect::kRead, Fate::kAnswered, epoch); !ended.ok()) return ended;
  storage::CartResult cart;
  for (const auto& line : lines) {
    cart.lines.push_back(
        {line.sku_id == locked ? storage::CommitOutcome::kBusy : storage::CommitOutcome::kCreated, {}});
  }
  return cart;
}

// The transaction with the lock lasts longer than a lane waits.
absl::Status SimLedger::WaitInVain(storage::LockMode mode) {
  if (absl::Status begun = Begin(Fate::kAnswered); !begun.ok()) return begun;
  const absl::Duration wait = mode == storage::LockMode::kWaitBriefly ? storage::kBriefLockWait : kLockTimeout;
  process_->Hinder(wait);
  process_->world().scheduler.Sleep(wait);
  const int epoch = process_->world().ledger_epoch;
  if (absl::Status ended = End(Effect::kRead, Fate::kAnswered, epoch); !ended.ok()) return ended;
  return storage::BusyError("lock timeout");
}

absl::StatusOr<std::vector<storage::CommitResult>> SimLedger::CommitUnlocked(
    const std::string& locked, storage::IncarnationId incarnation, storage::LockMode mode,
    absl::Span<const storage::ReservationClaim> claims) {
  std::vector<storage::ReservationClaim> free;
  for (const auto& claim : claims) {
    if (claim.sku_id != locked) free.push_back(claim);
  }
  auto committed = ForwardingReservationLedger::CommitReservations(incarnation, mode, free);
  if (!committed.ok()) return committed.status();
  std::vector<storage::CommitResult> results;
  auto next = committed->begin();
  for (const auto& claim : claims) {
    results.push_back(claim.sku_id == locked ? storage::CommitResult{storage::CommitOutcome::kBusy, {}} : *next++);
  }
  return results;
}

}  // namespace tranche::simulation
