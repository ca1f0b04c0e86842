// tranchectl zk dump|rebuild

#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

void Dump(Session& session, const std::string& path) {
  tranche::v1::DumpCoordinationRequest request;
  request.set_path(path);
  tranche::v1::DumpCoordinationResponse all;
  do {
    const auto page = session.Admin(&tranche::v1::AdminService::Stub::DumpCoordination, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_znodes()->MergeFrom(page->znodes());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  // A znode is a part of what is below its path.
  if (all.znodes().empty() && !path.empty()) {
    return session.FailRemotely(absl::NotFoundError(absl::StrCat("there is no znode ", path)));
  }
  if (session.json()) return session.PrintJson(all);
  Table table({"ZNODE", "VERSION", "KIND", "PAYLOAD"});
  for (const auto& znode : all.znodes()) {
    table.AddRow(
        {znode.path(), absl::StrCat(znode.version()), znode.ephemeral() ? "ephemeral" : "persistent", znode.payload()});
  }
  session.Print(table);
}

bool IsComplete(const tranche::v1::RebuildCoordinationResponse& tree) {
  for (const auto* count :
       {&tree.fixed_folders(), &tree.skus(), &tree.slice_folders(), &tree.slices(), &tree.drain_requests()}) {
    if (count->missing() > 0 || count->outdated() > 0) return false;
  }
  return true;
}

void Rebuild(Session& session, bool yes, bool new_history) {
  tranche::v1::RebuildCoordinationRequest request;
  request.set_preview(!yes);
  request.set_new_history(new_history);
  // Reads every SKU and its announcements.
  const auto response = session.Admin(&tranche::v1::AdminService::Stub::RebuildCoordination, request,
                                      /*default_timeout=*/absl::Minutes(5));
  if (!response.ok()) return session.FailRemotely(response.status());
  if (yes && new_history && !response->new_history_requested()) {
    session.err() << "This node is of an earlier version, which knows no --new-history.\n";
  }
  if (session.json()) {
    nlohmann::ordered_json json = {{"preview", !yes}};
    json.update(ToJson(*response));
    session.out() << json.dump(1) << "\n";
  } else {
    Table table({"WHAT", "EXPECTED", "MISSING", "OUTDATED"});
    const auto add = [&](const char* what, const tranche::v1::RebuildCoordinationResponse::Count& count) {
      table.AddRow(
          {what, absl::StrCat(count.expected()), absl::StrCat(count.missing()), absl::StrCat(count.outdated())});
    };
    add("fixed folders", response->fixed_folders());
    add("SKUs", response->skus());
    add("slice folders", response->slice_folders());
    add("slices", response->slices());
    add("requests to drain", response->drain_requests());
    session.Print(table);
    if (yes) session.err() << "What was missing or outdated is written.\n";
    if (response->new_history_requested()) {
      session.err() << "The leading balancer ends all incarnations within about a second; the nodes begin anew.\n";
    }
  }
  if (yes) return;
  if (IsComplete(*response) && !new_history) return SayNothingWouldChange(session);
  if (new_history) session.err() << "All incarnations would end, and the nodes begin anew from what the ledger says.\n";
  SayHowToApply(session);
}

void AddRebuild(CLI::App* zk, Session& session) {
  auto yes = std::make_shared<bool>(false);
  auto new_history = std::make_shared<bool>(false);
  CLI::App* rebuild = zk->add_subcommand("rebuild", "Restore the tree from the ledger, whatever parts were lost");
  AddYesFlag(rebuild, *yes);
  rebuild->add_flag(
      "--new-history", *new_history,
      "Besides, let all nodes begin anew from what the ledger says, as balancers do by themselves after "
      "a restore or failover; also hands the tree over when another database has replaced the former one");
  rebuild->footer(
      "Safe at any time, also during the sale: nothing newer is replaced. Registrations, reports and the balancer's\n"
      "leader are written by their owners, within moments.\n"
      "Examples:\n"
      "  tranchectl zk rebuild          what is missing or outdated\n"
      "  tranchectl zk rebuild --yes    writes it\n"
      "  tranchectl zk rebuild --new-history --yes    the nodes' counters begin anew, too");
  rebuild->callback([&session, yes, new_history] { Rebuild(session, *yes, *new_history); });
}

}  // namespace

void AddZkCommands(CLI::App& app, Session& session) {
  CLI::App* zk = app.add_subcommand("zk", "The coordination tree in ZooKeeper");
  zk->require_subcommand(1);
  zk->footer("Example:\n  tranchectl zk dump");
  auto path = std::make_shared<std::string>();
  CLI::App* dump = zk->add_subcommand("dump", "All znodes with their payloads as JSON");
  dump->add_option("PATH", *path, "Only below this path, such as /slices; default: everything");
  dump->footer(
      "Examples:\n"
      "  tranchectl zk dump\n"
      "  tranchectl zk dump /drain    who is asked to drain");
  dump->callback([&session, path] { Dump(session, *path); });
  AddRebuild(zk, session);
}

}  // namespace tranche::ctl
