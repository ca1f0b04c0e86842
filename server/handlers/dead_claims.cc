#include "server/handlers/dead_claims.h"

#include <cstddef>
#include <map>
#include <utility>

#include "absl/time/time.h"
#include "server/errors.h"
#include "server/handlers/awaited.h"
#include "server/handlers/claim_queues.h"
#include "server/queue/queued_claim.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kPublishWithin = absl::Seconds(2);
// Until a refusal is sent, and until its answer is there.
constexpr absl::Duration kRefuseWithin = absl::Seconds(2);
constexpr absl::Duration kLedgerAnswersWithin = absl::Seconds(5);

absl::Status PublishError(const absl::Status& status) {
  if (storage::IsUnknownCommit(status)) {
    return MakeError(v1::ERROR_REASON_COMMIT_UNKNOWN,
                     "The broker did not confirm in time: the claim may be in its queue. It also stays a dead letter; "
                     "repeat the call.");
  }
  if (absl::IsResourceExhausted(status)) {
    return MakeError(v1::ERROR_REASON_QUEUE_FULL, "The queue is full: the claim stays a dead letter.");
  }
  return BrokerError(status, "");
}

}  // namespace

absl::Status DeadClaims::Retry(const std::string& queue, const DeadClaim& dead) {
  Awaited<absl::Status> answer;
  publisher_->Publish(queue, dead.id, dead.body, clock_->Now() + kPublishWithin, answer.Callback());
  const absl::Status published = answer.Wait();
  return published.ok() ? published : PublishError(published);
}

absl::Status DeadClaims::Discard(const DeadClaim& dead) {
  const absl::StatusOr<QueuedClaim> claim = ReadMessage(dead.body);
  if (!claim.ok()) return absl::OkStatus();
  // Lines of a cart were on one shard when it was queued. Since then, a SKU may have moved.
  std::map<std::string, std::vector<storage::ClaimRefusal>> by_shard;
  for (const storage::ReservationClaim& line : claim->lines) {
    const absl::StatusOr<std::string> shard = ShardOf(line.sku_id);
    if (absl::IsNotFound(shard.status())) continue;
    if (!shard.ok()) return LedgerError(shard.status(), line.sku_id, Repeatable::kYes);
    by_shard[*shard].push_back({.claim = line, .refusal = storage::Refusal::kClaimDiscarded});
  }
  for (auto& [shard, refusals] : by_shard) RETURN_IF_ERROR(RefuseAt(shard, std::move(refusals)));
  return absl::OkStatus();
}

absl::StatusOr<std::string> DeadClaims::ShardOf(const std::string& sku_id) {
  const auto known = shards_.find(sku_id);
  if (known != shards_.end()) return known->second;
  Awaited<absl::StatusOr<storage::Sku>> answer;
  books_->FindSku(sku_id, answer.Callback());
  ASSIGN_OR_RETURN(const storage::Sku sku, answer.WaitFor(kLedgerAnswersWithin));
  shards_.emplace(sku_id, sku.shard);
  return sku.shard;
}

absl::Status DeadClaims::RefuseAt(const std::string& shard, std::vector<storage::ClaimRefusal> refusals) {
  std::vector<std::string> sku_ids;
  for (const storage::ClaimRefusal& refusal : refusals) sku_ids.push_back(refusal.claim.sku_id);
  Awaited<absl::StatusOr<std::vector<storage::RefuseResult>>> answer;
  books_->RefuseClaims(shard, std::move(refusals), clock_->Now() + kRefuseWithin, answer.Callback());
  const auto results = answer.WaitFor(kLedgerAnswersWithin);
  if (!results.ok()) return LedgerError(results.status(), sku_ids.front(), Repeatable::kYes);
  for (size_t i = 0; i < results->size(); ++i) {
    if ((*results)[i].outcome != storage::RefuseOutcome::kSkuMoving) continue;
    return RefusalError({.refusal = storage::Refusal::kSkuMoving}, i < sku_ids.size() ? sku_ids[i] : "");
  }
  return absl::OkStatus();
}

}  // namespace tranche::server
