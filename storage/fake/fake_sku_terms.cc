// FakeLedger's part for the terms of sale: what they may be, pausing, changing and reopening; and the settings of the
// cluster.
#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::storage {
namespace {

bool ValidSkuId(const std::string& id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

bool ValidCurrency(const std::string& currency) {
  return currency.size() == 3 && std::all_of(currency.begin(), currency.end(), absl::ascii_isupper);
}

// In characters.
bool ValidPauseReason(const std::string& reason) {
  return std::count_if(reason.begin(), reason.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }) <=
         kMaxPauseReason;
}

bool Between(int64_t value, int64_t low, int64_t high) { return low <= value && value <= high; }

const char* TrueOrFalse(bool value) { return value ? "true" : "false"; }

std::string TextOrNull(const std::string& text) { return text.empty() ? "null" : absl::StrCat("\"", text, "\""); }

std::string PauseJson(const Sku& sku) {
  return absl::StrCat("{\"paused\": ", TrueOrFalse(sku.paused), ", \"pause_reason\": ", TextOrNull(sku.pause_reason),
                      "}");
}

absl::Status OtherTerms(const std::string& sku_id) {
  return absl::AbortedError(absl::StrCat("the terms of ", sku_id, " have another version"));
}

// What UpdateSku changes: `sku`, with the rest of `present`.
Sku WithTermsOf(const Sku& sku, Sku present) {
  present.title = sku.title;
  present.price_minor = sku.price_minor;
  present.per_user_limit = sku.per_user_limit;
  present.hold = absl::Seconds(absl::ToInt64Seconds(sku.hold));
  present.max_extensions = sku.max_extensions;
  present.max_hold = absl::Seconds(absl::ToInt64Seconds(sku.max_hold));
  present.opens_at = sku.opens_at;
  present.closes_at = sku.closes_at;
  present.presplit = sku.presplit;
  present.claim_path = sku.claim_path;
  return present;
}

// By name, before and after, as JSON values. In the order of jsonb: shorter names first.
using TermsDifference = std::vector<std::tuple<std::string, std::string, std::string>>;

std::string SecondsOrNull(absl::Duration duration) {
  return duration == absl::ZeroDuration() ? "null" : absl::StrCat(absl::ToInt64Seconds(duration));
}

std::string TimeOrNull(absl::Time time) {
  const bool finite = time > absl::InfinitePast() && time < absl::InfiniteFuture();
  return finite ? TextOrNull(absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone())) : "null";
}

TermsDifference Compare(const Sku& before, const Sku& after) {
  TermsDifference difference;
  const auto compare = [&](const char* name, std::string old_value, std::string new_value) {
    if (old_value != new_value) difference.emplace_back(name, std::move(old_value), std::move(new_value));
  };
  compare("title", TextOrNull(before.title), TextOrNull(after.title));
  compare("opens_at", TimeOrNull(before.opens_at), TimeOrNull(after.opens_at));
  compare("presplit", TrueOrFalse(before.presplit), TrueOrFalse(after.presplit));
  compare("closes_at", TimeOrNull(before.closes_at), TimeOrNull(after.closes_at));
  compare("claim_path", TextOrNull(ClaimPathName(before.claim_path)), TextOrNull(ClaimPathName(after.claim_path)));
  compare("price_minor", absl::StrCat(before.price_minor), absl::StrCat(after.price_minor));
  compare("hold_seconds", SecondsOrNull(before.hold), SecondsOrNull(after.hold));
  compare("max_extensions", absl::StrCat(before.max_extensions), absl::StrCat(after.max_extensions));
  compare("per_user_limit", absl::StrCat(before.per_user_limit), absl::StrCat(after.per_user_limit));
  compare("max_hold_seconds", SecondsOrNull(before.max_hold), SecondsOrNull(after.max_hold));
  return difference;
}

std::string Json(const TermsDifference& difference, bool after) {
  std::vector<std::string> members;
  for (const auto& [name, old_value, new_value] : difference) {
    members.push_back(absl::StrCat("\"", name, "\": ", after ? new_value : old_value));
  }
  return absl::StrCat("{", absl::StrJoin(members, ", "), "}");
}

}  // namespace

absl::Status FakeLedger::CheckSku(const Sku& sku) {
  const auto invalid = [&sku](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("SKU ", sku.sku_id, ": invalid ", what));
  };
  if (!ValidSkuId(sku.sku_id)) return invalid("id");
  if (sku.title.size() > 256) return invalid("title");
  if (!ValidPauseReason(sku.pause_reason)) return invalid("reason of the pause");
  if (!Between(sku.price_minor, 0, 1'000'000'000'000)) return invalid("price");
  if (!ValidCurrency(sku.currency)) return invalid("currency");
  if (!Between(sku.stock, 0, 1'000'000'000)) return invalid("stock");
  if (!Between(sku.per_user_limit, 1, 1000)) return invalid("per-user limit");
  if (!Between(absl::ToInt64Seconds(sku.hold), 1, 604800)) return invalid("hold");
  if (!Between(sku.max_extensions, 0, 100)) return invalid("number of extensions");
  const int64_t max_hold_s = absl::ToInt64Seconds(sku.max_hold);
  if (max_hold_s != 0 && !Between(max_hold_s, absl::ToInt64Seconds(sku.hold), 2592000)) return invalid("longest hold");
  if (!Between(sku.slots_per_slice, 1, 64)) return invalid("number of slots per slice");
  if (sku.opens_at >= sku.closes_at) return invalid("sale window");
  return absl::OkStatus();
}

absl::StatusOr<Sku> FakeLedger::ReopenSku(const std::string& sku_id, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  if (state->sku.closed) {
    state->sku.closed = false;
    NoteNewTerms(*state);
    Audit(actor, "reopen_sku", sku_id, kPool, "{\"state\": \"CLOSED\"}", "{\"state\": \"OPEN\"}");
  }
  return Read(*state);
}

absl::StatusOr<Sku> FakeLedger::SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                             std::optional<int64_t> expected_terms_version, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto state, Find(sku_id));
  Sku& sku = state->sku;
  const std::string told = paused ? reason : "";
  if (!ValidPauseReason(told)) return absl::InvalidArgumentError("too long a reason");
  if (sku.paused != paused || sku.pause_reason != told) {
    if (sku.terms_version != expected_terms_version.value_or(sku.terms_version)) return OtherTerms(sku_id);
    std::string before = PauseJson(sku);
    sku.paused = paused;
    sku.pause_reason = told;
    NoteNewTerms(*state);
    Audit(actor, paused ? "pause_sku" : "resume_sku", sku_id, kPool, std::move(before), PauseJson(sku));
  }
  return Read(*state);
}

absl::StatusOr<Sku> FakeLedger::UpdateSku(const Sku& sku, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const auto state, Find(sku.sku_id));
  const Sku after = WithTermsOf(sku, state->sku);
  const TermsDifference difference = Compare(state->sku, after);
  if (difference.empty()) return Read(*state);
  if (state->sku.terms_version != sku.terms_version) return OtherTerms(sku.sku_id);
  RETURN_IF_ERROR(CheckSku(after));
  state->sku = after;
  state->highest_limit = std::max(state->highest_limit, sku.per_user_limit);
  NoteNewTerms(*state);
  Audit(actor, "update_sku", sku.sku_id, kPool, Json(difference, /*after=*/false), Json(difference, /*after=*/true));
  return Read(*state);
}

void FakeLedger::NoteNewTerms(SkuState& state) {
  ++state.sku.quota_version;
  ++state.sku.terms_version;
  ListIfPooled(state);
}

absl::Status FakeLedger::SetClusterFrozen(bool frozen, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (settings_.frozen == frozen) return absl::OkStatus();
  settings_.frozen = frozen;
  settings_.changed_at = DatabaseNow();
  settings_.changed_by = actor.name;
  Audit(actor, frozen ? "freeze_cluster" : "thaw_cluster", "", kPool,
        absl::StrCat("{\"frozen\": ", TrueOrFalse(!frozen), "}"),
        absl::StrCat("{\"frozen\": ", TrueOrFalse(frozen), "}"));
  return absl::OkStatus();
}

absl::Status FakeLedger::SetClaimsPaused(bool paused, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (settings_.claims_paused == paused) return absl::OkStatus();
  settings_.claims_paused = paused;
  Audit(actor, paused ? "pause_claim_queues" : "resume_claim_queues", "", kPool,
        absl::StrCat("{\"claims_paused\": ", TrueOrFalse(!paused), "}"),
        absl::StrCat("{\"claims_paused\": ", TrueOrFalse(paused), "}"));
  return absl::OkStatus();
}

absl::StatusOr<ClusterSettings> FakeLedger::ReadClusterSettings() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  return settings_;
}

}  // namespace tranche::storage
