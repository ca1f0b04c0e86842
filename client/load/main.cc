// tranche-load: any number of buyers, through the SDK.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "client/load/changer.h"
#include "client/load/earlier_run.h"
#include "client/load/generator.h"
#include "client/load/load_client.h"
#include "client/load/load_flags.h"
#include "client/load/load_options.h"
#include "client/load/outcomes.h"
#include "client/load/output.h"
#include "client/load/progress.h"
#include "client/load/reader.h"
#include "client/load/scenario_main.h"
#include "client/load/stop_on_signal.h"
#include "client/load/summary.h"
#include "storage/base/decimal_flags.h"
#include "storage/base/status_macros.h"
#include "tranche/client.h"

namespace tranche::load {
namespace {

constexpr int kResolveRounds = 10;

// Beside the requests, or instead of them; null: not asked for.
struct Others {
  std::unique_ptr<Changer> changer;
  std::unique_ptr<Reader> reader;

  void Start() {
    if (changer != nullptr) changer->Start();
    if (reader != nullptr) reader->Start();
  }
  void Stop() {
    if (changer != nullptr) changer->Stop();
    if (reader != nullptr) reader->Stop();
  }
};

absl::StatusOr<std::unique_ptr<Changer>> OpenChanger(const LoadOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Changer> changer, Changer::Open(options));
  if (!options.change_answers_file.empty()) RETURN_IF_ERROR(changer->RecordAnswers(options.change_answers_file));
  return changer;
}

// INVALID_ARGUMENT for files that cannot be used; other errors are those of the nodes.
absl::StatusOr<Others> OpenOthers(const LoadOptions& options, Client& client) {
  Others others;
  if (options.changes_per_second > 0) {
    ASSIGN_OR_RETURN(others.changer, OpenChanger(options));
  }
  if (options.reservations_file.empty()) return others;
  ASSIGN_OR_RETURN(std::vector<KnownReservation> known, ReadReservations(options.reservations_file));
  if (others.changer != nullptr) {
    ASSIGN_OR_RETURN(std::vector<Reservation> found, LookUp(client, known));
    others.changer->OfferAll(std::move(found));
  }
  if (options.reads_per_second > 0) {
    ASSIGN_OR_RETURN(others.reader, Reader::Open(options, std::move(known)));
  }
  return others;
}

absl::Status OpenFiles(const LoadOptions& options, Outcomes& outcomes) {
  if (!options.acknowledged_file.empty()) RETURN_IF_ERROR(outcomes.RecordAcknowledged(options.acknowledged_file));
  if (!options.answers_file.empty()) RETURN_IF_ERROR(outcomes.RecordAnswers(options.answers_file));
  return absl::OkStatus();
}

// How requests, changes and reads ended, whatever the run had of them: names as those of Outcomes::NameOf.
struct Ends {
  uint64_t all = 0;
  std::map<std::string, uint64_t> by_name;  // without requests that were granted or are unknown
};

Ends EndsOf(const Run& run) {
  const SkuTotals requests = run.outcomes.Totals();
  Ends ends = {.all = requests.attempts, .by_name = requests.refused};
  const auto add = [&ends](const std::map<std::string, uint64_t>& answers) {
    for (const auto& [name, count] : answers) {
      ends.all += count;
      // Silence. A change that was answered when it was sent again is also counted by that answer.
      ends.by_name[name == "UNKNOWN" ? "UNAVAILABLE" : name] += count;
    }
  };
  if (run.changer != nullptr) {
    for (const auto& [kind, answers] : run.changer->totals()) add(answers);
  }
  for (size_t kind = 0; run.reader != nullptr && kind < kReadKinds; ++kind) {
    add(run.reader->answers(static_cast<ReadKind>(kind)));
  }
  return ends;
}

// When all failed in the same way: the address is wrong or no node is there, or the nodes serve us nothing.
int ReportInVain(const Run& run) {
  const Ends ends = EndsOf(run);
  const auto all_were = [&ends](const char* name) {
    const auto found = ends.by_name.find(name);
    return found != ends.by_name.end() && found->second == ends.all;
  };
  if (all_were("UNAVAILABLE")) {
    const std::string error = run.outcomes.first_error();
    Fail(absl::StrCat("no front node answered; check --endpoints", error.empty() ? "" : ": ", error));
  } else if (all_were("UNAUTHENTICATED")) {
    Fail("the nodes do not know who calls: give --token-file, or --tls-certificate and --tls-key");
  } else if (all_were("PERMISSION_DENIED")) {
    Fail("the nodes do not let this caller do that: its token or certificate needs a role in their --access-file");
  } else {
    return 0;
  }
  return 2;
}

// Files that could not be written are an error, which is reported after everything else.
int Report(const Run& run, Outcomes& outcomes, Changer* changer) {
  const LoadOptions& options = run.options;
  std::cout << SummaryTable(run);
  if (!outcomes.CloseAcknowledged()) return Fail(absl::StrCat("cannot write ", options.acknowledged_file));
  if (!outcomes.CloseAnswers()) return Fail(absl::StrCat("cannot write ", options.answers_file));
  if (changer != nullptr && !changer->CloseAnswers()) {
    return Fail(absl::StrCat("cannot write ", options.change_answers_file));
  }
  if (!options.unknown_file.empty()) {
    std::string lines;
    for (const UnknownRequest& unknown : outcomes.TakeUnknown()) {
      absl::StrAppend(&lines, unknown.request.reservation_id, " ", unknown.request.sku, "\n");
    }
    if (!WriteFile(options.unknown_file, lines)) return Fail(absl::StrCat("cannot write ", options.unknown_file));
  }
  if (!options.summary_file.empty() && !WriteFile(options.summary_file, SummaryJson(run))) {
    return Fail(absl::StrCat("cannot write ", options.summary_file));
  }
  return ReportInVain(run);
}

void Describe(CLI::App& app) {
  app.footer(
      "Examples:\n"
      "  tranche-load --endpoints 10.0.0.1:7400,10.0.0.2:7400 --sku tv --sku phone --requests 1000000\n"
      "  tranche-load --endpoints 127.0.0.1:7400 --sku tv --rate 5000 --duration 30s --summary run.json\n"
      "  tranche-load --endpoints 127.0.0.1:7400 --sku tv --rate 500 --duration 30s --change-rate 100\n"
      "  tranche-load --endpoints 127.0.0.1:7400 --reservations ids --change-rate 200 --change-kinds confirm "
      "--duration "
      "30s\n"
      "  tranche-load --endpoints 127.0.0.1:7400 --scenario sale.yaml --result sale.json\n"
      "  tranche-load --endpoints 10.0.0.1:7400 --serve 127.0.0.1:7500\n"
      "  tranche-load --generators 127.0.0.1:7500,127.0.0.1:7501 --scenario sale.yaml --result sale.json\n\n"
      "Requests and changes of unknown outcome are sent again at the end, just as they were; not if a signal ended "
      "the\n"
      "run. Exit status: 0 done, 1 wrong usage or a file that cannot be written or used, 2 no front node answered, or "
      "none\n"
      "let this caller in, or a generator did not do its share.");
  app.set_version_flag("--version", "tranche-load " TRANCHE_VERSION);
}

int RunLoad(const LoadOptions& options, Client& client, Outcomes& outcomes, Others others) {
  Changer* const changer = others.changer.get();
  Generator generator(options, client, outcomes, changer);
  const StopOnSignal stop_on_signal(generator);
  {
    std::unique_ptr<Progress> progress;
    if (options.progress) progress = std::make_unique<Progress>(options, generator, outcomes);
    others.Start();
    generator.Run();
    others.Stop();
  }
  const absl::Duration wall = generator.elapsed();
  ResolveUnknown(client, outcomes, kResolveRounds, generator.stop_flag());
  if (changer != nullptr) changer->ResolveUnknown(client, kResolveRounds, generator.stop_flag());
  const Run run = {.options = options,
                   .outcomes = outcomes,
                   .wall = wall,
                   .interrupted = generator.interrupted(),
                   .open_loop = generator.open_loop(),
                   .changer = changer,
                   .reader = others.reader.get()};
  return Report(run, outcomes, changer);
}

int Main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app("Buys from a Tranche cluster as fast as asked and reports what came back.", "tranche-load");
  Describe(app);
  LoadOptions options;
  LoadFlags flags;
  AddLoadFlags(app, options, flags);
  ReadNumbersAsDecimal(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  if (absl::Status status = CompleteOptions(app, flags, options); !status.ok()) return Fail(status.message());
  if (!flags.scenario.serve.empty()) return ServeScenarios(flags.scenario, options);
  if (!flags.scenario.file.empty()) return RunScenarioFile(flags.scenario, options);
  absl::StatusOr<std::unique_ptr<Client>> client = OpenLoadClient(options);
  if (!client.ok()) return Fail(client.status().message());
  Outcomes outcomes(options.skus.size());
  if (absl::Status status = OpenFiles(options, outcomes); !status.ok()) return Fail(status.message());
  absl::StatusOr<Others> others = OpenOthers(options, **client);
  if (!others.ok()) {
    const int wrong_usage = Fail(others.status().message());
    return absl::IsInvalidArgument(others.status()) ? wrong_usage : 2;
  }
  return RunLoad(options, **client, outcomes, *std::move(others));
}

}  // namespace
}  // namespace tranche::load

int main(int argc, char** argv) { return tranche::load::Main(argc, argv); }
