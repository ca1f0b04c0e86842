#include "client/load/scenario_main.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/load/conductor.h"
#include "client/load/load_client.h"
#include "client/load/load_generator.h"
#include "client/load/load_result.h"
#include "client/load/output.h"
#include "client/load/scenario_progress.h"
#include "client/load/scenario_reader.h"
#include "client/load/scenario_run.h"
#include "client/load/stop_flag.h"
#include "client/load/stop_on_signal.h"
#include "storage/base/address.h"

namespace tranche::load {
namespace {

// Time to make the threads, so that the first visitors are not late.
constexpr absl::Duration kBeginIn = absl::Milliseconds(100);
constexpr int kMostRequestBytes = 256 * 1024;
constexpr int kMostServerThreads = 32;
constexpr absl::Duration kFarewell = absl::Seconds(5);

// When all steps failed in the same way, so that nothing was measured; "" otherwise.
std::string InVain(const internal::v1::LoadResult& result) {
  std::map<std::string, uint64_t> ends;
  uint64_t all = 0;
  for (const internal::v1::LoadStep& step : result.steps()) {
    if (step.step() == "visit") continue;
    for (const auto& [outcome, count] : step.outcomes()) {
      ends[outcome] += count;
      all += count;
    }
  }
  if (all == 0 || ends.size() != 1) return "";
  const std::string& only = ends.begin()->first;
  if (only == "UNAVAILABLE") return "no front node answered; check --endpoints";
  if (only == "UNAUTHENTICATED") {
    return "the nodes do not know who calls: give --token-file, or --tls-certificate and --tls-key";
  }
  if (only == "PERMISSION_DENIED") {
    return "the nodes do not let this caller do that: its token or certificate needs a role in their --access-file";
  }
  return "";
}

int Tell(const ScenarioFlags& flags, const ScenarioReport& report) {
  std::cout << ReportTable(report);
  if (!flags.result_file.empty() && !WriteFile(flags.result_file, ReportJson(report))) {
    return Fail(absl::StrCat("cannot write ", flags.result_file));
  }
  for (const GeneratorReport& generator : report.generators) {
    if (generator.failure.empty()) continue;
    Fail(absl::StrCat("generator ", generator.name, " did not do its share: ", generator.failure));
    return 2;
  }
  const std::string in_vain = InVain(report.result);
  if (in_vain.empty()) return 0;
  Fail(in_vain);
  return 2;
}

// Runs it, with a live line and until a signal comes.
template <typename Run>
void RunVisibly(Run& run, bool visibly) {
  const StopOnSignal stop_on_signal(run);
  std::unique_ptr<ScenarioProgress> progress;
  if (visibly) progress = std::make_unique<ScenarioProgress>([&run] { return run.progress(); });
  run.Run();
}

int RunHere(const ScenarioFlags& flags, LoadOptions options, ScenarioReport report) {
  options.timeout = report.scenario.call_timeout;
  const absl::StatusOr<std::unique_ptr<Client>> client = OpenLoadClient(options);
  if (!client.ok()) return Fail(client.status().message());
  report.began = absl::Now() + kBeginIn;
  ScenarioRun run(report.scenario, **client, report.users, Share(), report.began);
  RunVisibly(run, options.progress);
  report.result = run.result();
  report.generators.emplace_back();
  return Tell(flags, report);
}

int Conduct(const ScenarioFlags& flags, const LoadOptions& options, const std::string& text, ScenarioReport report) {
  Conductor conductor(flags.generators, text, report.users, report.version);
  if (const absl::Status met = conductor.Meet(); !met.ok()) {
    Fail(met.message());
    return 2;
  }
  RunVisibly(conductor, options.progress);
  report.began = conductor.began();
  report.result = conductor.result();
  report.generators = conductor.generators();
  return Tell(flags, report);
}

// In one step, so that a reader sees all of it or nothing.
bool WritePort(const std::string& path, int port) {
  const std::string temporary = absl::StrCat(path, ".new");
  return WriteFile(temporary, absl::StrCat(port, "\n")) && std::rename(temporary.c_str(), path.c_str()) == 0;
}

struct UntilSignal {
  StopFlag stop;
  void Stop() { stop.Set(); }
};

}  // namespace

int RunScenarioFile(const ScenarioFlags& flags, const LoadOptions& options) {
  const absl::StatusOr<std::string> text = ReadScenarioFile(flags.file);
  if (!text.ok()) return Fail(text.status().message());
  absl::StatusOr<Scenario> scenario = ReadScenario(*text);
  if (!scenario.ok()) return Fail(absl::StrCat(flags.file, ", ", scenario.status().message()));
  ScenarioReport report;
  report.scenario = *std::move(scenario);
  report.version = TRANCHE_VERSION;
  report.users = options.user_prefix;
  if (flags.generators.empty()) return RunHere(flags, options, std::move(report));
  return Conduct(flags, options, *text, std::move(report));
}

int ServeScenarios(const ScenarioFlags& flags, const LoadOptions& options) {
  // A wrong option is told now, and not to the first conductor.
  if (const auto client = OpenLoadClient(options); !client.ok()) return Fail(client.status().message());
  LoadGenerator generator(TRANCHE_VERSION, [options](absl::Duration call_timeout) {
    LoadOptions of_run = options;
    of_run.timeout = call_timeout;
    return OpenLoadClient(of_run);
  });
  int port = 0;
  grpc::ResourceQuota quota("tranche-load");
  quota.SetMaxThreads(kMostServerThreads);
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMostRequestBytes);
  builder.AddListeningPort(flags.serve, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&generator);
  UntilSignal until;
  const StopOnSignal stop_on_signal(until);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) return Fail(absl::StrCat("cannot listen at ", flags.serve));
  if (!flags.port_file.empty() && !WritePort(flags.port_file, port)) {
    return Fail(absl::StrCat("cannot write ", flags.port_file));
  }
  std::cerr << "carries out scenarios for whoever calls " << ParseAddress(flags.serve)->host << ":" << port << "\n";
  until.stop.SleepUntil(absl::InfiniteFuture());
  generator.Stop();
  server->Shutdown(absl::ToChronoTime(absl::Now() + kFarewell));
  return 0;
}

}  // namespace tranche::load
