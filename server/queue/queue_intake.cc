#include "server/queue/queue_intake.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"
#include "server/queue/path_chooser.h"
#include "server/queue/queued_claim.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

using quota::Refused;
using storage::Refusal;

// Whoever waits for longer has no use for "later" any more.
constexpr absl::Duration kPublishWithin = absl::Seconds(2);
// Whoever finds a full queue comes again after this at the soonest.
constexpr absl::Duration kFullForAtLeast = absl::Seconds(1);
// A queue with fewer is not full, however large they are.
constexpr int64_t kFullFrom = kMaxQueueBytes / static_cast<int64_t>(kMaxQueuedBytes);

bool HasKey(const FrontKeys* keys) { return keys != nullptr && keys->current() != nullptr; }

ClaimTicket TicketOf(absl::Span<const storage::ReservationClaim> lines, bool cart, const std::string& sku_id,
                     const std::string& shard) {
  ClaimTicket ticket;
  ticket.payload = PayloadOf(lines);
  ticket.sku_id = sku_id;
  ticket.shard = shard;
  ticket.cart = cart;
  ticket.group = lines.front().group;
  for (const storage::ReservationClaim& line : lines) ticket.ids.push_back(line.reservation_id);
  return ticket;
}

}  // namespace

quota::ClaimDiversion::Way QueueIntake::WayOf(const std::string& sku_id, const quota::SkuTerms& terms,
                                              bool accept_queued) {
  PathView view{.path = terms.claim_path, .accept_queued = accept_queued};
  if (view.path == storage::ClaimPath::kAuto && accept_queued) {
    // So that it is known by the time when the ledger says no more.
    (void)parts_.unsold->Of(sku_id);
    view.shard_slow = parts_.paces->Slow(terms.shard);
    view.backlog = parts_.depths->Backlog(QueueOf(terms.shard, sku_id));
    // While the broker is away, a slow ledger is better than a refusal; but nobody goes before those who wait.
    view.has_queue = HasKey(parts_.keys().get()) && (parts_.publisher->Up() || view.backlog > 0);
  }
  return ChoosePath(view);
}

void QueueIntake::Queue(std::vector<storage::ReservationClaim> lines, bool cart, const std::string& sku_id,
                        const quota::SkuTerms& terms, absl::Time deadline, QueueDone done) {
  CHECK(!lines.empty());
  std::shared_ptr<const FrontKeys> keys = parts_.keys();
  if (!HasKey(keys.get())) {
    counts_.unavailable.Add();
    return done(Refused{.refusal = Refusal::kQueueUnavailable});
  }
  std::string queue = QueueOf(terms.shard, sku_id);
  if (!HasRoom(parts_.depths->Ahead(queue), UnsoldOf(sku_id, terms))) {
    counts_.full.Add();
    return done(Full(queue));
  }
  if (under_way_.fetch_add(1, std::memory_order_relaxed) >= options_.max_under_way) {
    under_way_.fetch_sub(1, std::memory_order_relaxed);
    counts_.full.Add();
    return done(Refused{.refusal = Refusal::kOverloaded});
  }
  const absl::Time now = parts_.clock->Now();
  ClaimTicket ticket = TicketOf(lines, cart, sku_id, terms.shard);
  ticket.enqueued_at = now;
  ticket.decide_at = now + options_.decide_within;
  std::string id = lines.front().reservation_id.ToString();
  std::string body =
      ToMessage({.lines = std::move(lines), .cart = cart, .enqueued_at = now, .deadline = ticket.decide_at});
  UnderWay claim{std::move(ticket), queue, std::move(keys), std::move(done)};
  parts_.publisher->Publish(
      queue, std::move(id), std::move(body), std::min(deadline, now + kPublishWithin),
      [this, claim = std::move(claim)](const absl::Status& status) mutable { Published(std::move(claim), status); });
}

void QueueIntake::Published(UnderWay claim, const absl::Status& status) {
  under_way_.fetch_sub(1, std::memory_order_relaxed);
  if (status.ok()) {
    const absl::Time now = parts_.clock->Now();
    counts_.publish_s.Observe(std::max(absl::ZeroDuration(), now - claim.ticket.enqueued_at));
    counts_.queued.Add();
    claim.ticket.ahead = parts_.depths->Ahead(claim.queue);
    parts_.depths->NotePublished(claim.queue);
    const ClaimOutlook outlook = parts_.depths->OutlookOf(claim.queue, claim.ticket.ahead);
    return claim.done(quota::Queued{.ticket = MakeClaimTicket(*claim.keys, claim.ticket),
                                    .ahead = claim.ticket.ahead,
                                    .poll_after = outlook.poll_after,
                                    .decide_at = claim.ticket.decide_at});
  }
  const bool rejected = !storage::IsUnknownCommit(status) && absl::IsResourceExhausted(status);
  if (rejected && MayBeFull(claim.queue)) {
    counts_.full.Add();
    return claim.done(Full(claim.queue));
  }
  if (rejected || (!storage::IsUnknownCommit(status) && absl::IsUnavailable(status))) {
    counts_.unavailable.Add();
    return claim.done(Refused{.refusal = Refusal::kQueueUnavailable});
  }
  // What is not known to be nowhere may be there.
  LOG_IF_EVERY_N(WARNING, !storage::IsUnknownCommit(status), 1000) << "a claim was not confirmed: " << status;
  counts_.unknown.Add();
  claim.done(Refused{.refusal = Refusal::kCommitUnknown});
}

int64_t QueueIntake::UnsoldOf(const std::string& sku_id, const quota::SkuTerms& terms) {
  return terms.at_most == quota::SkuTerms::kPlenty ? parts_.unsold->Of(sku_id) : terms.at_most;
}

// A broker rejects, in the same words, also what it cannot put into a queue without a leader.
bool QueueIntake::MayBeFull(const std::string& queue) const {
  return parts_.depths->OutlookOf(queue, kMaxQueueLength).ahead >= kFullFrom;
}

// In whole seconds, so that answers that are given again and again are the same.
Refused QueueIntake::Full(const std::string& queue) {
  const int64_t ahead = parts_.depths->Ahead(queue);
  const absl::Duration wait = parts_.depths->OutlookOf(queue, ahead).poll_after;
  return Refused{.refusal = Refusal::kQueueFull,
                 .retry_after = absl::Ceil(std::max(wait, kFullForAtLeast), absl::Seconds(1))};
}

quota::ClaimDiversion::Way NoClaimQueue::WayOf(const std::string&, const quota::SkuTerms& terms, bool accept_queued) {
  return ChoosePath({.path = terms.claim_path, .accept_queued = accept_queued});
}

void NoClaimQueue::Queue(std::vector<storage::ReservationClaim>, bool, const std::string&, const quota::SkuTerms&,
                         absl::Time, QueueDone done) {
  done(Refused{.refusal = Refusal::kQueueUnavailable});
}

}  // namespace tranche::server
