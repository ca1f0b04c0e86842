// PreviewReservationChange: what a confirmation, a cancellation or an extension would do. Blocking: not on gRPC's
// threads. Thread-safe.
#pragma once

#include <functional>
#include <utility>

#include "absl/status/statusor.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class PreviewHandler {
 public:
  // storage::ShardRouter::Preview, or a stand-in for it.
  using Preview = std::function<absl::StatusOr<storage::ChangeResult>(const storage::Change&)>;

  PreviewHandler(Preview preview, storage::Clock* clock) : preview_(std::move(preview)), clock_(clock) {}

  absl::StatusOr<v1::PreviewReservationChangeResponse> Change(const v1::PreviewReservationChangeRequest& request);

 private:
  const Preview preview_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
