// ConfirmReservation, CancelReservation and ExtendReservation, without gRPC: checks a request against the API's limits,
// passes it on and translates the outcome into the API's messages.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "quota/slices/slice_table.h"
#include "server/admission/front_door.h"
#include "server/handlers/ended_groups.h"
#include "server/handlers/outcome_counts.h"
#include "server/handlers/read_queue.h"
#include "storage/books.h"
#include "storage/clock.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class ChangeHandler {
 public:
  // Called exactly once, inline or on another thread; must not block.
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // GroupLedger::GetGroup, or a stand-in, which must not block.
  using ReadGroup =
      std::function<void(const storage::Uuid& group_id, const storage::GroupLookup& lookup, absl::Time deadline,
                         absl::AnyInvocable<void(absl::StatusOr<storage::GroupWithMembers>)> done)>;

  // Callers of Leave who wait for the look that it takes. More are told at once that the node has too much to do.
  static constexpr size_t kMostWaitToLeave = 500;
  // Such looks at a time, each a short read at every shard. Between them the shards' threads take the reads of others.
  static constexpr size_t kMostLeaveReads = 4;

  // `slices` tell which shard a SKU is believed to be on. While `door` says so, changes are refused with
  // SERVICE_LIMITED, but for payments that are repeated or come late: those are answered and noted. Null: never.
  // `read_group` tells then who has a seat; without it, nobody who waits for their group has one.
  ChangeHandler(storage::Books* books, const quota::SliceTable* slices, storage::Clock* clock,
                const FrontDoor* door = nullptr, ReadGroup read_group = {})
      : ChangeHandler(books, slices, clock, door, std::move(read_group), std::make_shared<Shared>(books, clock)) {}
  // The same for operators: it asks no door, and shares the counts and whether changes are accepted.
  ChangeHandler ForOperators() const { return {books_, slices_, clock_, nullptr, {}, shared_}; }

  // `request` is not used after these return.
  void Confirm(const v1::ConfirmReservationRequest& request, absl::Time deadline,
               Done<v1::ConfirmReservationResponse> done);
  void Cancel(const v1::CancelReservationRequest& request, absl::Time deadline,
              Done<v1::CancelReservationResponse> done);
  // The same, and counted so, but NOT_IN_GROUP if the reservation was made for no group. Nothing is read or cancelled
  // for those whose deadlines have passed when their turn comes.
  void Leave(const v1::CancelReservationRequest& request, absl::Time deadline,
             Done<v1::CancelReservationResponse> done);
  void Extend(const v1::ExtendReservationRequest& request, absl::Time deadline,
              Done<v1::ExtendReservationResponse> done);

  // Of every call of each.
  const OutcomeCounts& confirmed() const { return shared_->confirmed; }
  const OutcomeCounts& cancelled() const { return shared_->cancelled; }
  const OutcomeCounts& extended() const { return shared_->extended; }
  // Groups that a payment for their last seat has filled.
  int64_t groups_filled() const { return shared_->filled.count(); }

  // While not accepting, every call is answered with DRAINING: another node can serve it.
  void SetAccepting(bool accepting) { shared_->accepting.store(accepting, std::memory_order_relaxed); }

 private:
  // The numbers of the words of the outcomes below; from kRebooked on only of confirmations.
  enum Outcome : size_t { kDone, kReplayed, kRebooked, kPaidUnfulfilled, kGroupWaiting };

  using LeaveReads = ReadQueue<storage::Uuid, storage::Reservation>;

  struct Shared {
    Shared(storage::Books* books, storage::Clock* clock)
        : leaving(
              [books](const storage::Uuid& id, absl::Time deadline, LeaveReads::Done done) {
                books->Find(id, storage::Assurance::kCommitted, deadline, std::move(done));
              },
              clock, kMostWaitToLeave, kMostLeaveReads) {}

    std::atomic<bool> accepting{true};
    LeaveReads leaving;
    OutcomeCounts confirmed{{"confirmed", "replayed", "rebooked", "paid_unfulfilled", "group_waiting"}};
    OutcomeCounts cancelled{{"cancelled", "replayed"}};
    OutcomeCounts extended{{"extended", "replayed"}};
    EndedGroups filled;
  };

  ChangeHandler(storage::Books* books, const quota::SliceTable* slices, storage::Clock* clock, const FrontDoor* door,
                ReadGroup read_group, std::shared_ptr<Shared> shared)
      : books_(books),
        slices_(slices),
        clock_(clock),
        door_(door),
        read_group_(std::move(read_group)),
        shared_(std::move(shared)) {}

  static Outcome OutcomeOf(const v1::ConfirmReservationResponse& response);
  template <typename Response>
  static Outcome OutcomeOf(const Response& response) {
    return response.replayed() ? kReplayed : kDone;
  }
  // Counts the answer, then passes it on.
  template <typename Response>
  static Done<Response> Counting(OutcomeCounts* outcomes, Done<Response> done);

  // kDraining.
  absl::Status Admit() const;
  // Of what is not a payment: Admit, and what the door says.
  absl::Status AdmitChange() const;
  void ConfirmNow(const std::string& sku_id, storage::Payment payment, absl::Time deadline,
                  Done<v1::ConfirmReservationResponse> done);
  // Refuses the payment of a reservation that waits for it.
  void ConfirmUnlessPending(const std::string& sku_id, storage::Payment payment, absl::Time deadline,
                            quota::Refused limited, Done<v1::ConfirmReservationResponse> done);
  // The same, of one that is PENDING: that of a member who has a seat waits for no payment any more.
  void ConfirmIfSeated(const storage::Reservation& pending, storage::Payment payment, absl::Time deadline,
                       quota::Refused limited, Done<v1::ConfirmReservationResponse> done);
  void CancelNow(const std::string& sku_id, storage::Cancellation cancellation, absl::Time deadline,
                 Done<v1::CancelReservationResponse> done);
  // Of a payment that the ledger has just booked: a member is confirmed only with their group.
  void CountIfFilled(const storage::ChangeResult& paid);
  void Apply(const std::string& sku_id, storage::Change change, absl::Time deadline, storage::ChangeDone done);
  void ConfirmLate(storage::Payment payment, absl::Time deadline, const std::string& sku_id,
                   Done<v1::ConfirmReservationResponse> done);
  absl::StatusOr<v1::ConfirmReservationResponse> Confirmed(const storage::Uuid& id, const storage::ChangeResult& result,
                                                           bool late) const;
  template <typename Response>
  absl::StatusOr<Response> Changed(const storage::Uuid& id, const absl::StatusOr<storage::ChangeResult>& result) const;

  storage::Books* const books_;
  const quota::SliceTable* const slices_;
  storage::Clock* const clock_;
  const FrontDoor* const door_;
  const ReadGroup read_group_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace tranche::server
