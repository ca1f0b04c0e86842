// tranchectl queue list|pause|resume and queue dead list|show|retry|discard

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/live_view.h"
#include "client/ctl/parse.h"
#include "client/ctl/queue_view.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::ListClaimQueuesResponse;
using tranche::v1::ListDeadClaimsResponse;
using tranche::v1::SettleDeadClaimsRequest;
using tranche::v1::SettleDeadClaimsResponse;

// A node asks the broker, which may take seconds.
constexpr absl::Duration kBrokerPatience = absl::Seconds(15);
constexpr int kMostDeadListed = 1000;

struct QueueFlags {
  bool watch = false;
  std::string interval = "1s";
};

struct DeadFlags {
  std::string queue;
  std::vector<std::string> ids;
  bool yes = false;
};

// The ids that are meant, by queue; none: all of that queue.
using DeadTargets = std::map<std::string, std::vector<std::string>>;

absl::StatusOr<ListClaimQueuesResponse> LookAtQueues(Session& session) {
  return session.Admin(&AdminService::Stub::ListClaimQueues, tranche::v1::ListClaimQueuesRequest(), kBrokerPatience);
}

absl::StatusOr<ListDeadClaimsResponse> LookAtDead(Session& session, const std::string& queue, int limit) {
  tranche::v1::ListDeadClaimsRequest request;
  request.set_queue(queue);
  request.set_limit(limit);
  return session.Admin(&AdminService::Stub::ListDeadClaims, request, kBrokerPatience);
}

void ListQueues(Session& session, const QueueFlags& flags) {
  const absl::StatusOr<absl::Duration> interval = OfFlag("--interval", ParseDuration(flags.interval));
  if (!interval.ok()) return session.FailLocally(interval.status().message());
  if (!flags.watch) {
    const auto queues = LookAtQueues(session);
    if (!queues.ok()) return session.FailRemotely(queues.status());
    return PrintClaimQueues(session, *queues, /*one_line=*/false);
  }
  WatchLive<ListClaimQueuesResponse>(
      session, *interval, [&] { return LookAtQueues(session); },
      [&](const ListClaimQueuesResponse& queues) { PrintClaimQueues(session, queues, /*one_line=*/true); });
}

const char* RestText(bool paused) { return paused ? "REST" : "TAKE CLAIMS"; }

void SetQueuesPaused(Session& session, bool paused, bool yes) {
  tranche::v1::SetClaimQueuePausedRequest request;
  request.set_paused(paused);
  request.set_preview(!yes);
  const auto response = session.Admin(&AdminService::Stub::SetClaimQueuePaused, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  const bool before = response->changed() ? !paused : paused;
  if (session.json()) {
    PrintChangeJson(session, nlohmann::ordered_json{{"paused", before}}, nlohmann::ordered_json{{"paused", paused}},
                    !yes);
  } else {
    Table table({"CONSUMERS"});
    table.AddRow({Arrow(RestText(before), RestText(paused))});
    session.Print(table);
  }
  if (yes) return;
  response->changed() ? SayHowToApply(session) : SayNothingWouldChange(session);
}

bool MatchesId(const tranche::v1::DeadClaim& dead, const std::string& id) {
  return dead.message_id() == id || dead.reservation_id() == id;
}

void ListDeadOf(Session& session, const std::string& queue, int limit) {
  const auto dead = LookAtDead(session, queue, limit);
  if (!dead.ok()) return session.FailRemotely(dead.status());
  PrintDeadClaims(session, *dead);
  if (dead->claims_size() == limit) session.err() << "There may be more; --limit shows more, up to 1000.\n";
}

absl::Status NoSuchDeadClaim(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("\"", id, "\" is none of the first ", kMostDeadListed,
                                          " dead claims: `tranchectl queue dead list` shows them; --queue looks at one "
                                          "queue only"));
}

void ShowDeadOf(Session& session, const std::string& queue, const std::string& id) {
  const auto dead = LookAtDead(session, queue, kMostDeadListed);
  if (!dead.ok()) return session.FailRemotely(dead.status());
  const auto found = std::find_if(dead->claims().begin(), dead->claims().end(),
                                  [&](const tranche::v1::DeadClaim& claim) { return MatchesId(claim, id); });
  if (found == dead->claims().end()) return session.FailLocally(NoSuchDeadClaim(id).message());
  PrintDeadClaim(session, *found);
}

// Each of the ids in its queue. kNotFound: our own, about one that is not there.
absl::StatusOr<DeadTargets> FindTargets(Session& session, const std::vector<std::string>& ids) {
  ASSIGN_OR_RETURN(const ListDeadClaimsResponse dead, LookAtDead(session, "", kMostDeadListed));
  DeadTargets targets;
  for (const std::string& id : ids) {
    const auto found = std::find_if(dead.claims().begin(), dead.claims().end(),
                                    [&](const tranche::v1::DeadClaim& claim) { return MatchesId(claim, id); });
    if (found == dead.claims().end()) return NoSuchDeadClaim(id);
    targets[found->queue()].push_back(found->message_id());
  }
  return targets;
}

absl::StatusOr<DeadTargets> TargetsOf(Session& session, const DeadFlags& flags) {
  DeadTargets targets;
  if (!flags.queue.empty()) {
    targets[flags.queue] = flags.ids;
    return targets;
  }
  if (!flags.ids.empty()) return FindTargets(session, flags.ids);
  ASSIGN_OR_RETURN(const ListClaimQueuesResponse queues, LookAtQueues(session));
  for (const tranche::v1::ClaimQueueState& queue : queues.queues()) {
    if (queue.dead() > 0) targets[queue.queue()];
  }
  return targets;
}

void SettleDead(Session& session, const DeadFlags& flags, SettleDeadClaimsRequest::Action action) {
  const absl::StatusOr<DeadTargets> targets = TargetsOf(session, flags);
  if (!targets.ok()) {
    const bool ours = absl::IsNotFound(targets.status()) && ReasonNameOf(targets.status()).empty();
    if (ours) return session.FailLocally(targets.status().message());
    return session.FailRemotely(targets.status());
  }
  SettleDeadClaimsResponse all;
  absl::Status error;
  for (const auto& [queue, ids] : *targets) {
    SettleDeadClaimsRequest request;
    request.set_queue(queue);
    for (const std::string& id : ids) request.add_message_ids(id);
    request.set_action(action);
    request.set_preview(!flags.yes);
    const auto settled = session.Admin(&AdminService::Stub::SettleDeadClaims, request, kBrokerPatience);
    if (!settled.ok()) {
      error = settled.status();
      break;
    }
    all.set_settled(all.settled() + settled->settled());
    all.mutable_claims()->MergeFrom(settled->claims());
    all.mutable_warnings()->MergeFrom(settled->warnings());
  }
  // Of the queues before the one with the error, it is done.
  if (error.ok() || all.settled() > 0) PrintSettled(session, all, !flags.yes);
  if (!error.ok()) return session.FailRemotely(error);
  if (flags.yes) return;
  if (all.settled() > 0) return SayHowToApply(session);
  session.err() << "There is no such dead claim: nothing would change.\n";
}

CLI::Option* AddQueueFlag(CLI::App* command, std::string& queue, const char* text) {
  return TakesNameOf(NameKind::kQueue, command->add_option("--queue", queue, text));
}

void AddPauseCommands(CLI::App* queue, Session& session) {
  struct Kind {
    const char* name;
    bool paused;
    const char* description;
    const char* note;
  };
  for (const Kind& kind :
       {Kind{"pause", true, "Let the consumers of all queues rest; claims still come in and wait",
             "Within a second or two, consumers finish what they have and take no more. A claim that waits beyond its\n"
             "deadline is refused. To stop the sale of a SKU instead: `tranchectl sku pause`.\n"},
        Kind{"resume", false, "Let them take claims again", ""}}) {
    auto yes = std::make_shared<bool>(false);
    CLI::App* command = queue->add_subcommand(kind.name, kind.description);
    AddYesFlag(command, *yes);
    command->footer(absl::StrCat(kind.note, "Example:\n  tranchectl queue ", kind.name, " --yes --reason 'why'"));
    command->callback([&session, yes, paused = kind.paused] { SetQueuesPaused(session, paused, *yes); });
  }
}

void AddSettleCommand(CLI::App* dead, Session& session, const char* name, SettleDeadClaimsRequest::Action action,
                      const char* description, const char* note) {
  auto flags = std::make_shared<DeadFlags>();
  CLI::App* command = dead->add_subcommand(name, description);
  command->add_option("ID", flags->ids,
                      "As in `tranchectl queue dead list`; without any: all, at most 1000 of a queue");
  AddQueueFlag(command, flags->queue, "Only of this queue; default: of all");
  AddYesFlag(command, flags->yes);
  command->footer(absl::StrCat(note, "Examples:\n  tranchectl queue dead ", name,
                               "                shows what would be done with all\n  tranchectl queue dead ", name,
                               " 018f4c3a-0000-7000-8000-000000000001 --yes\n  tranchectl queue dead ", name,
                               " --queue tranche.claims.home.0 --yes --reason 'why'"));
  command->callback([&session, flags, action] { SettleDead(session, *flags, action); });
}

void AddDeadCommands(CLI::App* queue, Session& session) {
  CLI::App* dead = queue->add_subcommand("dead", "Claims that could not be decided");
  dead->require_subcommand(1);
  dead->footer(
      "Their buyers still hear \"queued\": retry them when what was in the way is gone, or discard them.\n"
      "Example:\n  tranchectl queue dead list");

  auto listed = std::make_shared<std::string>();
  auto limit = std::make_shared<int>(100);
  CLI::App* list = dead->add_subcommand("list", "Which there are, the oldest of each queue first");
  AddQueueFlag(list, *listed, "Only those of this queue");
  list->add_option("--limit", *limit, "How many")->capture_default_str()->check(CLI::Range(1, kMostDeadListed));
  list->footer(
      "REASON, as the broker says: rejected (it cannot be read), delivery_limit (it ended five consumers, or was "
      "given\n"
      "back five times), maxlen.\n"
      "Examples:\n"
      "  tranchectl queue dead list -o wide    also when it was queued, and its deadline\n"
      "  tranchectl queue dead list --queue tranche.claims.home.0 -o json");
  list->callback([&session, listed, limit] { ListDeadOf(session, *listed, *limit); });

  auto shown_queue = std::make_shared<std::string>();
  auto shown = std::make_shared<std::string>();
  CLI::App* show = dead->add_subcommand("show", "One of them");
  show->add_option("ID", *shown, "As in `tranchectl queue dead list`, or its reservation's id")->required();
  AddQueueFlag(show, *shown_queue, "Only look at this queue");
  show->footer("Example:\n  tranchectl queue dead show 018f4c3a-0000-7000-8000-000000000001");
  show->callback([&session, shown_queue, shown] { ShowDeadOf(session, *shown_queue, *shown); });

  AddSettleCommand(dead, session, "retry", SettleDeadClaimsRequest::ACTION_RETRY,
                   "Put them into their queue again, at its end",
                   "A claim keeps its deadline: one that is over is refused with DEADLINE_PASSED. A claim that is\n"
                   "retried twice is decided once.\n");
  AddSettleCommand(dead, session, "discard", SettleDeadClaimsRequest::ACTION_DISCARD,
                   "Refuse them for good; their buyers hear CLAIM_DISCARDED",
                   "What was sold before stays sold. What cannot be read is dropped, and nobody learns what became of "
                   "it.\n");
}

}  // namespace

void AddQueueCommands(CLI::App& app, Session& session) {
  CLI::App* queue = app.add_subcommand("queue", "The queues of claims that are decided soon, and not at once");
  queue->require_subcommand(1);
  queue->footer(
      "Which SKUs' claims are queued: `tranchectl sku update SKU --path queue`, or auto.\n"
      "Example:\n  tranchectl queue list");

  auto flags = std::make_shared<QueueFlags>();
  CLI::App* list = queue->add_subcommand("list", "How full they are, who takes from them, and what is dead");
  list->add_flag("-w,--watch", flags->watch, "Show it again and again, with the time, until it is interrupted");
  list->add_option("--interval", flags->interval, "Time between two looks of --watch")->capture_default_str();
  list->footer(
      "READY: claims that no consumer has yet. CONSUMERS: connected ones; none while claims are ready means that they\n"
      "wait for their deadlines. DEAD: see `tranchectl queue dead`.\n"
      "Examples:\n"
      "  tranchectl queue list --watch\n"
      "  tranchectl queue list -o json | jq '[.queues[].ready | tonumber] | add'");
  list->callback([&session, flags] { ListQueues(session, *flags); });

  AddPauseCommands(queue, session);
  AddDeadCommands(queue, session);
}

}  // namespace tranche::ctl
