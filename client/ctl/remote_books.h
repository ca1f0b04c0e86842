// The ledger's side of a reconciliation, through AdminService.
#pragma once

#include <memory>
#include <vector>

#include "client/ctl/session.h"
#include "client/reconcile/ledger_entry.h"

namespace tranche::ctl {

// Not thread-safe. `session` outlives it.
class RemoteBooks : public reconcile::PaymentBooks {
 public:
  explicit RemoteBooks(Session* session) : session_(session) {}

  // A stream that breaks is begun anew behind what has come, at the next endpoint, a few times.
  absl::StatusOr<std::vector<std::unique_ptr<reconcile::EntryStream>>> Export(const reconcile::Window& window) override;
  absl::StatusOr<std::vector<reconcile::LedgerEntry>> LookUp(absl::Span<const reconcile::ReservationId> ids) override;

  // Whether one of its calls has failed: tells the cluster's errors from those of files.
  bool failed() const { return *failed_; }

 private:
  Session* const session_;
  // The streams' too.
  const std::shared_ptr<bool> failed_ = std::make_shared<bool>(false);
};

}  // namespace tranche::ctl
