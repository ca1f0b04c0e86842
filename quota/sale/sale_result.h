// The results of a request to buy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::quota {

using storage::Refusal;

// Who tries to buy, besides what the claim says. The first two are for the front door.
struct Visitor {
  std::string address;         // of the buyer, as text without a port; "" if it is not known
  std::string purchase_token;  // "" if the claim came without one
  bool accept_queued = false;  // the answer may be Queued; of a cart, all its lines say the same
};

struct Sold {
  storage::Reservation reservation;
  bool replayed = false;
};

// Why nothing was sold.
struct Refused {
  Refusal refusal = Refusal::kInternal;
  bool holds_may_lapse = false;                // kSoldOut, kInsufficientUnits
  int64_t available = 0;                       // kInsufficientUnits: unsold units, anywhere
  absl::Time opens_at = absl::InfinitePast();  // kSaleNotOpen; InfinitePast: not known
  int32_t per_user_limit = 0;                  // kQuantityAboveUserLimit, kUserLimitReached; 0: not known
  std::string pause_reason = {};               // kSalePaused, kServiceLimited: for buyers
  absl::Duration retry_after = {};             // kRateLimited, kNotAdmitted: come again after that
  // kRateLimited: which limit; kPurchaseTokenInvalid: the problem; kExhaustedHere: not "" if it is the front door that
  // cannot judge here; kDrawNotOpen: the state of the newest draw, "" if it is not known or there is none;
  // kServiceLimited: the mode; kTooManyGroups: who has them, "user" or "sku", "" if it is not known.
  std::string about = {};

  friend bool operator==(const Refused&, const Refused&) = default;
};

// It is in the queue, and has no units yet: only for who accepts that.
struct Queued {
  std::string ticket;  // for GetClaim
  int64_t ahead = 0;   // about how many claims are before it
  absl::Duration poll_after = {};
  absl::Time decide_at;  // until then it is decided, or refused with kDeadlinePassed
};

using SaleResult = std::variant<Sold, Refused, Queued>;
// Called exactly once: inline for what the node decides itself, otherwise on a thread of the pipeline or the directory.
// It must not block.
using SaleDone = absl::AnyInvocable<void(SaleResult)>;

// The result of a cart: all of its lines, or none.
struct CartSold {
  std::vector<storage::Reservation> reservations;  // in the order of the lines
  bool replayed = false;
};

struct CartRefused {
  Refused refused;
  std::string sku_id;                                // the SKU at fault; "" if no single one is
  std::optional<storage::Uuid> reservation_id = {};  // kReservationIdReused: that of one such line
};

using CartSale = std::variant<CartSold, CartRefused, Queued>;
// Like SaleDone.
using CartDone = absl::AnyInvocable<void(CartSale)>;

// A request in progress.
struct SaleRequest {
  storage::ReservationClaim claim;
  absl::Time deadline;
  // An earlier try with this id may have been committed.
  bool may_exist = false;
  SaleDone done;
  Visitor visitor = {};
  // The gate has let it in: it is asked once.
  bool let_in = false;
  // Where its SKU is, if an earlier try may have been queued; else "".
  std::string queue_shard = {};
};

}  // namespace tranche::quota
