// How soon units are where they are wanted, on a cluster of real servers on this machine:
//
//   dry-pool   a request at a node that holds nothing of a SKU whose units wait in the pool, until it is answered
//   dry-again  the same at a node that has sold what it took of the SKU before, so that it knows it
//   dry-idle   the same at a node that has sold its last unit, while other nodes have some that nobody asks for
//   together   all nodes hold nothing of a SKU whose units wait in the pool, and buyers come to all of them at once,
//   one at
//              a time at each node: until it is sold out
//   presplit   the same, but each node has its share of the units before
//   kill       kill -9 of a node, until all its units are announced at others; then they are sold there
//   drain      a clean drain, until all its units are announced at others; callers of the SDK go on meanwhile
//
//   quota_plane --rounds 200 --summary figures.json
#include <glog/logging.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/benchmark/cluster_caller.h"
#include "tests/support/mini_cluster.h"
#include "tranche/client.h"

namespace tranche::benchmark {
namespace {

using testing::MiniCluster;
using testing::MiniClusterOptions;

constexpr int kNodes = 8;
constexpr absl::Duration kSessionTimeout = absl::Seconds(4);
constexpr absl::Duration kGiveUp = absl::Seconds(30);
constexpr absl::Duration kBuyTimeout = absl::Seconds(10);

struct Figure {
  std::vector<double> ms;
  int failed = 0;
  nlohmann::json more;

  void Add(absl::Duration took) {
    if (took == absl::InfiniteDuration()) {
      ++failed;
    } else {
      ms.push_back(absl::ToDoubleMilliseconds(took));
    }
  }
};

std::unique_ptr<MiniCluster> StartCluster() {
  MiniClusterOptions options;
  options.nodes = kNodes;
  options.zookeeper_session_timeout = kSessionTimeout;
  // Requests wait as long as it takes, to show the whole distribution.
  options.node_args = {"--exhausted-wait-ms", "5000"};
  auto cluster = MiniCluster::Start(options);
  CHECK(cluster.ok()) << cluster.status();
  return *std::move(cluster);
}

// Polls every few milliseconds; returns how long it took, or nullopt.
absl::Duration Until(absl::Time start, const std::function<bool()>& reached) {
  while (absl::Now() - start < kGiveUp) {
    if (reached()) return absl::Now() - start;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return absl::InfiniteDuration();
}

// A SKU of whose units each node has a part, all announced.
bool CreateAndSplit(ClusterCaller& nodes, const std::string& sku, int64_t stock) {
  if (const grpc::Status created = nodes.CreateSku(sku, stock, /*on_demand=*/false); !created.ok()) return false;
  return Until(absl::Now(), [&] { return AllAtNodesBut(nodes.GetQuota(0, sku), ""); }) != absl::InfiniteDuration();
}

absl::Duration TimeBuy(ClusterCaller& nodes, size_t node, const std::string& sku) {
  const absl::Time start = absl::Now();
  const grpc::Status bought = nodes.Buy(node, sku, kBuyTimeout);
  if (!bought.ok()) std::fprintf(stderr, "%s: %s\n", sku.c_str(), bought.error_message().c_str());
  return bought.ok() ? absl::Now() - start : absl::InfiniteDuration();
}

Figure DryPool(int rounds) {
  const auto cluster = StartCluster();
  ClusterCaller nodes(cluster->endpoints());
  Figure figure;
  for (int round = 0; round < rounds; ++round) {
    const std::string sku = absl::StrCat("pool-", round);
    const bool created = nodes.CreateSku(sku, 100, /*on_demand=*/true).ok();
    figure.Add(created ? TimeBuy(nodes, static_cast<size_t>(round) % nodes.nodes(), sku) : absl::InfiniteDuration());
  }
  return figure;
}

Figure DryAgain(int rounds) {
  const auto cluster = StartCluster();
  ClusterCaller nodes(cluster->endpoints());
  Figure figure;
  for (int round = 0; round < rounds; ++round) {
    const std::string sku = absl::StrCat("again-", round);
    const size_t node = static_cast<size_t>(round) % nodes.nodes();
    // So few that a lot is one unit.
    const bool ready = nodes.CreateSku(sku, kNodes, /*on_demand=*/true).ok() && nodes.Buy(node, sku, kBuyTimeout).ok();
    figure.Add(ready ? TimeBuy(nodes, node, sku) : absl::InfiniteDuration());
  }
  return figure;
}

Figure DryIdle(int rounds) {
  const auto cluster = StartCluster();
  ClusterCaller nodes(cluster->endpoints());
  Figure figure;
  for (int round = 0; round < rounds; ++round) {
    const std::string sku = absl::StrCat("idle-", round);
    const size_t node = static_cast<size_t>(round) % nodes.nodes();
    // One unit each: the first buyer takes the node's own.
    const bool ready = CreateAndSplit(nodes, sku, kNodes) && nodes.Buy(node, sku, kBuyTimeout).ok();
    figure.Add(ready ? TimeBuy(nodes, node, sku) : absl::InfiniteDuration());
  }
  return figure;
}

// Sells every remaining unit, at any node; returns how many were sold.
int64_t SellOut(ClusterCaller& nodes, const std::string& sku) {
  std::atomic<int64_t> sold{0};
  std::vector<std::thread> buyers;
  for (size_t node = 0; node < nodes.nodes(); ++node) {
    buyers.emplace_back([&, node] {
      while (true) {
        const grpc::Status bought = nodes.Buy(node, sku, kBuyTimeout);
        if (bought.ok()) {
          ++sold;
        } else if (bought.error_code() != grpc::StatusCode::UNAVAILABLE) {
          return;  // sold out; UNAVAILABLE says that there may be some elsewhere
        }
      }
    });
  }
  for (std::thread& buyer : buyers) buyer.join();
  return sold;
}

Figure Together(int rounds, bool on_demand) {
  constexpr int64_t kStock = 100 * kNodes;
  const auto cluster = StartCluster();
  ClusterCaller nodes(cluster->endpoints());
  Figure figure;
  int64_t unsold = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string sku = absl::StrCat(on_demand ? "together-" : "presplit-", round);
    CHECK(on_demand ? nodes.CreateSku(sku, kStock, /*on_demand=*/true).ok() : CreateAndSplit(nodes, sku, kStock));
    const absl::Time start = absl::Now();
    unsold += kStock - SellOut(nodes, sku);
    figure.Add(absl::Now() - start);
  }
  figure.more = {{"units", kStock}, {"units_not_sold", unsold}};
  return figure;
}

Figure Kill(int rounds) {
  constexpr int64_t kStock = 40 * kNodes;
  const auto cluster = StartCluster();
  Figure figure;
  int64_t unsold = 0;
  std::vector<double> sold_ms;
  for (int round = 0; round < rounds; ++round) {
    const std::string sku = absl::StrCat("kill-", round);
    ClusterCaller before(cluster->endpoints());
    CHECK(CreateAndSplit(before, sku, kStock));
    const std::string victim = absl::StrCat("node-", round + 1);
    const absl::Time start = absl::Now();
    CHECK(cluster->KillNode(round).ok());
    ClusterCaller nodes(cluster->endpoints());
    figure.Add(Until(start, [&] { return AllAtNodesBut(nodes.GetQuota(0, sku), victim); }));
    unsold += kStock - SellOut(nodes, sku);
    sold_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
    CHECK(cluster->StartNode().ok());
  }
  figure.more = {{"session_timeout_ms", absl::ToInt64Milliseconds(kSessionTimeout)},
                 {"units_not_sold", unsold},
                 {"all_sold_max_ms", *std::max_element(sold_ms.begin(), sold_ms.end())}};
  return figure;
}

// SDK callers that buy all the time.
class SdkCallers {
 public:
  SdkCallers(const std::vector<std::string>& endpoints, const std::string& sku) {
    ClientOptions options;
    options.endpoints = endpoints;
    options.throttle.enabled = false;
    client_ = *Client::Open(options);
    for (int i = 0; i < kCallers; ++i) callers_.emplace_back([this, i, sku] { Call(absl::StrCat(sku, "-", i), sku); });
  }
  void Stop() {
    stop_ = true;
    for (std::thread& caller : callers_) caller.join();
    callers_.clear();
  }
  int64_t made() const { return made_; }
  int64_t failed() const { return failed_; }

 private:
  static constexpr int kCallers = 8;

  void Call(const std::string& name, const std::string& sku) {
    for (int i = 0; !stop_; ++i) {
      const auto reservation = client_->Create({.sku = sku, .user = absl::StrCat(name, "-", i)});
      ++made_;
      if (reservation.ok()) continue;
      ++failed_;
      std::fprintf(stderr, "an SDK call failed: %s\n", reservation.status().ToString().c_str());
    }
  }

  std::unique_ptr<Client> client_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> made_{0};
  std::atomic<int64_t> failed_{0};
  std::vector<std::thread> callers_;
};

Figure Drain(int rounds) {
  constexpr int64_t kStock = 10'000'000;
  const auto cluster = StartCluster();
  ClusterCaller nodes(cluster->endpoints());
  CHECK(CreateAndSplit(nodes, "drain", kStock));
  SdkCallers callers(cluster->endpoints(), "drain");
  Figure figure;
  for (int round = 0; round < rounds; ++round) {
    const std::string drained = absl::StrCat("node-", round % kNodes + 1);
    const size_t other = static_cast<size_t>(round + 1) % nodes.nodes();
    absl::SleepFor(absl::Milliseconds(500));  // normal traffic before
    const absl::Time start = absl::Now();
    CHECK(nodes.Drain(other, drained).ok());
    figure.Add(Until(start, [&] { return AllAtNodesBut(nodes.GetQuota(other, "drain"), drained); }));
    absl::SleepFor(absl::Milliseconds(500));  // and after
    CHECK(nodes.Undrain(other, drained).ok());
  }
  callers.Stop();
  figure.more = {{"sdk_calls", callers.made()}, {"sdk_calls_failed", callers.failed()}};
  return figure;
}

nlohmann::json Report(const std::string& name, Figure figure) {
  std::sort(figure.ms.begin(), figure.ms.end());
  nlohmann::json json = {{"rounds", figure.ms.size()}, {"failed", figure.failed}};
  if (!figure.ms.empty()) {
    const auto at = [&](double quantile) {
      // With few rounds, the upper quantiles are the longest.
      return figure.ms[static_cast<size_t>(std::ceil(quantile * static_cast<double>(figure.ms.size()))) - 1];
    };
    std::printf("%-10s rounds %4zu  failed %d  p50 %7.1f ms  p90 %7.1f ms  p99 %7.1f ms  max %7.1f ms", name.c_str(),
                figure.ms.size(), figure.failed, at(0.5), at(0.9), at(0.99), figure.ms.back());
    json.update({{"p50_ms", at(0.5)}, {"p90_ms", at(0.9)}, {"p99_ms", at(0.99)}, {"max_ms", figure.ms.back()}});
  }
  if (!figure.more.is_null()) {
    json.update(figure.more);
    std::printf("  %s", figure.more.dump().c_str());
  }
  std::printf("\n");
  std::fflush(stdout);
  return json;
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  using tranche::benchmark::Figure;
  CLI::App app("How soon units are where they are wanted");
  int rounds = 200;
  int faults = 5;
  std::string summary;
  std::vector<std::string> names;
  app.add_option("--rounds", rounds, "Of the dry node; a tenth for all nodes together")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  app.add_option("--faults", faults, "Nodes that are killed, and drained")
      ->capture_default_str()
      ->check(CLI::Range(1, 8));
  app.add_option("--summary", summary, "File for the figures as JSON");
  app.add_option("NAME", names,
                 "dry-pool, dry-again, dry-idle, together, presplit, kill, drain; all of them by default");
  CLI11_PARSE(app, argc, argv);
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_WARNING;

  const std::vector<std::pair<std::string, std::function<Figure()>>> figures = {
      {"dry-pool", [&] { return tranche::benchmark::DryPool(rounds); }},
      {"dry-again", [&] { return tranche::benchmark::DryAgain(rounds); }},
      {"dry-idle", [&] { return tranche::benchmark::DryIdle(rounds); }},
      {"together", [&] { return tranche::benchmark::Together(rounds / 10 + 1, /*on_demand=*/true); }},
      {"presplit", [&] { return tranche::benchmark::Together(rounds / 10 + 1, /*on_demand=*/false); }},
      {"kill", [&] { return tranche::benchmark::Kill(faults); }},
      {"drain", [&] { return tranche::benchmark::Drain(faults); }},
  };
  nlohmann::json results;
  for (const auto& [name, measure] : figures) {
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    results[name] = tranche::benchmark::Report(name, measure());
  }
  if (!summary.empty()) std::ofstream(summary) << results.dump(2) << "\n";
  return 0;
}
