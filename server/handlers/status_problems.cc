#include "server/handlers/status_problems.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

constexpr auto kCritical = v1::PROBLEM_SEVERITY_CRITICAL;
constexpr auto kWarning = v1::PROBLEM_SEVERITY_WARNING;
constexpr auto kNotice = v1::PROBLEM_SEVERITY_NOTICE;
// The sink that there is from the start, whether anybody delivers to it or not.
constexpr char kFirstSink[] = "default";
// Counts in the status stop here.
constexpr int64_t kCountsStopAt = 10'000;

absl::Duration DurationIn(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::Time TimeIn(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string Count(int64_t count) { return absl::StrCat(count, count >= kCountsStopAt ? " or more" : ""); }

std::string Plural(int64_t count, const char* one, const char* many) {
  return absl::StrCat(Count(count), " ", count == 1 ? one : many);
}

// In whole seconds, or less exactly if it is long.
std::string Roughly(absl::Duration duration) {
  const absl::Duration unit = duration < absl::Hours(1) ? absl::Seconds(1) : absl::Minutes(1);
  return absl::FormatDuration(absl::Trunc(duration, unit));
}

class Finder {
 public:
  explicit Finder(const v1::GetStatusResponse& found) : found_(found), now_(TimeIn(found.time())) {}

  std::vector<v1::Problem> Find() {
    LookAtServiceMode();
    LookAtCoordination();
    for (const v1::ShardStatus& shard : found_.shards()) LookAtShard(shard);
    LookAtNodes();
    for (const v1::Room& room : found_.rooms()) LookAtRoom(room);
    LookAtClaimQueues();
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const v1::Problem& a, const v1::Problem& b) { return a.severity() > b.severity(); });
    return std::move(problems_);
  }

 private:
  using Since = std::optional<absl::Time>;

  void Add(const char* code, v1::ProblemSeverity severity, const std::string& subject, std::string text,
           std::string next_step, Since since = std::nullopt) {
    v1::Problem& problem = problems_.emplace_back();
    problem.set_code(code);
    problem.set_severity(severity);
    problem.set_subject(subject);
    problem.set_text(std::move(text));
    problem.set_next_step(std::move(next_step));
    if (since.has_value()) *problem.mutable_since_time() = ToTimestamp(*since);
  }

  std::string TimeText(absl::Time time) const {
    const char* format = now_ - time < absl::Hours(12) ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S";
    return absl::FormatTime(format, time, absl::UTCTimeZone());
  }
  std::string AtText(absl::Time time) const { return absl::StrCat(" at ", TimeText(time)); }
  // " since 14:03:21"; "" if it is not known.
  std::string SinceText(const Since& since) const {
    return since.has_value() ? absl::StrCat(" since ", TimeText(*since)) : "";
  }
  // " was heard of since 14:03:21", after "No worker".
  std::string HeardOfText(const Since& since) const {
    return since.has_value() ? absl::StrCat(" was heard of", SinceText(since)) : " was heard of within a day";
  }
  absl::Time Ago(const google::protobuf::Duration& age) const { return now_ - DurationIn(age); }

  void LookAtCoordination() {
    const v1::CoordinationStatus& coordination = found_.coordination();
    if (coordination.tree_gone()) {
      return Add(
          "TREE_GONE", kCritical, "",
          absl::StrCat("ZooKeeper answers, and Tranche's tree is not there or incomplete: ", coordination.error(),
                       ". Nodes sell what they hold and take from the pools; what dead or idle nodes hold stays with "
                       "them."),
          "see whether somebody deleted it, or the chroot in --zookeeper is another one; a leading balancer "
          "restores the tree, and the nodes register again by themselves");
    }
    if (coordination.answers()) return;
    // Not since when it is silent: it was not asked in between.
    const std::string last =
        coordination.has_last_answer_time()
            ? absl::StrCat(" It last answered a status", AtText(TimeIn(coordination.last_answer_time())), ".")
            : "";
    Add("ZOOKEEPER_SILENT", kCritical, "",
        absl::StrCat("ZooKeeper does not answer this node: ", coordination.error(), ".", last,
                     " Nodes sell what they hold and take from the pools; what dead or idle nodes hold stays with "
                     "them. Changes of SKUs are made, and nodes hear of them when it is back."),
        "look at the ZooKeeper servers, and at the way to them from the nodes; nodes and balancers go on by "
        "themselves");
  }

  void LookAtShard(const v1::ShardStatus& shard) {
    if (!shard.answers()) return TellWhyItIsSilent(shard);
    LookAtDatabase(shard);
    // Nothing is written there: neither heartbeats nor what those do that send them.
    if (shard.ledger().read_only()) return;
    LookAtWorkers(shard);
    LookAtBalancers(shard);
    LookAtHolds(shard);
    LookAtGroups(shard);
    LookAtDraws(shard);
    for (const v1::OutboxSink& sink : shard.sinks()) LookAtSink(shard, sink);
    LookAtFreeze(shard);
    // While it is frozen, pools wait as they should.
    if (shard.ledger().frozen()) return;
    for (const v1::WaitingPool& pool : shard.pools()) LookAtPool(pool);
  }

  void TellWhyItIsSilent(const v1::ShardStatus& shard) {
    if (!shard.unfit().empty()) {
      return Add(
          "SHARD_UNFIT", kCritical, shard.name(),
          absl::StrCat("This node does not use the database of shard ", shard.name(), ": ", shard.unfit(),
                       ". Nothing on it is sold or paid here."),
          "mend what it says (run tranche-migrate there, or correct the shard's DSN at home); the node looks again "
          "every second");
    }
    if (shard.slow()) {
      return Add("LEDGER_SLOW", kWarning, shard.name(),
                 absl::StrCat("The database of shard ", shard.name(),
                              " answers, and did not tell its state in 0.8 s: ", "what waits there is not known."),
                 "look at what runs there (pg_stat_activity), and at its disk");
    }
    Add("LEDGER_DOWN", kCritical, shard.name(),
        absl::StrCat("The database of shard ", shard.name(), " does not answer this node: ", shard.error(),
                     ". Nothing on it is sold or paid."),
        "look at PostgreSQL there, and at its log; the processes go on by themselves when it answers");
  }

  void LookAtDatabase(const v1::ShardStatus& shard) {
    const v1::LedgerStatus& ledger = shard.ledger();
    if (ledger.read_only()) {
      Add("LEDGER_READ_ONLY", kCritical, shard.name(),
          absl::StrCat("The database of shard ", shard.name(), " takes no changes: it is a standby, or was made ",
                       "read-only. Nothing on it is sold or paid."),
          "promote it, or let --postgres name the server that takes changes (target_session_attrs=read-write)");
    }
    LookAtStandbys(shard);
    const int left = ledger.connections_limit() - ledger.connections_used();
    if (ledger.connections_limit() > 0 && left * 100 < ledger.connections_limit() * kFewConnectionsPercent) {
      Add("CONNECTIONS_FEW", kWarning, shard.name(),
          absl::StrCat("The database of shard ", shard.name(), " has ", std::max(left, 0), " of ",
                       ledger.connections_limit(), " connections left."),
          "raise max_connections or the CONNECTION LIMIT of role and database, or close what else is connected "
          "(pg_stat_activity)");
    }
    if (ledger.stranded_units() > 0) {
      Add("UNITS_STRANDED", kWarning, shard.name(),
          absl::StrCat(Plural(ledger.stranded_units(), "unit", "units"), " on shard ", shard.name(),
                       ledger.stranded_units() == 1 ? " belongs" : " belong", " to ended incarnations: nobody sells ",
                       "them."),
          "run `tranchectl verify`; a `tranchectl sku move` that was not completed leaves such units, too: run it "
          "again");
    }
    if (DurationIn(ledger.oldest_refund()) >= kRefundLateAfter) {
      const absl::Time since = Ago(ledger.oldest_refund());
      Add("REFUNDS_WAITING", kWarning, shard.name(),
          absl::StrCat(Plural(ledger.refunds_waiting(), "payment waits", "payments wait"), " to be refunded on shard ",
                       shard.name(), ", the oldest", SinceText(since), "."),
          "let your payment service act on payment.refund_requested; `tranchectl reconcile` with the provider's "
          "statement notes the refunds that were made",
          since);
    }
  }

  void LookAtStandbys(const v1::ShardStatus& shard) {
    const v1::LedgerStatus& ledger = shard.ledger();
    const int64_t connected = ledger.has_synchronous_standbys() ? ledger.synchronous_standbys() : ledger.standbys();
    const int64_t needed = ledger.standbys_needed();
    if (connected >= needed) return;
    const std::string wait = needed == 1 ? "wait for a standby, and none is connected"
                                         : absl::StrCat("wait for standbys: each needs ", needed, ", ", connected,
                                                        connected == 1 ? " is" : " are", " connected");
    Add("STANDBY_GONE", kCritical, shard.name(),
        absl::StrCat("Commits on shard ", shard.name(), " ", wait, ". Nothing on it is sold or paid."),
        "start the standby; if you accept that a failover loses what is sold meanwhile, let synchronous_standby_names "
        "ask for fewer, or empty it, and reload the server");
  }

  // It was heard of lately: it runs, or it has just ended, perhaps to start again.
  static bool Recent(const v1::ProcessStatus& process) { return DurationIn(process.age()) < kMissedAfter; }
  template <typename Processes>
  static bool AnyRecent(const Processes& processes) {
    return std::any_of(processes.begin(), processes.end(), Recent);
  }
  static bool RecentlyExpires(const v1::ProcessStatus& worker) { return Recent(worker) && worker.expires(); }

  // Since when the workers that expire have not done so with success. nullopt: none expires.
  std::optional<absl::Duration> SinceExpiry(const v1::ShardStatus& shard) const {
    std::optional<absl::Duration> latest;
    for (const v1::ProcessStatus& worker : shard.workers()) {
      if (!RecentlyExpires(worker)) continue;
      // One that has just begun has its time, too.
      const absl::Duration since_start = now_ - TimeIn(worker.start_time());
      const absl::Duration since = worker.has_since_expiry() ? DurationIn(worker.since_expiry()) : since_start;
      latest = std::min(latest.value_or(since), since);
    }
    return latest;
  }

  void LookAtWorkers(const v1::ShardStatus& shard) {
    if (!AnyRecent(shard.workers())) {
      // The latest heartbeat comes first.
      const Since since = shard.workers().empty() ? Since(std::nullopt) : Since(Ago(shard.workers(0).age()));
      return Add(
          "NO_WORKER", kCritical, shard.name(),
          absl::StrCat("No worker of shard ", shard.name(), HeardOfText(since),
                       ": holds do not expire and no messages are delivered."),
          "start tranche-worker, or let its supervisor start it; one that runs says in its log why its heartbeat "
          "is not written",
          since);
    }
    const std::optional<absl::Duration> since_expiry = SinceExpiry(shard);
    if (!since_expiry.has_value()) {
      return Add("NO_EXPIRY", kCritical, shard.name(),
                 absl::StrCat("No worker expires holds on shard ", shard.name(),
                              ": those that run were started with --expire off."),
                 "start a tranche-worker without --expire off");
    }
    if (*since_expiry < kNoExpiryAfter) return;
    const absl::Time since = now_ - *since_expiry;
    Add("NO_EXPIRY", kCritical, shard.name(),
        absl::StrCat("No worker has expired holds on shard ", shard.name(), SinceText(since), ", although some try."),
        "look at the workers' logs, and for what locks the tables (pg_blocking_pids() in pg_stat_activity)", since);
  }

  void LookAtBalancers(const v1::ShardStatus& shard) {
    if (!shard.leader().empty()) return LookAtLeader(shard);
    // Of one that is gone, and led, its last heartbeat is the last that is known.
    const auto leads_on = [](const v1::ProcessStatus& balancer) {
      return balancer.alive() ? absl::ZeroDuration() : DurationIn(balancer.age());
    };
    Since led;
    for (const v1::ProcessStatus& balancer : shard.balancers()) {
      if (!balancer.has_since_led()) continue;
      const absl::Time until = now_ - std::max(DurationIn(balancer.since_led()), leads_on(balancer));
      led = std::max(led.value_or(absl::InfinitePast()), until);
    }
    const char* effect =
        ": nodes sell what they hold and take from the pools; what dead or idle nodes hold stays with them.";
    if (!AnyRecent(shard.balancers())) {
      const Since gone = shard.balancers().empty() ? led : Since(Ago(shard.balancers(0).age()));
      const Since since = led.has_value() ? led : gone;
      return Add(
          "NO_BALANCER", kCritical, shard.name(),
          absl::StrCat("No balancer of shard ", shard.name(), HeardOfText(gone), ", and none leads", SinceText(since),
                       effect),
          "start tranche-balancer, or let its supervisor start it; one that runs says in its log why its heartbeat is "
          "not written",
          since);
    }
    // Without ZooKeeper nobody can lead, and it is not known who does.
    if (!found_.coordination().answers() || found_.coordination().tree_gone()) return;
    // After an orderly end another one leads soon, and at the first start it takes a moment, too.
    if (now_ - led.value_or(FirstStart(shard)) < kMissedAfter) return;
    Add("NO_LEADER", kCritical, shard.name(),
        absl::StrCat("Balancers run for shard ", shard.name(), ", and none leads", SinceText(led), effect),
        "look at the balancers' logs: they reach neither ZooKeeper nor the ledger, or the tree is another ledger's",
        led);
  }

  // Of the balancers that run.
  static absl::Time FirstStart(const v1::ShardStatus& shard) {
    absl::Time first = absl::InfiniteFuture();
    for (const v1::ProcessStatus& balancer : shard.balancers()) {
      if (Recent(balancer)) first = std::min(first, TimeIn(balancer.start_time()));
    }
    return first;
  }

  // How long it has not finished a round, not even one that it stood by in.
  absl::Duration IdleFor(const v1::ProcessStatus& balancer) const {
    if (balancer.has_since_round()) return DurationIn(balancer.since_round());
    return balancer.has_leads_for() ? DurationIn(balancer.leads_for()) : now_ - TimeIn(balancer.start_time());
  }

  void LookAtLeader(const v1::ShardStatus& shard) {
    for (const v1::ProcessStatus& balancer : shard.balancers()) {
      // One that hangs in its first round as leader does not say yet that it leads; ZooKeeper does.
      if (!balancer.alive() || !(balancer.leads() || balancer.name() == shard.leader())) continue;
      const absl::Duration idle = IdleFor(balancer);
      if (idle < kNoRoundAfter) continue;
      const absl::Time since = now_ - idle;
      Add("LEADER_STUCK", kCritical, shard.name(),
          absl::StrCat("Balancer ", balancer.name(), " leads shard ", shard.name(), " and has finished no round",
                       SinceText(since),
                       ": nodes sell what they hold and take from the pools; what dead or idle nodes hold stays with "
                       "them."),
          "look at its log; if nothing there explains it, restart it: another one leads at once", since);
    }
  }

  bool read_only() const { return found_.service_mode().mode() == v1::SERVICE_MODE_READ_ONLY; }

  // Operators want it so, and may forget it.
  void LookAtServiceMode() {
    const v1::StoredServiceMode& mode = found_.service_mode();
    if (!found_.has_service_mode() || mode.mode() == v1::SERVICE_MODE_NORMAL) return;
    const Since since = mode.has_change_time() ? Since(TimeIn(mode.change_time())) : std::nullopt;
    const char* const effect = read_only()
                                   ? ": buyers can reserve, pay, cancel and extend nothing, and no hold expires."
                                   : ": buyers can reserve nothing; what is reserved can be paid.";
    Add("SERVICE_LIMITED", kWarning, "",
        absl::StrCat("The service mode is ", read_only() ? "READ_ONLY" : "CHANGES_ONLY", SinceText(since), ", set by ",
                     mode.changed_by(), effect),
        "`tranchectl door mode normal --yes` when the reason for it is gone", since);
  }

  void LookAtClaimQueues() {
    if (found_.broker_out_of_reach()) {
      Add("BROKER_SILENT", kCritical, "",
          "The broker does not answer this node. Buyers of SKUs whose claims are queued are refused "
          "(QUEUE_UNAVAILABLE); what is queued waits, and other SKUs are sold as ever.",
          "look at RabbitMQ and its log, for alarms too (rabbitmq-diagnostics check_local_alarms), and at the way to "
          "it "
          "from the nodes; nodes and consumers go on by themselves");
    }
    if (found_.broker_blocked()) {
      Add("BROKER_BLOCKED", kCritical, "",
          "The broker answers, and takes no claims of this node. Buyers of SKUs whose claims are queued are refused "
          "(QUEUE_UNAVAILABLE); what is queued is decided, and other SKUs are sold as ever.",
          "look for alarms of its memory or its disk (rabbitmq-diagnostics check_local_alarms), and free some; without "
          "any, this node's log says why it is not connected");
    }
    int64_t ready = 0;
    for (const v1::ClaimQueueState& queue : found_.claim_queues()) {
      ready += queue.ready();
      LookAtDeadClaims(queue);
    }
    if (found_.claim_queues_paused()) {
      return Add("QUEUES_PAUSED", kWarning, "",
                 absl::StrCat("Consumers of the claim queues rest, by an operator: ",
                              ready > 0 ? absl::StrCat(Plural(ready, "claim waits", "claims wait"),
                                                       ", and is refused at its deadline.")
                                        : "what is queued from now on waits."),
                 "`tranchectl queue resume --yes` when the reason for it is gone; `tranchectl audit --action "
                 "pause_claim_queues` tells who did it");
    }
    for (const v1::ShardStatus& shard : found_.shards()) LookForConsumers(shard.name());
  }

  void LookAtDeadClaims(const v1::ClaimQueueState& queue) {
    if (queue.dead() == 0) return;
    Add("CLAIMS_DEAD", kWarning, queue.queue(),
        absl::StrCat(Plural(queue.dead(), "claim", "claims"), " of the queue ", queue.queue(),
                     " could not be decided: ", queue.dead() == 1 ? "its buyer still hears" : "their buyers still hear",
                     " \"queued\"."),
        absl::StrCat("`tranchectl queue dead list --queue ", queue.queue(),
                     "` says why; then `queue dead retry`, or `queue dead discard`, which refuses them"));
  }

  // One problem for all queues of a shard: a consumer takes from all of them.
  void LookForConsumers(const std::string& shard) {
    int64_t queues = 0, claims = 0;
    for (const v1::ClaimQueueState& queue : found_.claim_queues()) {
      if (queue.shard() != shard || queue.ready() == 0 || queue.consumers() > 0) continue;
      ++queues;
      claims += queue.ready();
    }
    if (queues == 0) return;
    Add("NO_CONSUMER", kCritical, shard,
        absl::StrCat("Nobody takes from ", Plural(queues, "claim queue", "claim queues"), " of shard ", shard, ": ",
                     Plural(claims, "claim waits", "claims wait"), ", and is refused at its deadline."),
        "start tranche-consumer, or let its supervisor start it; one that runs says in its log why it is not "
        "connected");
  }

  void LookAtHolds(const v1::ShardStatus& shard) {
    // They are not to expire then.
    if (read_only()) return;
    const v1::LedgerStatus& ledger = shard.ledger();
    const absl::Duration overdue = DurationIn(ledger.oldest_overdue());
    if (overdue < kOverdueAfter) return;
    const absl::Time since = now_ - overdue;
    const std::string holds = absl::StrCat(Plural(ledger.overdue_holds(), "unpaid hold", "unpaid holds"), " on shard ",
                                           shard.name(), " should have expired, the oldest ", Roughly(overdue), " ago");
    const std::optional<absl::Duration> since_expiry = SinceExpiry(shard);
    if (overdue < kLongOverdueAfter && since_expiry.has_value() && *since_expiry < kNoExpiryAfter) {
      return Add("HOLDS_OVERDUE", kWarning, shard.name(),
                 absl::StrCat("Expiry is behind: ", holds, ". Their units look sold."),
                 "nothing after a burst: a worker works it off, at most --expire-per-s holds a second; look again in a "
                 "minute",
                 since);
    }
    Add("HOLDS_OVERDUE", kCritical, shard.name(), absl::StrCat(holds, ": their units look sold."),
        "see that a worker expires holds; if one does, its log names the SKU that is locked", since);
  }

  void LookAtGroups(const v1::ShardStatus& shard) {
    // They are not to end then.
    if (read_only() || shard.groups_overdue() == 0) return;
    const std::optional<absl::Duration> since_expiry = SinceExpiry(shard);
    const bool expires = since_expiry.has_value() && *since_expiry < kNoExpiryAfter;
    const bool one = shard.groups_overdue() == 1;
    // For how long they are overdue is not known: perhaps a worker works off a burst.
    Add("GROUPS_OVERDUE", expires ? kWarning : kCritical, shard.name(),
        absl::StrCat(Plural(shard.groups_overdue(), "group", "groups"), " on shard ", shard.name(),
                     " should have ended 10 s ago: who has paid waits for their refund, and ", one ? "its" : "their",
                     " units look sold."),
        expires ? "nothing after a burst; if it stays, a worker's log says why, and pg_blocking_pids() in "
                  "pg_stat_activity what locks the SKU. Workers from before schema 26 end no groups"
                : "start a tranche-worker without --expire off: it ends groups, too");
  }

  static std::string DrawName(const v1::WaitingDraw& draw) {
    return absl::StrCat("Draw ", draw.number(), " of ", draw.sku_id());
  }
  static const char* WhatADrawWaitsFor(const v1::WaitingDraw& draw) {
    if (draw.state() == v1::Draw::STATE_CLOSING) return "its list of entries is not sealed";
    if (draw.state() == v1::Draw::STATE_SEEDED) return "its entries are not ranked";
    return "places are free that nobody is given";
  }
  static bool RecentlyDraws(const v1::ProcessStatus& worker) { return Recent(worker) && worker.draws(); }

  void LookAtDraws(const v1::ShardStatus& shard) {
    // Without any worker, that is the problem.
    if (shard.draws().empty() || !AnyRecent(shard.workers())) return;
    if (std::none_of(shard.workers().begin(), shard.workers().end(), RecentlyDraws)) {
      const v1::WaitingDraw& first = shard.draws(0);
      const absl::Time since = Ago(first.waiting_for());
      return Add("DRAW_STALLED", kWarning, shard.name(),
                 absl::StrCat(DrawName(first), " waits", SinceText(since), " (", WhatADrawWaitsFor(first),
                              "), and no worker of shard ", shard.name(),
                              " carries draws on: those that run were started with --draw off."),
                 "start a tranche-worker without --draw off", since);
    }
    for (const v1::WaitingDraw& draw : shard.draws()) LookAtDraw(draw);
  }

  void LookAtDraw(const v1::WaitingDraw& draw) {
    const absl::Duration waiting = DurationIn(draw.waiting_for());
    absl::Duration patience = kDrawStalledAfter;
    if (draw.state() == v1::Draw::STATE_SEEDED) patience += kMillionRankedAfter * (draw.entries() / 1'000'000);
    if (waiting < patience) return;
    const absl::Time since = now_ - waiting;
    Add("DRAW_STALLED", kWarning, draw.sku_id(),
        absl::StrCat(DrawName(draw), " has not gone on", SinceText(since), ": ", WhatADrawWaitsFor(draw), "."),
        "the log of a worker says why; nothing is given while the sale is paused, closed or not open (`tranchectl sku "
        "show`), or while its units are not in the pool (`tranchectl quota show`)",
        since);
  }

  // By one of the workers for which `counts` holds.
  template <typename Counts>
  static bool IsServed(const v1::ShardStatus& shard, const v1::OutboxSink& sink, Counts counts) {
    return std::any_of(shard.workers().begin(), shard.workers().end(), [&](const v1::ProcessStatus& worker) {
      return counts(worker) &&
             std::find(worker.sinks().begin(), worker.sinks().end(), sink.name()) != worker.sinks().end();
    });
  }

  void LookAtUnservedSink(const v1::ShardStatus& shard, const v1::OutboxSink& sink, absl::Time since) {
    // A deployment without messages may be meant so; heartbeats of the last day say whether anybody delivered.
    const bool never_served = !IsServed(shard, sink, [](const v1::ProcessStatus&) { return true; });
    const bool may_be_meant = sink.name() == kFirstSink && never_served;
    const absl::Duration grace = may_be_meant ? kMessageOldAfter : kMissedAfter;
    if (sink.pending() == 0 || DurationIn(sink.oldest_pending()) < grace) return;
    Add("SINK_WITHOUT_WORKER", may_be_meant ? kNotice : kWarning, absl::StrCat(shard.name(), "/", sink.name()),
        absl::StrCat(Plural(sink.pending(), "message waits", "messages wait"), " for sink ", sink.name(), " on shard ",
                     shard.name(), SinceText(since), ", and no worker delivers to it."),
        absl::StrCat("start a tranche-worker with --sink ", sink.name(), "=...; or, if nobody wants them, ",
                     "`tranchectl outbox sink remove ", sink.name(),
                     "` (add another sink first if it is the only one)"),
        since);
  }

  void LookAtSink(const v1::ShardStatus& shard, const v1::OutboxSink& sink) {
    const std::string subject = absl::StrCat(shard.name(), "/", sink.name());
    if (sink.dead() > 0) {
      Add("OUTBOX_DEAD", kWarning, subject,
          absl::StrCat(Plural(sink.dead(), "message", "messages"), " for sink ", sink.name(), " on shard ",
                       shard.name(), sink.dead() == 1 ? " was" : " were", " given up."),
          absl::StrCat("`tranchectl outbox list --sink ", sink.name(),
                       "` says why; mend the receiver, then `tranchectl ", "outbox retry --sink ", sink.name(), "`"));
    }
    const absl::Time since = Ago(sink.oldest_pending());
    // Without any worker, that is the problem.
    if (AnyRecent(shard.workers()) && !IsServed(shard, sink, Recent)) return LookAtUnservedSink(shard, sink, since);
    if (sink.pending() == 0 || DurationIn(sink.oldest_pending()) < kMessageOldAfter) return;
    Add("OUTBOX_OLD", kWarning, subject,
        absl::StrCat(Plural(sink.pending(), "message waits", "messages wait"), " for sink ", sink.name(), " on shard ",
                     shard.name(), ", the oldest", SinceText(since), "."),
        "look at the receiver, and at the log of the worker that delivers to it", since);
  }

  void LookAtFreeze(const v1::ShardStatus& shard) {
    const v1::LedgerStatus& ledger = shard.ledger();
    if (!ledger.frozen()) return;
    const Since since = ledger.has_freeze_time() ? Since(TimeIn(ledger.freeze_time())) : Since(std::nullopt);
    Add("CLUSTER_FROZEN", kWarning, shard.name(),
        absl::StrCat("Shard ", shard.name(), " is frozen by ", ledger.frozen_by(), SinceText(since),
                     ": its balancers move no units. Nodes still take from the pools."),
        "`tranchectl cluster thaw` when they should move again", since);
  }

  void LookAtPool(const v1::WaitingPool& pool) {
    const absl::Duration untouched = DurationIn(pool.untouched_for());
    if (untouched < kPoolStuckAfter) return;
    const absl::Time since = now_ - untouched;
    Add("POOL_STUCK", kWarning, pool.sku_id(),
        absl::StrCat(Plural(pool.units(), "unit", "units"), " of ", pool.sku_id(),
                     pool.units() == 1 ? " waits" : " wait", " in the pool, untouched", SinceText(since), "."),
        "see that a balancer leads and a node serves; if so, the balancer's log names a SKU that is locked", since);
  }

  // While nobody waits, nobody misses anything; nor before the opening, or while enough are let in.
  void LookAtRoom(const v1::Room& room) {
    const int64_t waiting = room.shuffled_waiting() + room.late_waiting();
    if (waiting <= 0) return;
    const std::string who = absl::StrCat("In the waiting room of ", room.sku_id(), " ", waiting,
                                         waiting == 1 ? " buyer waits" : " buyers wait");
    if (room.held() == v1::Room::HELD_RATE_ZERO) {
      return Add(
          "ROOM_HELD", kWarning, room.sku_id(),
          absl::StrCat(who, ", and its policy lets in nobody. They keep their places."),
          absl::StrCat("`tranchectl door set ", room.sku_id(), " --room RATE/s --yes` when buyers may come again"));
    }
    const bool silent = room.held() == v1::Room::HELD_LEDGER_SILENT;
    if (!silent && room.held() != v1::Room::HELD_NO_BALANCER) return;
    const bool computed_once = room.has_compute_time() && !silent;
    const Since since = computed_once ? Since(TimeIn(room.compute_time())) : Since(std::nullopt);
    const std::string why = silent ? "the ledger does not say what is unsold" : "no balancer has computed who is next";
    Add("ROOM_STALLED", kCritical, room.sku_id(),
        absl::StrCat(who, ", and ", why, SinceText(since), ": nobody new is let in. They keep their places."),
        silent ? "see that the SKU's database answers, and what locks its rows; the room goes on by itself"
               : "see that a balancer leads home, and what its log says of rooms; the room goes on by itself",
        since);
  }

  void LookAtNodes() {
    if (!found_.coordination().answers() || found_.coordination().tree_gone()) return;
    const auto serves = [](const v1::NodeStatus& node) {
      return !node.draining() && !node.consumer() && node.unhealthy().empty();
    };
    if (std::none_of(found_.nodes().begin(), found_.nodes().end(), serves)) {
      Add("NO_NODE", kCritical, "", "No node serves: nothing is sold.",
          found_.nodes().empty() ? "start tranched, or let its supervisor start it"
                                 : "`tranchectl node undrain` lets a drained node serve again; or start another");
    }
    for (const v1::NodeStatus& node : found_.nodes()) LookAtNode(node);
    for (const v1::GoneNode& node : found_.gone_nodes()) LookAtGoneNode(node);
  }

  void LookAtFiles(const v1::NodeStatus& node) {
    if (node.faulty_files().empty()) return;
    Add("NODE_FILES_FAULTY", kWarning, node.name(),
        absl::StrCat("Node ", node.name(), " (", node.address(), ") cannot use the files of ",
                     absl::StrJoin(node.faulty_files(), ", "),
                     " as they are now, and goes on with what it read before. With those files it would not start."),
        "look at its log for what is wrong with them, and mend them there: it looks again every second; `tranchectl "
        "access check FILE` reads an access file as a node does");
  }

  void LookAtNode(const v1::NodeStatus& node) {
    LookAtFiles(node);
    if (!node.unhealthy().empty()) {
      Add("NODE_NOT_SERVING", kWarning, node.name(),
          absl::StrCat("Node ", node.name(), " (", node.address(),
                       ") tells callers to go elsewhere (NOT_SERVING): ", node.unhealthy(), "."),
          "look at its log; if calls are overdue while its databases answer, restart it");
    }
    if (node.has_report_age() && DurationIn(node.report_age()) >= kNodeSilentAfter) {
      const absl::Time since = Ago(node.report_age());
      Add("NODE_SILENT", kWarning, node.name(),
          absl::StrCat("Node ", node.name(), " (", node.address(), ") is registered and has not reported",
                       SinceText(since), ": what it sells and whether it reaches the databases is not known."),
          "look at its log, and at its machine's clock (reports bear its time)", since);
    }
    if (!node.cannot_commit() && node.shards_out_of_reach().empty()) return;
    const std::string where =
        node.cannot_commit() ? "home" : absl::StrCat("shard ", absl::StrJoin(node.shards_out_of_reach(), ", "));
    Add("NODE_CANNOT_COMMIT", kCritical, node.name(),
        absl::StrCat("Node ", node.name(), " (", node.address(), ") does not reach the database of ", where,
                     ": it refuses buyers."),
        "look at its log, and at the way from it to PostgreSQL; callers should use another node meanwhile");
  }

  void LookAtGoneNode(const v1::GoneNode& node) {
    if (node.has_end_time() || now_ - TimeIn(node.start_time()) < kUnregisteredAfter) return;
    Add("NODE_GONE", node.units() > 0 ? kCritical : kWarning, node.name(),
        absl::StrCat("Node ", node.name(), " (", node.address(), ", incarnation ", node.incarnation(),
                     ") is not in ZooKeeper any more and still has ", Plural(node.units(), "unit", "units"), "."),
        "a leading balancer takes them back within seconds: see that one leads; then start the node again");
  }

  const v1::GetStatusResponse& found_;
  const absl::Time now_;
  std::vector<v1::Problem> problems_;
};

}  // namespace

std::vector<v1::Problem> ProblemsOf(const v1::GetStatusResponse& found) { return Finder(found).Find(); }

}  // namespace tranche::server
