// tranchectl node list|drain

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

void PrintNodes(Session& session, const tranche::v1::ListNodesResponse& nodes) {
  Table table({"NODE", "INCARNATION", "ADDRESS", "STARTED", "STATE"});
  for (const tranche::v1::Node& node : nodes.nodes()) {
    table.AddRow({node.name(), absl::StrCat(node.incarnation()), node.address(),
                  absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(node.start_time().seconds()),
                                   absl::UTCTimeZone()),
                  node.draining() ? "DRAINING" : "SERVING"});
  }
  session.Print(table);
}

void List(Session& session) {
  tranche::v1::ListNodesRequest request;
  tranche::v1::ListNodesResponse all;
  do {
    const auto page = session.Admin(&AdminService::Stub::ListNodes, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_nodes()->MergeFrom(page->nodes());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (session.json()) {
    session.PrintJson(all);
  } else {
    PrintNodes(session, all);
  }
}

void Drain(Session& session, const std::string& node, bool yes) {
  tranche::v1::DrainNodeRequest request;
  request.set_node(node);
  request.set_preview(true);
  const auto before = session.Admin(&AdminService::Stub::DrainNode, request);
  if (!before.ok()) return session.FailRemotely(before.status());
  tranche::v1::Node after = before->node();
  after.set_draining(true);
  if (yes) {
    request.set_preview(false);
    const auto done = session.Admin(&AdminService::Stub::DrainNode, request);
    if (!done.ok()) return session.FailRemotely(done.status());
    after = done->node();
  }
  if (session.json()) {
    PrintChangeJson(session, before->node(), after, !yes);
  } else {
    Table table({"NODE", "INCARNATION", "ADDRESS", "STATE"});
    table.AddRow({after.name(), absl::StrCat(after.incarnation()), after.address(),
                  Arrow(before->node().draining() ? "DRAINING" : "SERVING", "DRAINING")});
    session.Print(table);
  }
  if (!yes) SayHowToApply(session);
}

}  // namespace

void AddNodeCommands(CLI::App& app, Session& session) {
  CLI::App* node = app.add_subcommand("node", "The front nodes");
  node->require_subcommand(1);
  node->add_subcommand("list", "The live nodes")->callback([&session] { List(session); });

  auto name = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  CLI::App* drain = node->add_subcommand(
      "drain", "Ask a node to stop: it finishes what it has accepted, returns its units and exits");
  drain->add_option("NODE", *name, "Its name or incarnation")->required();
  AddYesFlag(drain, *yes);
  drain->callback([&session, name, yes] { Drain(session, *name, *yes); });
}

}  // namespace tranche::ctl
