// What a round of the balancer costs with a thousand nodes and a hundred thousand SKUs, and which limit comes first.
//
//   scale_simulation --nodes 1000 --skus 100000 --json scale.json
#include <glog/logging.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>

#include "absl/synchronization/mutex.h"
#include "tests/scale/scale_report.h"
#include "tests/scale/scenarios.h"

int main(int argc, char** argv) {
  tranche::testing::ScaleOptions options;
  std::string json;
  CLI::App app("The quota plane at scale, over fakes and in virtual time");
  app.add_option("--nodes", options.nodes, "Front nodes")->capture_default_str()->check(CLI::Range(2, 20'000));
  app.add_option("--skus", options.skus, "SKUs in all")->capture_default_str()->check(CLI::Range(1, 5'000'000));
  app.add_option("--active", options.active, "SKUs that are asked for")->capture_default_str();
  app.add_option("--presplit", options.presplit, "Active SKUs that are split before the sale")->capture_default_str();
  app.add_option("--askers", options.askers, "Nodes at which an active SKU is asked for")->capture_default_str();
  app.add_option("--seed", options.seed, "Of what is chosen at random")->capture_default_str();
  app.add_option("--json", json, "File for the figures as JSON");
  CLI11_PARSE(app, argc, argv);
  if (options.active > options.skus || options.presplit > options.active || options.active < 1) {
    std::fprintf(stderr, "active SKUs are some of all SKUs, and presplit ones some of the active ones\n");
    return 1;
  }
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_WARNING;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);

  tranche::testing::PrintPhaseHeader();
  const tranche::testing::ScaleResult result =
      tranche::testing::RunScenarios(options, [](const auto& phase) { tranche::testing::PrintPhase(phase); });
  tranche::testing::PrintSummary(result);
  if (!json.empty()) {
    std::ofstream file(json);
    file << tranche::testing::ToJson(result).dump(2) << "\n";
    if (!file.good()) {
      std::fprintf(stderr, "cannot write %s\n", json.c_str());
      return 1;
    }
  }
  return 0;
}
