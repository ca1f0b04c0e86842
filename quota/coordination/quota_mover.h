// Moves units and announces the moves. The balancer and the admin calls change quota only through it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "quota/coordination/announcer.h"
#include "storage/clock.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::quota {

// The actor of moves that no person has asked for: they are not audited.
inline constexpr char kAutomatic[] = "";

// Thread-safe. Outlived by its dependencies.
class QuotaMover {
 public:
  // `clock` only measures.
  QuotaMover(storage::QuotaLedger* ledger, Announcer* announcer, storage::Clock* clock = storage::Clock::Real())
      : ledger_(ledger), announcer_(announcer), clock_(clock) {}

  struct Moved {
    std::vector<absl::StatusOr<storage::SkuQuota>> skus;  // in the order of the moves
    absl::Status announced;
    absl::Duration announcing;  // since the commit
    bool elsewhere = false;     // some were not announced, since they are announced as being at another shard
  };
  // One ledger transaction, then the announcements of every slice that it changed and of the SKUs whose terms changed.
  // The ledger's errors are returned; a failed announcement is only reported, since the balancer repairs it. At most
  // storage::kMaxQuotaBatch moves of distinct SKUs; each succeeds or fails by itself.
  absl::StatusOr<Moved> MoveBatch(absl::Span<const storage::QuotaMove> moves, const storage::Actor& actor);
  // The same for one SKU.
  absl::StatusOr<storage::QuotaSnapshot> Move(const std::string& sku_id, absl::Span<const storage::QuotaDelta> deltas,
                                              std::optional<int64_t> expected_quota_version,
                                              const storage::Actor& actor);

 private:
  storage::QuotaLedger* const ledger_;
  Announcer* const announcer_;
  storage::Clock* const clock_;
};

}  // namespace tranche::quota
