// What reconciliation with a payment provider's statement needs from the ledger: its payments in bulk, and the safe
// corrections.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::storage {

// A payment that came for a reservation which was no longer pending; or one that had a seat in a group, until the
// member left or the group was not filled.
struct LatePayment {
  std::string payment_reference;
  int64_t amount_minor = 0;
  std::string currency;
  absl::Time received_at;
  std::optional<Uuid> rebooked_as;        // the reservation that it paid for instead
  std::optional<absl::Time> refunded_at;  // when it was seen to be refunded
};

// What is known about one reservation's payments.
struct PaymentEntry {
  Uuid reservation_id;
  // False: the reservation itself is no longer kept, and the fields up to `late_payments` are meaningless.
  bool kept = false;
  std::string sku_id;
  int32_t quantity = 0;
  ReservationState state = ReservationState::kPending;
  int64_t amount_minor = 0;
  std::string currency;
  std::string payment_reference;      // of a confirmed one; of a pending one that which has its seat in a group
  std::optional<absl::Time> paid_at;  // likewise: when the ledger learned of it
  std::optional<Uuid> rebooked_from;  // whose late payment paid for it
  bool archived = false;              // it can no longer be changed
  std::string order_reference;
  std::vector<LatePayment> late_payments;
};

struct PaymentPage {
  // Ascending by reservation id.
  std::vector<PaymentEntry> entries;
  std::optional<Uuid> next;  // the next page continues after this; nullopt: that was the last one
};

// What the ledger did with a payment that it was told about.
struct AppliedPayment {
  enum class Outcome {
    kConfirmed,
    kRebooked,
    kRefundRequested,  // recorded, and a refund is requested
    kNotFound,
    kMismatch,  // amount or currency differs from the reservation's: nothing was done
    kMoving,
  };
  Outcome outcome = Outcome::kNotFound;
  bool replayed = false;  // it was done before, and nothing was audited
  std::optional<Uuid> rebooked_as;
};

enum class RefundMark {
  kDone,
  kReplayed,  // it was noted before
  kNotFound,  // no such late payment
  kRebooked,  // it paid for another unit, so it must not be refunded
};

class PaymentLedger {
 public:
  virtual ~PaymentLedger() = default;

  // One page of the reservations that were confirmed, or had a late payment, in [from, to], and of those with an
  // earlier late payment that is still to be refunded. Looks at about `limit` rows, however many match: a page may be
  // empty and not the last.
  virtual absl::StatusOr<PaymentPage> ExportPayments(const std::optional<Uuid>& after, absl::Time from, absl::Time to,
                                                     int limit) = 0;
  // Those of the ids that are known, whatever their state, ascending. At most kMaxBatch ids.
  virtual absl::StatusOr<std::vector<PaymentEntry>> LookUpPayments(absl::Span<const Uuid> reservation_ids) = 0;

  // LifecycleLedger::ConfirmLate, with an audit row about the result. Safe to repeat.
  virtual absl::StatusOr<AppliedPayment> ApplyPayment(const Payment& payment, const Actor& actor) = 0;
  // Notes that late payments (reservation id and payment reference) were refunded, with an audit row each. Results are
  // in the order of `payments`; at most kMaxBatch. Safe to repeat.
  virtual absl::StatusOr<std::vector<RefundMark>> MarkRefunded(absl::Span<const std::pair<Uuid, std::string>> payments,
                                                               const Actor& actor) = 0;
};

}  // namespace tranche::storage
