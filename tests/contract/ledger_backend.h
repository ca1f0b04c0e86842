// The ledgers that the contract is checked on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/health_ledger.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/ledger/outbox_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/stock_ledger.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::storage {

// One empty ledger, with its server if it has one. Its clock is the wall clock, unless LetPass moves it.
class LedgerBackend {
 public:
  virtual ~LedgerBackend() = default;
  virtual ReservationLedger& reservations() = 0;
  virtual StockLedger& stock() = 0;
  virtual LifecycleLedger& lifecycle() = 0;
  virtual UpkeepLedger& upkeep() = 0;
  virtual OutboxLedger& outbox() = 0;
  virtual HealthLedger& health() = 0;
  virtual FrontLedger& front() = 0;
  virtual DrawLedger& draws() = 0;
  virtual GroupLedger& groups() = 0;

  // Lets this much time pass for reservations, groups, messages, late payments, heartbeats and the front door.
  virtual void LetPass(absl::Duration duration) = 0;
  // As if so many other changes of the front door had been made.
  virtual void CountFrontChanges(int64_t changes) = 0;
  // Policies and access entries, also those that are kept only to tell readers that they are removed.
  virtual int64_t StoredFrontRows() = 0;
  // As if somebody had added kMaxAccessEntries entries to an empty access list, about users "u1", "u2", ...
  virtual void FillAccessList() = 0;

  static std::unique_ptr<LedgerBackend> Fake();
  static std::unique_ptr<LedgerBackend> Postgres();
};

using LedgerFactory = std::unique_ptr<LedgerBackend> (*)();

// The parameter of a suite that runs on both.
struct LedgerKind {
  std::string name;
  LedgerFactory make;
};

}  // namespace tranche::storage
