// FakeFrontLedger's access list.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_front_ledger.h"

namespace tranche::storage {
namespace {

constexpr size_t kSubjectsAudited = 10;
constexpr int kMostExpired = 2 * kMaxAccessBatch;

std::string JsonText(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

std::string JsonList(const std::vector<std::string>& subjects) {
  return absl::StrCat("[", absl::StrJoin(subjects, ", "), "]");
}

// In the database's precision.
std::optional<absl::Time> InMicros(std::optional<absl::Time> time) {
  if (time.has_value()) time = absl::FromUnixMicros(absl::ToUnixMicros(*time));
  return time;
}

std::string EntriesJson(int32_t entries) { return absl::StrCat("{\"entries\": ", entries, "}"); }

}  // namespace

std::string FakeFrontLedger::NameOf(const AccessSubject& subject) {
  return absl::StrCat(subject.kind == AccessSubject::Kind::kUser ? "user " : "address ", subject.value);
}

bool FakeFrontLedger::IsLive(const StoredEntry& stored) const {
  return !stored.entry.removed && (!stored.entry.expires_at.has_value() || *stored.entry.expires_at > DatabaseNow());
}

int32_t FakeFrontLedger::CountLive() const {
  return static_cast<int32_t>(std::count_if(state_.entries.begin(), state_.entries.end(),
                                            [this](const auto& entry) { return IsLive(entry.second); }));
}

void FakeFrontLedger::RemoveExpired(int limit) {
  const int64_t version = state_.changes.rbegin()->first;
  for (auto& [subject, stored] : state_.entries) {
    if (stored.entry.removed || IsLive(stored)) continue;
    if (limit-- == 0) return;
    stored.entry.removed = true;
    stored.version = version;
  }
}

// What would be, and which entries would change.
AccessCounts FakeFrontLedger::CompareEntries(absl::Span<const AccessEntry> entries,
                                             std::vector<AccessEntry>* changed) const {
  AccessCounts counts;
  counts.entries = CountLive();
  for (AccessEntry entry : entries) {
    entry.expires_at = InMicros(entry.expires_at);
    entry.removed = false;
    const auto found = state_.entries.find(KeyOf(entry.subject));
    const bool there = found != state_.entries.end() && IsLive(found->second);
    if (there && found->second.entry.allow == entry.allow && found->second.entry.reason == entry.reason &&
        found->second.entry.expires_at == entry.expires_at) {
      ++counts.unchanged;
      continue;
    }
    ++(there ? counts.replaced : counts.added);
    const bool lasts = IsLive({.entry = entry});
    if (there && !lasts) --counts.entries;
    if (!there && lasts) ++counts.entries;
    changed->push_back(std::move(entry));
  }
  return counts;
}

absl::StatusOr<AccessCounts> FakeFrontLedger::AddAccessEntries(absl::Span<const AccessEntry> entries, bool preview,
                                                               const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::set<SubjectKey> subjects;
  for (const AccessEntry& entry : entries) subjects.insert(KeyOf(entry.subject));
  if (entries.size() > kMaxAccessBatch || subjects.size() < entries.size()) {
    return absl::InvalidArgumentError(absl::StrCat("at most ", kMaxAccessBatch, " entries, of distinct subjects"));
  }
  const int32_t before = CountLive();
  std::vector<AccessEntry> changed;
  const AccessCounts counts = CompareEntries(entries, &changed);
  if (counts.entries > before && counts.entries > kMaxAccessEntries) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the access list has ", before, " entries, and may have ", kMaxAccessEntries));
  }
  if (preview || changed.empty()) return counts;
  std::vector<std::string> told;
  const int64_t version = NextVersion(state_);
  for (AccessEntry& entry : changed) {
    if (told.size() < kSubjectsAudited) {
      told.push_back(JsonText(absl::StrCat(entry.allow ? "allow " : "deny ", NameOf(entry.subject))));
    }
    entry.changed_at = DatabaseNow();
    entry.changed_by = actor.name;
    state_.entries[KeyOf(entry.subject)] = {.entry = entry, .version = version};
  }
  RemoveExpired(kMostExpired);
  Audit(actor, "add_access_entries", "", EntriesJson(before),
        absl::StrCat("{\"added\": ", counts.added, ", \"entries\": ", counts.entries,
                     ", \"replaced\": ", counts.replaced, ", \"subjects\": ", JsonList(told), "}"));
  return counts;
}

absl::StatusOr<AccessCounts> FakeFrontLedger::RemoveAccessEntries(absl::Span<const AccessSubject> subjects,
                                                                  bool preview, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (subjects.size() > kMaxAccessBatch) {
    return absl::InvalidArgumentError(absl::StrCat("at most ", kMaxAccessBatch, " entries"));
  }
  const int32_t before = CountLive();
  std::set<SubjectKey> found;
  std::vector<std::string> names;
  for (const AccessSubject& subject : subjects) {
    const auto entry = state_.entries.find(KeyOf(subject));
    if (entry == state_.entries.end() || !IsLive(entry->second) || !found.insert(KeyOf(subject)).second) continue;
    if (names.size() < kSubjectsAudited) names.push_back(JsonText(NameOf(subject)));
  }
  AccessCounts counts;
  counts.removed = static_cast<int32_t>(found.size());
  counts.entries = before - counts.removed;
  if (preview || found.empty()) return counts;
  const int64_t version = NextVersion(state_);
  for (const SubjectKey& subject : found) {
    StoredEntry& stored = state_.entries[subject];
    stored.version = version;
    stored.entry.removed = true;
    stored.entry.changed_at = DatabaseNow();
    stored.entry.changed_by = actor.name;
  }
  Audit(actor, "remove_access_entries", "", EntriesJson(before),
        absl::StrCat("{\"entries\": ", counts.entries, ", \"removed\": ", counts.removed,
                     ", \"subjects\": ", JsonList(names), "}"));
  return counts;
}

absl::StatusOr<AccessPage> FakeFrontLedger::ListAccessEntries(const AccessFilter& filter,
                                                              const std::optional<AccessSubject>& after, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  AccessPage page;
  const auto begin = after.has_value() ? state_.entries.upper_bound(KeyOf(*after)) : state_.entries.begin();
  for (auto it = begin; it != state_.entries.end(); ++it) {
    const AccessEntry& entry = it->second.entry;
    if (!IsLive(it->second) || filter.allow.value_or(entry.allow) != entry.allow) continue;
    if (filter.subject.has_value() && entry.subject != *filter.subject) continue;
    if (page.entries.size() == static_cast<size_t>(limit)) {
      page.next = page.entries.back().subject;
      break;
    }
    page.entries.push_back(entry);
  }
  return page;
}

}  // namespace tranche::storage
