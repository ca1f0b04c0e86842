// One shard on a private PostgreSQL, with one node that holds all units, and reservations made there as a front node
// makes them: for benchmarks of what follows a reservation. An error ends the program.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_upkeep_ledger.h"
#include "storage/uuid.h"

namespace tranche::benchmark {

// In flight at once: as in a busy front node.
inline constexpr int kWindow = 4096;

void Check(const absl::Status& status);

// Version 7: the time comes first, as in the SDK's ids, so that the index grows at its end.
storage::Uuid NextId();

class Shard {
 public:
  Shard(const std::string& owner_dsn, const std::string& node_dsn);

  // A new SKU, whose units all are the node's.
  void Open(const std::string& sku_id, int64_t units, absl::Duration hold);
  void Verify();

  storage::PostgresLedger& ledger() { return ledger_; }
  storage::PostgresLifecycleLedger& lifecycle() { return lifecycle_; }
  storage::PostgresUpkeepLedger& upkeep() { return upkeep_; }
  storage::IncarnationId incarnation() const { return incarnation_; }

 private:
  storage::ConnectionPool pool_;
  storage::PostgresLedger ledger_{&pool_};
  storage::PostgresStockLedger stock_{&pool_};
  storage::PostgresLifecycleLedger lifecycle_{&pool_};
  storage::PostgresUpkeepLedger upkeep_{&pool_};
  storage::IncarnationId incarnation_ = storage::kPool;
};

// Keeps a bounded number of requests in flight.
class Window {
 public:
  explicit Window(int size) : size_(size), free_(size) {}
  void Enter();
  void Leave();
  void AwaitEmpty();

 private:
  bool HasRoom() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return free_ > 0; }
  bool IsEmpty() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return free_ == size_; }

  absl::Mutex mutex_;
  const int size_;
  int free_ ABSL_GUARDED_BY(mutex_);
};

double PerSecond(int64_t count, absl::Duration took);

// Creates one reservation after the other, for as long as `go_on(created)`, and returns their ids with the rate.
// `done`, if given, is called with each when it is created, on any thread.
std::vector<storage::Uuid> CreateMany(Shard& shard, const std::string& sku_id,
                                      const std::function<bool(int64_t)>& go_on, double* per_second,
                                      const std::function<void(const storage::Uuid&)>& done = {});

}  // namespace tranche::benchmark
