// The groups of all shards as one, for buyers' reads and for operators. Blocks.
//
// Offers and groups are where their SKU is: home is asked first, then the others. A group is looked for where its SKU's
// groups were found the last time, if the SKU is named.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
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
  absl::StatusOr<Group> CancelGroup(const Uuid& group_id, const std::string& sku_id, const std::string& reason,
                                    bool preview, const Actor& actor) override;

  absl::StatusOr<GroupWithMembers> GetGroup(const Uuid& group_id, const GroupLookup& lookup) override;
  absl::StatusOr<GroupPage> ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) override;
  // kUnavailable when a shard does not answer.
  absl::StatusOr<GroupCounts> CountGroups() override;

  // kUnimplemented: a worker does this on each shard's own ledger.
  absl::StatusOr<ExpiredGroups> ExpireGroups(int limit) override;
  absl::StatusOr<int64_t> RetireGroups(absl::Duration age, int limit) override;

 private:
  static constexpr size_t kMostPlaces = 10'000;

  // Null if nothing is remembered, or the shard does not answer.
  std::shared_ptr<ShardBackend> LastPlaceOf(const std::string& sku_id);
  void Remember(const std::string& sku_id, const ShardBackend& shard);
  // As AskInTurn, but where the SKU's groups were last comes first.
  template <typename Ask>
  auto AskForGroup(const std::string& sku_id, const Ask& ask);

  ShardSet* const shards_;
  absl::Mutex mutex_;
  // By SKU: the shard besides home that had a group of it last. Only a guess: whoever does not find it there looks on.
  absl::flat_hash_map<std::string, std::string> places_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::storage
