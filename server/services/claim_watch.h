// One WatchClaim call: says that the claim is queued until its row is there, then what became of it.
#pragma once

#include <memory>
#include <string>

#include "server/handlers/claim_handler.h"
#include "server/handlers/watch_hub.h"
#include "server/queue/claim_ticket.h"
#include "server/rpc/call_frame.h"
#include "server/services/watch_reactor.h"
#include "storage/clock.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

class ClaimWatch final : public WatchReactor<v1::WatchClaimResponse>, public std::enable_shared_from_this<ClaimWatch> {
 public:
  // The reactor to hand to gRPC. The hub, the handler and the frame's clock outlive it.
  static ClaimWatch* Start(const CallContext& call, const CallFrame& frame, WatchHub* hub, ClaimHandler* handler,
                           const v1::WatchClaimRequest& request);

  void OnMissing() override;
  // It ends with that: OnEnd tells all of it.
  void OnChange(const storage::Reservation&) override {}
  void OnEnd(const absl::Status& status) override;

 private:
  ClaimWatch(const CallContext& call, WatchHub* hub, ClaimHandler* handler, storage::Clock* clock, ClaimTicket ticket,
             std::string text);

  ClaimHandler* const handler_;
  storage::Clock* const clock_;
  const ClaimTicket ticket_;
  const std::string text_;  // of the ticket
};

}  // namespace tranche::server
