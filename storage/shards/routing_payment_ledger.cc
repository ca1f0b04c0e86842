#include "storage/shards/routing_payment_ledger.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/shards/ask_in_turn.h"

namespace tranche::storage {
namespace {

// Ascending by id, each once. While a SKU moves, two shards know its reservations: the copy that is kept counts.
void SortAndDropRepeats(std::vector<PaymentEntry>& entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const PaymentEntry& a, const PaymentEntry& b) {
    if (!(a.reservation_id == b.reservation_id)) return a.reservation_id < b.reservation_id;
    return a.kept && !b.kept;
  });
  const auto same = [](const PaymentEntry& a, const PaymentEntry& b) { return a.reservation_id == b.reservation_id; };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());
}

}  // namespace

// Each shard's page says up to where it has looked. Together they have looked up to the least of these places; anything
// beyond is read again with the next page.
absl::StatusOr<PaymentPage> RoutingPaymentLedger::ExportPayments(const std::optional<Uuid>& after, absl::Time from,
                                                                 absl::Time to, int limit) {
  PaymentPage all;
  for (const auto& shard : shards_->All()) {
    ASSIGN_OR_RETURN(auto page, shard->payments->ExportPayments(after, from, to, limit));
    if (page.next.has_value()) all.next = all.next.has_value() ? std::min(*all.next, *page.next) : *page.next;
    all.entries.insert(all.entries.end(), std::make_move_iterator(page.entries.begin()),
                       std::make_move_iterator(page.entries.end()));
  }
  if (all.next.has_value()) {
    std::erase_if(all.entries, [&](const PaymentEntry& entry) { return *all.next < entry.reservation_id; });
  }
  SortAndDropRepeats(all.entries);
  return all;
}

absl::StatusOr<std::vector<PaymentEntry>> RoutingPaymentLedger::LookUpPayments(absl::Span<const Uuid> reservation_ids) {
  std::vector<PaymentEntry> all;
  for (const auto& shard : shards_->All()) {
    ASSIGN_OR_RETURN(auto entries, shard->payments->LookUpPayments(reservation_ids));
    all.insert(all.end(), std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end()));
  }
  SortAndDropRepeats(all);
  return all;
}

absl::StatusOr<AppliedPayment> RoutingPaymentLedger::ApplyPayment(const Payment& payment, const Actor& actor) {
  AppliedPayment moving;
  bool is_moving = false;
  auto applied = AskInTurn(*shards_, [&](ShardBackend& shard) -> absl::StatusOr<AppliedPayment> {
    ASSIGN_OR_RETURN(auto answer, shard.payments->ApplyPayment(payment, actor));
    if (answer.outcome == AppliedPayment::Outcome::kMoving) {
      is_moving = true;
      moving = answer;
    }
    // It may have arrived at another shard.
    const bool elsewhere =
        answer.outcome == AppliedPayment::Outcome::kNotFound || answer.outcome == AppliedPayment::Outcome::kMoving;
    if (elsewhere) return absl::NotFoundError("not on this shard");
    return answer;
  });
  if (absl::IsNotFound(applied.status())) return is_moving ? moving : AppliedPayment{};
  return applied;
}

absl::StatusOr<std::vector<RefundMark>> RoutingPaymentLedger::MarkRefunded(
    absl::Span<const std::pair<Uuid, std::string>> payments, const Actor& actor) {
  std::vector<RefundMark> marks;
  for (const auto& payment : payments) {
    const auto mark = AskInTurn(*shards_, [&](ShardBackend& shard) -> absl::StatusOr<RefundMark> {
      ASSIGN_OR_RETURN(const auto answer, shard.payments->MarkRefunded({&payment, 1}, actor));
      if (answer.front() == RefundMark::kNotFound) return absl::NotFoundError("not on this shard");
      return answer.front();
    });
    if (!mark.ok() && !absl::IsNotFound(mark.status())) return mark.status();
    marks.push_back(mark.value_or(RefundMark::kNotFound));
  }
  return marks;
}

}  // namespace tranche::storage
