#include "client/load/load_flags.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "client/load/answer_log.h"
#include "storage/base/status_macros.h"
#include "tranche/uuid.h"

namespace tranche::load {
namespace {

constexpr double kMostPerSecond = 1'000'000;
constexpr int64_t kMostRequests = 1'000'000'000'000;
constexpr int kMostUnits = 1'000'000'000;

void AddChangeFlags(CLI::App& app, LoadOptions& options, LoadFlags& flags) {
  CLI::Option* rate =
      app.add_option("--change-rate", options.changes_per_second,
                     "Also confirm, cancel and extend acknowledged reservations: this many changes per second "
                     "at random times, each sent once, to a node at random")
          ->check(CLI::Range(0.001, kMostPerSecond).description("[0.001-1000000]"));
  app.add_option("--change-kinds", flags.change_kinds,
                 "Only these, separated by commas: confirm, cancel, extend; default: all")
      ->delimiter(',')
      ->check(CLI::IsMember(std::vector<std::string>{"confirm", "cancel", "extend"}))
      ->needs(rate);
  app.add_option("--change-timeout-ms", flags.change_timeout_ms, "Deadline of a change")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str()
      ->needs(rate);
  app.add_option("--change-answers", options.change_answers_file,
                 "Write a line for every answer to a change to this file: \"reservation_id kind node value outcome "
                 "began_us ended_us\" with tabs between")
      ->needs(rate);
}

void AddEarlierRunFlags(CLI::App& app, LoadOptions& options) {
  CLI::Option* file =
      app.add_option("--reservations", options.reservations_file,
                     "Claim nothing: until --duration is over, change (--change-rate) and read (--read-rate) the "
                     "reservations of this file, which --acknowledged of an earlier run wrote");
  app.add_option(
         "--read-rate", options.reads_per_second,
         "Read them: this many reads per second at random times, each sent once; in turn one reservation, ten "
         "at once, and a SKU of the catalogue. A read that cannot be sent within 10 ms is not sent, but counted")
      ->check(CLI::Range(0.001, kMostPerSecond).description("[0.001-1000000]"))
      ->needs(file);
}

void AddRateFlags(CLI::App& app, LoadOptions& options) {
  CLI::Option* rate =
      app.add_option("--rate", options.rate_per_second,
                     "Arrivals per second at random (Poisson) times, latency measured from the intended arrival; 0: as "
                     "many as the window lets through")
          ->check(CLI::Range(0.0, kMostPerSecond).description("[0-1000000]"));
  app.add_flag("--skip-late", options.skip_late,
               "With --rate: a request that cannot be sent within 10 ms of its arrival, or finds --in-flight requests "
               "under way, is not sent, but counted. Without it, it is sent later")
      ->needs(rate);
}

void AddQueueFlags(CLI::App& app, LoadOptions& options, LoadFlags& flags) {
  CLI::Option* accept =
      app.add_flag("--accept-queued", options.accept_queued,
                   "Accept that claims are queued, and wait for their decisions: at the end, too. A queued claim no "
                   "longer counts as in flight. Times until they were queued and until they were decided are reported");
  app.add_option("--decide-within", flags.decide_within,
                 "How long to wait for the decision of a queued claim, such as 30s; default: as long as the node says. "
                 "Then its outcome is unknown")
      ->needs(accept);
}

std::vector<ChangeKind> KindsOf(const std::vector<std::string>& names) {
  std::vector<ChangeKind> kinds;
  for (const ChangeKind kind : {ChangeKind::kConfirm, ChangeKind::kCancel, ChangeKind::kExtend}) {
    if (std::find(names.begin(), names.end(), ChangeKindName(kind)) != names.end()) kinds.push_back(kind);
  }
  return kinds;
}

// What is to be done, and until when.
absl::Status CheckWork(const LoadFlags& flags, const LoadOptions& options) {
  if (options.reservations_file.empty()) {
    return options.skus.empty() ? absl::InvalidArgumentError("--sku is required") : absl::OkStatus();
  }
  if (options.changes_per_second <= 0 && options.reads_per_second <= 0) {
    return absl::InvalidArgumentError("with --reservations, give --change-rate, --read-rate or both");
  }
  if (options.requests > 0 || options.rate_per_second > 0 || !options.skus.empty()) {
    return absl::InvalidArgumentError("with --reservations nothing is claimed: leave out --sku, --requests and --rate");
  }
  if (flags.duration.empty()) return absl::InvalidArgumentError("with --reservations, give --duration");
  return absl::OkStatus();
}

}  // namespace

void AddLoadFlags(CLI::App& app, LoadOptions& options, LoadFlags& flags) {
  app.add_option("--endpoints,--endpoint", flags.endpoints, "Front nodes as host:port, separated by commas")
      ->envname("TRANCHE_ENDPOINT");
  AddSecurityFlags(app, flags.security);
  app.add_option("--sku", options.skus, "SKU to buy; repeat it to spread the requests evenly over several");
  app.add_option("--requests", options.requests, "Requests in total; 0: until --duration is over")
      ->check(CLI::Range(int64_t{0}, kMostRequests));
  app.add_option("--duration", flags.duration, "Stop after this time, such as 30s or 5m");
  app.add_option("--in-flight", flags.in_flight,
                 "Requests in flight at most: the window of the closed loop (default 512), the bound of the open one "
                 "and of reads (default 16384)")
      ->check(CLI::Range(1, 1'000'000));
  AddRateFlags(app, options);
  app.add_option("--quantity", options.quantity, "Units per request")
      ->check(CLI::Range(1, kMostUnits))
      ->capture_default_str();
  app.add_option("--timeout-ms", flags.timeout_ms, "Deadline of a request, retries included")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_option("--users", options.user_prefix, "Prefix of the buyers' ids; default: one of its own for every run");
  app.add_flag("--throttle", options.throttle,
               "Hold claims back while the nodes are overloaded, as the SDK does by default; best with --rate, because "
               "what is held back is answered at once. Without it, all are sent");
  app.add_option("--channels", options.channels_per_endpoint, "Connections per front node")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--streams", options.streams, "Send over this many streams; 0: each request is a call of its own")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  app.add_option("--summary", options.summary_file, "Write the figures as JSON to this file");
  app.add_option("--acknowledged", options.acknowledged_file,
                 "Write \"reservation_id sku_id\" of every acknowledged reservation to this file");
  app.add_option("--unknown", options.unknown_file,
                 "Write \"reservation_id sku_id\" of every request whose outcome stayed unknown to this file");
  app.add_option("--answers", options.answers_file,
                 "Write a line for every answer to this file: \"reservation_id sku user quantity outcome amount_minor "
                 "began_us ended_us\" separated by tabs; the last line of an id counts");
  AddQueueFlags(app, options, flags);
  AddChangeFlags(app, options, flags);
  AddEarlierRunFlags(app, options);
  AddScenarioFlags(app, flags.scenario);
  app.add_flag("--progress,!--no-progress", flags.progress, "A live line on stderr; default: on a terminal");
}

absl::Status CompleteOptions(const CLI::App& app, const LoadFlags& flags, LoadOptions& options) {
  // A conductor calls generators, which know their front nodes.
  if (app.count("--endpoints") == 0 && flags.scenario.generators.empty()) {
    return absl::InvalidArgumentError("--endpoints is required");
  }
  for (const absl::string_view endpoint : absl::StrSplit(flags.endpoints, ',', absl::SkipWhitespace())) {
    options.endpoints.emplace_back(absl::StripAsciiWhitespace(endpoint));
  }
  RETURN_IF_ERROR(CheckSecurityFlags(flags.security, options.endpoints));
  options.tls = TlsOf(flags.security);
  options.token_file = flags.security.token_file;
  if (options.user_prefix.empty()) options.user_prefix = absl::StrCat("buyer-", MakeUuidV7().substr(0, 23));
  options.progress = app.count("--progress") > 0 ? flags.progress : isatty(STDERR_FILENO) != 0;
  if (flags.scenario.asked()) return CheckScenarioFlags(app, flags.scenario);
  if (!flags.duration.empty() &&
      (!absl::ParseDuration(flags.duration, &options.duration) || options.duration <= absl::ZeroDuration())) {
    return absl::InvalidArgumentError(absl::StrCat("--duration: \"", flags.duration, "\" is not a time such as 30s"));
  }
  if (!flags.decide_within.empty()) {
    absl::Duration within;
    if (!absl::ParseDuration(flags.decide_within, &within) || within <= absl::ZeroDuration()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--decide-within: \"", flags.decide_within, "\" is not a time such as 30s"));
    }
    options.decide_within = within;
  }
  RETURN_IF_ERROR(CheckWork(flags, options));
  if (options.requests == 0 && flags.duration.empty()) {
    return absl::InvalidArgumentError("give --requests or --duration, or the run would never end");
  }
  if (!flags.change_kinds.empty()) options.change_kinds = KindsOf(flags.change_kinds);
  options.timeout = absl::Milliseconds(flags.timeout_ms);
  options.change_timeout = absl::Milliseconds(flags.change_timeout_ms);
  const bool open_loop = options.rate_per_second > 0 || options.reads_per_second > 0;
  options.in_flight = flags.in_flight > 0 ? flags.in_flight : open_loop ? 16384 : 512;
  return absl::OkStatus();
}

}  // namespace tranche::load
