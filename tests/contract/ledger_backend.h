// The ledgers that the contract is checked on.
#pragma once

#include <memory>
#include <string>

#include "storage/ledger.h"

namespace tranche::storage {

// One empty ledger, with whatever serves it. Its clock is the wall clock.
class LedgerBackend {
 public:
  virtual ~LedgerBackend() = default;
  virtual ReservationLedger& reservations() = 0;
  virtual StockLedger& stock() = 0;

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
