#include "client/ctl/run.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/suggest.h"
#include "storage/base/config_file.h"
#include "storage/base/decimal_flags.h"
#include "storage/base/flag_variable.h"

namespace tranche::ctl {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  export TRANCHE_ENDPOINT=127.0.0.1:7401\n"
    "  tranchectl sku create tv --stock 1000 --price 499.00 --currency EUR\n"
    "  tranchectl quota show tv --watch\n"
    "  tranchectl stock add tv 500            shows what would change\n"
    "  tranchectl stock add tv 500 --yes      does it\n"
    "  tranchectl quota move tv --from node-1 --to node-2 100\n"
    "  tranchectl sku pause tv --reason 'wrong price' --yes   stops the sale; sku resume goes on\n"
    "  tranchectl node drain node-3 --yes     takes it out of the sale; undrain takes it back in\n"
    "  tranchectl reservation list --user alice\n"
    "  tranchectl stock reduce tv 5 --yes --reason 'damaged in the warehouse'\n"
    "  tranchectl audit --sku tv              who changed what, and why\n"
    "  tranchectl outbox list                 messages that were given up; outbox retry, outbox discard\n"
    "  tranchectl queue list                  claims that wait to be decided; queue dead: which could not be\n"
    "  tranchectl door set tv --limit user=5/1s --token --yes   who may try to buy; door test says why not\n"
    "  tranchectl draw create sneaker --winners 500 --seed-file sneaker.seed --yes   units for winners of a draw\n"
    "  tranchectl group offer create ps5 trio --seats 3 --price 399.00 --open-for 24h --yes   group buying\n"
    "  tranchectl status                      what runs, what does not, what waits\n"
    "  tranchectl top                         the SKUs with the most traffic, live\n"
    "  tranchectl verify && echo all well\n"
    "  tranchectl access check access.json    who may call what; token new makes a token\n"
    "  tranchectl reconcile --statement psp.csv --report differences.csv\n"
    "  tranchectl --tls-ca /etc/tranche/ca.pem --token-file ~/.tranche-token status   over TLS, as somebody\n"
    "\n"
    "What changes something shows it first and does it with --yes; every change is in the audit log.\n"
    "JSON output follows protobuf's mapping: 64-bit numbers are strings, so that no reader rounds them.\n"
    "Exit status: 0 done; 1 wrong usage, or the output cannot be written, or door test found a refusal; 2 the\n"
    "cluster refused, did not answer, verify found a broken rule, or reconcile a difference; 3 verify could\n"
    "not tell, or status found that something is wrong.";

// A command's help also shows the flags that every command has.
class HelpWithGlobalFlags : public CLI::Formatter {
 public:
  std::string make_subcommands(const CLI::App* command, CLI::AppFormatMode mode) const override {
    const std::string subcommands = CLI::Formatter::make_subcommands(command, mode);
    const CLI::App* root = command;
    while (root->get_parent() != nullptr) root = root->get_parent();
    if (root == command) return subcommands;
    return absl::StrCat(
        make_group("Global options", /*is_positional=*/false, root->get_options([root](const CLI::Option* option) {
          return option != root->get_help_ptr() && option != root->get_version_ptr();
        })),
        subcommands);
  }

  // "NODE REQUIRED" instead of "NODE NODE REQUIRED".
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string text = CLI::Formatter::make_option_opts(option);
    if (!option->get_positional() || option->get_name(/*positional=*/true) != option->get_type_name()) return text;
    return std::string(absl::StripPrefix(text, absl::StrCat(" ", option->get_type_name())));
  }
};

void AddGlobalFlags(CLI::App& app, Session& session) {
  app.add_option(
         "--endpoint", session.endpoints,
         "Where front nodes serve AdminService (their --admin-listen, by default the port after that for buyers), as "
         "host:port, separated by commas; the first that answers is used, and one that is silent for a second is left "
         "for the next")
      ->envname("TRANCHE_ENDPOINT")
      ->check([](const std::string& text) { return std::string(ParseEndpoints(text).status().message()); })
      ->capture_default_str();
  app.add_option("--timeout", session.timeout,
                 "For one call, such as 30s; default: 10s, 5m for zk rebuild, and 10m for each page of verify")
      ->envname("TRANCHE_TIMEOUT")
      ->check([](const std::string& text) { return std::string(ParseDuration(text).status().message()); });
  TakesOneOf(app.add_option("-o,--output", session.output, "table; wide: with every column; json; csv: of door list"),
             {"table", "wide", "json", kCsv})
      ->envname("TRANCHE_OUTPUT")
      ->capture_default_str();
  app.add_option(
         "--reason", session.reason,
         "Why a change is made, for `tranchectl audit`: at most 200 characters. Commands with a --reason of their "
         "own take this one before the command")
      ->check([](const std::string& text) { return std::string(ParseReason(text).status().message()); });
  AddSecurityFlags(app, session.security);
  ReadConfigFile(app, "File with global flags, as TOML: endpoint = \"10.0.0.1:7401,10.0.0.2:7401\"");
}

// Whoever asks for lines must not get a table.
void RefuseCsvElsewhere(const CLI::App& app, const Session& session) {
  if (!session.csv()) return;
  const CLI::App* const list = app.get_subcommand("door")->get_subcommand("list");
  if (list->parsed() && list->get_subcommands().empty()) return;
  throw CLI::ValidationError("--output", "csv is a format of `tranchectl door list` alone");
}

int ExitAfter(const CLI::ParseError& error, const CLI::App& app, const std::vector<std::string>& arguments,
              Session& session) {
  if (error.get_exit_code() == 0) return app.exit(error, session.out(), session.err());
  const CLI::ParseError named(BlamingTheVariable(app, arguments, error.what()), error.get_exit_code());
  return app.exit(named, session.out(), session.err());
}

}  // namespace

int Run(std::vector<std::string> arguments, std::ostream& out, std::ostream& err, const Screen& screen) {
  Session session(out, err, screen);
  CLI::App app("Operates a Tranche sale.", "tranchectl");
  app.formatter(std::make_shared<HelpWithGlobalFlags>());  // before the commands, which take it over
  app.fallthrough();
  app.require_subcommand(1);
  app.set_version_flag("--version", "tranchectl " TRANCHE_VERSION);
  AddGlobalFlags(app, session);
  AddSkuCommands(app, session);
  AddStockCommands(app, session);
  AddQuotaCommands(app, session);
  AddNodeCommands(app, session);
  AddClusterCommands(app, session);
  AddAuditCommand(app, session);
  AddOutboxCommands(app, session);
  AddQueueCommands(app, session);
  AddShardCommands(app, session);
  AddDoorCommands(app, session);
  AddDrawCommands(app, session);
  AddGroupCommands(app, session);
  AddStatusCommand(app, session);
  AddTopCommand(app, session);
  AddVerifyCommand(app, session);
  AddReconcileCommand(app, session);
  AddZkCommands(app, session);
  AddReservationCommands(app, session);
  AddAccessCommands(app, session);
  AddCompletionCommand(app, session);
  // Before the command runs.
  app.parse_complete_callback([&app, &session] { RefuseCsvElsewhere(app, session); });
  app.footer(kFooter);  // after the commands, which would show it too
  ReadNumbersAsDecimal(app);

  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // as CLI11 wants them
  } catch (const CLI::ParseError& error) {
    const std::string mistyped = ExplainMistypedCommand(app, arguments);
    if (error.get_exit_code() != 0 && !mistyped.empty()) {
      session.FailLocally(mistyped);
    } else if (dynamic_cast<const CLI::ConfigError*>(&error) != nullptr) {
      session.FailLocally(ExplainConfigError(error.what()));
    } else if (ExitAfter(error, app, arguments, session) != 0) {
      session.exit_code = kExitLocal;
    }
  }
  if (!out.flush()) session.FailLocally("cannot write the output");
  return session.exit_code;
}

}  // namespace tranche::ctl
