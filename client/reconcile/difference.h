// A difference between statement and ledger.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/reconcile/ledger_entry.h"
#include "client/reconcile/statement_line.h"

namespace tranche::reconcile {

enum class DifferenceClass {
  kMissingHere,         // charged for a reservation that we do not know
  kMissingThere,        // a late payment of ours that is not in the statement
  kConfirmedButUnpaid,  // confirmed, or its seat in a group is paid, and the statement has no charge
  kPaidButPending,      // charged, and we were not told
  kPaidButCancelled,    // the same, for a cancelled reservation
  kPaidButExpired,      // the same, for one that lapsed
  kAmountDiffers,       // also when it was partly refunded
  kCurrencyDiffers,
  kReferenceDiffers,        // one payment on both sides, with two names
  kDuplicateCharge,         // charged more than once
  kRefundedButLive,         // refunded, and the buyer still has what it paid for
  kUnfulfilledNotRefunded,  // a late payment that got nothing and was not refunded
  kRefundNotRecorded,       // it was refunded, and the ledger does not know
  kRefundWithoutCharge,     // refunded without any charge
  kCount,
};
inline constexpr int kDifferenceClasses = static_cast<int>(DifferenceClass::kCount);
// Such as "MISSING_HERE".
absl::string_view NameOf(DifferenceClass kind);

enum class Correction {
  kNeedsPerson,
  // Report the payment to the ledger: it confirms, books another unit, or records it and requests a refund.
  kApplyPayment,
  // Note that the late payment was refunded.
  kMarkRefunded,
};
// Such as "APPLY_PAYMENT".
absl::string_view NameOf(Correction correction);

struct Difference {
  DifferenceClass kind = DifferenceClass::kMissingHere;
  ReservationId reservation_id{};
  // The payment's reference: the statement's if it has one.
  std::string reference;
  // The amount concerned: the statement's; the ledger's if the statement has none; the statement's minus the ledger's
  // for kAmountDiffers.
  int64_t amount_minor = 0;
  Currency currency;
  std::optional<StatementLine> line;  // nullopt: the statement has none
  // The ledger's record; false: none.
  bool in_ledger = false;
  EntryState state = EntryState::kGone;
  std::string sku_id;
  int32_t quantity = 0;
  std::string ledger_reference;
  int64_t ledger_amount_minor = 0;
  Currency ledger_currency;
  int64_t ledger_time_us = 0;  // when the ledger learned of the payment; 0: it has not
  Correction correction = Correction::kNeedsPerson;
  // What the correction will do; or what a person should do, and why no machine does it.
  std::string advice;
};

}  // namespace tranche::reconcile
