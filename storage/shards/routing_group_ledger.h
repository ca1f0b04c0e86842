// The groups of all shards as one, for buyers' reads and for operators. Blocks.
//
// Offers and groups are where their SKU is: home is asked first, then the others.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/group_ledger.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// Thread-safe. Outlived by the shards.
class RoutingGroupLedger : public GroupLedger {
 public:
  explicit RoutingGroupLedger(ShardSet* shards) : shards_(shards) {}

  absl::StatusOr<GroupOffer> CreateGroupOffer(const GroupOffer& offer, bool preview, const Actor& actor) override;
  absl::StatusOr<GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id, bool preview,
                                             const Actor& actor) override;
  // Of all SKUs: by SKU, then by name. kUnavailable when a shard does not answer.
  absl::StatusOr<std::vector<GroupOffer>> ListGroupOffers(const std::string& sku_id) override;
  absl::StatusOr<Group> CancelGroup(const Uuid& group_id, const std::string& reason, bool preview,
                                    const Actor& actor) override;

  absl::StatusOr<GroupWithMembers> GetGroup(const Uuid& group_id) override;
  absl::StatusOr<GroupPage> ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) override;
  // kUnavailable when a shard does not answer.
  absl::StatusOr<GroupCounts> CountGroups() override;

  // kUnimplemented: a worker does this on each shard's own ledger.
  absl::StatusOr<ExpiredGroups> ExpireGroups(int limit) override;
  absl::StatusOr<int64_t> RetireGroups(absl::Duration age, int limit) override;

 private:
  ShardSet* const shards_;
};

}  // namespace tranche::storage
