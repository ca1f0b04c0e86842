#include "server/handlers/access_entry_handler.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/access_entry_messages.h"
#include "server/handlers/field_checks.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

absl::StatusOr<storage::AccessFilter> AccessFilterOf(const v1::ListAccessEntriesRequest& request) {
  storage::AccessFilter filter;
  if (!v1::AccessEntry::Verdict_IsValid(request.verdict())) {
    return InvalidField("verdict", "must be VERDICT_ALLOW or VERDICT_DENY, or absent for both");
  }
  if (request.verdict() != v1::AccessEntry::VERDICT_UNSPECIFIED) {
    filter.allow = request.verdict() == v1::AccessEntry::VERDICT_ALLOW;
  }
  ASSIGN_OR_RETURN(filter.subject, ReadAccessSubject(request.user_id(), request.address()));
  return filter;
}

}  // namespace

absl::StatusOr<v1::ListAccessEntriesResponse> AccessEntryHandler::List(const v1::ListAccessEntriesRequest& request) {
  ASSIGN_OR_RETURN(const int page_size, CheckPageSize(request.page_size()));
  ASSIGN_OR_RETURN(const std::optional<storage::AccessSubject> after, FromPageToken(request.page_token()));
  ASSIGN_OR_RETURN(const storage::AccessFilter filter, AccessFilterOf(request));
  const absl::StatusOr<storage::AccessPage> page = ledger_->ListAccessEntries(filter, after, page_size);
  if (!page.ok()) return LedgerError(page.status(), "", Repeatable::kYes);
  v1::ListAccessEntriesResponse response;
  for (const storage::AccessEntry& entry : page->entries) *response.add_entries() = AccessEntryToMessage(entry);
  response.set_next_page_token(ToPageToken(page->next));
  return response;
}

absl::StatusOr<v1::AddAccessEntriesResponse> AccessEntryHandler::Add(const v1::AddAccessEntriesRequest& request,
                                                                     const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const std::vector<storage::AccessEntry> entries,
                   ReadAccessEntries(request.entries(), clock_->Now()));
  const absl::StatusOr<storage::AccessCounts> counts = ledger_->AddAccessEntries(entries, request.preview(), actor);
  if (!counts.ok()) return AddError(counts.status(), entries.size());
  // Also when nothing has changed: a repeated call tells what an earlier one could not.
  if (!request.preview()) announcer_->Announce();
  LOG_IF(INFO, !request.preview() && counts->added + counts->replaced > 0)
      << counts->added << " entries are added to the front door's access list and " << counts->replaced
      << " replaced by " << actor;
  v1::AddAccessEntriesResponse response;
  response.set_added(counts->added);
  response.set_replaced(counts->replaced);
  response.set_unchanged(counts->unchanged);
  response.set_entries(counts->entries);
  return response;
}

absl::StatusOr<v1::RemoveAccessEntriesResponse> AccessEntryHandler::Remove(
    const v1::RemoveAccessEntriesRequest& request, const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const std::vector<storage::AccessSubject> subjects, ReadAccessSubjects(request.entries()));
  const absl::StatusOr<storage::AccessCounts> counts = ledger_->RemoveAccessEntries(subjects, request.preview(), actor);
  if (!counts.ok()) return LedgerError(counts.status(), "", Repeatable::kYes);
  if (!request.preview()) announcer_->Announce();
  LOG_IF(INFO, !request.preview() && counts->removed > 0)
      << counts->removed << " entries are removed from the front door's access list by " << actor;
  v1::RemoveAccessEntriesResponse response;
  response.set_removed(counts->removed);
  response.set_entries(counts->entries);
  return response;
}

// A busy ledger has the same code as a full list, so the list is counted.
absl::Status AccessEntryHandler::AddError(const absl::Status& status, size_t count) {
  if (absl::IsResourceExhausted(status)) {
    const absl::StatusOr<storage::AccessCounts> now =
        ledger_->RemoveAccessEntries({}, /*preview=*/true, storage::Actor(""));
    if (now.ok() && now->entries + static_cast<int64_t>(count) > storage::kMaxAccessEntries) {
      return MakeError(v1::ERROR_REASON_ACCESS_LIST_FULL,
                       absl::StrCat("The access list has ", now->entries, " entries, of at most ",
                                    storage::kMaxAccessEntries, ": remove some before you add more."),
                       {{"entries", absl::StrCat(now->entries)}});
    }
  }
  return LedgerError(status, "", Repeatable::kYes);
}

}  // namespace tranche::server
