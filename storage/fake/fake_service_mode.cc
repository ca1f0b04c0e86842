// FakeFrontLedger's service mode.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_front_ledger.h"

namespace tranche::storage {
namespace {

std::string ModeJson(const ServiceMode& mode) {
  return absl::StrCat("{\"mode\": \"", ServiceModeName(mode.kind), "\", \"reason\": \"", mode.reason, "\"}");
}

}  // namespace

absl::StatusOr<ServiceMode> FakeFrontLedger::ReadServiceMode() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  return state_.mode;
}

absl::StatusOr<ServiceModeChanged> FakeFrontLedger::SetServiceMode(const ServiceModeChange& change, bool preview,
                                                                   const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const ServiceMode before = state_.mode;
  ServiceMode after{.kind = change.kind,
                    .reason = change.kind == ServiceMode::Kind::kNormal ? "" : change.reason,
                    .changed_at = DatabaseNow(),
                    .changed_by = actor.name};
  if (after.kind == before.kind && after.reason == before.reason) return ServiceModeChanged{before, before};
  if (!preview) {
    Audit(actor, "set_service_mode", "", ModeJson(before), ModeJson(after));
    NextVersion(state_);
    state_.mode = after;
  }
  return ServiceModeChanged{before, std::move(after)};
}

}  // namespace tranche::storage
