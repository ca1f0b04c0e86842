// What a node knows about SKUs from the ledger, where announcements do not say it: read when asked for, kept for a
// moment, bounded.
//
// A SKU that is not sold here is unknown, closed, sold out, or about to be sold: the caller gets a different answer for
// each. Of a SKU that is sold here, it knows how many units are unsold anywhere, even if they are many
// (quota/sale/shortage.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/slices/sku_terms.h"
#include "storage/books.h"
#include "storage/clock.h"

namespace tranche::quota {

// What one look into the ledger says.
struct SkuLook {
  SkuTerms terms;
  // Anywhere, at that moment. Apart from the terms, since a slice may keep those for long, and nothing announces when
  // such a number is no longer true.
  int64_t unsold = 0;

  // To be used at once: the terms, with the exact number.
  SkuTerms ExactTerms() const {
    SkuTerms exact = terms;
    exact.at_most = unsold;
    return exact;
  }
};

// Thread-safe. Outlived by its dependencies.
class SkuDirectory {
 public:
  // nullopt: there is no such SKU. Errors: kUnavailable (the ledger), kResourceExhausted (too many lookups wait).
  using Found = absl::StatusOr<std::optional<SkuLook>>;
  using LookupDone = absl::AnyInvocable<void(const Found&)>;

  SkuDirectory(storage::Books* books, storage::Clock* clock) : books_(books), clock_(clock) {}

  // Calls `done` exactly once: inline from what is known, otherwise as the books do. Simultaneous lookups of one SKU
  // share one read of the ledger.
  void Lookup(const std::string& sku_id, LookupDone done);

  // Were fewer units than this unsold anywhere when the SKU was last looked up, however long ago? No answer to give to
  // anybody: a hint that asking comes first.
  bool LastSawFewerThan(const std::string& sku_id, int64_t units);

 private:
  // Long enough that a flood of requests for one SKU reads it once a second, short enough that a new SKU is seen soon.
  static constexpr absl::Duration kFreshFor = absl::Seconds(1);
  static constexpr size_t kMaxKnown = 10000;
  static constexpr size_t kMaxWaiters = 10000;

  struct Entry {
    Found found;
    absl::Time read_at;
  };

  void Finish(const std::string& sku_id, const Found& found);

  storage::Books* const books_;
  storage::Clock* const clock_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> known_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::vector<LookupDone>> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiters_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::quota
