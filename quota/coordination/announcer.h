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
#include "storage/base/counter.h"
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

// A SKU that was not announced, since it is announced as being at another shard than the one that it was read from.
struct AnnouncedElsewhere {
  storage::Sku sku;
  std::string shard;  // where it is announced
};

// What becomes of the announcement of a SKU that names another shard than the one that it was read from. Kept: if two
// shards have it, the one that is announced has the newer copy, unless these shards say otherwise
// (storage/shards/older_copies.h). Replaced: by whoever knows that it is at the shard that it was read from.
enum class OtherShards { kKept, kReplaced };

// Thread-safe.
class Announcer {
 public:
  // `written`, if given, counts the announcements that were written; it outlives this and what Replacing makes of it.
  explicit Announcer(SessionSource* sessions, OtherShards other_shards = OtherShards::kKept, Counter* written = nullptr)
      : sessions_(sessions), other_shards_(other_shards), written_(written) {}

  // Announces those of the SKUs whose terms changed and those of the slices whose announcement is missing or older, the
  // SKUs first: a node cannot sell a slice whose terms it does not find. A slice of an incarnation that has ended is
  // skipped. kUnavailable when some could not be written; repeating is harmless.
  //
  // `failed`, if given, gets the ids of the SKUs that were not fully written; `ahead`, if given, gets the announcements
  // that stayed although they are ahead of what was to be announced; `elsewhere`, if given, gets the SKUs whose
  // announcement was kept because it names another shard. Their slices in the same call are not written either, and
  // they are among `failed`.
  absl::Status Announce(absl::Span<const SkuToAnnounce> skus, absl::Span<const SliceToAnnounce> slices,
                        std::set<std::string>* failed = nullptr, std::vector<AheadOfLedger>* ahead = nullptr,
                        std::vector<AnnouncedElsewhere>* elsewhere = nullptr);

  absl::Status AnnounceSlices(absl::Span<const SliceToAnnounce> slices, std::vector<AheadOfLedger>* ahead = nullptr) {
    return Announce({}, slices, nullptr, ahead);
  }
  absl::Status AnnounceSkus(absl::Span<const storage::Sku> skus, std::vector<AheadOfLedger>* ahead = nullptr,
                            std::vector<AnnouncedElsewhere>* elsewhere = nullptr);
  // The SKUs, even if only their versions are newer, and all their slices.
  absl::Status AnnounceAll(absl::Span<const storage::SkuQuota> quotas, std::set<std::string>* failed = nullptr);

  // The same, but such announcements are replaced.
  Announcer Replacing() const { return Announcer(sessions_, OtherShards::kReplaced, written_); }

 private:
  SessionSource* const sessions_;
  const OtherShards other_shards_;
  Counter* const written_;
};

}  // namespace tranche::quota
