#include "client/load/scenario_flags.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "storage/base/address.h"
#include "storage/base/loopback.h"

namespace tranche::load {
namespace {

constexpr size_t kMostGenerators = 64;

// A scenario says these itself, or has no use for them.
constexpr const char* kNotOfScenarios[] = {
    "--sku",        "--requests",    "--duration",     "--in-flight", "--rate",          "--quantity",
    "--timeout-ms", "--streams",     "--summary",      "--unknown",   "--acknowledged",  "--answers",
    "--skip-late",  "--change-rate", "--reservations", "--read-rate", "--accept-queued",
};
// A conductor calls no front node. Flags with an environment variable may be there for other commands: they are
// ignored.
constexpr const char* kNotOfConductors[] = {"--channels", "--throttle"};

}  // namespace

void AddScenarioFlags(CLI::App& app, ScenarioFlags& flags) {
  CLI::Option* const scenario =
      app.add_option(
             "--scenario", flags.file,
             "Carry out this scenario (YAML): who comes when, and what they do; instead of --sku and --requests")
          ->type_name("FILE");
  app.add_option("--result", flags.result_file, "Write what came of the scenario as JSON to this file")
      ->type_name("FILE")
      ->needs(scenario);
  app.add_option("--generators", flags.generators,
                 "Let these other processes, separated by commas, carry out the scenario together; each was started "
                 "with --serve")
      ->type_name("HOST:PORT,...")
      ->delimiter(',')
      ->needs(scenario);
  CLI::Option* const serve =
      app.add_option("--serve", flags.serve,
                     "Carry out scenarios for whoever calls this HOST:PORT, against --endpoints, until a signal comes. "
                     "There is no login: only of this machine itself unless --serve-unprotected is given")
          ->type_name("HOST:PORT")
          ->excludes(scenario);
  app.add_flag("--serve-unprotected", flags.serve_unprotected,
               "With --serve: also at an address that other machines reach. Everybody who does can start load: only in "
               "a private network")
      ->needs(serve);
  app.add_option("--port-file", flags.port_file, "With --serve: write the port to this file, useful with port 0")
      ->type_name("FILE")
      ->needs(serve);
}

absl::Status CheckScenarioFlags(const CLI::App& app, const ScenarioFlags& flags) {
  for (const char* flag : kNotOfScenarios) {
    if (app.count(flag) == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("leave out ", flag,
                                                   ": with --scenario and --serve, the scenario says "
                                                   "what is done"));
  }
  if (flags.generators.size() > kMostGenerators) {
    return absl::InvalidArgumentError(absl::StrCat("--generators: at most ", kMostGenerators));
  }
  for (const std::string& generator : flags.generators) {
    if (IsAddressWithPort(generator)) continue;
    return absl::InvalidArgumentError(absl::StrCat("--generators: \"", generator, "\" is not host:port"));
  }
  for (const char* flag : kNotOfConductors) {
    if (flags.generators.empty() || app.count(flag) == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("leave out ", flag, ": with --generators, each of them has its own"));
  }
  if (flags.serve.empty()) return absl::OkStatus();
  if (!ParseAddress(flags.serve).has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("--serve: \"", flags.serve, "\" is not host:port"));
  }
  if (!IsLoopbackEndpoint(flags.serve) && !flags.serve_unprotected) {
    return absl::InvalidArgumentError(absl::StrCat("--serve: other machines may reach ", flags.serve,
                                                   ", and there is no login; add --serve-unprotected if only your own "
                                                   "do"));
  }
  return absl::OkStatus();
}

}  // namespace tranche::load
