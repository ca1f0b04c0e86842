#include "server/handlers/front_key_handler.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

v1::FrontKey::Use ToUse(storage::FrontKey::Use use) {
  switch (use) {
    case storage::FrontKey::Use::kNext:
      return v1::FrontKey::USE_NEXT;
    case storage::FrontKey::Use::kCurrent:
      return v1::FrontKey::USE_CURRENT;
    case storage::FrontKey::Use::kPrevious:
      return v1::FrontKey::USE_PREVIOUS;
  }
  return v1::FrontKey::USE_UNSPECIFIED;
}

// All of them but their secrets.
template <typename Response>
void ShowKeys(const std::vector<storage::FrontKey>& keys, Response& response) {
  for (const storage::FrontKey& key : keys) {
    v1::FrontKey* const shown = response.add_keys();
    shown->set_key_id(key.id);
    shown->set_use(ToUse(key.use));
    *shown->mutable_since_time() = ToTimestamp(key.since);
  }
}

absl::Status RotatedRecently(absl::Duration wait) {
  const int64_t wait_ms = absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1)));
  return MakeError(v1::ERROR_REASON_KEY_ROTATED_RECENTLY,
                   absl::StrCat("The keys were rotated a short time ago: wait ",
                                absl::FormatDuration(absl::Ceil(wait, absl::Seconds(1))),
                                ". If others know a key, replace all of them instead."),
                   {{"retry_after_ms", absl::StrCat(wait_ms)}});
}

absl::Status RotationError(const absl::Status& status, Repeatable repeatable) {
  const std::optional<absl::Duration> wait = storage::KeyRotatedRecently(status);
  return wait.has_value() ? RotatedRecently(*wait) : LedgerError(status, "", repeatable);
}

}  // namespace

absl::StatusOr<v1::ListFrontKeysResponse> FrontKeyHandler::List(const v1::ListFrontKeysRequest& /*request*/) {
  const absl::StatusOr<std::vector<storage::FrontKey>> keys = ledger_->ListFrontKeys();
  if (!keys.ok()) return LedgerError(keys.status(), "", Repeatable::kYes);
  v1::ListFrontKeysResponse response;
  ShowKeys(*keys, response);
  return response;
}

absl::StatusOr<v1::RotateFrontKeyResponse> FrontKeyHandler::Rotate(const v1::RotateFrontKeyRequest& request,
                                                                   const storage::Actor& actor) {
  storage::KeyRotation rotation;
  rotation.replace_all = request.replace_all();
  if (request.has_expected_current_id()) {
    if (request.expected_current_id() < 1) return InvalidField("expected_current_id", "must be the id of a key");
    rotation.expected_current_id = request.expected_current_id();
  }
  const absl::StatusOr<std::vector<storage::FrontKey>> keys =
      ledger_->RotateFrontKeys(rotation, request.preview(), actor);
  if (absl::IsAborted(keys.status()) && !storage::IsRetryTransaction(keys.status())) {
    return RotatedBefore(request.preview());
  }
  if (!keys.ok()) {
    // A repeated call with an expectation does nothing more.
    return RotationError(keys.status(), request.has_expected_current_id() ? Repeatable::kYes : Repeatable::kNo);
  }
  if (!request.preview()) {
    announcer_->Announce();
    LOG(INFO) << "the front door's keys are " << (request.replace_all() ? "all replaced by " : "rotated by ") << actor;
  }
  v1::RotateFrontKeyResponse response;
  ShowKeys(*keys, response);
  response.set_rotated(true);
  return response;
}

absl::StatusOr<v1::RotateFrontKeyResponse> FrontKeyHandler::RotatedBefore(bool preview) {
  // The rotation that was before may have told nobody, as its answer was lost, too.
  if (!preview) announcer_->Announce();
  const absl::StatusOr<std::vector<storage::FrontKey>> keys = ledger_->ListFrontKeys();
  if (!keys.ok()) return LedgerError(keys.status(), "", Repeatable::kYes);
  v1::RotateFrontKeyResponse response;
  ShowKeys(*keys, response);
  return response;
}

}  // namespace tranche::server
