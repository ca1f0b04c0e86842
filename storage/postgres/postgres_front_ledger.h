// The front door's ledger on PostgreSQL: calls the procedures of storage/sql.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/ledger/front_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresFrontLedger : public FrontLedger {
 public:
  explicit PostgresFrontLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<FrontVersion> ReadFrontVersion() override;
  absl::StatusOr<FrontChanges> ReadFrontChanges(const FrontVersion& known,
                                                const std::optional<AccessSubject>& after) override;
  absl::StatusOr<std::vector<FrontPolicyRow>> ListFrontPolicies(const std::string& sku_id) override;
  absl::StatusOr<FrontPolicyRow> SetFrontPolicy(const FrontPolicyChange& change, bool preview,
                                                const Actor& actor) override;
  absl::StatusOr<std::vector<LotteryRound>> ListLotteryRounds(const std::string& policy_sku_id) override;
  absl::StatusOr<std::vector<FrontKey>> ListFrontKeys() override;
  absl::StatusOr<std::vector<FrontKey>> RotateFrontKeys(const KeyRotation& rotation, bool preview,
                                                        const Actor& actor) override;
  absl::StatusOr<AccessCounts> AddAccessEntries(absl::Span<const AccessEntry> entries, bool preview,
                                                const Actor& actor) override;
  absl::StatusOr<AccessCounts> RemoveAccessEntries(absl::Span<const AccessSubject> subjects, bool preview,
                                                   const Actor& actor) override;
  absl::StatusOr<AccessPage> ListAccessEntries(const AccessFilter& filter, const std::optional<AccessSubject>& after,
                                               int limit) override;
  absl::StatusOr<ServiceMode> ReadServiceMode() override;
  absl::StatusOr<ServiceModeChanged> SetServiceMode(const ServiceModeChange& change, bool preview,
                                                    const Actor& actor) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
