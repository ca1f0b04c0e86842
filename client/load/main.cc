// tranche-load: any number of buyers, through the SDK.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "client/flags/security_flags.h"
#include "client/load/changer.h"
#include "client/load/generator.h"
#include "client/load/load_options.h"
#include "client/load/outcomes.h"
#include "client/load/progress.h"
#include "client/load/summary.h"
#include "storage/base/decimal_flags.h"
#include "storage/base/status_macros.h"
#include "tranche/client.h"

namespace tranche::load {
namespace {

constexpr int kResolveRounds = 10;
constexpr double kMostPerSecond = 1'000'000;
constexpr int64_t kMostRequests = 1'000'000'000'000;
constexpr int kMostUnits = 1'000'000'000;

Generator* running_generator = nullptr;

// The first signal ends the run: nothing more is sent, and what is under way is waited for. The second ends the program
// at once.
void StopOnSignal(int signal) {
  if (running_generator != nullptr) running_generator->Stop();
  std::signal(signal, SIG_DFL);
}

int Fail(absl::string_view message) {
  std::cerr << "tranche-load: " << message << "\n";
  return 1;
}

struct Flags {
  std::string endpoints;
  SecurityFlags security;
  std::string duration;
  int64_t timeout_ms = 2000;
  int64_t change_timeout_ms = 1000;
  int in_flight = 0;
  bool progress = false;
};

void AddChangeFlags(CLI::App& app, LoadOptions& options, Flags& flags) {
  CLI::Option* rate =
      app.add_option("--change-rate", options.changes_per_second,
                     "Also confirm, cancel and extend acknowledged reservations: this many changes per second "
                     "at random times, each sent once, to a node at random")
          ->check(CLI::Range(0.001, kMostPerSecond).description("[0.001-1000000]"));
  app.add_option("--change-timeout-ms", flags.change_timeout_ms, "Deadline of a change")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str()
      ->needs(rate);
  app.add_option("--change-answers", options.change_answers_file,
                 "Write a line for every answer to a change to this file: \"reservation_id kind node value outcome "
                 "began_us ended_us\" with tabs between")
      ->needs(rate);
}

void AddFlags(CLI::App& app, LoadOptions& options, Flags& flags) {
  app.add_option("--endpoints,--endpoint", flags.endpoints, "Front nodes as host:port, separated by commas")
      ->required()
      ->envname("TRANCHE_ENDPOINT");
  AddSecurityFlags(app, flags.security);
  app.add_option("--sku", options.skus, "SKU to buy; repeat it to spread the requests evenly over several")->required();
  app.add_option("--requests", options.requests, "Requests in total; 0: until --duration is over")
      ->check(CLI::Range(int64_t{0}, kMostRequests));
  app.add_option("--duration", flags.duration, "Stop after this time, such as 30s or 5m");
  app.add_option("--in-flight", flags.in_flight,
                 "Requests in flight at most: the window of the closed loop (default 512), the bound of the open one "
                 "(default 16384)")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--rate", options.rate_per_second,
                 "Arrivals per second at random (Poisson) times, latency measured from the intended arrival; 0: as "
                 "many as the window lets through")
      ->check(CLI::Range(0.0, kMostPerSecond).description("[0-1000000]"));
  app.add_option("--quantity", options.quantity, "Units per request")
      ->check(CLI::Range(1, kMostUnits))
      ->capture_default_str();
  app.add_option("--timeout-ms", flags.timeout_ms, "Deadline of a request, retries included")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_option("--users", options.user_prefix, "Prefix of the buyers' ids; default: one of its own for every run");
  app.add_option("--channels", options.channels_per_endpoint, "Connections per front node")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--streams", options.streams, "Send over this many streams; 0: each request is a call of its own")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  app.add_flag("--throttle", options.throttle,
               "Hold claims back while the nodes are overloaded, as the SDK does by default; best with --rate, because "
               "what is held back is answered at once. Without it, all are sent");
  app.add_option("--summary", options.summary_file, "Write the figures as JSON to this file");
  app.add_option("--acknowledged", options.acknowledged_file,
                 "Write \"reservation_id sku_id\" of every acknowledged reservation to this file");
  app.add_option("--unknown", options.unknown_file,
                 "Write \"reservation_id sku_id\" of every request whose outcome stayed unknown to this file");
  app.add_option("--answers", options.answers_file,
                 "Write a line for every answer to this file: \"reservation_id sku user quantity outcome amount_minor "
                 "began_us ended_us\" separated by tabs; the last line of an id counts");
  AddChangeFlags(app, options, flags);
  app.add_flag("--progress,!--no-progress", flags.progress, "A live line on stderr; default: on a terminal");
}

// Checks of flags beyond their own ranges.
absl::Status Complete(const CLI::App& app, const Flags& flags, LoadOptions& options) {
  for (const absl::string_view endpoint : absl::StrSplit(flags.endpoints, ',', absl::SkipWhitespace())) {
    options.endpoints.emplace_back(absl::StripAsciiWhitespace(endpoint));
  }
  RETURN_IF_ERROR(CheckSecurityFlags(flags.security, options.endpoints));
  options.tls = TlsOf(flags.security);
  options.token_file = flags.security.token_file;
  if (!flags.duration.empty() &&
      (!absl::ParseDuration(flags.duration, &options.duration) || options.duration <= absl::ZeroDuration())) {
    return absl::InvalidArgumentError(absl::StrCat("--duration: \"", flags.duration, "\" is not a time such as 30s"));
  }
  if (options.requests == 0 && flags.duration.empty()) {
    return absl::InvalidArgumentError("give --requests or --duration, or the run would never end");
  }
  options.timeout = absl::Milliseconds(flags.timeout_ms);
  options.change_timeout = absl::Milliseconds(flags.change_timeout_ms);
  options.in_flight = flags.in_flight > 0 ? flags.in_flight : options.rate_per_second > 0 ? 16384 : 512;
  if (options.user_prefix.empty()) options.user_prefix = absl::StrCat("buyer-", MakeUuidV7().substr(0, 23));
  options.progress = app.count("--progress") > 0 ? flags.progress : isatty(STDERR_FILENO) != 0;
  return absl::OkStatus();
}

bool WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  return !file.fail();
}

absl::StatusOr<std::unique_ptr<Changer>> OpenChanger(const LoadOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Changer> changer, Changer::Open(options));
  if (!options.change_answers_file.empty()) RETURN_IF_ERROR(changer->RecordAnswers(options.change_answers_file));
  return changer;
}

// When every request failed in the same way: the address is wrong or no node is there, or the nodes serve us nothing.
int ReportInVain(const Outcomes& outcomes) {
  const SkuTotals totals = outcomes.Totals();
  const auto all_were = [&](const char* name) {
    const auto found = totals.refused.find(name);
    return found != totals.refused.end() && found->second == totals.attempts;
  };
  if (all_were("UNAVAILABLE")) {
    Fail(absl::StrCat("no front node answered; check --endpoints: ", outcomes.first_error()));
  } else if (all_were("UNAUTHENTICATED")) {
    Fail("the nodes do not know who calls: give --token-file, or --tls-certificate and --tls-key");
  } else if (all_were("PERMISSION_DENIED")) {
    Fail("the nodes do not let this caller reserve: its token or certificate needs a role in their --access-file");
  } else {
    return 0;
  }
  return 2;
}

// Files that could not be written are an error, which is reported after everything else.
int Report(const LoadOptions& options, Outcomes& outcomes, Changer* changer, absl::Duration wall, bool interrupted) {
  std::cout << SummaryTable(options, outcomes, wall, changer);
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
  if (!options.summary_file.empty() &&
      !WriteFile(options.summary_file, SummaryJson(options, outcomes, wall, interrupted, changer))) {
    return Fail(absl::StrCat("cannot write ", options.summary_file));
  }
  return ReportInVain(outcomes);
}

int Main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app("Buys from a Tranche cluster as fast as asked and reports what came back.", "tranche-load");
  app.footer(
      "Examples:\n"
      "  tranche-load --endpoints 10.0.0.1:7400,10.0.0.2:7400 --sku tv --sku phone --requests 1000000\n"
      "  tranche-load --endpoints 127.0.0.1:7400 --sku tv --rate 5000 --duration 30s --summary run.json\n"
      "  tranche-load --endpoints 127.0.0.1:7400 --sku tv --rate 500 --duration 30s --change-rate 100\n\n"
      "Requests and changes of unknown outcome are sent again at the end, just as they were; not if a signal ended "
      "the\n"
      "run. Exit status: 0 done, 1 wrong usage or a file that cannot be written or used, 2 no front node answered, or "
      "none\n"
      "let this caller in.");
  LoadOptions options;
  Flags flags;
  app.set_version_flag("--version", "tranche-load " TRANCHE_VERSION);
  AddFlags(app, options, flags);
  ReadNumbersAsDecimal(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  if (absl::Status status = Complete(app, flags, options); !status.ok()) return Fail(status.message());

  ClientOptions client_options;
  client_options.endpoints = options.endpoints;
  client_options.request_timeout = options.timeout;
  client_options.channels_per_endpoint = options.channels_per_endpoint;
  client_options.throttle.enabled = options.throttle;
  client_options.tls = options.tls;
  client_options.token_file = options.token_file;
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Open(client_options);
  if (!client.ok()) return Fail(client.status().message());
  Outcomes outcomes(options.skus.size());
  if (!options.acknowledged_file.empty()) {
    if (absl::Status status = outcomes.RecordAcknowledged(options.acknowledged_file); !status.ok()) {
      return Fail(status.message());
    }
  }

  if (!options.answers_file.empty()) {
    if (absl::Status status = outcomes.RecordAnswers(options.answers_file); !status.ok()) return Fail(status.message());
  }

  std::unique_ptr<Changer> changer;
  if (options.changes_per_second > 0) {
    auto opened = OpenChanger(options);
    if (!opened.ok()) return Fail(opened.status().message());
    changer = *std::move(opened);
  }

  Generator generator(options, **client, outcomes, changer.get());
  running_generator = &generator;
  std::signal(SIGINT, StopOnSignal);
  std::signal(SIGTERM, StopOnSignal);
  {
    std::unique_ptr<Progress> progress;
    if (options.progress) progress = std::make_unique<Progress>(options, generator, outcomes);
    if (changer != nullptr) changer->Start();
    generator.Run();
    if (changer != nullptr) changer->Stop();
  }
  const absl::Duration wall = generator.elapsed();
  ResolveUnknown(**client, outcomes, kResolveRounds, generator.stop_flag());
  if (changer != nullptr) changer->ResolveUnknown(**client, kResolveRounds, generator.stop_flag());
  return Report(options, outcomes, changer.get(), wall, generator.interrupted());
}

}  // namespace
}  // namespace tranche::load

int main(int argc, char** argv) { return tranche::load::Main(argc, argv); }
