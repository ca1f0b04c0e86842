#include "tests/scale/scale_report.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "quota/coordination/coordination.h"
#include "quota/coordination/coordination_paths.h"

namespace tranche::testing {
namespace {

constexpr double kMib = 1024.0 * 1024.0;
constexpr double kListLimit = kMib;  // jute.maxbuffer
const CostModel kCosts;

double PerSecond(int64_t count, const Phase& phase) {
  return static_cast<double>(count) / std::max(1e-3, absl::ToDoubleSeconds(phase.simulated));
}

const Phase* Find(const ScaleResult& result, const std::string& name) {
  const auto found =
      std::find_if(result.phases.begin(), result.phases.end(), [&](const Phase& phase) { return phase.name == name; });
  return found == result.phases.end() ? nullptr : &*found;
}

nlohmann::json ToJson(const Traffic& traffic) {
  return {{"ledger_calls", traffic.ledger_calls},
          {"ledger_rows", traffic.ledger_rows},
          {"moves", traffic.moves},
          {"slots_changed", traffic.slots_changed},
          {"zk_reads", traffic.zk_reads},
          {"zk_lists", traffic.zk_lists},
          {"zk_writes", traffic.zk_writes},
          {"zk_waits", traffic.zk_waits},
          {"bytes_read", traffic.bytes_read},
          {"bytes_written", traffic.bytes_written}};
}

nlohmann::json ToJson(const Phase& phase) {
  return {{"name", phase.name},
          {"reached", phase.reached},
          {"rounds", phase.rounds},
          {"simulated_s", absl::ToDoubleSeconds(phase.simulated)},
          {"wall_s", absl::ToDoubleSeconds(phase.wall)},
          {"longest_round_estimate_ms", absl::ToDoubleMilliseconds(phase.longest_estimate)},
          {"longest_round_cpu_ms", absl::ToDoubleMilliseconds(phase.longest_round_cpu)},
          {"cpu_ms", absl::ToDoubleMilliseconds(phase.balancer_cpu)},
          {"balancer", ToJson(phase.balancer)},
          {"most_in_a_round", ToJson(phase.most)},
          {"nodes", ToJson(phase.nodes)}};
}

nlohmann::json ToJson(const FolderSize& folder) {
  return {{"znodes", folder.znodes},
          {"bytes", folder.bytes},
          {"largest_znode", folder.largest_znode},
          {"longest_list", folder.longest_list},
          {"longest_list_names", folder.longest_list_names},
          {"longest_list_bytes", folder.longest_list_bytes}};
}

void AddListLimits(const ScaleResult& result, std::vector<Limit>* limits) {
  for (const auto& [folder, size] : result.tree) {
    if (size.longest_list_names < 2) continue;
    limits->push_back({absl::StrFormat("children of %s (%d names)", size.longest_list, size.longest_list_names),
                       static_cast<double>(size.longest_list_bytes), kListLimit, "bytes in a reply",
                       "jute.maxbuffer of ZooKeeper"});
  }
}

// Limits on the rates of steady traffic, and on the time of the balancer.
void AddRates(const ScaleResult& result, std::vector<Limit>* limits) {
  const Phase* const steady = Find(result, "steady traffic");
  if (steady == nullptr) return;
  const double reads = PerSecond(steady->balancer.zk_reads + steady->nodes.zk_reads, *steady);
  const double writes = PerSecond(steady->balancer.zk_writes + steady->nodes.zk_writes, *steady);
  const double busy = absl::FDivDuration(kCosts.Of(steady->balancer), steady->simulated);
  limits->push_back({"reads of ZooKeeper in steady traffic", reads, 1 / absl::ToDoubleSeconds(kCosts.zk_read), "per s",
                     "assumed, of one server"});
  limits->push_back({"writes to ZooKeeper in steady traffic", writes, 1 / absl::ToDoubleSeconds(kCosts.zk_write),
                     "per s", "assumed, of one ensemble"});
  const double bytes = PerSecond(steady->balancer.bytes_written + steady->nodes.bytes_written, *steady);
  limits->push_back({"bytes written to ZooKeeper in steady traffic", bytes, 100 * kMib, "bytes/s",
                     "assumed, of the log on one disk"});
  limits->push_back({"the balancer's time in steady traffic", busy, 1, "s per s", "by the assumed costs"});
}

}  // namespace

std::vector<Limit> LimitsOf(const ScaleResult& result) {
  std::vector<Limit> limits;
  AddListLimits(result, &limits);
  AddRates(result, &limits);
  for (const auto& [folder, size] : result.tree) {
    if (size.largest_znode == 0) continue;
    limits.push_back({absl::StrFormat("the largest znode below %s", folder), static_cast<double>(size.largest_znode),
                      static_cast<double>(quota::kMaxZnodeBytes), "bytes", "kMaxZnodeBytes"});
  }
  std::sort(limits.begin(), limits.end(), [](const Limit& a, const Limit& b) { return a.headroom() < b.headroom(); });
  return limits;
}

void PrintPhaseHeader() {
  std::printf(
      "Of the balancer; \"most\" is in a single round. est: estimated real time, by assumed costs. cpu: measured, "
      "without "
      "the fakes.\n\n%-28s %6s %9s %9s %9s %7s %7s %7s %8s %8s %8s %9s %9s\n",
      "", "rounds", "simul. s", "est most", "cpu most", "calls", "most", "moves", "slots", "zk read", "zk write",
      "write most", "nodes read");
}

void PrintPhase(const Phase& phase) {
  if (phase.name.empty()) return;
  std::printf("%-28s %6d %9.2f %6.0f ms %6.1f ms %7d %7d %7d %8d %8d %8d %10d %10d%s\n", phase.name.c_str(),
              phase.rounds, absl::ToDoubleSeconds(phase.simulated), absl::ToDoubleMilliseconds(phase.longest_estimate),
              absl::ToDoubleMilliseconds(phase.longest_round_cpu), static_cast<int>(phase.balancer.ledger_calls),
              static_cast<int>(phase.most.ledger_calls), static_cast<int>(phase.balancer.moves),
              static_cast<int>(phase.balancer.slots_changed), static_cast<int>(phase.balancer.zk_reads),
              static_cast<int>(phase.balancer.zk_writes), static_cast<int>(phase.most.zk_writes),
              static_cast<int>(phase.nodes.zk_reads),
              phase.reached ? "" : absl::StrFormat("   NOT REACHED, %d buyers wait", phase.waiting).c_str());
  std::fflush(stdout);
}

void PrintSummary(const ScaleResult& result) {
  std::printf("\n%-10s %9s %9s %9s  %s\n", "folder", "znodes", "MiB", "largest", "longest list of children");
  for (const auto& [folder, size] : result.tree) {
    std::printf("%-10s %9d %9.1f %9d  %s: %d names, %d bytes\n", folder.c_str(), static_cast<int>(size.znodes),
                static_cast<double>(size.bytes) / kMib, static_cast<int>(size.largest_znode), size.longest_list.c_str(),
                static_cast<int>(size.longest_list_names), static_cast<int>(size.longest_list_bytes));
  }
  std::printf("\nin steady traffic, per simulated second:\n");
  if (const Phase* const steady = Find(result, "steady traffic"); steady != nullptr) {
    std::printf("  balancer: %.1f rounds, %.1f ledger calls, %.0f znodes read, %.1f written, %.2f MiB read\n",
                PerSecond(steady->rounds, *steady), PerSecond(steady->balancer.ledger_calls, *steady),
                PerSecond(steady->balancer.zk_reads, *steady), PerSecond(steady->balancer.zk_writes, *steady),
                PerSecond(steady->balancer.bytes_read, *steady) / kMib);
    std::printf("  a node: %.1f znodes read, %.2f written, %.0f bytes written\n",
                PerSecond(steady->nodes.zk_reads, *steady) / result.options.nodes,
                PerSecond(steady->nodes.zk_writes, *steady) / result.options.nodes,
                PerSecond(steady->nodes.bytes_written, *steady) / result.options.nodes);
  }
  std::printf("demand reports: %.0f KiB in all, the largest %d bytes; most slices at a node: %d\n",
              static_cast<double>(result.reports_bytes) / 1024, static_cast<int>(result.largest_report),
              static_cast<int>(result.most_slices));
  std::printf("memory that goes with a balancer: %.1f MiB; this whole process: %.0f MiB\n",
              static_cast<double>(result.balancer_bytes) / kMib, static_cast<double>(result.resident_bytes) / kMib);
  std::printf("violations %d, units stranded %d, announcements missing or old %d, znodes left over %d\n",
              static_cast<int>(result.violations), static_cast<int>(result.stranded),
              static_cast<int>(result.differences.unannounced), static_cast<int>(result.differences.left_over));
  std::printf("\nhow far each limit is, the nearest first:\n");
  for (const Limit& limit : LimitsOf(result)) {
    std::printf("  %8.1f x  %s: %.3g of %.3g %s (%s)\n", limit.headroom(), limit.what.c_str(), limit.used, limit.limit,
                limit.unit.c_str(), limit.source.c_str());
  }
}

nlohmann::json ToJson(const ScaleResult& result) {
  nlohmann::json json = {{"nodes", result.options.nodes},
                         {"skus", result.options.skus},
                         {"active", result.options.active},
                         {"presplit", result.options.presplit},
                         {"askers", result.options.askers},
                         {"seed", result.options.seed},
                         {"violations", result.violations},
                         {"stranded", result.stranded},
                         {"unannounced", result.differences.unannounced},
                         {"left_over", result.differences.left_over},
                         {"balancer_bytes", result.balancer_bytes},
                         {"resident_bytes", result.resident_bytes},
                         {"reports_bytes", result.reports_bytes},
                         {"largest_report", result.largest_report},
                         {"most_slices", result.most_slices}};
  for (const Phase& phase : result.phases) json["phases"].push_back(ToJson(phase));
  for (const auto& [folder, size] : result.tree) json["tree"][folder] = ToJson(size);
  for (const Limit& limit : LimitsOf(result)) {
    json["limits"].push_back({{"what", limit.what},
                              {"used", limit.used},
                              {"limit", limit.limit},
                              {"unit", limit.unit},
                              {"source", limit.source},
                              {"headroom", limit.headroom()}});
  }
  return json;
}

}  // namespace tranche::testing
