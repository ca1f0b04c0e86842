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
  // This SKU's claims will be queued: it is read at the next Refresh, unless it was read before.
  void Expect(const std::string& sku_id);
  // Reads, without waiting for it, the SKUs that were asked for since the last time. To be called once a second.
  void Refresh();

 private:
  // Beyond that, none is kept that nobody has asked for lately.
  static constexpr size_t kMostSkus = 1000;

  struct Units {
    int64_t unsold = kUnknown;
    bool wanted = false;
    bool reading = false;
  };

  void Read(const std::string& sku_id, const absl::StatusOr<storage::Sku>& sku);

  storage::Books* const books_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Units> skus_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
