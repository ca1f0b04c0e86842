// The stock ledgers of all shards as one: for the node's agent and for admin calls. Blocks, unlike ShardRouter; does
// not wait for a shard that is known not to answer.
//
// A SKU is on the shard that says so: home is asked first, then the others.
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

  // For the base: a call about one SKU goes to the shard that has it. All other calls go to home, unless overridden.
  template <typename Ask>
  auto Around(const LedgerCall& call, const Ask& ask) {
    if (call.about != LedgerCall::About::kOneSku) return ask(*shards_->home().stock);
    return AskInTurn(*shards_, [&](ShardBackend& shard) { return ask(*shard.stock); });
  }

  // Created on the shard that the SKU names; the id is first reserved at home, so that it is unique over all shards. An
  // error of IsNoSuchShard when there is no shard with that name.
  absl::StatusOr<Sku> CreateSku(const Sku& sku, const Actor& actor) override;
  // Lists are complete: kUnavailable when a shard does not answer.
  absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) override;
  // One snapshot per shard. kUnavailable when a shard that does not answer may have one of them.
  absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override;
  // One transaction per shard. SKUs that may be on a shard that does not answer are refused one by one: kUnavailable.
  absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                       const Actor& actor) override;
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override;
  // From home and the others that answer: a draining node hands back what it can, and the rest when they are back.
  absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> ListSlices(IncarnationId incarnation) override;

  // Home numbers it and says who is live; the other shards are told as soon as they answer.
  absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                    bool draining = false) override;
  // Returns home's SKUs. The other shards end it as soon as they answer; each shard's balancer handles its own SKUs.
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) override;

  // Ordered by time. For one SKU, what the shards say that were asked until the one that has it. With several shards
  // only from the newest: kInvalidArgument with a `before`, because ids are per shard.
  absl::StatusOr<std::vector<AuditEntry>> ListAudit(const AuditFilter& filter, int64_t before, int limit) override;
  // One snapshot per shard. With several shards also whether each SKU is on exactly one (storage/shards/sku_places.h):
  // rules sku_on_several_shards and sku_on_no_shard. The latter is not looked for when it is about one SKU that no
  // shard has.
  absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) override;
  absl::StatusOr<VerifyReport> VerifyPage(const VerifyPosition& after, int max_skus) override;

 private:
  using MoveResults = std::vector<absl::StatusOr<SkuQuota>>;

  // Sends the remaining moves to the shard, and removes those that it decided.
  static void MoveAt(ShardBackend& shard, absl::Span<const QuotaMove> moves, const Actor& actor,
                     std::vector<size_t>* left, MoveResults* results);

  ShardSet* const shards_;
};

}  // namespace tranche::storage
