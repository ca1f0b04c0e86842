#include "server/handlers/sku_change_handler.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/claim_path_warnings.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/outdated_view.h"
#include "server/handlers/sku_handler.h"
#include "server/handlers/sku_messages.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using storage::Sku;

// A change of the terms that meets another one is planned anew, so often.
constexpr int kTriesToUpdate = 5;

// As the ledger does it with every change of the terms.
void RaiseVersions(Sku& sku) {
  ++sku.quota_version;
  ++sku.terms_version;
}

bool IsExpected(const Sku& sku, const std::optional<int64_t>& terms_version) {
  return sku.terms_version == terms_version.value_or(sku.terms_version);
}

absl::Status WindowIsOver(const Sku& sku) {
  const std::string ended = absl::FormatTime(absl::RFC3339_full, sku.closes_at, absl::UTCTimeZone());
  return MakeError(v1::ERROR_REASON_SALE_CLOSED,
                   absl::StrCat("The window of this sale ended at ", ended,
                                ": set another close_time (tranchectl sku update) before it is reopened."),
                   {{"sku_id", sku.sku_id}});
}

}  // namespace

template <typename Response>
Response SkuChangeHandler::Answer(const Sku& before, const Sku& after, bool announced) const {
  Response response;
  const absl::Time now = clock_->Now();
  *response.mutable_before() = ToMessage(before, now);
  *response.mutable_sku() = ToMessage(after, now);
  WarnIfNotAnnounced(announced, response);
  return response;
}

// Read now: another change may have come after the one that was in the way.
absl::Status SkuChangeHandler::TermsAreOthers(const std::string& sku_id) const {
  const absl::StatusOr<Sku> sku = ledger_->GetSku(sku_id);
  if (!sku.ok()) return LedgerError(sku.status(), sku_id, Repeatable::kYes);
  return TermsChanged(*ledger_, sku_id, sku->terms_version);
}

absl::StatusOr<v1::SetSkuPausedResponse> SkuChangeHandler::SetPaused(const v1::SetSkuPausedRequest& request,
                                                                     const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckPauseReason(request.paused(), request.reason(), "reason"));
  const absl::StatusOr<Sku> before = ledger_->GetSku(request.sku_id());
  if (!before.ok()) return LedgerError(before.status(), request.sku_id(), Repeatable::kYes);
  std::optional<int64_t> expected;
  if (request.has_expected_terms_version()) expected = request.expected_terms_version();
  absl::StatusOr<Sku> after = *before;
  bool announced = true;
  if (request.preview()) {
    after->paused = request.paused();
    after->pause_reason = request.reason();
    const bool changes = after->paused != before->paused || after->pause_reason != before->pause_reason;
    if (changes && !IsExpected(*before, expected)) return TermsAreOthers(request.sku_id());
    if (changes) RaiseVersions(*after);
  } else {
    after = ledger_->SetSkuPaused(request.sku_id(), request.paused(), request.reason(), expected, actor);
    if (absl::IsAborted(after.status())) return TermsAreOthers(request.sku_id());
    if (!after.ok()) return LedgerError(after.status(), request.sku_id(), Repeatable::kYes);
    announced = AnnounceSku(*announcer_, *after);
    LOG_IF(INFO, after->terms_version != before->terms_version)
        << "the sale of " << request.sku_id() << (request.paused() ? " is paused by " : " is resumed by ") << actor;
  }
  return Answer<v1::SetSkuPausedResponse>(*before, *after, announced);
}

// Reads, changes, and writes against the version that was read. If another change came in between, it starts over,
// unless the caller insists on a version.
absl::StatusOr<v1::UpdateSkuResponse> SkuChangeHandler::Update(const v1::UpdateSkuRequest& request,
                                                               const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  std::optional<int64_t> expected;
  if (request.has_expected_terms_version()) expected = request.expected_terms_version();
  for (int attempt = 0; attempt < kTriesToUpdate; ++attempt) {
    const absl::StatusOr<Sku> before = ledger_->GetSku(request.sku_id());
    if (!before.ok()) return LedgerError(before.status(), request.sku_id(), Repeatable::kYes);
    ASSIGN_OR_RETURN(const Sku wanted, Updated(*before, request, clock_->Now()));
    if (HaveSameTerms(*before, wanted)) return Answer<v1::UpdateSkuResponse>(*before, *before);
    if (!IsExpected(*before, expected)) break;
    absl::StatusOr<Sku> after = wanted;
    bool announced = true;
    if (request.preview()) {
      RaiseVersions(*after);
    } else {
      after = ledger_->UpdateSku(wanted, actor);
      if (absl::IsAborted(after.status())) continue;
      if (!after.ok()) return LedgerError(after.status(), request.sku_id(), Repeatable::kYes);
      announced = AnnounceSku(*announcer_, *after);
    }
    auto response = Answer<v1::UpdateSkuResponse>(*before, *after, announced);
    // Only before the change: an operator can still decide, and the answer to a change waits for no broker.
    if (wanted.claim_path != before->claim_path) {
      if (request.preview()) {
        WarnOfClaimQueue(wanted, count_consumers_, response);
      } else {
        WarnOfClaimPath(wanted.claim_path, count_consumers_ != nullptr, response);
      }
    }
    return response;
  }
  return TermsAreOthers(request.sku_id());
}

absl::StatusOr<v1::ReopenSkuResponse> SkuChangeHandler::Reopen(const v1::ReopenSkuRequest& request,
                                                               const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  const absl::StatusOr<Sku> before = ledger_->GetSku(request.sku_id());
  if (!before.ok()) return LedgerError(before.status(), request.sku_id(), Repeatable::kYes);
  if (before->closed && clock_->Now() >= before->closes_at) return WindowIsOver(*before);
  absl::StatusOr<Sku> after = *before;
  bool announced = true;
  if (!request.preview()) {
    after = ledger_->ReopenSku(request.sku_id(), actor);
    if (!after.ok()) return LedgerError(after.status(), request.sku_id(), Repeatable::kYes);
    announced = AnnounceSku(*announcer_, *after);
  } else if (after->closed) {
    after->closed = false;
    RaiseVersions(*after);
  }
  return Answer<v1::ReopenSkuResponse>(*before, *after, announced);
}

}  // namespace tranche::server
