// The stock ledgers of all shards as one: for the node's agent and for admin calls. Blocks, unlike ShardRouter; a shard
// that is known not to answer is not waited for.
//
// A SKU is where somebody says that it is: home is asked first, then the others.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "storage/ledger/forwarding_stock_ledger.h"
#include "storage/shards/ask_in_turn.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// Thread-safe. Outlived by the shards.
class RoutingStockLedger : public ForwardingStockLedger<RoutingStockLedger> {
 public:
  explicit RoutingStockLedger(ShardSet* shards) : shards_(shards) {}

  // For the base: what is about one SKU goes to the shard that has it. The rest is home's, unless it is overridden.
  template <typename Ask>
  auto Around(const LedgerCall& call, const Ask& ask) {
    if (call.about != LedgerCall::About::kOneSku) return ask(*shards_->home().stock);
    return AskInTurn(*shards_, [&](ShardBackend& shard) { return ask(*shard.stock); });
  }

  // On the shard that the SKU names; the id is taken at home first, so that it is one SKU's over all shards. An error
  // of IsNoSuchShard when there is none of that name.
  absl::StatusOr<Sku> CreateSku(const Sku& sku, const std::string& actor) override;
  // Lists are complete: kUnavailable when a shard does not answer.
  absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) override;
  // In one snapshot per shard. kUnavailable when a shard that does not answer may have one of them.
  absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override;
  // In one transaction per shard. What a shard that does not answer may have is refused by itself: kUnavailable.
  absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                       const std::string& actor) override;
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override;
  // Of home and of the others that answer: a node that drains hands back what it can, and the rest when they are back.
  absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> ListSlices(IncarnationId incarnation) override;

  // Home numbers it and says who is live; the other shards are told as soon as they answer.
  absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                    bool draining = false) override;
  // Returns home's SKUs. The other shards end it as soon as they answer; each one's balancer sees to its SKUs.
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) override;

  // By time; of a SKU what the shards say that were asked until the one that has it. With several shards only from the
  // newest: kInvalidArgument with a `before`, as ids are one shard's.
  absl::StatusOr<std::vector<AuditEntry>> ListAudit(const std::string& sku_id, int64_t before, int limit) override;
  // In one snapshot per shard.
  absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) override;

 private:
  using MoveResults = std::vector<absl::StatusOr<SkuQuota>>;

  // Asks the shard for those of the moves that are left, and takes those off that it decided.
  static void MoveAt(ShardBackend& shard, absl::Span<const QuotaMove> moves, const std::string& actor,
                     std::vector<size_t>* left, MoveResults* results);

  ShardSet* const shards_;
};

}  // namespace tranche::storage
