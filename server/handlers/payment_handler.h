// The admin calls of reconciliation: payments in bulk, and corrections. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "storage/ledger/payment_ledger.h"
#include "tranche/v1/reconciliation.pb.h"

namespace tranche::server {

class PaymentHandler {
 public:
  explicit PaymentHandler(storage::PaymentLedger* ledger) : ledger_(ledger) {}

  // The position of an export: what to read next.
  struct ExportCursor {
    absl::Time from;
    absl::Time to;
    std::optional<storage::Uuid> after = {};
    bool done = false;
  };
  absl::StatusOr<ExportCursor> StartExport(const v1::ExportPaymentsRequest& request) const;
  // Returns the next message and advances the cursor. A message may be empty and yet not the last.
  absl::StatusOr<v1::ExportPaymentsResponse> ReadExport(ExportCursor* cursor) const;

  absl::StatusOr<v1::LookUpPaymentsResponse> LookUp(const v1::LookUpPaymentsRequest& request);
  // Each with an entry in the audit log.
  absl::StatusOr<v1::ApplyCorrectionsResponse> Apply(const v1::ApplyCorrectionsRequest& request,
                                                     const storage::Actor& actor);

 private:
  absl::StatusOr<v1::ApplyCorrectionsResponse::Result> ApplyOne(const v1::Correction& correction,
                                                                const storage::Actor& actor);

  storage::PaymentLedger* const ledger_;
};

}  // namespace tranche::server
