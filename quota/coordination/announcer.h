// Writes announcements: conditional on the znode's version and ordered by the ledger's, so that an older one never
// replaces a newer one, whichever process writes and however late.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/quota_ledger.h"
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

// An announcement, or what a node goes by, that says more than the ledger said when it was read (IsAhead): usually it
// is only later. Otherwise it is not of this ledger's history (overruling.h).
struct AheadOfLedger {
  std::string sku_id;
  storage::IncarnationId incarnation = storage::kPool;  // kPool: the SKU's own announcement
  int64_t version = 0;
  // The slice's allotted units, or the bound on the SKU's unsold ones; nullopt: not known, or none.
  std::optional<int64_t> units;
};

// Thread-safe.
class Announcer {
 public:
  explicit Announcer(SessionSource* sessions) : sessions_(sessions) {}

  // Announces those of the SKUs whose terms changed and those of the slices whose announcement is missing or older, the
  // SKUs first: a node cannot sell a slice whose terms it does not find. A slice of an incarnation that has ended is
  // skipped. kUnavailable when some could not be written; repeating is harmless.
  //
  // `failed`, if given, gets the ids of the SKUs that were not fully written; `ahead`, if given, gets the announcements
  // that stayed although they are ahead of what was to be announced.
  absl::Status Announce(absl::Span<const SkuToAnnounce> skus, absl::Span<const SliceToAnnounce> slices,
                        std::set<std::string>* failed = nullptr, std::vector<AheadOfLedger>* ahead = nullptr);

  absl::Status AnnounceSlices(absl::Span<const SliceToAnnounce> slices, std::vector<AheadOfLedger>* ahead = nullptr) {
    return Announce({}, slices, nullptr, ahead);
  }
  absl::Status AnnounceSkus(absl::Span<const storage::Sku> skus, std::vector<AheadOfLedger>* ahead = nullptr);
  // The SKUs, even if only their versions are newer, and all their slices.
  absl::Status AnnounceAll(absl::Span<const storage::SkuQuota> quotas, std::set<std::string>* failed = nullptr);

 private:
  SessionSource* const sessions_;
};

}  // namespace tranche::quota
