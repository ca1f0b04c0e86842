#include "storage/shards/routing_outbox_ledger.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "storage/base/status_macros.h"
#include "storage/shards/ask_in_turn.h"

namespace tranche::storage {

absl::StatusOr<std::vector<OutboxMessage>> RoutingOutboxLedger::ClaimMessages(const std::string& sink, int limit,
                                                                              absl::Duration lease, bool fresh) {
  return shards_->home().outbox->ClaimMessages(sink, limit, lease, fresh);
}

absl::Status RoutingOutboxLedger::MarkDelivered(absl::Span<const OutboxKey> keys) {
  return shards_->home().outbox->MarkDelivered(keys);
}

absl::Status RoutingOutboxLedger::MarkFailed(absl::Span<const OutboxFailure> failures) {
  return shards_->home().outbox->MarkFailed(failures);
}

absl::StatusOr<std::vector<std::string>> RoutingOutboxLedger::ListSinks() {
  return shards_->home().outbox->ListSinks();
}

// Home last: once home lists it, it is done everywhere.
absl::Status RoutingOutboxLedger::AddSink(const std::string& sink, const Actor& actor) {
  const ShardList all = shards_->All();
  for (auto shard = all.rbegin(); shard != all.rend(); ++shard) {
    RETURN_IF_ERROR((*shard)->outbox->AddSink(sink, actor));
  }
  return absl::OkStatus();
}

absl::Status RoutingOutboxLedger::RemoveSink(const std::string& sink, const Actor& actor) {
  const ShardList all = shards_->All();
  for (auto shard = all.rbegin(); shard != all.rend(); ++shard) {
    const absl::Status removed = (*shard)->outbox->RemoveSink(sink, actor);
    const bool gone_before = absl::IsNotFound(removed) && (*shard)->name != kHomeShard;
    if (!removed.ok() && !gone_before) return removed;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<OutboxMessage>> RoutingOutboxLedger::ListMessages(const std::string& sink, OutboxState state,
                                                                             const OutboxKey& after, int limit) {
  std::vector<OutboxMessage> all;
  for (const auto& shard : shards_->All()) {
    ASSIGN_OR_RETURN(auto page, shard->outbox->ListMessages(sink, state, after, limit));
    std::move(page.begin(), page.end(), std::back_inserter(all));
  }
  const auto key = [](const OutboxMessage& m) { return std::tie(m.key.reservation_id, m.key.revision, m.key.sink); };
  std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  if (all.size() > static_cast<size_t>(limit)) all.erase(all.begin() + limit, all.end());
  return all;
}

absl::StatusOr<OutboxMessage> RoutingOutboxLedger::GetMessage(const OutboxKey& key) {
  return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.outbox->GetMessage(key); });
}

template <typename Ask>
absl::StatusOr<int64_t> RoutingOutboxLedger::Sum(const Ask& ask) {
  int64_t sum = 0;
  for (const auto& shard : shards_->All()) {
    const absl::StatusOr<int64_t> changed = ask(*shard->outbox);
    if (!changed.ok()) return changed;
    sum += *changed;
  }
  return sum;
}

absl::StatusOr<int64_t> RoutingOutboxLedger::RetryDead(const std::string& sink, const Actor& actor) {
  return Sum([&](OutboxLedger& outbox) { return outbox.RetryDead(sink, actor); });
}

absl::StatusOr<int64_t> RoutingOutboxLedger::RetryMessage(const OutboxKey& key, const Actor& actor) {
  return Sum([&](OutboxLedger& outbox) { return outbox.RetryMessage(key, actor); });
}

absl::StatusOr<int64_t> RoutingOutboxLedger::DiscardMessage(const OutboxKey& key, const Actor& actor) {
  return Sum([&](OutboxLedger& outbox) { return outbox.DiscardMessage(key, actor); });
}

absl::StatusOr<std::vector<OutboxDepth>> RoutingOutboxLedger::Depths() {
  std::map<std::string, OutboxDepth> sums;
  for (const auto& shard : shards_->All()) {
    ASSIGN_OR_RETURN(const auto depths, shard->outbox->Depths());
    for (const OutboxDepth& depth : depths) {
      OutboxDepth& sum = sums[depth.sink];
      sum.sink = depth.sink;
      sum.pending += depth.pending;
      sum.dead += depth.dead;
      sum.oldest_pending = std::max(sum.oldest_pending, depth.oldest_pending);
    }
  }
  std::vector<OutboxDepth> depths;
  for (auto& [_, sum] : sums) depths.push_back(std::move(sum));
  return depths;
}

}  // namespace tranche::storage
