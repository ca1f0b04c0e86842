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
  kMissingThere,        // a late payment of ours that the statement has not
  kConfirmedButUnpaid,  // confirmed, and the statement has no charge
  kPaidButPending,      // charged, and we were not told
  kPaidButCancelled,    // the same, of a cancelled reservation
  kPaidButExpired,      // the same, of one that lapsed
  kAmountDiffers,       // also when it was paid back in part
  kCurrencyDiffers,
  kReferenceDiffers,        // one payment on both sides, by two names
  kDuplicateCharge,         // charged more than once
  kRefundedButLive,         // paid back, and the buyer still has what it paid for
  kUnfulfilledNotRefunded,  // a late payment that got nothing and was not paid back
  kRefundNotRecorded,       // it was paid back, and the ledger does not know
  kRefundWithoutCharge,     // paid back what was never charged
  kCount,
};
inline constexpr int kDifferenceClasses = static_cast<int>(DifferenceClass::kCount);
// Such as "MISSING_HERE".
absl::string_view NameOf(DifferenceClass kind);

enum class Correction {
  kNeedsPerson,
  // Tell the ledger of the payment: it confirms, books another unit, or records it and asks for a refund.
  kApplyPayment,
  // Note that the late payment was paid back.
  kMarkRefunded,
};
// Such as "APPLY_PAYMENT".
absl::string_view NameOf(Correction correction);

struct Difference {
  DifferenceClass kind = DifferenceClass::kMissingHere;
  ReservationId reservation_id{};
  // Of the payment: the statement's where it has one.
  std::string reference;
  // What is at stake: the statement's amount; the ledger's where the statement has none; the statement's less the
  // ledger's for kAmountDiffers.
  int64_t amount_minor = 0;
  Currency currency;
  std::optional<StatementLine> line;  // nullopt: the statement has none
  // What the ledger has; false: nothing.
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
