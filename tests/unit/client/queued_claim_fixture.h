// Claims that are queued at scripted nodes, and what these tell of them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/internal/status_translation.h"
#include "google/rpc/error_details.pb.h"
#include "tests/unit/client/connection_fixture.h"

namespace tranche::internal {

class QueuedClaimFixture : public ConnectionFixture {
 protected:
  static constexpr char kQueuedId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

  static tranche::v1::GetClaimResponse Sold() {
    tranche::v1::GetClaimResponse response;
    response.mutable_created()->mutable_reservation()->set_reservation_id(kQueuedId);
    response.mutable_created()->mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_PENDING);
    return response;
  }
  static tranche::v1::GetClaimResponse RefusedWith(const std::string& reason) {
    tranche::v1::GetClaimResponse response;
    response.mutable_refused()->set_code(static_cast<int>(absl::StatusCode::kResourceExhausted));
    google::rpc::ErrorInfo info;
    info.set_domain(kErrorDomain);
    info.set_reason(reason);
    response.mutable_refused()->add_details()->PackFrom(info);
    return response;
  }
  // Decided 20 s from the begin of the test.
  tranche::v1::QueuedClaim Waiting(int64_t ahead) const {
    tranche::v1::QueuedClaim queued;
    queued.set_ticket("a-ticket");
    queued.set_ahead(ahead);
    queued.mutable_poll_after()->set_seconds(2);
    queued.mutable_decide_time()->set_seconds(absl::ToUnixSeconds(begin_) + 20);
    return queued;
  }
  tranche::v1::GetClaimResponse StillQueued(int64_t ahead) const {
    tranche::v1::GetClaimResponse response;
    *response.mutable_queued() = Waiting(ahead);
    return response;
  }
  // What the ledger has of it, as refused or as sold.
  static tranche::v1::Reservation Row(const std::string& cancel_reason, int32_t revision, int64_t held_for_s) {
    tranche::v1::Reservation row;
    row.set_reservation_id(kQueuedId);
    row.set_sku_id("tv");
    row.set_user_id("alice");
    row.set_quantity(1);
    row.set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
    row.set_cancel_reason(cancel_reason);
    row.set_revision(revision);
    row.mutable_create_time()->set_seconds(100);
    row.mutable_expire_time()->set_seconds(100 + held_for_s);
    return row;
  }
  absl::Duration elapsed() const { return scheduler_->Now() - begin_; }

  const absl::Time begin_ = scheduler_->Now();
};

}  // namespace tranche::internal
