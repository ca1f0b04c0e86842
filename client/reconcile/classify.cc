#include "client/reconcile/classify.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::reconcile {
namespace {

// One payment, by the statement.
struct Payment {
  enum class Status { kCharged, kRefunded };

  absl::string_view reference;
  std::vector<const StatementLine*> open;   // charges that are not fully refunded; the front is the payment's own
  std::vector<const StatementLine*> loose;  // refunds that do not equal any charge
  const StatementLine* refund = nullptr;    // the latest refund
  Status status = Status::kCharged;
  int64_t net_minor = 0;  // of the front of `open`, minus its partial refunds
  bool has_charges = false;
  bool matched = false;  // the ledger has it
};

// One payment, by the ledger: the one that confirmed the reservation, or has its seat in a group; or a late one.
struct Record {
  absl::string_view reference;
  int64_t amount_minor = 0;
  Currency currency;
  int64_t time_us = 0;
  const RecordedLatePayment* late = nullptr;  // nullptr: the reservation's own
  const Payment* payment = nullptr;           // nullptr: the statement has none with this name
};

class Classifier {
 public:
  Classifier(const Window& window, absl::Span<const StatementLine> lines, const LedgerEntry* entry,
             std::vector<Difference>* differences)
      : window_(window), lines_(lines), entry_(entry), out_(differences) {}

  void Run() {
    ReadRecords();
    ReadPayments();
    for (Payment& payment : payments_) Settle(&payment);
    for (const Record& record : records_) {
      if (record.payment != nullptr) CompareRecorded(record, *record.payment);
    }
    std::vector<const Payment*> unrecorded = Unrecorded();
    std::vector<const Record*> absent = Absent();
    PairByDefault(&unrecorded, &absent);
    for (const Record* record : absent) TellAbsent(*record);
    TellUnrecorded(unrecorded);
  }

 private:
  void ReadRecords() {
    if (entry_ == nullptr) return;
    if (entry_->IsPaid()) {
      records_.push_back({entry_->reference, entry_->amount_minor, entry_->currency, entry_->finished_us});
    }
    for (const RecordedLatePayment& late : entry_->late_payments) {
      records_.push_back({late.reference, late.amount_minor, late.currency, late.received_us, &late});
    }
  }

  // Lines with the same reference are neighbours.
  void ReadPayments() {
    for (size_t begin = 0; begin < lines_.size();) {
      Payment payment;
      payment.reference = lines_[begin].reference;
      size_t end = begin;
      for (; end < lines_.size() && lines_[end].reference == payment.reference; ++end) {
        if (lines_[end].kind == LineKind::kCharge) payment.open.push_back(&lines_[end]);
      }
      payment.has_charges = !payment.open.empty();
      for (size_t i = begin; i < end; ++i) {
        if (lines_[i].kind == LineKind::kRefund) CancelCharge(lines_[i], &payment);
      }
      payments_.push_back(std::move(payment));
      begin = end;
    }
  }

  static void CancelCharge(const StatementLine& refund, Payment* payment) {
    payment->refund = &refund;
    // The last one: the first charge is the payment's own, a later one is the mistake.
    const auto charge = std::find_if(payment->open.rbegin(), payment->open.rend(), [&](const StatementLine* line) {
      return line->amount_minor == refund.amount_minor && line->currency == refund.currency;
    });
    if (charge != payment->open.rend()) {
      payment->open.erase(std::next(charge).base());
    } else {
      payment->loose.push_back(&refund);
    }
  }

  Record* RecordOf(absl::string_view reference) {
    for (Record& record : records_) {
      if (record.reference == reference) return &record;
    }
    return nullptr;
  }

  // The amount that this payment should have: the record's, otherwise the reservation's.
  bool IsExpected(const StatementLine& line, const Record* record) const {
    if (record != nullptr) return line.amount_minor == record->amount_minor && line.currency == record->currency;
    return entry_ != nullptr && entry_->state != EntryState::kGone && line.amount_minor == entry_->amount_minor &&
           line.currency == entry_->currency;
  }

  // Decides the payment's state, and reports what its lines alone show to be wrong.
  void Settle(Payment* payment) {
    Record* const record = RecordOf(payment->reference);
    if (record != nullptr) {
      record->payment = payment;
      payment->matched = true;
    }
    if (!payment->open.empty()) {
      const auto own = std::find_if(payment->open.begin(), payment->open.end(),
                                    [&](const StatementLine* line) { return IsExpected(*line, record); });
      if (own != payment->open.end()) std::rotate(payment->open.begin(), own, std::next(own));
      for (size_t i = 1; i < payment->open.size(); ++i) {
        TellLine(DifferenceClass::kDuplicateCharge, *payment->open[i], record,
                 "the same payment is charged twice: ask the provider to pay one back, or to correct the statement");
      }
      SettleAgainst(payment->open.front()->amount_minor, payment->open.front()->currency, record, payment);
      return;
    }
    payment->status = Payment::Status::kRefunded;
    if (!payment->has_charges && record != nullptr && record->time_us < window_.from_us) {
      // The charge is in an earlier statement.
      SettleAgainst(record->amount_minor, record->currency, record, payment);
    } else {
      for (const StatementLine* refund : payment->loose) TellLooseRefund(*refund, record);
    }
  }

  // Reduces a charge by its partial refunds.
  void SettleAgainst(int64_t charged_minor, Currency currency, const Record* record, Payment* payment) {
    payment->net_minor = charged_minor;
    for (const StatementLine* refund : payment->loose) {
      if (refund->currency == currency) {
        payment->net_minor -= refund->amount_minor;
      } else {
        TellLooseRefund(*refund, record);
      }
    }
    payment->status = payment->net_minor > 0 || payment->refund == nullptr || payment->loose.empty()
                          ? Payment::Status::kCharged
                          : Payment::Status::kRefunded;
    if (payment->net_minor < 0) {
      TellLooseRefund(*payment->refund, record, -payment->net_minor);
    }
  }

  // Both sides have it.
  void CompareRecorded(const Record& record, const Payment& payment) {
    if (payment.status == Payment::Status::kCharged) {
      CompareCharge(record, payment);
      if (record.late != nullptr && !record.late->rebooked && record.late->refunded_us == 0) {
        TellRecord(DifferenceClass::kUnfulfilledNotRefunded, record, OpenLine(payment),
                   "pay it back at the provider, or see why the refund that was asked for has not come");
      }
      return;
    }
    const bool live = record.late == nullptr || record.late->rebooked;
    if (live) {
      TellLine(DifferenceClass::kRefundedButLive, *payment.refund, &record,
               entry_->state == EntryState::kPending
                   ? "cancel it, or have it paid again: its seat in the group counts as paid"
                   : "take the order back, or have it paid again: a confirmed reservation stays confirmed");
    } else if (record.late->refunded_us == 0) {
      TellLine(DifferenceClass::kRefundNotRecorded, *payment.refund, &record, "the ledger will note the refund",
               Correction::kMarkRefunded);
    }
  }

  static const StatementLine* OpenLine(const Payment& payment) {
    return payment.open.empty() ? payment.refund : payment.open.front();
  }

  // Its charge may be in an earlier statement: then only a part of it was refunded here.
  void CompareCharge(const Record& record, const Payment& payment) {
    const StatementLine& line = *OpenLine(payment);
    if (!payment.open.empty() && !(line.currency == record.currency)) {
      TellLine(DifferenceClass::kCurrencyDiffers, line, &record,
               "ask the provider what was charged; pay back and charge again if the statement is right");
    } else if (payment.net_minor != record.amount_minor) {
      TellLine(DifferenceClass::kAmountDiffers, line, &record,
               payment.loose.empty() ? "collect or pay back the difference"
                                     : "a part of it was paid back: note it where orders are kept",
               Correction::kNeedsPerson, payment.net_minor - record.amount_minor);
    }
  }

  // Charged, and unknown to the ledger. The payment that should count is in front.
  std::vector<const Payment*> Unrecorded() const {
    std::vector<const Payment*> unrecorded;
    for (const Payment& payment : payments_) {
      if (!payment.matched && payment.status == Payment::Status::kCharged) unrecorded.push_back(&payment);
    }
    std::sort(unrecorded.begin(), unrecorded.end(), [this](const Payment* a, const Payment* b) {
      const bool a_expected = IsPayable(*a);
      const bool b_expected = IsPayable(*b);
      if (a_expected != b_expected) return a_expected;
      const StatementLine& a_line = *a->open.front();
      const StatementLine& b_line = *b->open.front();
      return std::pair(a_line.time_us, a_line.line_number) < std::pair(b_line.time_us, b_line.line_number);
    });
    return unrecorded;
  }

  // Only in the ledger. If it is another reservation's late payment, it is found under that one.
  std::vector<const Record*> Absent() const {
    std::vector<const Record*> absent;
    for (const Record& record : records_) {
      const bool elsewhere = record.late == nullptr && entry_->is_rebooking;
      if (record.payment == nullptr && !elsewhere) absent.push_back(&record);
    }
    return absent;
  }

  // A charge without a record and a record without a charge are one payment with two names, unless the record's charge
  // may be in an earlier statement.
  void PairByDefault(std::vector<const Payment*>* unrecorded, std::vector<const Record*>* absent) {
    while (!unrecorded->empty()) {
      const auto record = std::find_if(absent->begin(), absent->end(),
                                       [this](const Record* r) { return r->time_us >= window_.from_us; });
      if (record == absent->end()) return;
      const Payment& payment = *unrecorded->front();
      TellLine(DifferenceClass::kReferenceDiffers, *payment.open.front(), *record,
               "find out which reference is right: the ledger's is final");
      CompareRecorded(**record, payment);
      absent->erase(record);
      unrecorded->erase(unrecorded->begin());
    }
  }

  void TellAbsent(const Record& record) {
    const bool in_window = window_.Contains(record.time_us);
    if (record.late == nullptr) {
      if (!in_window) return;
      return TellRecord(DifferenceClass::kConfirmedButUnpaid, record, nullptr,
                        entry_->state == EntryState::kPending
                            ? "ask the provider for the payment: its seat in the group counts as paid"
                            : "do not ship; ask the provider for the payment: a confirmed reservation stays confirmed");
    }
    const bool to_refund = !record.late->rebooked && record.late->refunded_us == 0;
    // Refunded, and the provider shows neither charge nor refund: the money is where it should be.
    if (!record.late->rebooked && !to_refund) return;
    if (in_window) {
      TellRecord(DifferenceClass::kMissingThere, record, nullptr, "ask the provider for the payment");
    } else if (to_refund && record.time_us < window_.from_us) {
      TellRecord(DifferenceClass::kUnfulfilledNotRefunded, record, nullptr,
                 "pay it back at the provider, or see why the refund that was asked for has not come");
    }
  }

  void TellUnrecorded(const std::vector<const Payment*>& unrecorded) {
    for (size_t i = 0; i < unrecorded.size(); ++i) {
      const Payment& payment = *unrecorded[i];
      if (i > 0 || !records_.empty()) {
        TellDuplicate(payment);
      } else {
        TellFirst(payment);
      }
    }
  }

  // Could the ledger accept the payment?
  bool IsPayable(const Payment& payment) const {
    return payment.loose.empty() && IsExpected(*payment.open.front(), nullptr);
  }

  // Another payment for a reservation that is already paid.
  void TellDuplicate(const Payment& payment) {
    const char* reason = nullptr;
    if (entry_ == nullptr || entry_->state == EntryState::kGone || entry_->archived) {
      reason = "pay it back at the provider: the reservation is no longer in the running books";
    } else if (!IsPayable(payment)) {
      reason = "pay it back at the provider: it is not the reservation's amount, so the ledger would refuse it";
    }
    if (reason != nullptr) {
      return TellLine(DifferenceClass::kDuplicateCharge, *payment.open.front(), nullptr, reason);
    }
    TellLine(DifferenceClass::kDuplicateCharge, *payment.open.front(), nullptr,
             "the ledger will record it and ask for a refund, unless the reservation still has no payment",
             Correction::kApplyPayment);
  }

  void TellFirst(const Payment& payment) {
    const StatementLine& line = *payment.open.front();
    if (entry_ == nullptr || entry_->state == EntryState::kGone) {
      return TellLine(DifferenceClass::kMissingHere, line, nullptr,
                      "find the order, or pay it back at the provider: the ledger has no such reservation");
    }
    struct Case {
      DifferenceClass kind;
      const char* advice;
    };
    const Case found = entry_->state == EntryState::kPending
                           ? Case{DifferenceClass::kPaidButPending, "the ledger will confirm the reservation"}
                       : entry_->state == EntryState::kCancelled
                           ? Case{DifferenceClass::kPaidButCancelled, "the ledger will record it and ask for a refund"}
                           : Case{DifferenceClass::kPaidButExpired,
                                  "the ledger will book another unit, or record it and ask for a refund"};
    if (entry_->archived) {
      TellLine(found.kind, line, nullptr,
               "pay it back at the provider: the reservation is no longer in the running books");
    } else if (IsPayable(payment)) {
      TellLine(found.kind, line, nullptr, found.advice, Correction::kApplyPayment);
    } else {
      TellLine(found.kind, line, nullptr, "the ledger would refuse it: it is not the reservation's amount");
    }
    const Record own{line.reference, entry_->amount_minor, entry_->currency, 0};
    CompareCharge(own, payment);
  }

  void TellLooseRefund(const StatementLine& refund, const Record* record, int64_t excess_minor = 0) {
    TellLine(
        DifferenceClass::kRefundWithoutCharge, refund, record,
        excess_minor > 0 ? "more was paid back than charged: ask the provider" : "ask the provider what was paid back",
        Correction::kNeedsPerson, excess_minor > 0 ? excess_minor : refund.amount_minor);
  }

  void TellLine(DifferenceClass kind, const StatementLine& line, const Record* record, const char* advice,
                Correction correction = Correction::kNeedsPerson) {
    TellLine(kind, line, record, advice, correction, line.amount_minor);
  }

  // A difference about a line, unless neither the line nor the ledger's payment is in the window.
  void TellLine(DifferenceClass kind, const StatementLine& line, const Record* record, const char* advice,
                Correction correction, int64_t amount_minor) {
    if (!window_.Contains(line.time_us) && (record == nullptr || !window_.Contains(record->time_us))) return;
    Difference* const added = Add(kind, record, &line, advice);
    added->correction = correction;
    added->reference = line.reference;
    added->amount_minor = amount_minor;
    added->currency = line.currency;
  }

  // A difference about a payment of the ledger; `line` may be null.
  void TellRecord(DifferenceClass kind, const Record& record, const StatementLine* line, const char* advice) {
    Difference* const added = Add(kind, &record, line, advice);
    added->reference = std::string(record.reference);
    added->amount_minor = record.amount_minor;
    added->currency = record.currency;
  }

  Difference* Add(DifferenceClass kind, const Record* record, const StatementLine* line, const char* advice) {
    Difference& added = out_->emplace_back();
    added.kind = kind;
    added.reservation_id = entry_ != nullptr ? entry_->reservation_id : lines_.front().reservation_id;
    added.advice = advice;
    if (line != nullptr) added.line = *line;
    if (entry_ == nullptr) return &added;
    added.in_ledger = true;
    added.state = entry_->state;
    added.sku_id = entry_->sku_id;
    added.quantity = entry_->quantity;
    added.ledger_amount_minor = record != nullptr ? record->amount_minor : entry_->amount_minor;
    added.ledger_currency = record != nullptr ? record->currency : entry_->currency;
    added.ledger_reference =
        record != nullptr && record->time_us != 0 ? std::string(record->reference) : entry_->reference;
    added.ledger_time_us = record != nullptr ? record->time_us : entry_->finished_us;
    return &added;
  }

  const Window& window_;
  const absl::Span<const StatementLine> lines_;
  const LedgerEntry* const entry_;
  std::vector<Difference>* const out_;
  std::vector<Record> records_;
  std::vector<Payment> payments_;
};

}  // namespace

void Classify(const Window& window, absl::Span<const StatementLine> lines, const LedgerEntry* entry,
              std::vector<Difference>* differences) {
  // The usual case: one charge and one payment, which agree.
  if (lines.size() == 1 && entry != nullptr && entry->late_payments.empty() && lines[0].kind == LineKind::kCharge &&
      entry->state == EntryState::kConfirmed && lines[0].amount_minor == entry->amount_minor &&
      lines[0].currency == entry->currency && lines[0].reference == entry->reference) {
    return;
  }
  Classifier(window, lines, entry, differences).Run();
}

}  // namespace tranche::reconcile
