// tranchectl top

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "client/ctl/commands.h"
#include "client/ctl/live_view.h"
#include "client/ctl/parse.h"
#include "client/ctl/status_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::ListTrafficResponse;

struct TopFlags {
  int limit = 20;
  bool once = false;
  std::string interval = "1s";
};

absl::StatusOr<ListTrafficResponse> LookAtTraffic(Session& session, int limit) {
  tranche::v1::ListTrafficRequest request;
  request.set_limit(limit);
  return session.Admin(&tranche::v1::AdminService::Stub::ListTraffic, request);
}

void PrintTraffic(Session& session, const ListTrafficResponse& traffic, bool one_line) {
  if (session.json()) return one_line ? session.PrintJsonLine(traffic) : session.PrintJson(traffic);
  session.Print(TrafficTable({traffic.skus().begin(), traffic.skus().end()}));
}

void Top(Session& session, const TopFlags& flags) {
  const absl::StatusOr<absl::Duration> interval = OfFlag("--interval", ParseDuration(flags.interval));
  if (!interval.ok()) return session.FailLocally(interval.status().message());
  if (flags.once) {
    const auto traffic = LookAtTraffic(session, flags.limit);
    if (!traffic.ok()) return session.FailRemotely(traffic.status());
    return PrintTraffic(session, *traffic, /*one_line=*/false);
  }
  WatchLive<ListTrafficResponse>(
      session, *interval, [&] { return LookAtTraffic(session, flags.limit); },
      [&](const ListTrafficResponse& traffic) { PrintTraffic(session, traffic, /*one_line=*/true); });
}

}  // namespace

void AddTopCommand(CLI::App& app, Session& session) {
  auto flags = std::make_shared<TopFlags>();
  CLI::App* top =
      app.add_subcommand("top", "The SKUs with the most traffic over all nodes, live until it is interrupted");
  top->add_option("--limit", flags->limit, "How many SKUs")->check(CLI::Range(1, 64))->capture_default_str();
  top->add_flag("--once", flags->once, "Look once");
  top->add_option("--interval", flags->interval, "Time between two looks")->capture_default_str();
  top->footer(
      "Units per second, by the nodes' reports of the last seconds. DENIALS/S: not at hand at a node while units\n"
      "may be unsold elsewhere; the requests wait, and are granted or refused. REFUSED/S: refused because none is\n"
      "left; that much more could be sold. What the terms refuse (paused, not open, closed, limits) is in neither.\n"
      "Examples:\n"
      "  tranchectl top\n"
      "  tranchectl top --once -o json");
  top->callback([&session, flags] { Top(session, *flags); });
}

}  // namespace tranche::ctl
