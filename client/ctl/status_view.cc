#include "client/ctl/status_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::GetStatusResponse;
using tranche::v1::ProcessStatus;
using tranche::v1::ShardStatus;

std::string AgeText(const google::protobuf::Duration& age) {
  return FormatAge(absl::Seconds(age.seconds()) + absl::Nanoseconds(age.nanos()));
}

std::string PerSecond(double rate) { return absl::StrFormat("%.1f", rate); }

std::string SizeText(int64_t bytes) {
  if (bytes == 0) return "";
  constexpr double kMib = 1024.0 * 1024;
  const double mib = static_cast<double>(bytes) / kMib;
  return mib < 1024 ? absl::StrFormat("%.0f MiB", mib) : absl::StrFormat("%.1f GiB", mib / 1024);
}

std::string HowMany(int64_t count, const char* what) { return absl::StrCat(count, " ", what, count == 1 ? "" : "s"); }

bool Alive(const ProcessStatus& process) { return process.alive(); }

std::string LedgerText(const ShardStatus& shard) {
  if (!shard.unfit().empty()) return "UNFIT";
  if (!shard.answers()) return shard.slow() ? "SLOW" : "DOWN";
  return shard.ledger().read_only() ? "READ ONLY" : "ok";
}

std::string StandbyText(const ShardStatus& shard) {
  const tranche::v1::LedgerStatus& ledger = shard.ledger();
  if (!shard.answers()) return "";
  const int64_t connected = ledger.has_synchronous_standbys() ? ledger.synchronous_standbys() : ledger.standbys();
  const int64_t needed = std::max<int64_t>(ledger.standbys_needed(), ledger.standby_required() ? 1 : 0);
  if (needed > 0 && connected == 0) return "GONE";
  if (connected < needed) return absl::StrCat(connected, " OF ", needed);
  if (needed > 0) return absl::StrCat(connected, " sync");
  return ledger.standbys() > 0 ? absl::StrCat(ledger.standbys(), " async") : "none";
}

std::string ConnectionsText(const tranche::v1::LedgerStatus& ledger) {
  if (ledger.connections_limit() == 0) return "";
  return absl::StrCat(ledger.connections_used(), "/", ledger.connections_limit());
}

void PrintShards(Session& session, const GetStatusResponse& status) {
  Table table({"SHARD", "LEDGER", "STANDBY", "LEADER", "OVERDUE", "REFUNDS", "CONNECTIONS", "SIZE"});
  for (const ShardStatus& shard : status.shards()) {
    const tranche::v1::LedgerStatus& ledger = shard.ledger();
    const bool known = shard.answers();
    table.AddRow({shard.name(), LedgerText(shard), StandbyText(shard), shard.leader(),
                  known ? absl::StrCat(ledger.overdue_holds()) : "",
                  known ? absl::StrCat(ledger.refunds_waiting()) : "", ConnectionsText(ledger),
                  SizeText(ledger.database_bytes())});
  }
  session.Print(table);
}

std::string WorkText(const ProcessStatus& process, bool balancer) {
  if (process.ended()) return "ended";
  if (!process.alive()) return "GONE";
  if (balancer) {
    return process.leads() ? absl::StrCat("leads for ", AgeText(process.leads_for())) : "stands by";
  }
  const std::string expiry =
      process.expires() ? absl::StrCat("expires, last ", process.has_since_expiry() ? AgeText(process.since_expiry())
                                                                                    : std::string("never"))
                        : "does not expire";
  return absl::StrCat(
      expiry, process.draws() ? ", draws" : "",
      process.sinks().empty() ? "; no sinks" : absl::StrCat("; ", absl::StrJoin(process.sinks(), ", ")));
}

void PrintProcesses(Session& session, const GetStatusResponse& status) {
  Table table({"PROCESS", "SHARD", "NAME", "SEEN", "DOES"});
  for (const ShardStatus& shard : status.shards()) {
    for (const bool balancer : {true, false}) {
      for (const ProcessStatus& process : balancer ? shard.balancers() : shard.workers()) {
        table.AddRow({balancer ? "balancer" : "worker", shard.name(), process.name(),
                      absl::StrCat(AgeText(process.age()), " ago"), WorkText(process, balancer)});
      }
    }
  }
  session.Print(table);
}

std::string NodeState(const tranche::v1::NodeStatus& node) {
  if (node.cannot_commit()) return "NO LEDGER";
  if (!node.shards_out_of_reach().empty()) return absl::StrCat("NO ", absl::StrJoin(node.shards_out_of_reach(), ", "));
  if (!node.unhealthy().empty()) return "NOT SERVING";
  return node.draining() ? "DRAINING" : "SERVING";
}

void PrintNodeStates(Session& session, const GetStatusResponse& status) {
  Table table({"NODE", "INCARNATION", "STATE", "REPORT", "GRANTS/S", "IN VAIN/S"});
  for (const tranche::v1::NodeStatus& node : status.nodes()) {
    table.AddRow({node.name(), absl::StrCat(node.incarnation()), NodeState(node),
                  node.has_report_age() ? AgeText(node.report_age()) : "", PerSecond(node.grants_per_s()),
                  PerSecond(node.refused_per_s())});
  }
  session.Print(table);
  if (!status.gone_nodes_known()) session.out() << "\nWhich nodes have gone is not known, or not all of it.\n";
  if (status.gone_nodes().empty()) return;
  Table gone({"GONE NODE", "INCARNATION", "ENDED", "STILL HOLDS"});
  for (const tranche::v1::GoneNode& node : status.gone_nodes()) {
    gone.AddRow({node.name(), absl::StrCat(node.incarnation()),
                 node.has_end_time() ? FormatTime(node.end_time()) : "not yet", absl::StrCat(node.units())});
  }
  session.out() << "\n";
  session.Print(gone);
}

bool HasSinks(const GetStatusResponse& status) {
  return std::any_of(status.shards().begin(), status.shards().end(),
                     [](const ShardStatus& shard) { return !shard.sinks().empty(); });
}

void PrintSinkStates(Session& session, const GetStatusResponse& status) {
  Table table({"SINK", "SHARD", "PENDING", "DEAD", "OLDEST PENDING"});
  for (const ShardStatus& shard : status.shards()) {
    for (const tranche::v1::OutboxSink& sink : shard.sinks()) {
      table.AddRow({sink.name(), shard.name(), absl::StrCat(sink.pending()), absl::StrCat(sink.dead()),
                    sink.pending() > 0 ? AgeText(sink.oldest_pending()) : ""});
    }
  }
  session.Print(table);
}

void PrintQueueStates(Session& session, const GetStatusResponse& status) {
  Table table({"CLAIM QUEUE", "SHARD", "READY", "CONSUMERS", "DEAD"});
  for (const tranche::v1::ClaimQueueState& queue : status.claim_queues()) {
    table.AddRow({queue.queue(), queue.shard(), absl::StrCat(queue.ready()),
                  status.claim_queues_paused() ? "REST" : absl::StrCat(queue.consumers()), absl::StrCat(queue.dead())});
  }
  session.Print(table);
}

const char* SeverityText(const tranche::v1::Problem& problem) {
  switch (problem.severity()) {
    case tranche::v1::PROBLEM_SEVERITY_NOTICE:
      return "NOTICE";
    case tranche::v1::PROBLEM_SEVERITY_CRITICAL:
      return "CRITICAL";
    default:
      return "WARNING";
  }
}

bool IsNotice(const tranche::v1::Problem& problem) {
  return problem.severity() == tranche::v1::PROBLEM_SEVERITY_NOTICE;
}

const char* CoordinationText(const tranche::v1::CoordinationStatus& coordination) {
  if (coordination.tree_gone()) return "TREE GONE";
  if (!coordination.answers()) return "SILENT";
  return coordination.reports_missing() ? "ok, but the nodes' reports came too late" : "ok";
}

void PrintProblems(Session& session, const GetStatusResponse& status) {
  for (const tranche::v1::Problem& problem : status.problems()) {
    session.out() << "\n"
                  << SeverityText(problem) << " " << problem.code()
                  << (problem.subject().empty() ? "" : absl::StrCat(" ", problem.subject())) << "\n  " << problem.text()
                  << "\n  next: " << problem.next_step() << "\n";
  }
}

}  // namespace

bool Healthy(const GetStatusResponse& status) {
  return std::all_of(status.problems().begin(), status.problems().end(), IsNotice);
}

std::string VerdictOf(const GetStatusResponse& status) {
  if (!Healthy(status)) {
    const auto critical =
        std::count_if(status.problems().begin(), status.problems().end(), [](const tranche::v1::Problem& problem) {
          return problem.severity() == tranche::v1::PROBLEM_SEVERITY_CRITICAL;
        });
    const auto notices = std::count_if(status.problems().begin(), status.problems().end(), IsNotice);
    return absl::StrCat("NOT HEALTHY: ", critical, " critical, ", status.problems_size() - critical - notices,
                        " to watch");
  }
  int64_t workers = 0, balancers = 0, open = 0, paused = 0;
  for (const ShardStatus& shard : status.shards()) {
    workers += std::count_if(shard.workers().begin(), shard.workers().end(), Alive);
    balancers += std::count_if(shard.balancers().begin(), shard.balancers().end(), Alive);
    open += shard.ledger().open_skus();
    paused += shard.ledger().paused_skus();
  }
  return absl::StrCat("healthy: ", HowMany(status.nodes_size(), "node"), ", ", HowMany(balancers, "balancer"), ", ",
                      HowMany(workers, "worker"), ", ", HowMany(status.shards_size(), "shard"), ", ",
                      HowMany(open, "SKU"), " on sale", paused > 0 ? absl::StrCat(", ", paused, " paused") : "");
}

void PrintStatus(Session& session, const GetStatusResponse& status, StatusForm form) {
  if (session.json()) {
    return form == StatusForm::kOneLine ? session.PrintJsonLine(status) : session.PrintJson(status);
  }
  session.out() << VerdictOf(status) << "\n\n";
  PrintShards(session, status);
  session.out() << "\nZooKeeper: " << CoordinationText(status.coordination()) << "\n\n";
  PrintProcesses(session, status);
  session.out() << "\n";
  PrintNodeStates(session, status);
  if (HasSinks(status)) {
    session.out() << "\n";
    PrintSinkStates(session, status);
  }
  if (!status.claim_queues().empty()) {
    session.out() << "\n";
    PrintQueueStates(session, status);
  }
  if (!status.busiest().empty()) {
    session.out() << "\n";
    session.Print(TrafficTable({status.busiest().begin(), status.busiest().end()}));
  }
  PrintProblems(session, status);
}

Table TrafficTable(const std::vector<tranche::v1::SkuTraffic>& skus) {
  Table table({"SKU", "GRANTS/S", "DENIALS/S", "REFUSED/S", "WAITING", "FREE", "UNSOLD", "NODES"});
  for (const tranche::v1::SkuTraffic& sku : skus) {
    table.AddRow({sku.sku_id(), PerSecond(sku.grants_per_s()), PerSecond(sku.denials_per_s()),
                  PerSecond(sku.refused_per_s()), absl::StrCat(sku.waiting()), absl::StrCat(sku.free()),
                  sku.has_unsold() ? absl::StrCat(sku.unsold()) : "", absl::StrCat(sku.nodes())});
  }
  return table;
}

}  // namespace tranche::ctl
