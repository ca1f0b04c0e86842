// What the client sends and gets, as plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tranche/export.h"

namespace tranche {

enum class ReservationState {
  kUnspecified = 0,
  kPending = 1,  // held, not yet paid
  kConfirmed = 2,
  kCancelled = 3,
  kExpired = 4,
};

// "PENDING", "CONFIRMED", ...
TRANCHE_EXPORT const char* ReservationStateName(ReservationState state);

// One buyer's claim.
struct Reservation {
  std::string reservation_id;
  std::string sku_id;
  std::string user_id;
  int32_t quantity = 0;
  ReservationState state = ReservationState::kUnspecified;
  int64_t amount_minor = 0;  // for the whole quantity, in the currency's minor unit (cents)
  std::string currency;      // ISO 4217
  absl::Time create_time;
  absl::Time expire_time;                           // by the ledger's clock
  absl::Duration remaining_hold;                    // when the answer was made; use this if clocks may differ
  absl::Time finish_time = absl::InfiniteFuture();  // when it left kPending
  std::string payment_reference;                    // of a confirmed one
  std::string cancel_reason;                        // of a cancelled one
  int32_t extensions = 0;                           // how often the hold was extended
  int32_t revision = 0;                             // grows with every change
  std::string rebooked_from;    // the expired reservation whose late payment paid for this one; "" for none
  std::string order_reference;  // as given in the request; "" for none
  std::string group_id;         // that it was made for; "" for none. A kPending one may have a paid seat: see GetGroup
  // True when the request had been committed before. This is the reservation as it is now, which need not be held any
  // more: look at its state.
  bool replayed = false;
};

// A claim, or a cart, that waits in a queue: it is kept safely, and has no units yet.
struct QueuedClaim {
  // For Client::GetClaim, at any node and from any process: at most 2048 bytes. Whoever has it can read what became of
  // the claim.
  std::string ticket;
  int64_t ahead = 0;                                // about how many claims are before it: an estimate
  absl::Duration poll_after;                        // ask again after this
  absl::Time decide_time = absl::InfiniteFuture();  // until then it is decided, if the ledger answers
};

// A request for a reservation.
struct CreateReservation {
  std::string sku = {};
  std::string user = {};
  int32_t quantity = 1;
  // Identifies the claim and makes it safe to send again. Empty: the client makes one, and an error whose outcome is
  // unknown carries it. Give your own (MakeUuidV7()) and store it first to survive a crash of your process.
  std::string reservation_id = {};
  // Set when an earlier Create with this id ended with an unknown outcome. A refusal is then checked against the
  // ledger: a front node refuses a sold-out SKU from memory, without looking up the id.
  bool retry_of_unknown = false;
  // Your name for the order: opaque, at most 128 bytes. It stays with the reservation and appears in messages and
  // exports. Set it only when every node knows this field (see reservation_service.proto).
  std::string order_reference = {};
  // From EnterSale, for SKUs whose front door asks for one: at most 512 bytes. A repeated claim may have another one.
  std::string purchase_token = {};
  // Where the buyer is, for limits and lists by address: an IP address without a port. Empty: not known, and the front
  // door sees where this process is. Counts only at nodes that believe their callers (see reservation_service.proto).
  std::string buyer_address = {};
  // The claim may be queued, where a SKU's claims are; it is refused with Reason::kClaimsAreQueued otherwise. Create
  // then waits until the claim is decided, and its result is that decision. See Client::Create.
  bool accept_queued = false;
  // How long to wait for the decision, from when the claim is queued. nullopt: until QueuedClaim::decide_time.
  std::optional<absl::Duration> decide_within = std::nullopt;
  // Called when the claim is queued, and again when fewer are ahead of it, one call at a time; not after the result. On
  // a thread of the library, as callbacks are: it must not block. Keep the ticket if your process may end before the
  // decision.
  std::function<void(const QueuedClaim&)> on_queued = nullptr;
};

// Several SKUs for one buyer: all of them or none.
struct CartLine {
  std::string sku = {};
  int32_t quantity = 1;
  // As in CreateReservation.
  std::string reservation_id = {};
  // As in CreateReservation. Lines of one SKU may have the same.
  std::string purchase_token = {};
};
struct CreateCart {
  std::string user = {};
  // 1 to 32. Lines of one SKU count together against the stock and the buyer's limit.
  std::vector<CartLine> lines = {};
  // As in CreateReservation.
  bool retry_of_unknown = false;
  // As in CreateReservation, for all lines.
  std::string order_reference = {};
  // As in CreateReservation.
  std::string buyer_address = {};
  // As in CreateReservation, for the cart as a whole.
  bool accept_queued = false;
  std::optional<absl::Duration> decide_within = std::nullopt;
  std::function<void(const QueuedClaim&)> on_queued = nullptr;
};
struct Cart {
  std::vector<Reservation> reservations;  // in the order of the lines
  bool replayed = false;
};

// What became of a claim, or a cart, that was queued. Exactly one of the four is set.
struct ClaimOutcome {
  std::optional<QueuedClaim> queued = std::nullopt;   // it is not decided yet
  std::optional<Reservation> created = std::nullopt;  // a claim was sold: the reservation as it is now
  std::optional<Cart> cart_created = std::nullopt;    // the same of a cart
  // Refused for good, with the error that Create would have had; OK: not refused. Nothing is sold under its reservation
  // id any more: a new try needs a new one.
  absl::Status refused = absl::OkStatus();
};

// The changes below may be sent again with the same values: each is done once and answered the same again.

// The payment has arrived.
struct ConfirmReservation {
  std::string reservation_id = {};
  std::string payment_reference = {};  // the payment provider's name for it: 1 to 128 bytes
  int64_t amount_minor = 0;            // must be the reservation's
  std::string currency = {};           // must be the reservation's
  // Optional in every change: finds the reservation at once if there are several shards.
  std::string sku = {};
};

enum class ConfirmOutcome {
  kUnspecified = 0,
  kConfirmed = 1,
  kRebooked = 2,  // the hold had expired; another unit was booked
  // The hold had expired, and no unit was left, or another payment has booked one; or the group was full or over. It is
  // recorded, and a refund is requested.
  kPaidUnfulfilled = 3,
  // A member's seat in a group is paid, and the group is not full yet: still kPending. It becomes kConfirmed when the
  // group is full; otherwise the payment is refunded.
  kGroupWaiting = 4,
};
// "CONFIRMED", "REBOOKED", ...
TRANCHE_EXPORT const char* ConfirmOutcomeName(ConfirmOutcome outcome);

struct Confirmation {
  ConfirmOutcome outcome = ConfirmOutcome::kUnspecified;
  Reservation reservation;              // the one in the request
  std::optional<Reservation> rebooked;  // the one that was booked instead; with kPaidUnfulfilled by another payment
  bool replayed = false;
};

// Gives a hold up; its units are for sale again.
struct CancelReservation {
  std::string reservation_id = {};
  std::string reason = {};  // for people; at most 256 bytes
  std::string sku = {};
};

// Makes the hold last longer, within the SKU's bounds.
struct ExtendReservation {
  std::string reservation_id = {};
  absl::Duration by = absl::ZeroDuration();  // whole seconds
  // Which extension this is: Reservation::extensions + 1. Sent again with the same number, it extends only once.
  int32_t extension = 0;
  std::string sku = {};
};

// At least one of user and sku.
struct ListReservations {
  std::string user = {};
  std::string sku = {};
  std::vector<ReservationState> states = {};  // empty: all
  int32_t page_size = 0;                      // at most 1000; 0: 100
  std::string page_token = {};                // from the previous page
};
struct ReservationPage {
  std::vector<Reservation> reservations;
  // Empty: that was the last page. A page may have few reservations, or none, and not be the last.
  std::string next_page_token;
};

}  // namespace tranche
