// Whether a SKU is on exactly one shard, by what all shards say.
//
// A move never breaks this: at every moment one shard has the SKU, or two while the one that it leaves has not been
// told of the decision yet. But a shard that was restored to before a move brings an older copy back, or has lost what
// it was given. Each shard by itself is in order then; only all together show it.
//
// The shards are asked one after the other, and a SKU may move in between. So one look proves nothing. Two looks do, by
// the version of the SKU's row: a SKU that arrives has a higher one than it had at any shard before.
//
// - Shard A has it, then B, then A again, then B. If it has only moved, each of these versions is higher than the one
//   before. If one is not, both shards have had it at the same time.
// - No shard has it, twice. Between the looks, it can only have been at a shard at which it has arrived since the first
//   look, and gone since. Its row there has a higher version by then. If no row's version has changed, it was nowhere.
//
// If two looks do not prove it, the SKU is looked at again, a few times. What then is still unproven counts as moving.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/ledger/whereabouts_ledger.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

struct SkuPlace {
  std::string shard;
  SkuWhereabouts where;
};

// Of one SKU at several shards, in the order in which they were asked. Every look asks the same shards.
using SkuPlaces = std::vector<SkuPlace>;
using LookAtSku = std::function<absl::StatusOr<SkuPlaces>()>;

// It has the SKU: alone, or as the shard that the SKU is leaving.
bool HasSku(const SkuWhereabouts& where);

// The first error of a shard ends the look.
absl::StatusOr<SkuPlaces> LookAt(const ShardList& shards, const std::string& sku_id);

// "home and hot" if these shards have the SKU, each for itself; "" if they do not.
absl::StatusOr<std::string> OnSeveralShards(SkuPlaces first_look, const LookAtSku& look_again);
// For whoever is to move such a SKU (kFailedPrecondition): with the next step.
absl::Status OnSeveralShardsError(const std::string& shards);
// What the shards say, if a shard has had the SKU and none has it now, or the shard that it is leaving for does not
// know it; "" otherwise. Nothing is said when a shard that was not asked may have it, nor of an id that was only
// reserved by the first look: whoever wanted to create the SKU was told whether that worked.
absl::StatusOr<std::string> OnNoShard(SkuPlaces first_look, const LookAtSku& look_again);

}  // namespace tranche::storage
