// Where claims go that are not decided while their callers wait: a queue (docs/decisions/0021-queue.md).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "quota/slices/sku_terms.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::quota {

// Thread-safe.
class ClaimDiversion {
 public:
  enum class Way {
    kSell,    // take units, and commit
    kQueue,   // call Queue
    kRefuse,  // kClaimsAreQueued: the caller does not accept that
  };
  // Called exactly once, inline or on another thread: Queued, or why not (kQueueUnavailable, kQueueFull and
  // kOverloaded: nothing was queued; kCommitUnknown: it may be).
  using QueueDone = absl::AnyInvocable<void(std::variant<Queued, Refused>)>;

  virtual ~ClaimDiversion() = default;

  // May a claim, of whatever SKU, be in a queue from an earlier try? A SKU's path of today does not tell: it may have
  // been another one then. No I/O, no lock.
  virtual bool MayHaveQueued() const = 0;

  // Which way a claim for a SKU with these terms goes now. No I/O; no lock for a SKU whose path is kDirect, and only
  // short ones for others.
  virtual Way WayOf(const std::string& sku_id, const SkuTerms& terms, bool accept_queued) = 0;
  // Queues a claim that passed the terms of sale and the gate: one line, or all lines of a cart, of one buyer and of
  // one shard. `sku_id`: the one of its SKUs for which WayOf said kQueue; `terms`: of that. `deadline`: the caller's.
  // Does not block.
  virtual void Queue(std::vector<storage::ReservationClaim> lines, bool cart, const std::string& sku_id,
                     const SkuTerms& terms, absl::Time deadline, QueueDone done) = 0;
};

}  // namespace tranche::quota
