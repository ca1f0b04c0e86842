// A ledger for upkeep that forwards every call through one hook of the derived class: `Around`, see
// storage/ledger/ledger_call.h. The derived class overrides the methods that it does differently.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/ledger_call.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::storage {

template <typename Derived>
class ForwardingUpkeepLedger : public UpkeepLedger {
 public:
  absl::StatusOr<ExpiredHolds> ExpireDue(int limit) override {
    return Forward(LedgerCall::ChangeReservations("ExpireDue"),
                   [&](UpkeepLedger& target) { return target.ExpireDue(limit); });
  }
  absl::StatusOr<RemindedHolds> RemindHolds(absl::Duration within, int limit) override {
    return Forward(LedgerCall::ChangeReservations("RemindHolds"),
                   [&](UpkeepLedger& target) { return target.RemindHolds(within, limit); });
  }
  absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, Retired retired) override {
    return Forward(LedgerCall::ChangeReservations("RetireReservations"),
                   [&](UpkeepLedger& target) { return target.RetireReservations(age, limit, retired); });
  }
  absl::StatusOr<int64_t> RetireAudit(absl::Duration age, int limit, absl::Time now) override {
    return Forward(LedgerCall::ChangeStock("RetireAudit"),
                   [&](UpkeepLedger& target) { return target.RetireAudit(age, limit, now); });
  }

 private:
  template <typename Ask>
  auto Forward(const LedgerCall& call, const Ask& ask) {
    return static_cast<Derived*>(this)->Around(call, ask);
  }
};

}  // namespace tranche::storage
