// How many units of the SKUs whose claims are queued are left, as the ledger last said. Announcements say it only when
// few are.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/books.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies, and outlives the calls to the books that it has made.
class UnsoldUnits {
 public:
  // Of a SKU that was never read: no bound. The broker has its own.
  static constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

  explicit UnsoldUnits(storage::Books* books) : books_(books) {}

  // Of an answer that may be old: while the ledger is silent, the last one counts. The SKU is read at the next Refresh.
  int64_t Of(const std::string& sku_id);
  // This SKU's claims will be queued: it is read at the next Refresh, unless it was read before. To be said again while
  // it is so: that keeps it known.
  void Expect(const std::string& sku_id);
  // Reads, without waiting for it, the SKUs that were asked for since the last time. To be called once a second.
  void Refresh();

 private:
  // With so many, none is kept that was neither asked for nor expected in so many rounds. Otherwise all would be
  // dropped and read again every other round.
  static constexpr size_t kMostSkus = 1000;
  static constexpr int64_t kKeptRounds = 10;

  struct Units {
    int64_t unsold = kUnknown;
    bool wanted = false;
    bool reading = false;
    int64_t used_in = 0;  // the last round in which it was asked for or expected
  };

  void Read(const std::string& sku_id, const absl::StatusOr<storage::Sku>& sku);

  storage::Books* const books_;
  absl::Mutex mutex_;
  int64_t round_ ABSL_GUARDED_BY(mutex_) = 0;  // how often Refresh was called
  absl::flat_hash_map<std::string, Units> skus_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
