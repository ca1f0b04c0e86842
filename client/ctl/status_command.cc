// tranchectl status

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "client/ctl/commands.h"
#include "client/ctl/live_view.h"
#include "client/ctl/parse.h"
#include "client/ctl/status_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::GetStatusResponse;

constexpr absl::Duration kLeastPatience = absl::Seconds(1);

struct StatusFlags {
  bool watch = false;
  bool exit_when_healthy = false;
  std::string interval = "1s";
};

absl::StatusOr<GetStatusResponse> AskCluster(Session& session, absl::Duration limit = kUsualTimeout) {
  return session.Admin(&tranche::v1::AdminService::Stub::GetStatus, tranche::v1::GetStatusRequest(), limit);
}

void TellWhoWasTried(Session& session) { session.err() << "tried: " << session.endpoints << "\n"; }

// No node said anything.
void FailToAsk(Session& session, const absl::Status& error) {
  session.FailRemotely(error);
  TellWhoWasTried(session);
}

void PrintAndJudge(Session& session, const GetStatusResponse& status, StatusForm form) {
  PrintStatus(session, status, form);
  session.exit_code = Healthy(status) ? kExitOk : kExitUnhealthy;
}

void ShowStatus(Session& session) {
  const auto status = AskCluster(session);
  if (!status.ok()) return FailToAsk(session, status.status());
  PrintAndJudge(session, *status, StatusForm::kIndented);
}

// Until there is no problem, or the time is over; then it ends with the last answer.
void AwaitHealthy(Session& session, absl::Duration interval) {
  // --timeout is of the whole wait; each call has what is left of it, and a second to be answered at all.
  const std::string limit_text = std::exchange(session.timeout, "");
  absl::Duration limit = absl::InfiniteDuration();
  if (!limit_text.empty()) {
    const auto parsed = OfFlag("--timeout", ParseDuration(limit_text));
    if (!parsed.ok()) return session.FailLocally(parsed.status().message());
    limit = *parsed;
  }
  const absl::Time end = absl::Now() + limit;
  std::string told;
  while (true) {
    const auto status = AskCluster(session, std::clamp(end - absl::Now(), kLeastPatience, kUsualTimeout));
    const bool over = absl::Now() + interval >= end;
    if (status.ok() && (Healthy(*status) || over)) return PrintAndJudge(session, *status, StatusForm::kIndented);
    if (!status.ok() && (over || !MayPass(status.status()))) return FailToAsk(session, status.status());
    std::string now = status.ok() ? VerdictOf(*status) : DescribeError(status.status());
    if (now != told) session.err() << "waiting: " << now << std::endl;
    told = std::move(now);
    absl::SleepFor(interval);
  }
}

void RunStatus(Session& session, const StatusFlags& flags) {
  const absl::StatusOr<absl::Duration> interval = OfFlag("--interval", ParseDuration(flags.interval));
  if (!interval.ok()) return session.FailLocally(interval.status().message());
  if (flags.exit_when_healthy) return AwaitHealthy(session, *interval);
  if (!flags.watch) return ShowStatus(session);
  bool seen = false;
  WatchLive<GetStatusResponse>(
      session, *interval, [&] { return AskCluster(session); },
      [&](const GetStatusResponse& status) {
        seen = true;
        PrintAndJudge(session, status, StatusForm::kOneLine);
      });
  if (!seen) TellWhoWasTried(session);
}

}  // namespace

void AddStatusCommand(CLI::App& app, Session& session) {
  auto flags = std::make_shared<StatusFlags>();
  CLI::App* status = app.add_subcommand("status",
                                        "What runs, what does not, and what waits: databases, ZooKeeper, balancers, "
                                        "workers, nodes, sinks. Exit status: 0 "
                                        "healthy; 1 wrong usage; 2 no node could be asked; 3 something is wrong");
  CLI::Option* watch =
      status->add_flag("-w,--watch", flags->watch, "Show it again and again, with the time, until it is interrupted");
  status
      ->add_flag("--exit-when-healthy", flags->exit_when_healthy,
                 "Wait until nothing is wrong, --timeout at most; without --timeout there is no limit")
      ->excludes(watch);
  status->add_option("--interval", flags->interval, "Time between two looks")->capture_default_str();
  status->footer(
      "Any node answers, also while PostgreSQL or ZooKeeper is down. Each problem comes with its next step.\n"
      "A process counts as gone when it has not been seen for 20 s.\n"
      "Examples:\n"
      "  tranchectl status\n"
      "  tranchectl status --watch\n"
      "  tranchectl status --exit-when-healthy --timeout 2m\n"
      "  tranchectl status -o json");
  status->callback([&session, flags] { RunStatus(session, *flags); });
}

}  // namespace tranche::ctl
