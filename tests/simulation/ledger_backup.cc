#include "tests/simulation/ledger_backup.h"

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/ledger_mark.h"
#include "tests/support/sessions.h"

namespace tranche::simulation {

LedgerBackup::LedgerBackup(World& world)
    : taken_at_(world.scheduler.Now()),
      ledger_(world.ledger.Save()),
      // The ledger does not go on from this mark: so it counts nothing, and only says where it stands.
      mark_(world.ledger.Mark(storage::LedgerMark{}).value_or(storage::LedgerMark{})),
      units_(world.checker.Save()),
      life_(world.life.Save()) {}

bool LedgerBackup::LossIsNoticed(World& world, bool same_line) const {
  testing::DeafObserver observer;
  const auto session = quota::FakeConnector(&world.zookeeper).Connect(&observer);
  if (!session.ok()) return false;
  const auto znode = (*session)->Get(quota::LedgerMarkPath(), quota::Watch::kNo);
  if (!znode.ok()) return false;
  const storage::LedgerMark noted = quota::ReadLedgerMark(znode->data);
  if (!same_line) return true;
  // While a new history is being begun, the tree still has the earlier one's mark: what is lost of the new one since
  // its leader last looked is not seen there.
  const auto now = world.ledger.Mark(storage::LedgerMark{});
  if (now.ok() && storage::IsSameHistory(*now, mark_) && !storage::IsSameHistory(noted, mark_)) return false;
  return !storage::IsSameHistory(noted, mark_) || noted.count > mark_.count;
}

void LedgerBackup::Restore(World& world, bool same_line) const {
  world.ledger.Restore(*ledger_, same_line ? storage::FakeLedger::Line::kSame : storage::FakeLedger::Line::kNew);
  ++world.ledger_epoch;
  world.checker.GoBack(units_);
  world.life.GoBack(life_);
}

}  // namespace tranche::simulation
