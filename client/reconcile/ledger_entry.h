// What the ledger knows about one reservation's payments, as values, and where they come from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/reconcile/statement_line.h"

namespace tranche::reconcile {

// A payment that came when the reservation was no longer pending, as the ledger has recorded it.
struct RecordedLatePayment {
  std::string reference;
  int64_t amount_minor = 0;
  Currency currency;
  // Whether it paid for another reservation instead; otherwise it must be refunded.
  bool rebooked = false;
  int64_t received_us = 0;
  int64_t refunded_us = 0;  // 0: not that the ledger knows
};

enum class EntryState : uint8_t {
  kGone,  // the reservation itself is no longer kept, only its late payments
  kPending,
  kConfirmed,
  kCancelled,
  kExpired,
};
absl::string_view NameOf(EntryState state);

struct LedgerEntry {
  ReservationId reservation_id{};
  EntryState state = EntryState::kGone;
  std::string sku_id;
  int32_t quantity = 0;
  // What the reservation costs.
  int64_t amount_minor = 0;
  Currency currency;
  // For a confirmed one: the payment, and when the ledger learned of it. Likewise for a pending one whose seat in a
  // group is paid.
  std::string reference;
  int64_t finished_us = 0;
  // It was booked for the late payment of another reservation; the statement has the payment under that one's id.
  bool is_rebooking = false;
  // Retention has archived it: it can no longer be changed.
  bool archived = false;
  std::vector<RecordedLatePayment> late_payments;

  // The ledger counts on a payment for the reservation itself.
  bool IsPaid() const {
    return state == EntryState::kConfirmed || (state == EntryState::kPending && !reference.empty());
  }
};

// The statement has whole seconds, the ledger microseconds. Both ends are inclusive.
struct Window {
  int64_t from_us = 0;
  int64_t to_us = 0;
  bool Contains(int64_t time_us) const { return from_us <= time_us && time_us <= to_us; }
};

// Entries ascending by reservation id. Not thread-safe.
class EntryStream {
 public:
  virtual ~EntryStream() = default;
  virtual absl::StatusOr<bool> Next(LedgerEntry* entry) = 0;
};

// The ledger's side of a reconciliation; its errors end the reconciliation. Not thread-safe.
class PaymentBooks {
 public:
  virtual ~PaymentBooks() = default;
  // One stream per shard: reservations with a payment in the window, and those with late payments from before it that
  // are still to be refunded.
  virtual absl::StatusOr<std::vector<std::unique_ptr<EntryStream>>> Export(const Window& window) = 0;
  // Those of the ids that the ledger knows, in any order. At most kLookUpBatch ids.
  virtual absl::StatusOr<std::vector<LedgerEntry>> LookUp(absl::Span<const ReservationId> ids) = 0;
};

inline constexpr size_t kLookUpBatch = 1000;

// Merges streams into one. A reservation that is in two of them, because its SKU is being moved, comes once.
std::unique_ptr<EntryStream> MergeEntries(std::vector<std::unique_ptr<EntryStream>> streams);

}  // namespace tranche::reconcile
