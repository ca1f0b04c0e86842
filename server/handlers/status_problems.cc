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
    LookAtCoordination();
    for (const v1::ShardStatus& shard : found_.shards()) LookAtShard(shard);
    LookAtNodes();
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

  // " since 14:03:21"; "" if it is not known.
  std::string SinceText(const Since& since) const {
    if (!since.has_value()) return "";
    const char* format = now_ - *since < absl::Hours(12) ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S";
    return absl::StrCat(" since ", absl::FormatTime(format, *since, absl::UTCTimeZone()));
  }
  absl::Time Ago(const google::protobuf::Duration& age) const { return now_ - DurationIn(age); }

  void LookAtCoordination() {
    const v1::CoordinationStatus& coordination = found_.coordination();
    if (coordination.answers()) return;
    const Since since =
        coordination.has_silent_since() ? Since(TimeIn(coordination.silent_since())) : Since(std::nullopt);
    Add("ZOOKEEPER_SILENT", kCritical, "",
        absl::StrCat("ZooKeeper does not answer this node", SinceText(since), ": ", coordination.error(),
                     ". Nodes sell what they hold, and no units move between them."),
        "look at the ZooKeeper servers, and at the way to them from the nodes; nodes and balancers go on by themselves",
        since);
  }

  void LookAtShard(const v1::ShardStatus& shard) {
    if (!shard.answers()) {
      return Add("LEDGER_DOWN", kCritical, shard.name(),
                 absl::StrCat("The database of shard ", shard.name(), " does not answer this node: ", shard.error(),
                              ". Nothing on it is sold or paid."),
                 "look at PostgreSQL there, and at its log; the processes go on by themselves when it answers");
    }
    LookAtDatabase(shard);
    LookAtWorkers(shard);
    LookAtBalancers(shard);
    LookAtHolds(shard);
    for (const v1::OutboxSink& sink : shard.sinks()) LookAtSink(shard, sink);
    for (const v1::WaitingPool& pool : shard.pools()) LookAtPool(pool);
  }

  void LookAtDatabase(const v1::ShardStatus& shard) {
    const v1::LedgerStatus& ledger = shard.ledger();
    if (ledger.read_only()) {
      Add("LEDGER_READ_ONLY", kCritical, shard.name(),
          absl::StrCat("The database of shard ", shard.name(), " takes no changes: it is a standby, or was made ",
                       "read-only. Nothing on it is sold or paid."),
          "promote it, or let --postgres name the server that takes changes (target_session_attrs=read-write)");
    }
    const bool none_connected =
        ledger.has_synchronous_standbys() ? ledger.synchronous_standbys() == 0 : ledger.standbys() == 0;
    if (ledger.standby_required() && none_connected) {
      Add("STANDBY_GONE", kCritical, shard.name(),
          absl::StrCat("Commits on shard ", shard.name(), " wait for a standby, and none is connected. Nothing on it ",
                       "is sold or paid."),
          "start the standby; if you accept that a failover loses what is sold meanwhile, empty "
          "synchronous_standby_names and reload the server");
    }
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
          absl::StrCat(Plural(ledger.refunds_waiting(), "late payment waits", "late payments wait"),
                       " to be refunded on shard ", shard.name(), ", the oldest", SinceText(since), "."),
          "let your payment service act on payment.refund_requested; `tranchectl reconcile` with the provider's "
          "statement notes the refunds that were made",
          since);
    }
  }

  void LookAtWorkers(const v1::ShardStatus& shard) {
    const auto is_alive = [](const v1::ProcessStatus& worker) { return worker.alive(); };
    if (std::none_of(shard.workers().begin(), shard.workers().end(), is_alive)) {
      // The latest heartbeat comes first.
      const Since since = shard.workers().empty() ? Since(std::nullopt) : Since(Ago(shard.workers(0).age()));
      return Add("NO_WORKER", kCritical, shard.name(),
                 absl::StrCat("No worker runs for shard ", shard.name(), SinceText(since),
                              ": holds do not expire and no messages are delivered."),
                 "start tranche-worker, or let its supervisor start it", since);
    }
    const auto expires = [&](const v1::ProcessStatus& worker) { return worker.alive() && worker.expires(); };
    if (std::none_of(shard.workers().begin(), shard.workers().end(), expires)) {
      return Add("NO_EXPIRY", kCritical, shard.name(),
                 absl::StrCat("No worker expires holds on shard ", shard.name(),
                              ": those that run were started with --expire off."),
                 "start a tranche-worker without --expire off");
    }
    std::optional<absl::Duration> latest;
    for (const v1::ProcessStatus& worker : shard.workers()) {
      if (!expires(worker)) continue;
      // One that has just begun has its time, too.
      const absl::Duration since_start = now_ - TimeIn(worker.start_time());
      const absl::Duration since = worker.has_since_expiry() ? DurationIn(worker.since_expiry()) : since_start;
      latest = std::min(latest.value_or(since), since);
    }
    if (*latest < kNoExpiryAfter) return;
    const absl::Time since = now_ - *latest;
    Add("NO_EXPIRY", kCritical, shard.name(),
        absl::StrCat("No worker has expired holds on shard ", shard.name(), SinceText(since), ", although some try."),
        "look at the workers' logs, and for what locks the tables (pg_blocking_pids() in pg_stat_activity)", since);
  }

  void LookAtBalancers(const v1::ShardStatus& shard) {
    const auto is_alive = [](const v1::ProcessStatus& balancer) { return balancer.alive(); };
    const bool some_run = std::any_of(shard.balancers().begin(), shard.balancers().end(), is_alive);
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
    const char* effect = ": nodes take from the pools, and what dead or idle nodes hold stays with them.";
    if (!some_run) {
      const Since gone = shard.balancers().empty() ? led : Since(Ago(shard.balancers(0).age()));
      const Since since = led.has_value() ? led : gone;
      return Add(
          "NO_BALANCER", kCritical, shard.name(),
          absl::StrCat("No balancer runs for shard ", shard.name(), ", and none leads", SinceText(since), effect),
          "start tranche-balancer, or let its supervisor start it", since);
    }
    // Without ZooKeeper nobody can lead, and it is not known who does.
    if (!found_.coordination().answers()) return;
    Add("NO_LEADER", kCritical, shard.name(),
        absl::StrCat("Balancers run for shard ", shard.name(), ", and none leads", SinceText(led), effect),
        "look at the balancers' logs: they reach neither ZooKeeper nor the ledger, or the tree is another ledger's",
        led);
  }

  void LookAtLeader(const v1::ShardStatus& shard) {
    for (const v1::ProcessStatus& balancer : shard.balancers()) {
      if (!balancer.alive() || !balancer.leads()) continue;
      const google::protobuf::Duration& idle =
          balancer.has_since_round() ? balancer.since_round() : balancer.leads_for();
      if (DurationIn(idle) < kNoRoundAfter) continue;
      const absl::Time since = Ago(idle);
      Add("LEADER_STUCK", kCritical, shard.name(),
          absl::StrCat("Balancer ", balancer.name(), " leads shard ", shard.name(), " and has finished no round",
                       SinceText(since), ": units stay where they are."),
          "look at its log; if nothing there explains it, restart it: another one leads at once", since);
    }
  }

  void LookAtHolds(const v1::ShardStatus& shard) {
    const v1::LedgerStatus& ledger = shard.ledger();
    const absl::Duration overdue = DurationIn(ledger.oldest_overdue());
    if (overdue < kOverdueAfter) return;
    const absl::Time since = now_ - overdue;
    Add("HOLDS_OVERDUE", kCritical, shard.name(),
        absl::StrCat(Plural(ledger.overdue_holds(), "unpaid hold", "unpaid holds"), " on shard ", shard.name(),
                     " should have expired, the oldest ", Roughly(overdue), " ago: their units look sold."),
        "see that a worker expires holds; if one does, its log names the SKU that is locked", since);
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
    const bool somebody_runs = std::any_of(shard.workers().begin(), shard.workers().end(),
                                           [](const v1::ProcessStatus& worker) { return worker.alive(); });
    const bool served =
        std::any_of(shard.workers().begin(), shard.workers().end(), [&](const v1::ProcessStatus& worker) {
          return worker.alive() &&
                 std::find(worker.sinks().begin(), worker.sinks().end(), sink.name()) != worker.sinks().end();
        });
    const absl::Time since = Ago(sink.oldest_pending());
    // Without any worker, that is the problem.
    if (sink.pending() > 0 && somebody_runs && !served) {
      return Add("SINK_WITHOUT_WORKER", kWarning, subject,
                 absl::StrCat(Plural(sink.pending(), "message waits", "messages wait"), " for sink ", sink.name(),
                              " on shard ", shard.name(), SinceText(since), ", and no worker delivers to it."),
                 absl::StrCat("start a tranche-worker with --sink ", sink.name(), "=...; or, if nobody wants them, ",
                              "`tranchectl outbox sink remove ", sink.name(), "` (add another sink first if it is the ",
                              "only one)"),
                 since);
    }
    if (sink.pending() == 0 || DurationIn(sink.oldest_pending()) < kMessageOldAfter) return;
    Add("OUTBOX_OLD", kWarning, subject,
        absl::StrCat(Plural(sink.pending(), "message waits", "messages wait"), " for sink ", sink.name(), " on shard ",
                     shard.name(), ", the oldest", SinceText(since), "."),
        "look at the receiver, and at the log of the worker that delivers to it", since);
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

  void LookAtNodes() {
    if (!found_.coordination().answers()) return;
    const auto serves = [](const v1::NodeStatus& node) { return !node.draining(); };
    if (std::none_of(found_.nodes().begin(), found_.nodes().end(), serves)) {
      Add("NO_NODE", kCritical, "", "No node serves: nothing is sold.",
          found_.nodes().empty() ? "start tranched, or let its supervisor start it"
                                 : "`tranchectl node undrain` lets a node serve again; or start another");
    }
    for (const v1::NodeStatus& node : found_.nodes()) LookAtNode(node);
    for (const v1::GoneNode& node : found_.gone_nodes()) LookAtGoneNode(node);
  }

  void LookAtNode(const v1::NodeStatus& node) {
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
