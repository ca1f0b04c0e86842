// FakeLedger's audit log.

#include <algorithm>
#include <cctype>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::storage {
namespace {

constexpr char kOpenOutcome[] = "\"outcome\": \"UNKNOWN\"";

// Two JSON objects as one: no member is in both.
std::string Joined(absl::string_view object, absl::string_view more) {
  absl::ConsumeSuffix(&object, "}");
  absl::ConsumePrefix(&more, "{");
  const bool both = object != "{" && more != "}";
  return absl::StrCat(object, both ? ", " : "", more);
}

bool Matches(const AuditEntry& entry, const AuditFilter& filter) {
  const auto person = [](const std::string& actor) { return actor.substr(0, actor.find('@')); };
  if (!filter.sku_id.empty() && entry.sku_id != filter.sku_id) return false;
  if (!filter.action.empty() && entry.action != filter.action) return false;
  const bool with_host = filter.actor.find('@') != std::string::npos;
  const bool did_it = entry.actor == filter.actor ||
                      absl::StartsWith(entry.actor, absl::StrCat(filter.actor, " as ")) ||
                      (!with_host && person(entry.actor) == filter.actor);
  if (!filter.actor.empty() && !did_it) return false;
  if (entry.automatic && !filter.automatic) return false;
  return filter.since <= entry.at && entry.at < filter.until;
}

// Numbers that are members' names.
std::vector<IncarnationId> Numbers(const std::string& json) {
  std::vector<IncarnationId> numbers;
  for (const absl::string_view part : absl::StrSplit(json, '"')) {
    IncarnationId id = kPool;
    const bool digits =
        !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (digits && absl::SimpleAtoi(part, &id)) numbers.push_back(id);
  }
  return numbers;
}

}  // namespace

void FakeLedger::Audit(const Actor& actor, const char* action, const std::string& sku_id, IncarnationId incarnation,
                       std::string before, std::string after) {
  AddEntry({.at = DatabaseNow(),
            .actor = actor.name,
            .action = action,
            .sku_id = sku_id,
            .incarnation = incarnation,
            .before = std::move(before),
            .after = std::move(after),
            .reason = actor.reason,
            .automatic = actor.automatic,
            .nodes = {}});
}

void FakeLedger::AddAuditEntry(AuditEntry entry) {
  absl::MutexLock lock(&mutex_);
  AddEntry(std::move(entry));
}

int64_t FakeLedger::AddEntry(AuditEntry entry) {
  entry.id = next_audit_++;
  std::vector<IncarnationId> ids = Numbers(entry.before);
  for (const IncarnationId id : Numbers(entry.after)) ids.push_back(id);
  ids.push_back(entry.incarnation);
  for (const IncarnationId id : ids) {
    const auto incarnation = incarnations_.find(id);
    if (incarnation != incarnations_.end()) entry.nodes[id] = incarnation->second.incarnation.node_name;
  }
  audit_.push_back(std::move(entry));
  return audit_.back().id;
}

absl::StatusOr<std::vector<AuditEntry>> FakeLedger::ListAudit(const AuditFilter& filter, int64_t before, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<AuditEntry> entries;
  for (auto entry = audit_.rbegin(); entry != audit_.rend() && static_cast<int>(entries.size()) < limit; ++entry) {
    if (before > 0 && entry->id >= before) continue;
    if (Matches(*entry, filter)) entries.push_back(*entry);
  }
  return entries;
}

absl::StatusOr<int64_t> FakeLedger::BeginAudit(const AuditNote& note) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (note.actor.automatic) return absl::InvalidArgumentError("only people have entries of this kind");
  return AddEntry({.at = DatabaseNow(),
                   .actor = note.actor.name,
                   .action = note.action,
                   .sku_id = note.sku_id,
                   .before = note.before,
                   .after = Joined(note.asked, absl::StrCat("{", kOpenOutcome, "}")),
                   .reason = note.actor.reason,
                   .automatic = note.actor.automatic,
                   .nodes = {}});
}

absl::StatusOr<bool> FakeLedger::EndAudit(int64_t id, const std::string& result) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  for (AuditEntry& entry : audit_) {
    const size_t open = entry.after.find(kOpenOutcome);
    if (entry.id != id || open == std::string::npos) continue;
    absl::string_view asked = absl::string_view(entry.after).substr(0, open);
    absl::ConsumeSuffix(&asked, ", ");
    entry.after = Joined(absl::StrCat(asked, "}"), result);
    return true;
  }
  return false;
}

absl::StatusOr<int64_t> FakeLedger::RetireAudit(absl::Duration age, int limit, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (age < kLeastRetention) return absl::InvalidArgumentError("the audit log is kept for a day");
  int64_t retired = 0;
  const absl::Time before = std::min(DatabaseNow(), now) - age;
  while (retired < limit && !audit_.empty() && audit_.front().at < before) {
    audit_.erase(audit_.begin());
    ++retired;
  }
  return retired;
}

}  // namespace tranche::storage
