// tranchectl node list|drain|undrain

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/live_view.h"
#include "client/ctl/parse.h"
#include "storage/base/status_macros.h"

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

// The units that it holds; nullopt if the cluster has not counted them, and so says 0.
std::optional<int64_t> UnitsHeld(const tranche::v1::Node& node) {
  if (node.units_held() == 0 && node.state() != tranche::v1::NODE_STATE_DRAINED) return std::nullopt;
  return node.units_held();
}

std::string UnitsText(const tranche::v1::Node& node) {
  const std::optional<int64_t> held = UnitsHeld(node);
  return held.has_value() ? absl::StrCat(*held) : "-";
}

// Without what is not known.
nlohmann::ordered_json NodeJson(const tranche::v1::Node& node) {
  nlohmann::ordered_json json = ToJson(node);
  if (!UnitsHeld(node).has_value()) json.erase("units_held");
  return json;
}

// Consumers take from queues; all others serve buyers.
void PrintNodes(Session& session, const tranche::v1::ListNodesResponse& nodes) {
  Table table({"NODE", "INCARNATION", "ADDRESS", "STARTED", "STATE", "STILL HOLDS", "KIND"});
  for (const tranche::v1::Node& node : nodes.nodes()) {
    table.AddRow({node.name(), absl::StrCat(node.incarnation()), node.address(), FormatTime(node.start_time()),
                  State(node), UnitsText(node), node.consumer() ? "consumer" : "node"});
  }
  session.Print(table);
}

absl::StatusOr<tranche::v1::ListNodesResponse> AllNodes(Session& session) {
  tranche::v1::ListNodesRequest request;
  tranche::v1::ListNodesResponse all;
  do {
    ASSIGN_OR_RETURN(const auto page, session.Admin(&AdminService::Stub::ListNodes, request));
    all.mutable_nodes()->MergeFrom(page.nodes());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

void ListNodes(Session& session) {
  const auto nodes = AllNodes(session);
  if (!nodes.ok()) return session.FailRemotely(nodes.status());
  if (!session.json()) return PrintNodes(session, *nodes);
  nlohmann::ordered_json json = ToJson(*nodes);
  for (int i = 0; i < nodes->nodes_size(); ++i) json["nodes"][i] = NodeJson(nodes->nodes(i));
  session.out() << json.dump(1) << "\n";
}

template <typename Response>
void PrintNodeChange(Session& session, const Response& response, bool preview) {
  const tranche::v1::Node& before = response.before();
  const tranche::v1::Node& after = response.node();
  if (session.json()) {
    nlohmann::ordered_json more = nlohmann::ordered_json::object();
    if constexpr (requires { response.warnings(); }) {
      more["warnings"] = WarningsJson(response);
    }
    PrintChangeJson(session, NodeJson(before), NodeJson(after), preview, more);
  } else {
    Table table({"NODE", "INCARNATION", "ADDRESS", "STATE", "UNITS"});
    table.AddRow({after.name(), absl::StrCat(after.incarnation()), after.address(), Arrow(State(before), State(after)),
                  UnitsText(before)});
    session.Print(table);
  }
}

struct DrainFlags {
  std::string node;
  bool exit = false;
  bool wait = false;
  bool yes = false;
};

// The node of this incarnation; nullopt when it is gone.
absl::StatusOr<std::optional<tranche::v1::Node>> FindNode(Session& session, int64_t incarnation) {
  ASSIGN_OR_RETURN(const tranche::v1::ListNodesResponse nodes, AllNodes(session));
  for (const tranche::v1::Node& node : nodes.nodes()) {
    if (node.incarnation() == incarnation) return std::optional(node);
  }
  return std::nullopt;
}

// Until the node has handed all its units back and, if it is to end, has ended. Says on stderr how many are left. While
// the cluster does not answer, it asks again.
void AwaitDrained(Session& session, const tranche::v1::Node& draining, bool exits) {
  constexpr absl::Duration kPause = absl::Milliseconds(500);
  int64_t told = -1;
  while (true) {
    const absl::StatusOr<std::optional<tranche::v1::Node>> node = FindNode(session, draining.incarnation());
    if (!node.ok() && !MayPass(node.status())) return session.FailRemotely(node.status());
    if (!node.ok()) {
      session.err() << "asking again: " << DescribeError(node.status()) << std::endl;
    } else if (!node->has_value()) {
      if (exits) {
        session.err() << draining.name() << " has left.\n";
        return;
      }
      // Its process may be frozen and come back: then it begins a new incarnation, which does not drain.
      session.err()
          << "tranchectl: " << draining.name()
          << " was lost before it was drained. What it held goes to the others; if it comes back, it serves\n";
      session.exit_code = kExitRemote;
      return;
    } else if (!(*node)->draining()) {
      session.err() << "tranchectl: " << draining.name() << " was taken back into the sale meanwhile\n";
      session.exit_code = kExitRemote;
      return;
    } else if ((*node)->state() == tranche::v1::NODE_STATE_DRAINED && !exits) {
      session.err() << draining.name() << " is drained.\n";
      return;
    } else if (const int64_t held = UnitsHeld(**node).value_or(told); held != std::exchange(told, held)) {
      session.err() << draining.name() << " still holds " << told << " units" << std::endl;
    }
    absl::SleepFor(kPause);
  }
}

void Drain(Session& session, const DrainFlags& flags) {
  if (flags.wait && !flags.yes) return session.FailLocally("--wait goes with --yes");
  tranche::v1::DrainNodeRequest request;
  request.set_node(flags.node);
  request.set_stay(!flags.exit);
  request.set_preview(!flags.yes);
  const auto response = session.Admin(&AdminService::Stub::DrainNode, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintWarnings(session, *response);
  PrintNodeChange(session, *response, !flags.yes);
  if (!flags.yes && !response->before().draining()) return SayHowToApply(session);
  if (!flags.yes) {
    session.err() << "It drains already: nothing would change, except that its process would "
                  << (flags.exit ? "end" : "wait to be undrained") << " when it is drained.\n";
  }
  if (flags.wait) AwaitDrained(session, response->node(), flags.exit);
}

void Undrain(Session& session, const std::string& node, bool yes) {
  tranche::v1::UndrainNodeRequest request;
  request.set_node(node);
  request.set_preview(!yes);
  const auto response = session.Admin(&AdminService::Stub::UndrainNode, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintNodeChange(session, *response, !yes);
  if (yes) return;
  if (response->before().draining()) return SayHowToApply(session);
  SayNothingWouldChange(session);
}

void AddDrain(CLI::App* node, Session& session) {
  auto flags = std::make_shared<DrainFlags>();
  CLI::App* drain = node->add_subcommand(
      "drain",
      "Take a running node out of the sale: it answers what it has accepted, hands its units back and waits. "
      "Started again, it serves");
  TakesNameOf(NameKind::kNode, drain->add_option("NODE", flags->node, "Its name or incarnation"))->required();
  drain->add_flag("--exit", flags->exit, "Then its process ends, instead of waiting to be undrained");
  drain->add_flag("--wait", flags->wait, "Return when it is drained; with --exit, when it has left");
  AddYesFlag(drain, flags->yes);
  drain->footer(
      "`node list` says DRAINED when all its units are handed back.\n"
      "Examples:\n"
      "  tranchectl node drain node-3                       shows its units, and whether it is the last that serves\n"
      "  tranchectl node drain node-3 --yes --wait          before maintenance; afterwards: node undrain node-3 --yes\n"
      "  tranchectl node drain node-3 --exit --yes --wait   before a new version is started in its place");
  drain->callback([&session, flags] { Drain(session, *flags); });
}

void AddUndrain(CLI::App* node, Session& session) {
  auto name = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  CLI::App* undrain = node->add_subcommand("undrain", "Take a drained node back into the sale");
  TakesNameOf(NameKind::kNode, undrain->add_option("NODE", *name, "Its name or incarnation"))->required();
  AddYesFlag(undrain, *yes);
  undrain->footer("Example:\n  tranchectl node undrain node-3 --yes");
  undrain->callback([&session, name, yes] { Undrain(session, *name, *yes); });
}

}  // namespace

void AddNodeCommands(CLI::App& app, Session& session) {
  CLI::App* node = app.add_subcommand("node", "The front nodes");
  node->require_subcommand(1);
  node->footer("Example:\n  tranchectl node list");
  CLI::App* list = node->add_subcommand("list", "The live nodes");
  list->footer(
      "Two nodes of one name have different incarnations, which every command takes instead of the name.\n"
      "Example:\n  tranchectl node list");
  list->callback([&session] { ListNodes(session); });
  AddDrain(node, session);
  AddUndrain(node, session);
}

}  // namespace tranche::ctl
