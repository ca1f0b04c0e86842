#include "server/handlers/audit_handler.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/plain_utf8.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// Where a list continues: each shard's log below this id. Ids are per shard.
using Positions = std::map<std::string, int64_t>;

std::string Encode(const Positions& positions) { return absl::StrJoin(positions, ",", absl::PairFormatter(":")); }

std::optional<Positions> Decode(const std::string& text) {
  Positions positions;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> position = absl::StrSplit(part, absl::MaxSplits(':', 1));
    int64_t id = 0;
    if (!absl::SimpleAtoi(position.second, &id) || id <= 0) return std::nullopt;
    positions[position.first] = id;
  }
  return positions;
}

// Entries have what a discarded message had, say.
constexpr size_t kLargestAuditPageBytes = 1024 * 1024;

struct Log {
  std::string shard;
  std::vector<storage::AuditEntry> entries;
  size_t next = 0;
};

// The log whose next entry is the newest; null when all are at their end. Each log is read in the order of its ids,
// which is only nearly the order of its times.
Log* Newest(std::vector<Log>& logs) {
  Log* newest = nullptr;
  for (Log& log : logs) {
    if (log.next == log.entries.size()) continue;
    if (newest == nullptr || log.entries[log.next].at > newest->entries[newest->next].at) newest = &log;
  }
  return newest;
}

v1::AuditEntry EntryToMessage(const std::string& shard, const storage::AuditEntry& entry) {
  v1::AuditEntry message;
  message.set_id(entry.id);
  *message.mutable_time() = ToTimestamp(entry.at);
  message.set_actor(entry.actor);
  message.set_action(entry.action);
  message.set_sku_id(entry.sku_id);
  message.set_incarnation(entry.incarnation);
  message.set_before(entry.before);
  message.set_after(entry.after);
  message.set_shard(shard);
  message.set_reason(entry.reason);
  message.set_automatic(entry.automatic);
  for (const auto& [incarnation, name] : entry.nodes) (*message.mutable_node_names())[incarnation] = name;
  const auto node = entry.nodes.find(entry.incarnation);
  if (node != entry.nodes.end()) message.set_node_name(node->second);
  return message;
}

struct Found {
  std::vector<Log> logs;
  std::vector<std::string> silent;  // shards that do not answer
  absl::Status error;               // also when none answers
};

Found Ask(const std::vector<std::pair<std::string, storage::AuditLedger*>>& ledgers, const storage::AuditFilter& filter,
          const Positions& positions, int limit) {
  Found found;
  absl::Status silence = absl::UnavailableError("the shard does not answer");
  for (const auto& [shard, ledger] : ledgers) {
    const auto before = positions.find(shard);
    absl::StatusOr<std::vector<storage::AuditEntry>> entries = silence;
    if (ledger != nullptr) entries = ledger->ListAudit(filter, before == positions.end() ? 0 : before->second, limit);
    if (entries.ok()) {
      found.logs.push_back({shard, *std::move(entries)});
      continue;
    }
    if (!absl::IsUnavailable(entries.status())) {
      found.error = entries.status();
      return found;
    }
    silence = entries.status();
    found.silent.push_back(shard);
  }
  if (found.logs.empty()) found.error = silence;
  return found;
}

// As many entries as the page takes. Takes them off the logs, and moves the positions.
v1::ListAuditResponse MakePage(std::vector<Log>& logs, int page_size, Positions& positions) {
  v1::ListAuditResponse page;
  size_t bytes = 0;
  while (Log* const log = Newest(logs)) {
    if (page.entries_size() == page_size || bytes > kLargestAuditPageBytes) {
      page.set_next_page_token(EncodePageToken(Encode(positions)));
      break;
    }
    const storage::AuditEntry& entry = log->entries[log->next++];
    v1::AuditEntry* const added = page.add_entries();
    *added = EntryToMessage(log->shard, entry);
    bytes += added->ByteSizeLong();
    positions[log->shard] = entry.id;
  }
  return page;
}

constexpr size_t kLongestFilterBytes = 128;

absl::Status CheckFilterText(const std::string& text, absl::string_view field) {
  if (text.size() <= kLongestFilterBytes && IsPlainUtf8(text)) return absl::OkStatus();
  return InvalidField(field,
                      absl::StrCat("must be at most ", kLongestFilterBytes, " bytes without control characters"));
}

absl::StatusOr<storage::AuditFilter> ToFilter(const v1::ListAuditRequest& request) {
  RETURN_IF_ERROR(CheckFilterText(request.actor(), "actor"));
  RETURN_IF_ERROR(CheckFilterText(request.action(), "action"));
  storage::AuditFilter filter{.sku_id = request.sku_id(),
                              .actor = request.actor(),
                              .action = request.action(),
                              .automatic = request.automatic()};
  const auto since = FromTimestamp(request.since());
  const auto until = FromTimestamp(request.until());
  if (!since.has_value()) return InvalidField("since", "must be a time of the years 1 to 9999");
  if (!until.has_value()) return InvalidField("until", "must be a time of the years 1 to 9999");
  if (request.has_since()) filter.since = *since;
  if (request.has_until()) filter.until = *until;
  return filter;
}

}  // namespace

absl::StatusOr<v1::ListAuditResponse> AuditHandler::List(const v1::ListAuditRequest& request) {
  ASSIGN_OR_RETURN(const int page_size, CheckPageSize(request.page_size()));
  ASSIGN_OR_RETURN(const std::string token, DecodePageToken(request.page_token()));
  std::optional<Positions> positions = Decode(token);
  if (!positions.has_value()) {
    return InvalidField("page_token", "must be the next_page_token of the page before");
  }
  if (!request.sku_id().empty()) {
    RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
    // Without this a mistyped SKU would look like one that nobody ever changed.
    const auto sku = ledger_->GetSku(request.sku_id());
    if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  }

  ASSIGN_OR_RETURN(const storage::AuditFilter filter, ToFilter(request));
  // One more than wanted shows whether there is a next page.
  Found found = Ask(logs_(), filter, *positions, page_size + 1);
  if (!found.error.ok()) return LedgerError(found.error, request.sku_id(), Repeatable::kYes);
  v1::ListAuditResponse response = MakePage(found.logs, page_size, *positions);
  for (std::string& shard : found.silent) response.add_silent_shards(std::move(shard));
  return response;
}

}  // namespace tranche::server
