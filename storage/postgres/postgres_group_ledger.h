// Groups on PostgreSQL: calls the procedures of storage/sql. Joins, payments and cancellations of members are those of
// PostgresLedger and PostgresLifecycleLedger.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/group_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresGroupLedger : public GroupLedger {
 public:
  explicit PostgresGroupLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<GroupOffer> CreateGroupOffer(const GroupOffer& offer, bool preview, const Actor& actor) override;
  absl::StatusOr<GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id, bool preview,
                                             const Actor& actor) override;
  absl::StatusOr<std::vector<GroupOffer>> ListGroupOffers(const std::string& sku_id) override;
  absl::StatusOr<Group> CancelGroup(const Uuid& group_id, const std::string& sku_id, const std::string& reason,
                                    bool preview, const Actor& actor) override;

  absl::StatusOr<GroupWithMembers> GetGroup(const Uuid& group_id, const GroupLookup& lookup) override;
  absl::StatusOr<GroupPage> ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) override;
  absl::StatusOr<GroupCounts> CountGroups() override;

  absl::StatusOr<ExpiredGroups> ExpireGroups(int limit) override;
  absl::StatusOr<int64_t> RetireGroups(absl::Duration age, int limit) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
