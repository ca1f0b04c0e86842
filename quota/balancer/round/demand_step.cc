#include "quota/balancer/round/demand_step.h"

#include <algorithm>

#include "quota/coordination/overruling.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::QuotaDelta;
using storage::SkuQuota;

constexpr char kDemandActor[] = "balancer";

// Demand changes few of a SKU's slices.
constexpr size_t kLeastDemandBatch = 16;

// Adds the slices of demanding nodes that have not heard of their last move: the announcement may be lost.
void AddUnheard(const SkuQuota& now, const DemandByNode& demand, std::vector<SliceToAnnounce>& unheard) {
  for (const storage::HeldSlice& slice : now.quota.slices) {
    const auto asks = demand.find(slice.holder);
    if (asks != demand.end() && asks->second.wanted > 0 && slice.version > asks->second.slice_version) {
      unheard.push_back({slice.holder, now.sku.sku_id, slice.allotted, slice.version});
    }
  }
}

// Adds the slices of which nodes have applied a version that the ledger has not reached: they do not hear what it says.
void AddDeaf(const SkuQuota& now, const DemandByNode& demand, std::vector<AheadOfLedger>& ahead) {
  for (const storage::HeldSlice& slice : now.quota.slices) {
    const auto asks = demand.find(slice.holder);
    if (asks != demand.end() && asks->second.slice_version > slice.version) {
      ahead.push_back({now.sku.sku_id, slice.holder, asks->second.slice_version, std::nullopt});
    }
  }
}

// A consumer that asks for nothing is none: nothing is spread over it, and what it has left is taken first.
std::vector<storage::IncarnationId> ReceiversFor(const DemandByNode& demand, const KnownNodes& nodes) {
  std::vector<storage::IncarnationId> receivers = nodes.sharers();
  for (const storage::IncarnationId consumer : nodes.consumers()) {
    const auto asks = demand.find(consumer);
    if (asks == demand.end() || (asks->second.wanted == 0 && asks->second.milli_rate == 0)) continue;
    receivers.push_back(consumer);
  }
  std::sort(receivers.begin(), receivers.end());
  return receivers;
}

}  // namespace

absl::Status DemandStep::Run() {
  if (context_.nodes.receivers().empty() || storage::Mutated(storage::Mutation::kBalancerIgnoresDemand)) {
    return absl::OkStatus();
  }
  absl::Status status;
  const size_t batch = std::clamp<size_t>(context_.mover.SkusToChange(), kLeastDemandBatch, storage::kMaxQuotaBatch);
  size_t left = context_.mover.SkusToRead();
  do {
    const std::vector<std::string> due = context_.board.TakeDue(context_.clock.Now(), std::min(left, batch));
    if (due.empty()) return status;
    left -= due.size();
    status.Update(Meet(due));
    if (!status.ok()) return status;
  } while (left > 0 && !context_.mover.Exhausted());
  if (context_.board.HasDue()) context_.inbox.Again();
  return status;
}

absl::Status DemandStep::Meet(const std::vector<std::string>& sku_ids) {
  std::vector<SkuToAnnounce> scarce;
  std::vector<SliceToAnnounce> unheard;
  std::vector<AheadOfLedger> ahead;
  const auto plan = [&](const SkuQuota& now) -> std::vector<QuotaDelta> {
    const DemandByNode demand = context_.board.DemandOf(now.sku.sku_id);
    if (storage::IsScarce(now.sku) && context_.board.Wanted(now.sku.sku_id))
      scarce.push_back({now.sku, /*always=*/false});
    if (now.sku.unsold == 0 || now.sku.closed) return {};
    AddUnheard(now, demand, unheard);
    AddDeaf(now, demand, ahead);
    if (now.sku.quota_frozen || context_.mover.frozen()) return {};
    return PlanForDemand(now.quota, ReceiversFor(demand, context_.nodes), demand, /*pool_feeds=*/!now.sku.presplit,
                         context_.options.demand);
  };
  absl::Status status = context_.mover.MoveUnitsOf(sku_ids, MoveReason::kDemand, plan);
  status.Update(context_.announcer.Announce(scarce, unheard, nullptr, &ahead));
  if (!ahead.empty())
    status.Update(Overrule(context_.ledger, context_.announcer, ahead, storage::Actor::Process(kDemandActor)));
  return status;
}

}  // namespace tranche::quota
