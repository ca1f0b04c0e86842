// ConfirmReservation, CancelReservation and ExtendReservation, without gRPC: checks a request against the API's limits,
// passes it on and puts the outcome into the API's words.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/rpc/call_deadline.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// Where changes go: storage::ChangePipeline and LifecycleLedger, or stand-ins for them. `sku_id` is the caller's hint,
// "" for none.
struct ChangeCalls {
  // Called exactly once, inline or on another thread; errors are those of the pipeline.
  using Done = absl::AnyInvocable<void(absl::StatusOr<storage::ChangeResult>)>;

  std::function<void(const std::string& sku_id, storage::Confirmation, absl::Time deadline, Done)> confirm;
  std::function<void(const std::string& sku_id, storage::Cancellation, absl::Time deadline, Done)> cancel;
  std::function<void(const std::string& sku_id, storage::Extension, absl::Time deadline, Done)> extend;
  // Blocks. Here the SKU is known.
  std::function<absl::StatusOr<storage::ChangeResult>(const std::string& sku_id, const storage::Confirmation&)>
      confirm_late;
};

// Thread-safe. Outlived by its dependencies.
class ChangeHandler {
 public:
  // Called exactly once, inline or on another thread; must not block.
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // `executor` runs confirm_late.
  ChangeHandler(ChangeCalls calls, storage::Executor* executor, storage::Clock* clock, CallDeadlines deadlines)
      : calls_(std::move(calls)), executor_(executor), clock_(clock), deadlines_(deadlines) {}

  // `deadline` is the caller's, nullopt if he gave none. `request` is not used after these return.
  void Confirm(const v1::ConfirmReservationRequest& request, std::optional<absl::Time> deadline,
               Done<v1::ConfirmReservationResponse> done);
  void Cancel(const v1::CancelReservationRequest& request, std::optional<absl::Time> deadline,
              Done<v1::CancelReservationResponse> done);
  void Extend(const v1::ExtendReservationRequest& request, std::optional<absl::Time> deadline,
              Done<v1::ExtendReservationResponse> done);

  // While not accepting, every call is answered with DRAINING: another node takes it.
  void SetAccepting(bool accepting) { accepting_.store(accepting, std::memory_order_relaxed); }

 private:
  // A payment that came when its reservation was no longer pending.
  struct LatePayment {
    storage::Confirmation payment;
    std::string sku_id;
    absl::Time deadline;
    Done<v1::ConfirmReservationResponse> done;
  };

  absl::StatusOr<absl::Time> Admit(std::optional<absl::Time> deadline) const;
  void ConfirmLate(std::shared_ptr<LatePayment> late);
  absl::StatusOr<storage::ChangeResult> AskLate(const LatePayment& late);
  absl::StatusOr<v1::ConfirmReservationResponse> Confirmed(const storage::ChangeResult& result, bool late) const;
  template <typename Response>
  absl::StatusOr<Response> Changed(const absl::StatusOr<storage::ChangeResult>& result) const;

  const ChangeCalls calls_;
  storage::Executor* const executor_;
  storage::Clock* const clock_;
  const CallDeadlines deadlines_;
  std::atomic<bool> accepting_{true};
};

}  // namespace tranche::server
