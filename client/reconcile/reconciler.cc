#include "client/reconcile/reconciler.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"

namespace tranche::reconcile {
namespace {

constexpr uint64_t kProgressLines = 1 << 16;

// Lines of one reservation. Reuses the memory of earlier lines.
class Group {
 public:
  void Clear() { size_ = 0; }
  StatementLine* Append() {
    if (size_ == lines_.size()) lines_.emplace_back();
    return &lines_[size_++];
  }
  size_t size() const { return size_; }
  absl::Span<const StatementLine> lines() const { return absl::MakeConstSpan(lines_).first(size_); }
  const ReservationId& reservation_id() const { return lines_.front().reservation_id; }

 private:
  std::vector<StatementLine> lines_;
  size_t size_ = 0;
};

class Run {
 public:
  Run(StatementReader* statement, PaymentBooks* books, const MakeSpillFile& make_spill_file,
      const ReconcileOptions& options, const ReconcileSinks& sinks)
      : statement_(statement),
        books_(books),
        options_(options),
        sinks_(sinks),
        sorter_(options.sorter, make_spill_file),
        pending_(kLookUpBatch) {}

  absl::StatusOr<Totals> Go() {
    RETURN_IF_ERROR(SortStatement());
    RETURN_IF_ERROR(SetWindow());
    ASSIGN_OR_RETURN(auto streams, books_->Export(totals_.window));
    entries_ = MergeEntries(std::move(streams));
    RETURN_IF_ERROR(Join());
    return std::move(totals_);
  }

 private:
  absl::Status SortStatement() {
    StatementLine line;
    MalformedLine malformed;
    uint64_t read = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool there, statement_->Next(&line, &malformed));
      if (!there) break;
      if (++read % kProgressLines == 0) sinks_.progress("read", read);
      if (malformed.reason != Malformed::kNone) {
        ++totals_.malformed_lines;
        ++totals_.malformed[static_cast<size_t>(malformed.reason)];
        RETURN_IF_ERROR(sinks_.malformed(malformed));
        continue;
      }
      earliest_us_ = std::min(earliest_us_, line.time_us);
      latest_us_ = std::max(latest_us_, line.time_us);
      RETURN_IF_ERROR(sorter_.Add(line));
    }
    return sorter_.Finish();
  }

  absl::Status SetWindow() {
    const bool open = !options_.from_us.has_value() || !options_.to_us.has_value();
    if (sorter_.lines() == 0 && open) {
      return absl::InvalidArgumentError(
          totals_.malformed_lines > 0 ? absl::StrCat("none of the statement's ", totals_.malformed_lines,
                                                     " lines can be used: --report FILE says why for each")
                                      : "the statement has no lines: say with --from and --to which time it is about");
    }
    totals_.window = {options_.from_us.value_or(earliest_us_), options_.to_us.value_or(latest_us_)};
    if (totals_.window.from_us > totals_.window.to_us) {
      return absl::InvalidArgumentError("the window ends before it begins");
    }
    return absl::OkStatus();
  }

  // Both sides ascend by reservation id.
  absl::Status Join() {
    ASSIGN_OR_RETURN(bool has_entry, entries_->Next(&entry_));
    RETURN_IF_ERROR(ReadLine());
    while (has_line_ || has_entry) {
      const bool use_entry = has_entry && (!has_line_ || entry_.reservation_id <= line_.reservation_id);
      const bool use_lines = has_line_ && (!has_entry || line_.reservation_id <= entry_.reservation_id);
      Group* const group = use_entry ? &group_ : &pending_[pending_count_];
      group->Clear();
      if (use_lines) RETURN_IF_ERROR(TakeGroup(use_entry ? &entry_ : nullptr, group));
      if (use_entry) {
        RETURN_IF_ERROR(Compare(group->lines(), &entry_));
        ASSIGN_OR_RETURN(has_entry, entries_->Next(&entry_));
      } else if (++pending_count_ == pending_.size()) {
        RETURN_IF_ERROR(LookUpPending());
      }
    }
    return LookUpPending();
  }

  absl::Status ReadLine() {
    ASSIGN_OR_RETURN(has_line_, sorter_.Next(&line_));
    if (has_line_ && ++merged_ % kProgressLines == 0) sinks_.progress("compared", merged_);
    return absl::OkStatus();
  }

  // Reads the lines of line_'s reservation. Lines beyond the size of a group are reported one by one.
  absl::Status TakeGroup(const LedgerEntry* entry, Group* group) {
    const ReservationId id = line_.reservation_id;
    while (has_line_ && line_.reservation_id == id) {
      if (group->size() < kMaxGroupLines) {
        std::swap(*group->Append(), line_);
      } else {
        RETURN_IF_ERROR(TellSurplus(entry));
      }
      RETURN_IF_ERROR(ReadLine());
    }
    return absl::OkStatus();
  }

  absl::Status TellSurplus(const LedgerEntry* entry) {
    Difference difference;
    const bool charge = line_.kind == LineKind::kCharge;
    difference.kind = charge ? DifferenceClass::kDuplicateCharge : DifferenceClass::kRefundWithoutCharge;
    difference.reservation_id = line_.reservation_id;
    difference.reference = line_.reference;
    difference.amount_minor = line_.amount_minor;
    difference.currency = line_.currency;
    difference.line = line_;
    if (entry != nullptr) {
      difference.in_ledger = true;
      difference.state = entry->state;
      difference.sku_id = entry->sku_id;
      difference.quantity = entry->quantity;
    }
    difference.advice = absl::StrCat("the reservation has more than ", kMaxGroupLines, " lines: ask the provider");
    CountLine(line_, entry != nullptr ? entry->quantity : 0);
    return Tell(difference);
  }

  absl::Status LookUpPending() {
    if (pending_count_ == 0) return absl::OkStatus();
    std::vector<ReservationId> ids;
    for (size_t i = 0; i < pending_count_; ++i) ids.push_back(pending_[i].reservation_id());
    ASSIGN_OR_RETURN(std::vector<LedgerEntry> found, books_->LookUp(ids));
    std::sort(found.begin(), found.end(),
              [](const LedgerEntry& a, const LedgerEntry& b) { return a.reservation_id < b.reservation_id; });
    size_t next = 0;
    for (size_t i = 0; i < pending_count_; ++i) {
      while (next < found.size() && found[next].reservation_id < ids[i]) ++next;
      const bool known = next < found.size() && found[next].reservation_id == ids[i];
      RETURN_IF_ERROR(Compare(pending_[i].lines(), known ? &found[next] : nullptr));
    }
    pending_count_ = 0;
    return absl::OkStatus();
  }

  absl::Status Compare(absl::Span<const StatementLine> lines, const LedgerEntry* entry) {
    for (const StatementLine& line : lines) CountLine(line, entry != nullptr ? entry->quantity : 0);
    if (entry != nullptr) CountEntry(*entry);
    differences_.clear();
    Classify(totals_.window, lines, entry, &differences_);
    for (const Difference& difference : differences_) {
      RETURN_IF_ERROR(Tell(difference));
    }
    return absl::OkStatus();
  }

  absl::Status Tell(const Difference& difference) {
    ++totals_.difference_count;
    if (difference.correction != Correction::kNeedsPerson) ++totals_.correctable;
    totals_.differences[static_cast<size_t>(difference.kind)].Add(difference.quantity, difference.amount_minor,
                                                                  difference.currency);
    return sinks_.difference(difference);
  }

  void CountLine(const StatementLine& line, int64_t units) {
    if (!totals_.window.Contains(line.time_us)) {
      ++totals_.lines_outside_window;
      return;
    }
    (line.kind == LineKind::kCharge ? totals_.charges : totals_.refunds).Add(units, line.amount_minor, line.currency);
  }

  void CountEntry(const LedgerEntry& entry) {
    const Window& window = totals_.window;
    if (entry.IsPaid() && !entry.is_rebooking && window.Contains(entry.finished_us)) {
      totals_.payments.Add(entry.quantity, entry.amount_minor, entry.currency);
    }
    for (const RecordedLatePayment& late : entry.late_payments) {
      if (window.Contains(late.received_us)) totals_.payments.Add(entry.quantity, late.amount_minor, late.currency);
      if (late.refunded_us != 0 && window.Contains(late.refunded_us)) {
        totals_.paid_back.Add(entry.quantity, late.amount_minor, late.currency);
      }
    }
  }

  StatementReader* const statement_;
  PaymentBooks* const books_;
  const ReconcileOptions& options_;
  const ReconcileSinks& sinks_;
  LineSorter sorter_;
  std::unique_ptr<EntryStream> entries_;
  Totals totals_;
  int64_t earliest_us_ = std::numeric_limits<int64_t>::max();
  int64_t latest_us_ = std::numeric_limits<int64_t>::min();
  uint64_t merged_ = 0;
  // The heads of the two sides.
  StatementLine line_;
  bool has_line_ = false;
  LedgerEntry entry_;
  Group group_;
  // Groups that the ledger did not export: many are asked about at once.
  std::vector<Group> pending_;
  size_t pending_count_ = 0;
  std::vector<Difference> differences_;
};

}  // namespace

absl::StatusOr<Totals> Reconcile(StatementReader* statement, PaymentBooks* books, const MakeSpillFile& make_spill_file,
                                 const ReconcileOptions& options, const ReconcileSinks& sinks) {
  return Run(statement, books, make_spill_file, options, sinks).Go();
}

}  // namespace tranche::reconcile
