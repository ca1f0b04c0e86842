// tranchectl audit

#include <algorithm>
#include <memory>

#include "client/ctl/audit_view.h"
#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

void Audit(Session& session, const std::string& sku_id, int limit) {
  constexpr int kLargestPage = 1000;
  tranche::v1::ListAuditRequest request;
  request.set_sku_id(sku_id);
  tranche::v1::ListAuditResponse all;
  do {
    request.set_page_size(std::min(limit - all.entries_size(), kLargestPage));
    const auto page = session.Admin(&tranche::v1::AdminService::Stub::ListAudit, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_entries()->MergeFrom(page->entries());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && all.entries_size() < limit);
  PrintAudit(session, all);
}

}  // namespace

void AddAuditCommand(CLI::App& app, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  auto limit = std::make_shared<int>(50);
  CLI::App* audit = app.add_subcommand("audit", "Who changed stock, quota or a node, when, from what to what");
  TakesNameOf(NameKind::kSku, audit->add_option("--sku", *sku_id, "Only what concerns this SKU"));
  audit->add_option("--limit", *limit, "How many entries, the newest first")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  audit->footer(
      "#17 is incarnation 17, as in `tranchectl node list`. Moves that no person asked for are not shown.\n"
      "Without a person, \"reclaim\" took back what a node that has ended had left; \"balancer\" acted after\n"
      "a restore, or on an announcement that the ledger had not made.\n"
      "Examples:\n"
      "  tranchectl audit --sku tv --limit 20\n"
      "  tranchectl audit -o json | jq -r '.entries[] | select(.actor != \"reclaim\") | .action'");
  audit->callback([&session, sku_id, limit] { Audit(session, *sku_id, *limit); });
}

}  // namespace tranche::ctl
