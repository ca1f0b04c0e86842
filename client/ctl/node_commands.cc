// tranchectl node list|drain|undrain

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

std::string State(const tranche::v1::Node& node) {
  switch (node.state()) {
    case tranche::v1::NODE_STATE_DRAINED:
      return "DRAINED";
    case tranche::v1::NODE_STATE_DRAINING:
      return "DRAINING";
    default:
      return node.draining() ? "DRAINING" : "SERVING";
  }
}

void PrintNodes(Session& session, const tranche::v1::ListNodesResponse& nodes) {
  Table table({"NODE", "INCARNATION", "ADDRESS", "STARTED", "STATE", "STILL HOLDS"});
  for (const tranche::v1::Node& node : nodes.nodes()) {
    table.AddRow({node.name(), absl::StrCat(node.incarnation()), node.address(), FormatTime(node.start_time()),
                  State(node), node.draining() ? absl::StrCat(node.units_held()) : "-"});
  }
  session.Print(table);
}

void ListNodes(Session& session) {
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

template <typename Request, typename Response>
void Change(Session& session, Request request, const std::string& node, bool yes,
            grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  request.set_node(node);
  request.set_preview(!yes);
  const auto response = session.Admin(method, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  const tranche::v1::Node& after = response->node();
  if (session.json()) {
    PrintChangeJson(session, response->before(), after, !yes);
  } else {
    Table table({"NODE", "INCARNATION", "ADDRESS", "STATE"});
    table.AddRow({after.name(), absl::StrCat(after.incarnation()), after.address(),
                  Arrow(State(response->before()), State(after))});
    session.Print(table);
  }
  if (!yes) SayHowToApply(session);
}

void AddDrain(CLI::App* node, Session& session) {
  struct Flags {
    std::string node;
    bool exit = false;
    bool yes = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* drain = node->add_subcommand(
      "drain", "Take a node out of the sale: it answers what it has accepted, hands its units back and waits");
  drain->add_option("NODE", flags->node, "Its name or incarnation")->required();
  drain->add_flag("--exit", flags->exit, "Then its process ends, instead of waiting to be undrained");
  AddYesFlag(drain, flags->yes);
  drain->footer(
      "`node list` says DRAINED when all its units are handed back.\n"
      "Examples:\n"
      "  tranchectl node drain node-3 --yes          before maintenance; afterwards: node undrain node-3 --yes\n"
      "  tranchectl node drain node-3 --exit --yes   before a new version is started in its place");
  drain->callback([&session, flags] {
    tranche::v1::DrainNodeRequest request;
    request.set_stay(!flags->exit);
    Change(session, request, flags->node, flags->yes, &AdminService::Stub::DrainNode);
  });
}

void AddUndrain(CLI::App* node, Session& session) {
  auto name = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  CLI::App* undrain = node->add_subcommand("undrain", "Take a drained node back into the sale");
  undrain->add_option("NODE", *name, "Its name or incarnation")->required();
  AddYesFlag(undrain, *yes);
  undrain->footer("Example:\n  tranchectl node undrain node-3 --yes");
  undrain->callback([&session, name, yes] {
    Change(session, tranche::v1::UndrainNodeRequest(), *name, *yes, &AdminService::Stub::UndrainNode);
  });
}

}  // namespace

void AddNodeCommands(CLI::App& app, Session& session) {
  CLI::App* node = app.add_subcommand("node", "The front nodes");
  node->require_subcommand(1);
  node->add_subcommand("list", "The live nodes")->callback([&session] { ListNodes(session); });
  AddDrain(node, session);
  AddUndrain(node, session);
}

}  // namespace tranche::ctl
