// tranchectl quota show|set|rebalance

#include <unistd.h>

#include <memory>

#include "absl/time/clock.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/quota_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct ChangeFlags {
  std::string sku_id;
  std::string node;
  int64_t remaining = 0;
  int64_t expected_version = 0;
  bool yes = false;
};

bool ShowOnce(Session& session, const std::string& sku_id) {
  tranche::v1::GetQuotaRequest request;
  request.set_sku_id(sku_id);
  const auto response = session.Admin(&AdminService::Stub::GetQuota, request);
  if (!response.ok()) {
    session.FailRemotely(response.status());
    return false;
  }
  PrintQuota(session, response->quota());
  session.out().flush();
  return true;
}

// Until it is interrupted or the cluster stops answering.
void Watch(Session& session, const std::string& sku_id, const std::string& interval_text) {
  const absl::StatusOr<absl::Duration> interval = ParseDuration(interval_text);
  if (!interval.ok()) return session.FailLocally(absl::StrCat("--interval: ", interval.status().message()));
  const bool redraw = !session.json() && isatty(STDOUT_FILENO) != 0;
  while (true) {
    if (redraw) session.out() << "\x1b[H\x1b[2J";
    if (!ShowOnce(session, sku_id) || !session.out()) return;
    absl::SleepFor(*interval);
  }
}

// A change is always previewed first: when it is carried out, only if the quota is still the one previewed.
template <typename Request, typename Response>
void Change(Session& session, Request request, const ChangeFlags& flags,
            grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  request.set_sku_id(flags.sku_id);
  request.set_preview(true);
  request.set_expected_quota_version(flags.expected_version);
  const auto preview = session.Admin(method, request);
  if (!preview.ok()) return session.FailRemotely(preview.status());
  if (!flags.yes) return PrintQuotaChange(session, preview->before(), preview->after(), /*preview=*/true);
  request.set_preview(false);
  request.set_expected_quota_version(preview->before().quota_version());
  const auto done = session.Admin(method, request);
  if (!done.ok()) return session.FailRemotely(done.status());
  PrintQuotaChange(session, done->before(), done->after(), /*preview=*/false);
}

void AddChangeFlags(CLI::App* command, ChangeFlags& flags) {
  AddYesFlag(command, flags.yes);
  command->add_option("--expect-version", flags.expected_version,
                      "Refuse unless the quota version is still this one, as printed by the preview");
}

void AddShow(CLI::App* quota, Session& session) {
  struct Flags {
    std::string sku_id;
    bool watch = false;
    std::string interval = "1s";
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* show = quota->add_subcommand("show", "Who holds how many unsold units of a SKU");
  show->add_option("SKU", flags->sku_id)->required();
  show->add_flag("-w,--watch", flags->watch, "Show again and again");
  show->add_option("--interval", flags->interval, "Time between two looks of --watch")->capture_default_str();
  show->callback([&session, flags] {
    if (flags->watch) {
      Watch(session, flags->sku_id, flags->interval);
    } else {
      ShowOnce(session, flags->sku_id);
    }
  });
}

}  // namespace

void AddQuotaCommands(CLI::App& app, Session& session) {
  CLI::App* quota = app.add_subcommand("quota", "How a SKU's unsold units are divided among the nodes");
  quota->require_subcommand(1);
  AddShow(quota, session);

  auto set_flags = std::make_shared<ChangeFlags>();
  CLI::App* set =
      quota->add_subcommand("set", "Set what one node may still sell; the other nodes give or get the difference");
  set->add_option("SKU", set_flags->sku_id)->required();
  set->add_option("NODE", set_flags->node, "Its name or incarnation, as in `tranchectl node list`")->required();
  set->add_option("UNITS", set_flags->remaining, "Units it shall have left")
      ->required()
      ->check(CLI::Range(0, 1000000000));
  AddChangeFlags(set, *set_flags);
  set->footer("Example:\n  tranchectl quota set tv node-3 200\n  tranchectl quota set tv node-3 200 --yes");
  set->callback([&session, set_flags] {
    tranche::v1::SetQuotaRequest request;
    request.set_node(set_flags->node);
    request.set_remaining(set_flags->remaining);
    Change(session, request, *set_flags, &AdminService::Stub::SetQuota);
  });

  auto rebalance_flags = std::make_shared<ChangeFlags>();
  CLI::App* rebalance = quota->add_subcommand("rebalance", "Spread the unsold units evenly over the live nodes");
  rebalance->add_option("SKU", rebalance_flags->sku_id)->required();
  AddChangeFlags(rebalance, *rebalance_flags);
  rebalance->footer("Example:\n  tranchectl quota rebalance tv --yes");
  rebalance->callback([&session, rebalance_flags] {
    Change(session, tranche::v1::RebalanceQuotaRequest(), *rebalance_flags, &AdminService::Stub::RebalanceQuota);
  });
}

}  // namespace tranche::ctl
