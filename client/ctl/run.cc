#include "client/ctl/run.h"

#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/suggest.h"

namespace tranche::ctl {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  export TRANCHE_ENDPOINT=127.0.0.1:7400\n"
    "  tranchectl sku create tv --stock 1000 --price 499.00 --currency EUR\n"
    "  tranchectl quota show tv --watch\n"
    "  tranchectl stock add tv 500            shows what would change\n"
    "  tranchectl stock add tv 500 --yes      does it\n"
    "  tranchectl quota move tv --from node-1 --to node-2 100\n"
    "  tranchectl node drain node-3 --yes     takes it out of the sale; undrain takes it back in\n"
    "  tranchectl reservation list --user alice\n"
    "  tranchectl audit --sku tv              who changed what\n"
    "  tranchectl outbox list                 messages that were given up; outbox retry, outbox discard\n"
    "  tranchectl verify && echo all well\n"
    "  tranchectl reconcile --statement psp.csv --report differences.csv\n"
    "\n"
    "What changes something shows it first and does it with --yes; every change is in the audit log.\n"
    "JSON output follows protobuf's mapping: 64-bit numbers are strings, so that no reader rounds them.\n"
    "Exit status: 0 done; 1 wrong usage; 2 the cluster refused, did not answer, verify found a broken\n"
    "rule, or reconcile a difference.";

void AddGlobalFlags(CLI::App& app, Session& session) {
  app.add_option("--endpoint", session.endpoints,
                 "Front nodes as host:port, separated by commas; the first that answers is used")
      ->envname("TRANCHE_ENDPOINT")
      ->capture_default_str();
  app.add_option("--timeout", session.timeout,
                 "For one call, such as 30s; default: 10s, and 5m for verify and zk rebuild")
      ->envname("TRANCHE_TIMEOUT")
      ->check([](const std::string& text) {
        const auto duration = ParseDuration(text);
        return duration.ok() ? std::string() : std::string(duration.status().message());
      });
  app.add_option("-o,--output", session.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.set_config("--config", "", "Read flags from this file, lines such as endpoint=127.0.0.1:7400");
}

}  // namespace

int Run(std::vector<std::string> arguments, std::ostream& out, std::ostream& err, bool color) {
  Session session(out, err);
  session.color = color;
  CLI::App app("Operates a Tranche sale.", "tranchectl");
  app.fallthrough();
  app.require_subcommand(1);
  app.footer(kFooter);
  AddGlobalFlags(app, session);
  AddSkuCommands(app, session);
  AddStockCommands(app, session);
  AddQuotaCommands(app, session);
  AddNodeCommands(app, session);
  AddAuditCommand(app, session);
  AddOutboxCommands(app, session);
  AddShardCommands(app, session);
  AddVerifyCommand(app, session);
  AddReconcileCommand(app, session);
  AddZkCommands(app, session);
  AddReservationCommands(app, session);
  AddCompletionCommand(app, session);

  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // as CLI11 wants them
  } catch (const CLI::ParseError& error) {
    const std::string mistyped = ExplainMistypedCommand(app, arguments);
    if (error.get_exit_code() != 0 && !mistyped.empty()) {
      session.FailLocally(mistyped);
      return session.exit_code;
    }
    return app.exit(error, out, err) == 0 ? kExitOk : kExitLocal;
  }
  return session.exit_code;
}

}  // namespace tranche::ctl
