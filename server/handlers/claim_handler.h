// GetClaim, without gRPC: what became of a claim or cart that was queued, as the ledger says
// (docs/decisions/0021-queue.md).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/admission/front_keys.h"
#include "server/handlers/claim_reads.h"
#include "server/queue/claim_ticket.h"
#include "server/queue/queue_depths.h"
#include "storage/books.h"
#include "storage/clock.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class ClaimHandler {
 public:
  // Null: the node has no keys yet.
  using KeysOf = std::function<std::shared_ptr<const FrontKeys>()>;
  // What a claim that is still queued may expect now.
  using OutlookOf = std::function<ClaimOutlook(const ClaimTicket&)>;
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::GetClaimResponse>)>;

  ClaimHandler(storage::Books* books, storage::Clock* clock, KeysOf keys, OutlookOf outlook);

  // `request` is not used after this returns. CLAIM_TICKET_INVALID, or why the ledger did not answer. A decision that
  // is told survives a failover.
  void Get(const v1::GetClaimRequest& request, absl::Time deadline, Done done);

  // CLAIM_TICKET_INVALID if it is none.
  absl::StatusOr<ClaimTicket> Read(const std::string& text) const;
  // The answer while the claim is not decided. `text`: of the ticket.
  v1::GetClaimResponse StillQueued(const ClaimTicket& ticket, const std::string& text) const;

 private:
  // A question that is not answered yet.
  struct Asked {
    ClaimTicket ticket;
    std::string text;
    absl::Time deadline;
    Done done;
  };

  // Some of its rows were read.
  void AnswerFrom(std::vector<storage::Reservation> found, Asked asked);

  storage::Books* const books_;
  storage::Clock* const clock_;
  const KeysOf keys_;
  const OutlookOf outlook_;
  ClaimReads reads_;
};

}  // namespace tranche::server
