#include "server/services/claim_watch.h"

#include <utility>

#include "server/errors.h"
#include "server/rpc/peer_address.h"

namespace tranche::server {
namespace {

// For the answer, once the row is there.
constexpr absl::Duration kDecisionWithin = absl::Seconds(5);

}  // namespace

ClaimWatch::ClaimWatch(const CallContext& call, WatchHub* hub, ClaimHandler* handler, storage::Clock* clock,
                       ClaimTicket ticket, std::string text)
    // The lines of a cart are decided together: one of them tells.
    : WatchReactor(call, hub, ticket.ids.empty() ? storage::Uuid{} : ticket.ids.front()),
      handler_(handler),
      clock_(clock),
      ticket_(std::move(ticket)),
      text_(std::move(text)) {}

ClaimWatch* ClaimWatch::Start(const CallContext& call, const CallFrame& frame, WatchHub* hub, ClaimHandler* handler,
                              const v1::WatchClaimRequest& request) {
  const absl::StatusOr<ClaimTicket> ticket = handler->Read(request.ticket());
  std::shared_ptr<ClaimWatch> watch(
      new ClaimWatch(call, hub, handler, frame.clock, ticket.ok() ? *ticket : ClaimTicket(), request.ticket()));
  watch->KeepUntilDone(watch);
  // gRPC keeps writes and a finish until it has the reactor.
  ClaimWatch* const reactor = watch.get();
  const absl::Status begun =
      ticket.ok() ? hub->Add(ticket->ids.front(), std::move(watch), AddressOfPeer(call.peer()), IfMissing::kWait)
                  : ticket.status();
  // What the access file says may have changed before the hub knew the watch.
  begun.ok() ? reactor->OnRecheck() : reactor->OnEnd(begun);
  return reactor;
}

void ClaimWatch::OnMissing() {
  Show([still = handler_->StillQueued(ticket_, text_)](v1::WatchClaimResponse* response) {
    *response->mutable_claim() = still;
  });
}

// What the hub has seen may be gone after a failover: GetClaim makes sure, and answers for all lines.
void ClaimWatch::OnEnd(const absl::Status& status) {
  if (!status.ok()) return End(status);
  v1::GetClaimRequest request;
  request.set_ticket(text_);
  const auto answer = [self = shared_from_this()](absl::StatusOr<v1::GetClaimResponse> claim) {
    if (!claim.ok()) return self->End(claim.status());
    // The row that was seen was lost. The caller watches again.
    if (claim->has_queued()) return self->End(LedgerError(absl::UnavailableError(""), "", Repeatable::kYes));
    self->Show([claim = *std::move(claim)](v1::WatchClaimResponse* response) { *response->mutable_claim() = claim; });
    self->End(absl::OkStatus());
  };
  handler_->Get(request, clock_->Now() + kDecisionWithin, answer);
}

}  // namespace tranche::server
