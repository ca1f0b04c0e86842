// Writes announcements: conditional on the znode's version and ordered by the ledger's, so that an older one never
// replaces a newer one, whichever process writes and however late.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::quota {

// Gives the current session; null while there is none. Thread-safe.
class SessionSource {
 public:
  virtual ~SessionSource() = default;
  virtual std::shared_ptr<Coordination> Session() = 0;
};

struct SliceToAnnounce {
  storage::IncarnationId incarnation = storage::kPool;
  std::string sku_id;
  int64_t allotted = 0;
  int64_t version = 0;
};

// A SKU as read from the ledger.
struct SkuToAnnounce {
  storage::Sku sku;
  // Written even if only its version is newer. For changes after which units may be unsold again: a "sold out" that was
  // read before and is written late must find a newer version there.
  bool always = false;
};

// Thread-safe.
class Announcer {
 public:
  explicit Announcer(SessionSource* sessions) : sessions_(sessions) {}

  // Announces those of the SKUs whose terms changed and those of the slices whose announcement is missing or older, the
  // SKUs first: a node cannot sell a slice whose terms it does not find. A slice of an incarnation that has ended is
  // skipped. kUnavailable when some could not be written; repeating is harmless. `failed`, if given, gets the ids of
  // the SKUs that were not fully written.
  absl::Status Announce(absl::Span<const SkuToAnnounce> skus, absl::Span<const SliceToAnnounce> slices,
                        std::set<std::string>* failed = nullptr);

  absl::Status AnnounceSlices(absl::Span<const SliceToAnnounce> slices) { return Announce({}, slices); }
  absl::Status AnnounceSkus(absl::Span<const storage::Sku> skus);

 private:
  SessionSource* const sessions_;
};

}  // namespace tranche::quota
