// The ledger's upkeep on PostgreSQL: calls the procedures of storage/sql.
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/ledger/upkeep_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresUpkeepLedger : public UpkeepLedger {
 public:
  explicit PostgresUpkeepLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<ExpiredHolds> ExpireDue(int limit) override;
  absl::StatusOr<RemindedHolds> RemindHolds(absl::Duration within, int limit) override;
  absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, Retired retired) override;
  absl::StatusOr<int64_t> RetireAudit(absl::Duration age, int limit, absl::Time now) override;

 private:
  // A pass goes through everything that is due, call after call, as long as something is passed over because it is
  // locked. Otherwise each call begins anew: what was due is then no longer there.
  struct ExpiryPass {
    std::string at_due, at_id;  // the last hold that was looked at; "" at the beginning
    int64_t expired = 0;
    std::string wait_for;  // at the next beginning: a SKU that was locked; "" for none
  };
  // How the pass goes on after a call.
  static void GoOn(const ExpiredHolds& holds, std::string at_due, std::string at_id, ExpiryPass* pass);

  ConnectionPool* const pool_;
  absl::Mutex mutex_;
  ExpiryPass pass_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::storage
