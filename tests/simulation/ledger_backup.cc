#include "tests/simulation/ledger_backup.h"

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/ledger_mark.h"
#include "tests/support/sessions.h"

namespace tranche::simulation {
namespace {

std::optional<storage::LedgerMark> MarkInTree(World& world) {
  testing::DeafObserver observer;
  const auto session = quota::FakeConnector(&world.zookeeper).Connect(&observer);
  if (!session.ok()) return std::nullopt;
  const auto znode = (*session)->Get(quota::LedgerMarkPath(), quota::Watch::kNo);
  if (!znode.ok()) return std::nullopt;
  return quota::ReadLedgerMark(znode->data);
}

}  // namespace

LedgerBackup::LedgerBackup(World& world)
    : taken_at_(world.scheduler.Now()),
      ledger_(world.ledger.Save()),
      // The ledger does not go on from this mark: so it counts nothing, and only says where it stands.
      mark_(world.ledger.Mark(storage::LedgerMark{}).value_or(storage::LedgerMark{})),
      noted_(MarkInTree(world)),
      units_(world.checker.Save()),
      life_(world.life.Save()) {}

bool LedgerBackup::LossIsNoticed(World& world, bool same_line) const {
  const std::optional<storage::LedgerMark> noted = MarkInTree(world);
  if (!noted.has_value()) return false;
  if (!same_line) return true;
  if (!noted_.has_value() || !storage::IsSameHistory(*noted_, mark_)) return false;
  return !storage::IsSameHistory(*noted, mark_) || noted->count > mark_.count;
}

void LedgerBackup::Restore(World& world, bool same_line) const {
  world.ledger.Restore(*ledger_, same_line ? storage::FakeLedger::Line::kSame : storage::FakeLedger::Line::kNew);
  ++world.ledger_epoch;
  world.checker.GoBack(units_);
  world.life.GoBack(life_);
}

}  // namespace tranche::simulation
