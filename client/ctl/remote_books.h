// The ledger's side of a reconciliation, read through AdminService.
#pragma once

#include <memory>
#include <vector>

#include "client/ctl/session.h"
#include "client/reconcile/ledger_entry.h"

namespace tranche::ctl {

// Not thread-safe. `session` outlives it and its streams.
class RemoteBooks : public reconcile::PaymentBooks {
 public:
  explicit RemoteBooks(Session* session) : session_(session) {}

  // A stream that breaks is reopened at the next endpoint, after the last entry that came, a few times.
  absl::StatusOr<std::vector<std::unique_ptr<reconcile::EntryStream>>> Export(const reconcile::Window& window) override;
  absl::StatusOr<std::vector<reconcile::LedgerEntry>> LookUp(absl::Span<const reconcile::ReservationId> ids) override;

  // Whether one of its calls has failed: distinguishes errors of the cluster from errors of files.
  bool failed() const { return *failed_; }

 private:
  Session* const session_;
  // The same for the streams.
  const std::shared_ptr<bool> failed_ = std::make_shared<bool>(false);
};

}  // namespace tranche::ctl
