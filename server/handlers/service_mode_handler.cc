#include "server/handlers/service_mode_handler.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/plain_utf8.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using ModeKind = storage::ServiceMode::Kind;

v1::ServiceMode ToServiceMode(ModeKind kind) {
  switch (kind) {
    case ModeKind::kNormal:
      return v1::SERVICE_MODE_NORMAL;
    case ModeKind::kChangesOnly:
      return v1::SERVICE_MODE_CHANGES_ONLY;
    case ModeKind::kReadOnly:
      return v1::SERVICE_MODE_READ_ONLY;
  }
  return v1::SERVICE_MODE_UNSPECIFIED;
}

std::optional<ModeKind> ModeKindOf(v1::ServiceMode mode) {
  switch (mode) {
    case v1::SERVICE_MODE_NORMAL:
      return ModeKind::kNormal;
    case v1::SERVICE_MODE_CHANGES_ONLY:
      return ModeKind::kChangesOnly;
    case v1::SERVICE_MODE_READ_ONLY:
      return ModeKind::kReadOnly;
    default:
      return std::nullopt;
  }
}

absl::Status CheckServiceReason(absl::string_view reason) {
  // Every byte but the continuations begins a character.
  int characters = 0;
  for (const char c : reason) characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  if (characters <= storage::kMaxServiceReasonCharacters && IsPlainUtf8(reason)) return absl::OkStatus();
  return InvalidField("reason", absl::StrCat("must be at most ", storage::kMaxServiceReasonCharacters,
                                             " characters without control characters"));
}

}  // namespace

v1::StoredServiceMode ToMessage(const storage::ServiceMode& mode) {
  v1::StoredServiceMode message;
  message.set_mode(ToServiceMode(mode.kind));
  message.set_reason(mode.reason);
  if (mode.changed_at.has_value()) *message.mutable_change_time() = ToTimestamp(*mode.changed_at);
  message.set_changed_by(mode.changed_by);
  return message;
}

absl::StatusOr<v1::GetServiceModeResponse> ServiceModeHandler::Get(const v1::GetServiceModeRequest& /*request*/) {
  const absl::StatusOr<storage::ServiceMode> mode = ledger_->ReadServiceMode();
  if (!mode.ok()) return LedgerError(mode.status(), "", Repeatable::kYes);
  v1::GetServiceModeResponse response;
  *response.mutable_mode() = ToMessage(*mode);
  return response;
}

absl::StatusOr<v1::SetServiceModeResponse> ServiceModeHandler::Set(const v1::SetServiceModeRequest& request,
                                                                   const storage::Actor& actor) {
  const std::optional<ModeKind> kind = ModeKindOf(request.mode());
  if (!kind.has_value()) return InvalidField("mode", "must be NORMAL, CHANGES_ONLY or READ_ONLY");
  storage::ServiceModeChange change{.kind = *kind};
  if (*kind != ModeKind::kNormal) {
    RETURN_IF_ERROR(CheckServiceReason(request.reason()));
    change.reason = request.reason();
  }
  const absl::StatusOr<storage::ServiceModeChanged> changed = ledger_->SetServiceMode(change, request.preview(), actor);
  if (!changed.ok()) return LedgerError(changed.status(), "", Repeatable::kYes);
  if (!request.preview()) {
    announcer_->Announce();
    LOG(WARNING) << "the service mode is set to " << storage::ServiceModeName(*kind) << " by " << actor << ": it was "
                 << storage::ServiceModeName(changed->before.kind);
  }
  v1::SetServiceModeResponse response;
  *response.mutable_mode() = ToMessage(changed->after);
  *response.mutable_before() = ToMessage(changed->before);
  return response;
}

}  // namespace tranche::server
