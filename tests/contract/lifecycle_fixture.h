// Shared by the suites about the life of reservations.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/contract/ledger_fixture.h"

namespace tranche::storage {

class LifecycleContractTest : public LedgerContractTest {
 protected:
  // Creates a hold, by an incarnation that has units.
  Reservation Hold(IncarnationId node, const std::string& sku_id, const std::string& user_id, int32_t quantity = 1) {
    const CommitResult result = Commit(node, {testing::Claim(sku_id, user_id, quantity)}).front();
    EXPECT_EQ(result.outcome, CommitOutcome::kCreated);
    return result.reservation;
  }

  // A payment of its whole price.
  static Payment PaymentOf(const Reservation& reservation, const std::string& reference = "pay-1") {
    return {reservation.reservation_id, reference, reservation.amount_minor, reservation.currency};
  }

  std::vector<ChangeResult> Confirm(const std::vector<Payment>& batch) {
    return Checked(lifecycle().ConfirmReservations(batch), batch.size());
  }
  std::vector<ChangeResult> Cancel(const std::vector<Cancellation>& batch) {
    return Checked(lifecycle().CancelReservations(batch), batch.size());
  }
  std::vector<ChangeResult> Extend(const std::vector<Extension>& batch) {
    return Checked(lifecycle().ExtendReservations(batch), batch.size());
  }
  ChangeResult Confirm(const Payment& confirmation) { return Confirm(std::vector{confirmation}).front(); }
  ChangeResult Cancel(const Reservation& reservation, const std::string& reason = "changed my mind") {
    return Cancel(std::vector{Cancellation{reservation.reservation_id, reason}}).front();
  }
  ChangeResult Extend(const Reservation& reservation, int32_t number, absl::Duration by) {
    return Extend(std::vector{Extension{reservation.reservation_id, number, by}}).front();
  }
  ChangeResult ConfirmLate(const Payment& payment) {
    const auto result = lifecycle().ConfirmLate(payment);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(ChangeResult{});
  }

  ExpiredHolds Expire(int limit = 1000) {
    const auto holds = upkeep().ExpireDue(limit);
    EXPECT_TRUE(holds.ok()) << holds.status();
    return holds.value_or(ExpiredHolds{});
  }
  // Creates a hold whose time is over and that has been expired.
  Reservation Expired(IncarnationId node, const std::string& sku_id, const std::string& user_id, int32_t quantity = 1) {
    const Reservation hold = Hold(node, sku_id, user_id, quantity);
    LetPass(absl::Hours(1));
    EXPECT_GE(Expire().expired, 1);
    return Read(hold.reservation_id);
  }

  Reservation Read(const Uuid& id) {
    const auto found = lifecycle().ReadReservations(absl::MakeConstSpan(&id, 1));
    EXPECT_TRUE(found.ok() && found->size() == 1) << found.status();
    return found.ok() && found->size() == 1 ? found->front() : Reservation{};
  }

  // The messages that wait for the sink, by their order per reservation.
  std::vector<std::string> Kinds(const Uuid& reservation_id, const std::string& sink = "default") {
    std::vector<std::string> kinds;
    const auto messages = outbox().ListMessages(sink, OutboxState::kPending, {}, 1000);
    EXPECT_TRUE(messages.ok()) << messages.status();
    if (!messages.ok()) return kinds;
    for (const OutboxMessage& message : *messages) {
      if (message.key.reservation_id == reservation_id) kinds.push_back(message.kind);
    }
    return kinds;
  }

 private:
  static std::vector<ChangeResult> Checked(const absl::StatusOr<std::vector<ChangeResult>>& results, size_t size) {
    EXPECT_TRUE(results.ok()) << results.status();
    if (results.ok() && results->size() == size) return *results;
    ADD_FAILURE() << "not one result per change";
    return std::vector<ChangeResult>(size);
  }
};

inline void ExpectSame(const Reservation& a, const Reservation& b) {
  EXPECT_EQ(a.reservation_id, b.reservation_id);
  EXPECT_EQ(a.sku_id, b.sku_id);
  EXPECT_EQ(a.user_id, b.user_id);
  EXPECT_EQ(a.quantity, b.quantity);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.amount_minor, b.amount_minor);
  EXPECT_EQ(a.currency, b.currency);
  EXPECT_EQ(a.created_at, b.created_at);
  EXPECT_EQ(a.expires_at, b.expires_at);
  EXPECT_EQ(a.finished_at, b.finished_at);
  EXPECT_EQ(a.payment_reference, b.payment_reference);
  EXPECT_EQ(a.cancel_reason, b.cancel_reason);
  EXPECT_EQ(a.extensions, b.extensions);
  EXPECT_EQ(a.revision, b.revision);
  EXPECT_EQ(a.rebooked_from, b.rebooked_from);
  EXPECT_EQ(a.order_reference, b.order_reference);
  EXPECT_EQ(a.group_id, b.group_id);
}

}  // namespace tranche::storage
