// The ledger as it was at some moment, and what the checkers knew of it then: it may become that again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "tests/simulation/world.h"

namespace tranche::simulation {

class LedgerBackup {
 public:
  explicit LedgerBackup(World& world);

  // Can anybody notice that the ledger has gone back to this? Not without a mark in the tree; and if the ledger keeps
  // its line and its history, only by a mark from after the backup. docs/operations.md says so to operators. A backup
  // from the middle of the beginning of a history counts as unnoticed, too: until that is done, only its leader has
  // marks of it, and the tree does not show which.
  bool LossIsNoticed(World& world, bool same_line) const;
  // Makes the ledger what it was. Its connections are dead.
  void Restore(World& world, bool same_line) const;

  int64_t AgeMs(const World& world) const { return absl::ToInt64Milliseconds(world.scheduler.Now() - taken_at_); }

 private:
  const absl::Time taken_at_;
  const std::shared_ptr<const storage::FakeLedger::Backup> ledger_;
  const storage::LedgerMark mark_;
  const std::optional<storage::LedgerMark> noted_;  // what the tree remembered of it
  const Checker::Past units_;
  const LifeChecker::Past life_;
};

}  // namespace tranche::simulation
