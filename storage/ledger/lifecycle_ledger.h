// What happens to a reservation after it was created: it is confirmed, cancelled or extended, found and listed. Also
// creates several at once (a cart).
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md. Every call is safe to repeat: the
// same change of the same reservation returns the same answer again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/log_trace.h"
#include "storage/ledger/claim_refusal.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

// The reservation was paid.
struct Payment {
  Uuid reservation_id;
  std::string payment_reference;  // 1 to 128 bytes
  int64_t amount_minor = 0;
  std::string currency;
  // Of the call that asked for it, for the log and the message about the change; no part of the payload. A repeat may
  // come with another one: the message keeps that of the call that made the change.
  TraceTag trace = {};
};

// What holds of members of groups are cancelled for when nobody has asked for it. The answer to a late payment depends
// on it, so nobody else may cancel for one of these.
inline constexpr absl::string_view kReasonsOfGroups[] = {"GROUP_FULL", "GROUP_OVER", "GROUP_FAILED", "GROUP_CANCELLED"};

// The buyer or the shop gives it up.
struct Cancellation {
  Uuid reservation_id;
  std::string reason;   // at most 256 bytes; not one of kReasonsOfGroups
  TraceTag trace = {};  // as of a payment
};

// Makes the hold last longer.
struct Extension {
  Uuid reservation_id;
  int32_t number = 0;   // which extension of the reservation this is, from 1
  absl::Duration by;    // whole seconds, at least 1
  TraceTag trace = {};  // as of a payment
};

// The changes that can be requested for a pending reservation.
using Change = std::variant<Payment, Cancellation, Extension>;

inline const Uuid& ReservationOf(const Change& change) {
  return std::visit([](const auto& one) -> const Uuid& { return one.reservation_id; }, change);
}

inline const TraceTag& TraceOf(const Change& change) {
  return std::visit([](const auto& one) -> const TraceTag& { return one.trace; }, change);
}

enum class ChangeOutcome {
  kDone,
  kReplayed,  // it was done before: `reservation` is as it is now
  kRefused,   // `refusal` says why
  // What is needed is locked, and nothing was decided: with LockMode::kNoWait; and with any mode about members of
  // groups, if the others of their batch were decided, and they could not be.
  kBusy,
  // Of members of groups, if the others of their batch were decided: theirs may have been committed, and a repeat finds
  // out. An error of the call if nobody else was in the batch.
  kInDoubt,
  // Only from ConfirmLate.
  kRebooked,         // another unit was booked: `rebooked`
  kPaidUnfulfilled,  // no unit was left: the payment is recorded, and a refund is requested
};

struct ChangeResult {
  ChangeOutcome outcome = ChangeOutcome::kRefused;
  // For kRefused. kReservationNotFound: not on this shard. kReservationState: `reservation.state` forbids it, or
  // another payment has its seat. kSkuMoving: its SKU is on its way to another shard, and nothing was decided.
  Refusal refusal = Refusal::kNone;
  // As it is after the change; set unless kReservationNotFound, kSkuMoving, kBusy or
  // kInDoubt.
  Reservation reservation = {};
  // The limit that was reached, for kTooManyExtensions (how many) and kHoldTooLong (seconds).
  int64_t bound = 0;
  // Only from ConfirmLate: what was booked instead; with kPaidUnfulfilled, by another payment for the same hold.
  std::optional<Reservation> rebooked = {};
  bool replayed = false;  // for kRebooked and kPaidUnfulfilled: it was decided before
};

inline ChangeResult RefusedChange(Refusal refusal, Reservation reservation = {}) {
  return {.outcome = ChangeOutcome::kRefused, .refusal = refusal, .reservation = std::move(reservation)};
}

// Which reservations to list: of a buyer, of a SKU, or of a buyer for a SKU.
struct ReservationFilter {
  std::string sku_id;                    // "" for all
  std::string user_id;                   // "" for all; at least one of the two is set
  std::vector<ReservationState> states;  // empty for all
};

// Where a list continues: after this reservation. All empty: from the start.
struct ReservationCursor {
  std::string sku_id;
  bool lapsed = false;  // within a SKU the live ones come first
  std::string user_id;
  int32_t ordinal = 0;  // for a live one: its number among the buyer's
  Uuid reservation_id;  // for a lapsed one
  // With several shards: the shard that the cursor is about; "" for the first. Not used by a ledger.
  std::string shard = {};
};

struct ReservationPage {
  std::vector<Reservation> reservations;
  std::optional<ReservationCursor> next;  // nullopt: that was the last page
};

// The most lines in a cart.
inline constexpr int kMaxCartLines = 32;

struct CartResult {
  // kCreated or kReplayed for all lines, or nothing was created, and each line has its own outcome. A line that would
  // have been created alone is kCreated then too, with no reservation.
  bool committed = false;
  std::vector<CommitResult> lines = {};
};

// Only with LockMode::kNoWait: slots of a line are locked, and nothing was decided.
inline bool IsBusy(const CartResult& cart) {
  return std::any_of(cart.lines.begin(), cart.lines.end(),
                     [](const CommitResult& line) { return line.outcome == CommitOutcome::kBusy; });
}

class LifecycleLedger {
 public:
  virtual ~LifecycleLedger() = default;

  // Each commits its batch in one transaction, and what it does to members of groups, if it has any, in another one.
  // Ids are distinct; at most kMaxBatch of them. Results are in the order of the batch. A reservation that is no longer
  // pending is refused with kReservationState, unless it is a replay. `mode`: not kSkipLocked.
  //
  // Of members (storage/ledger/group_ledger.h), in the order of the batch: a payment takes a seat. It is kDone or
  // kReplayed, and leaves the reservation PENDING as long as the group is not full; without a free seat it is refused
  // with kGroupOver. A cancellation gives the seat up. An extension is refused with kInGroup.
  virtual absl::StatusOr<std::vector<ChangeResult>> ConfirmReservations(LockMode mode,
                                                                        absl::Span<const Payment> batch) = 0;
  virtual absl::StatusOr<std::vector<ChangeResult>> CancelReservations(LockMode mode,
                                                                       absl::Span<const Cancellation> batch) = 0;
  virtual absl::StatusOr<std::vector<ChangeResult>> ExtendReservations(LockMode mode,
                                                                       absl::Span<const Extension> batch) = 0;
  // With kWait.
  absl::StatusOr<std::vector<ChangeResult>> ConfirmReservations(absl::Span<const Payment> batch) {
    return ConfirmReservations(LockMode::kWait, batch);
  }
  absl::StatusOr<std::vector<ChangeResult>> CancelReservations(absl::Span<const Cancellation> batch) {
    return CancelReservations(LockMode::kWait, batch);
  }
  absl::StatusOr<std::vector<ChangeResult>> ExtendReservations(absl::Span<const Extension> batch) {
    return ExtendReservations(LockMode::kWait, batch);
  }

  // A payment for a reservation that ConfirmReservations refused with kReservationState or kGroupOver. If the
  // reservation expired: kRebooked or, as always for a member, kPaidUnfulfilled. A member that is pending and gets no
  // seat is cancelled: kPaidUnfulfilled. If it was cancelled, or confirmed or seated by another payment:
  // kReservationState, and the payment is recorded and a refund requested (`replayed` if it was before). Otherwise what
  // ConfirmReservations would answer.
  virtual absl::StatusOr<ChangeResult> ConfirmLate(const Payment& payment) = 0;

  // What the change would do now. It is made and taken back: the answer is what the calls above would answer, for a
  // payment ConfirmLate if the reservation is not pending or not found, or its group has no seat for it. What would be
  // booked instead has no id yet.
  virtual absl::StatusOr<ChangeResult> PreviewChange(const Change& change) = 0;

  // Creates all lines for one buyer, or none. They are claims of one incarnation with distinct ids and without groups,
  // at most kMaxCartLines. `mode`: kWait or kNoWait.
  virtual absl::StatusOr<CartResult> CommitCart(IncarnationId incarnation, LockMode mode,
                                                absl::Span<const ReservationClaim> lines) = 0;
  // With kWait.
  absl::StatusOr<CartResult> CommitCart(IncarnationId incarnation, absl::Span<const ReservationClaim> lines) {
    return CommitCart(incarnation, LockMode::kWait, lines);
  }

  // Notes of claims that were decided apart from their callers that they are refused for good, in one transaction:
  // unless the id exists, a row is born that says so. Ids are distinct; at most kMaxBatch of them. Results are in the
  // order of the batch. What is found is said only once the synchronous standby has it, as by FindReplicated.
  virtual absl::StatusOr<std::vector<RefuseResult>> RefuseClaims(absl::Span<const ClaimRefusal> batch) = 0;

  // Those of the ids that exist, unordered. At most kMaxBatch ids.
  virtual absl::StatusOr<std::vector<Reservation>> ReadReservations(absl::Span<const Uuid> reservation_ids) = 0;

  // Ascending by SKU. `limit` bounds the page; a page may be empty and not the last.
  virtual absl::StatusOr<ReservationPage> ListReservations(const ReservationFilter& filter,
                                                           const ReservationCursor& after, int limit) = 0;
};

}  // namespace tranche::storage
