#include "server/handlers/audit_handler.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kLargestPage = 1000;

v1::AuditEntry ToMessage(const storage::AuditEntry& entry) {
  v1::AuditEntry message;
  message.set_id(entry.id);
  *message.mutable_time() = ToTimestamp(entry.at);
  message.set_actor(entry.actor);
  message.set_action(entry.action);
  message.set_sku_id(entry.sku_id);
  message.set_incarnation(entry.incarnation);
  message.set_before(entry.before);
  message.set_after(entry.after);
  return message;
}

}  // namespace

absl::StatusOr<v1::ListAuditResponse> AuditHandler::List(const v1::ListAuditRequest& request) {
  const absl::StatusOr<int> page_size = CheckPageSize(request.page_size(), kDefaultPage, kLargestPage);
  if (!page_size.ok()) return page_size.status();
  const absl::StatusOr<std::string> token = DecodePageToken(request.page_token());
  if (!token.ok()) return token.status();
  int64_t before = 0;
  if (!token->empty() && (!absl::SimpleAtoi(*token, &before) || before <= 0)) {
    return FieldError(v1::ERROR_REASON_FIELD_INVALID, "page_token", "must be the next_page_token of the page before");
  }
  if (!request.sku_id().empty()) {
    if (absl::Status id = CheckSkuId(request.sku_id()); !id.ok()) return id;
    // Without this a mistyped SKU would look like one that nobody ever changed.
    const auto sku = ledger_->GetSku(request.sku_id());
    if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  }

  // One more than wanted tells whether there is a next page.
  const auto entries = ledger_->ListAudit(request.sku_id(), before, *page_size + 1);
  if (!entries.ok()) return LedgerError(entries.status(), request.sku_id(), Repeatable::kYes);
  v1::ListAuditResponse response;
  for (const storage::AuditEntry& entry : *entries) {
    if (response.entries_size() == *page_size) {
      response.set_next_page_token(EncodePageToken(absl::StrCat(response.entries(*page_size - 1).id())));
      break;
    }
    *response.add_entries() = ToMessage(entry);
  }
  AddNames(&response);
  return response;
}

// A convenience: without them there are the incarnations.
void AuditHandler::AddNames(v1::ListAuditResponse* response) {
  const auto live = ledger_->ListLiveIncarnations();
  if (!live.ok()) return;
  absl::flat_hash_map<storage::IncarnationId, std::string> names;
  for (const storage::Incarnation& incarnation : *live) names[incarnation.id] = incarnation.node_name;
  for (v1::AuditEntry& entry : *response->mutable_entries()) {
    const auto name = names.find(entry.incarnation());
    if (name != names.end()) entry.set_node_name(name->second);
  }
}

}  // namespace tranche::server
