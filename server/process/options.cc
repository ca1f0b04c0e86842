#include "server/process/options.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "quota/zookeeper/zookeeper_auth.h"
#include "server/process/admin_address.h"
#include "server/process/dsn.h"
#include "server/process/shard_hosts.h"
#include "storage/base/address.h"
#include "storage/base/config_file.h"
#include "storage/base/decimal_flags.h"
#include "storage/base/flag_variable.h"
#include "storage/base/loopback.h"
#include "storage/base/secret_file.h"

#ifndef TRANCHE_VERSION
#error "TRANCHE_VERSION comes from server/CMakeLists.txt"
#endif

namespace tranche::server {
namespace {

std::string CheckAddress(const std::string& text) {
  return ParseAddress(text).has_value() ? "" : "must be HOST:PORT, such as 127.0.0.1:7400 or [::]:7400";
}

std::string CheckAdminAddress(const std::string& text) { return text == "same" ? "" : CheckAddress(text); }

std::string CheckAddressWithPort(const std::string& text) {
  return IsAddressWithPort(text) ? "" : "must be HOST:PORT with a port of 1 to 65535";
}

std::string CheckServers(const std::string& text) {
  const std::vector<std::string> servers = absl::StrSplit(text, ',');
  for (const std::string& server : servers) {
    if (!CheckAddressWithPort(server).empty()) return "must be HOST:PORT,HOST:PORT, such as 127.0.0.1:2181";
  }
  return "";
}

std::string CheckRoot(const std::string& text) {
  const bool good =
      text.size() > 1 && text.front() == '/' && text.back() != '/' && text.find("//") == std::string::npos;
  return good ? "" : "must be a path below /, such as /tranche";
}

std::string CheckDsn(const std::string& text) {
  // The message does not quote the text: it may hold a password.
  return DescribeDsn(text).has_value()
             ? ""
             : "must be a PostgreSQL connection string, such as "
               "postgresql://user@host:5432/database or \"host=... dbname=...\"; in the first "
               "form, write special characters of a password as %XX";
}

std::string CheckSecretFile(const std::string& path) { return std::string(ReadSecretLine(path).status().message()); }

std::string CheckZookeeperAuthFile(const std::string& path) {
  return std::string(quota::ReadZookeeperAuth(path).status().message());
}

std::string CheckShardHosts(const std::string& text) {
  return std::string(ShardHosts::Of(text, "").status().message());
}

// 1 to 128 printable characters.
std::string CheckName(const std::string& text) {
  const bool good = !text.empty() && text.size() <= 128 &&
                    std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isgraph(c); });
  return good ? "" : "must be 1 to 128 printable characters without spaces";
}

// CLI11 with what all our binaries share.
class Parser {
 public:
  // `line`: of a --config file for this program.
  Parser(const std::string& program, const std::string& description, const std::string& line)
      : program_(program), app_(description, program) {
    app_.set_version_flag("--version", absl::StrCat(program, " " TRANCHE_VERSION));
    app_.get_formatter()->column_width(44);
    app_.footer(
        "Each flag can also be set as the environment variable shown as Env:, or as a key (without dashes) of "
        "the --config file.\nThe command line wins over the environment, and that over the file.");
    ReadConfigFile(app_, absl::StrCat("File with flags, as TOML: ", line));
  }

  void Group(const std::string& group) { group_ = group; }

  template <typename T>
  CLI::Option* Add(const std::string& flag, T* value, const std::string& type, const std::string& help) {
    return app_.add_option("--" + flag, *value, help)
        ->type_name(type)
        ->envname(EnvironmentName(flag))
        ->group(group_)
        ->capture_default_str();
  }

  CLI::Option* AddNumber(const std::string& flag, int* value, int least, int most, const std::string& type,
                         const std::string& help) {
    return Add(flag, value, type, help)
        ->transform(PlainNumber())
        ->check(CLI::Range(least, most).description(absl::StrCat("[", least, "-", most, "]")));
  }

  CLI::Option* AddSwitch(const std::string& flag, bool* value, const std::string& help) {
    CLI::Option* option = Add(flag, value, "on|off", help);
    // CLI11 would show 1 and 0.
    return option->default_str(*value ? "on" : "off");
  }

  // One of the words.
  template <typename T>
  CLI::Option* AddChoice(const std::string& flag, T* value, const std::map<std::string, T>& words,
                         const std::string& help) {
    std::string type, at_first;
    for (const auto& [word, meaning] : words) {
      absl::StrAppend(&type, type.empty() ? "" : "|", word);
      if (meaning == *value) at_first = word;
    }
    // CLI11 reads a value of an enumeration from its number.
    const auto to_number = [words, type](std::string& text) {
      const auto found = words.find(text);
      if (found == words.end()) return absl::StrCat("must be ", absl::StrReplaceAll(type, {{"|", " or "}}));
      text = absl::StrCat(static_cast<int>(found->second));
      return std::string();
    };
    return Add(flag, value, type, help)->transform(CLI::Validator(to_number, "", ""))->default_str(at_first);
  }

  // May be given several times; in the environment and in the file separated by spaces.
  CLI::Option* AddList(const std::string& flag, std::vector<std::string>* values, const std::string& type,
                       const std::string& help) {
    return app_.add_option("--" + flag, *values, help)
        ->type_name(type)
        ->envname(EnvironmentName(flag))
        ->group(group_)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->delimiter(' ');
  }

  // Looked at when all flags have their values: returns "", or what is wrong with them. `typed` are the arguments of
  // the command line.
  using Rule = std::function<std::string(const std::vector<std::string>& typed)>;
  void AddRule(Rule rule) { rules_.push_back(std::move(rule)); }

  // The file of --config that was read; "": none.
  std::string ConfigFile() const {
    const auto files = app_.get_config_ptr()->as<std::vector<std::string>>();
    return files.empty() ? "" : files.front();
  }

  // The last lines of the help.
  void Footer(const std::string& text) { app_.footer(absl::StrCat(app_.get_footer(), "\n\n", text)); }

  // One line that says what is wrong; returns the status to exit with.
  int Refuse(absl::string_view what, std::ostream& err) {
    err << program_ << ": " << what << ". See '" << program_ << " --help'.\n";
    return 1;
  }

  std::optional<int> Parse(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
    try {
      app_.parse(argc, argv);
      for (const Rule& rule : rules_) {
        if (const std::string wrong = rule({argv + 1, argv + argc}); !wrong.empty()) return Refuse(wrong, err);
      }
      return std::nullopt;
    } catch (const CLI::Success& request) {
      app_.exit(request, out, out);
      return 0;
    } catch (const CLI::RequiredError& error) {
      // CLI11 looks for flags that are missing first; but one that is mistyped is the reason, or tells more.
      return Refuse(app_.remaining().empty() ? error.what() : UnknownArguments(), err);
    } catch (const CLI::ExtrasError&) {
      return Refuse(UnknownArguments(), err);
    } catch (const CLI::ParseError& error) {
      std::string what = BlamingTheVariable(app_, {argv + 1, argv + argc}, ExplainConfigError(error.what()));
      std::replace(what.begin(), what.end(), '\n', ' ');
      return Refuse(absl::StripAsciiWhitespace(what), err);
    }
  }

 private:
  std::string UnknownArguments() const {
    std::string named;
    for (const std::string& argument : app_.remaining()) {
      const std::string name = NameIn(argument);
      absl::StrAppend(&named, named.empty() ? "" : ", ",
                      absl::StartsWith(name, "--") ? name : "a value without a flag");
    }
    return absl::StrCat("not expected: ", named);
  }

  const std::string program_;
  CLI::App app_;
  std::string group_;
  std::vector<Rule> rules_;
};

void AddPostgres(Parser& parser, std::string* dsn, std::string* password_file) {
  CLI::Option* const flag =
      parser
          .Add("postgres", dsn, "DSN",
               "PostgreSQL connection string or URI, such as postgresql://tranche@db:5432/tranche. On another machine "
               "add sslmode=verify-full and sslrootcert=FILE. A password belongs into --postgres-password-file")
          ->check(CheckDsn, "")
          ->required();
  parser
      .Add("postgres-password-file", password_file, "FILE",
           "File whose only line is the password for PostgreSQL, of every shard; only its owner may read it. It is "
           "read for each new connection, so a password can be changed without a restart")
      ->check(CheckSecretFile, "");
  parser.AddRule([=, &parser](const std::vector<std::string>& typed) -> std::string {
    const std::string secret = SecretKeywordOf(*dsn);
    if (secret.empty()) return "";
    if (WasTyped(*flag, typed)) {
      return absl::StrCat("--postgres holds a ", secret,
                          " on the command line, where every user of this machine can read it: put a password into "
                          "the file of --postgres-password-file, or the whole string into TRANCHE_POSTGRES or the "
                          "--config file");
    }
    // The environment wins over the file.
    const char* const variable = std::getenv(EnvironmentName("postgres").c_str());
    const std::string file = variable == nullptr || *variable == '\0' ? parser.ConfigFile() : "";
    struct stat info;
    if (!file.empty() && stat(file.c_str(), &info) == 0 && IsOpenToOthers(info)) {
      return absl::StrCat(file, ", the --config file, holds a ", secret,
                          " and can be read by other users of this machine: chmod 600 ", file,
                          " (640 if root owns it and its group may read it)");
    }
    if (secret != "password" || password_file->empty()) return "";
    return "--postgres holds a password, and --postgres-password-file gives another: remove one of them";
  });
}

void AddPatience(Parser& parser, BackendOptions* options) {
  parser.AddNumber("statement-timeout-ms", &options->statement_timeout_ms, 100, 600000, "MS",
                   "Longest time for one call of the database");
  parser.AddNumber("startup-timeout-ms", &options->startup_timeout_ms, 100, 600000, "MS",
                   "How long to wait at start for the servers behind before giving up");
}

void AddLogFormat(Parser& parser, LogFormat* format) {
  parser.Group("Log");
  parser.AddChoice<LogFormat>("log-format", format, {{"json", LogFormat::kJson}, {"text", LogFormat::kText}},
                              "How the lines on stderr look: for people, or one JSON object a line");
}

void AddLog(Parser& parser, ServerOptions* options) {
  AddLogFormat(parser, &options->log_format);
  parser.AddChoice<AccessLogMode>(
      "access-log", &options->access_log,
      {{"all", AccessLogMode::kAll}, {"errors", AccessLogMode::kErrors}, {"off", AccessLogMode::kOff}},
      "Which calls have a line in the log: none, those that are not answered with OK, or all; at most 1,000 a second");
  parser.AddNumber("access-log-sample", &options->access_log_sample, 1, 1000000, "N",
                   "Of these, log one in N; internal errors always");
}

void AddBackends(Parser& parser, BackendOptions* options) {
  parser.Group("Servers behind");
  AddPostgres(parser, &options->postgres, &options->postgres_password_file);
  parser.Add("zookeeper", &options->zookeeper, "HOST:PORT,...", "ZooKeeper servers of one ensemble")
      ->check(CheckServers, "")
      ->required();
  parser.Add("zookeeper-root", &options->zookeeper_root, "PATH", "Where this installation's znodes are")
      ->check(CheckRoot, "");
  parser
      .Add("zookeeper-auth-file", &options->zookeeper_auth_file, "FILE",
           "File whose only line is USER:PASSWORD, the same for all tranched and tranche-balancer; only its owner may "
           "read it. Others can then neither read nor write what these processes keep in ZooKeeper "
           "[default: everybody can]")
      ->check(CheckZookeeperAuthFile, "");
  // kSessionsEndBy in quota/balancer/probe_verdicts.h is longer than the longest one.
  parser.AddNumber("zookeeper-session-timeout-ms", &options->zookeeper_session_timeout_ms, 500, 120000, "MS",
                   "How long this process may be silent before ZooKeeper declares it gone and its units go to others");
  AddPatience(parser, options);
}

void AddShardHosts(Parser& parser, ServerOptions* options) {
  parser
      .Add("shard-hosts", &options->shard_hosts, "HOST[:PORT],...",
           "Database hosts that an operator may add as shards (tranchectl shard add): names, addresses, *.SUFFIX for "
           "all names that end so, or folders of Unix sockets; without a port, at 5432 [default: those of --postgres]")
      ->check(CheckShardHosts, "");
}

void AddMetrics(Parser& parser, MetricsOptions* options) {
  parser.Group("Metrics");
  parser
      .Add("metrics-listen", &options->listen, "HOST:PORT",
           "Where to serve /metrics, /livez and /readyz, over HTTP or (with --tls-certificate) HTTPS; port 0 takes a "
           "free one [default: nowhere]")
      ->check(CheckAddress, "");
  parser.Add("metrics-port-file", &options->port_file, "FILE", "Write the port of --metrics-listen into this file");
}

void AddListening(Parser& parser, ServerOptions* options) {
  parser.Group("Listening");
  parser.Add("listen", &options->listen, "HOST:PORT", "Where to serve gRPC; port 0 takes a free one")
      ->check(CheckAddress, "");
  parser
      .Add("advertise", &options->advertise, "HOST:PORT",
           "The address that callers reach, as shown to operators. Balancers connect there too, to notice at once when "
           "this process dies [default: from --listen]")
      ->check(CheckAddressWithPort, "");
  parser.Add("node-name", &options->node_name, "NAME", "This node's name [default: host name and port]")
      ->check(CheckName, "");
  parser.Add("port-file", &options->port_file, "FILE", "Write the port into this file once the node serves");
  parser.AddSwitch("admin", &options->admin, "Serve the admin API (tranchectl)");
  parser
      .Add("admin-listen", &options->admin_listen, "HOST:PORT|same",
           "Where to serve it, with the API for buyers, which tranchectl uses as well; same: at --listen. Without "
           "--access-file only at a loopback address [default: the port after that of --listen, at 127.0.0.1 without "
           "--access-file, at the host of --listen with it]")
      ->check(CheckAdminAddress, "");
  parser.Add("admin-port-file", &options->admin_port_file, "FILE",
             "Write the port of --admin-listen into this file once the node serves");
  parser.AddSwitch("reflection", &options->reflection, "Serve gRPC reflection");
}

// `doors`: what is served so.
void AddTls(Parser& parser, TlsOptions* options, const std::string& doors) {
  parser.Group("Security");
  parser.Add("tls-certificate", &options->files.certificate, "FILE",
             absl::StrCat("PEM file with this process's certificate and those between it and its authority. With it, ",
                          doors, " TLS only. All files are read again when they change"));
  parser.Add("tls-key", &options->files.key, "FILE", "PEM file with its private key, not encrypted; chmod 600");
  parser.Add("tls-client-ca", &options->files.authorities, "FILE",
             "PEM file with the authorities of callers' certificates. With it, callers are asked for one, and one that "
             "they present must be good");
  parser.AddSwitch("tls-require-client-certificate", &options->require_client_certificate,
                   "Refuse callers who present none, at all these ports: also those who have only a token, and probes");
}

void AddAccess(Parser& parser, ServerOptions* options) {
  AddTls(parser, &options->tls, "--listen, --admin-listen and --metrics-listen serve");
  parser.Add(
      "access-file", &options->access_file, "FILE",
      "JSON file that says who may call what, by their certificates (these need --tls-client-ca) and tokens; read "
      "again when it changes [default: everybody who can connect may call everything]");
}

// "", or what is wrong: whoever reads a token on its way can use it.
std::string CheckAccess(const ServerOptions& options, const AdminAddress& admin) {
  if (options.access_file.empty() || options.tls.enabled()) return "";
  for (const std::string& listen : {options.listen, admin.address}) {
    if (listen.empty() || IsLoopbackHost(ParseAddress(listen)->host)) continue;
    return absl::StrCat("with --access-file, tokens would go to ", listen,
                        " as plain text: give --tls-certificate and --tls-key, or listen at loopback addresses only");
  }
  return "";
}

void AddSelling(Parser& parser, ServerOptions* options) {
  parser.Group("Selling");
  parser.AddNumber("lanes", &options->lanes, 1, 64, "N", "Database connections that commit batches side by side");
  parser.AddNumber("max-batch", &options->max_batch, 1, 1024, "N", "Most claims in one transaction");
  parser.AddNumber("max-queue", &options->max_queue, 1, 1000000, "N",
                   "Most claims waiting for a database, as many entries into draws, and as many changes of each kind; "
                   "more are refused with OVERLOADED");
  parser.AddNumber("exhausted-wait-ms", &options->exhausted_wait_ms, 0, 5000, "MS",
                   "How long a request waits at most for units on their way to this node; 0: not at all");
  parser.AddNumber("max-waiting", &options->max_waiting, 0, 100000, "N",
                   "Most requests that wait so, or for their turn at a rate limit, at once; more are refused with "
                   "EXHAUSTED_HERE, or RATE_LIMITED");
  parser.AddNumber("default-deadline-ms", &options->default_deadline_ms, 0, 600000, "MS",
                   "Deadline of reservation calls that carry none; 0 refuses them with DEADLINE_REQUIRED");
  parser.AddNumber("max-deadline-ms", &options->max_deadline_ms, 1, 600000, "MS",
                   "Longer deadlines are lowered to this");
  parser.AddNumber(
      "blocking-threads", &options->blocking_threads, 1, 256, "N",
      "Threads (and database connections) of each shard for carts and for reads of one SKU or reservation; neither "
      "takes all of them from the other");
  parser.AddNumber(
      "blocking-queue", &options->blocking_queue, 1, 100000, "N",
      "Most carts waiting for a thread, as many such reads, and as many late payments; more are refused with "
      "OVERLOADED");
}

void AddFrontDoor(Parser& parser, ServerOptions* options) {
  parser.Group("Front door");
  parser.AddNumber(
      "trusted-proxies", &options->trusted_proxies, 0, 10, "N",
      "Whom to believe about a buyer's address, for limits and lists by address. From 1 on, the field buyer_address "
      "of a request is believed, and counts first: a shop that calls for its buyers sends it, and needs 1. Where it is "
      "empty, so many entries of the header x-forwarded-for are believed, from the right: each of so many proxies "
      "before this node adds the address that it was called from, and the leftmost of them is the buyer's. "
      "0: neither is believed; the address is the caller's");
  parser.AddNumber("door-memory-mib", &options->door_memory_mib, 1, 4096, "MIB",
                   "Memory for rate limits, taken when the first one is set: one MiB has room for about 55,000 buyers, "
                   "networks and tokens at once; more share limits");
}

void AddStreams(Parser& parser, ServerOptions* options) {
  parser.Group("Streams and watches");
  parser.AddNumber("max-stream-outstanding", &options->max_stream_outstanding, 1, 65536, "N",
                   "Most requests of one stream that are not answered, or whose answer is not taken; payments and "
                   "cancellations may be an eighth more; at that the node stops reading from it");
  parser.AddNumber(
      "unread-memory-per-connection-mib", &options->unread_memory_per_connection_mib, 1, 65536, "MIB",
      "The same for all streams of one connection, at 2 KiB for each reservation that an answer may tell; and, counted "
      "by itself, most memory for other calls' answers of more than 4 KiB that it does not take; at that they are "
      "refused with OVERLOADED");
  parser.AddNumber("unread-memory-per-address-mib", &options->unread_memory_per_address_mib, 1, 65536, "MIB",
                   "The same for callers at one IP address, which may be a proxy's");
  parser.AddNumber("unread-memory-mib", &options->unread_memory_mib, 1, 65536, "MIB", "The same for the node");
  parser.AddNumber("unread-timeout-ms", &options->unread_timeout_ms, 100, 600000, "MS",
                   "A stream that takes no answer for this long, or a call whose answer is not taken for this long, "
                   "while one of these four limits is reached, is cancelled");
  parser.AddNumber("max-streams-per-connection", &options->max_streams_per_connection, 1, 100000, "N",
                   "Most streams at once on one connection; more are refused with TOO_MANY_STREAMS");
  parser.AddNumber("max-streams-per-address", &options->max_streams_per_address, 1, 100000, "N",
                   "The same for callers at one IP address, which may be a proxy's");
  parser.AddNumber("max-streams", &options->max_streams, 1, 100000, "N", "The same for the node");
  parser.AddNumber("max-watches-per-address", &options->max_watches_per_address, 1, 1000000, "N",
                   "Most reservations watched at once by callers at one IP address, which may be a proxy's; more are "
                   "refused with TOO_MANY_WATCHES");
  parser.AddNumber("max-watches", &options->max_watches, 1, 1000000, "N", "The same for the node");
}

void AddLimits(Parser& parser, ServerOptions* options) {
  parser.Group("Limits");
  parser.AddNumber("max-message-bytes", &options->max_message_bytes, 4096, 4 * 1024 * 1024, "BYTES",
                   "Largest message that is received at all");
  parser.AddNumber("max-concurrent-streams", &options->max_concurrent_streams, 1, 1000000, "N",
                   "Most calls at once on one connection");
  parser.AddNumber(
      "max-calls-per-caller", &options->max_calls_per_caller, 0, 1000000, "N",
      "Most calls at once of one caller at --listen, streams, watches and AdminService not counted; more are "
      "refused with OVERLOADED. A caller is a principal of --access-file; otherwise all at one IP address, "
      "which may be a proxy's. Payments and cancellations may be an eighth more; 0: no limit");
  parser.AddNumber("grpc-memory-mib", &options->grpc_memory_mib, 16, 65536, "MIB",
                   "Memory that gRPC may use for its buffers");
  parser.AddNumber("max-connection-age-ms", &options->max_connection_age_ms, 0, 86400000, "MS",
                   "Ask clients to reconnect after this long, to find new nodes and show their certificates anew; "
                   "what they have open --max-deadline-ms later is cut, streams too; 0: never");
  parser.AddNumber("max-connection-idle-ms", &options->max_connection_idle_ms, 0, 86400000, "MS",
                   "Close connections without a call for this long; 0: never");
  parser.AddNumber("drain-timeout-ms", &options->drain_timeout_ms, 0, 600000, "MS",
                   "How long accepted calls may take to finish after SIGTERM");
}

constexpr char kWorkerFooter[] =
    "Messages: each change of a reservation is told to every sink that is registered in the ledger, at least once, in "
    "order per reservation. A sink is registered when a worker first starts with it, and gets what happens from then "
    "on; the one named \"default\" is registered from the beginning. Start a worker with each registered sink, or "
    "remove it (tranchectl outbox sink remove NAME --yes): its messages are kept until then.\n"
    "A webhook gets a POST for each message, with the headers Tranche-Message-Id, Tranche-Kind and\n"
    "Tranche-Signature: t=SECONDS,v1=HEX, where HEX is the HMAC-SHA256 of \"SECONDS.BODY\". 2xx means delivered. The "
    "secret file has one secret a line (openssl rand -hex 32); with several, each makes a v1, so that the receiver can "
    "change over. A grpc sink implements tranche.v1.OutboxSinkService; grpcs is the same over TLS.\n"
    "TLS: a sink's certificate must be of an authority of --sink-ca, or of this machine's. --sink-certificate and "
    "--sink-key show who calls, and so does --sink-token-file to a gRPC sink (authorization: Bearer). Files may be "
    "renewed while the worker runs.\n\n"
    "Examples:\n"
    "  tranche-worker --postgres postgresql://tranche@db/tranche\n"
    "  tranche-worker --postgres postgresql://tranche@db/tranche \\\n"
    "    --sink default=webhook:https://shop.example/hooks/tranche --sink-secret-file default=/etc/tranche/hook.key "
    "\\\n"
    "    --sink books=grpcs:ledger.example:9000 --sink-ca books=/etc/tranche/books-ca.pem \\\n"
    "    --sink-token-file books=/etc/tranche/books.token";

void AddExpiry(Parser& parser, WorkerProcessOptions* options) {
  parser.Group("Expiry of unpaid holds");
  parser.AddSwitch("expire", &options->expire, "Expire holds whose time is over, and put their units back on sale");
  parser.AddNumber("expire-batch", &options->expire_batch, 1, 10000, "N", "Most holds in one transaction");
  parser.AddNumber("expire-per-s", &options->expire_per_s, 1, 1000000, "N",
                   "Most holds that this process expires in a second, so that a sale beside it stays fast");
}

void AddDraws(Parser& parser, WorkerProcessOptions* options) {
  parser.Group("Draws");
  parser.AddSwitch("draw", &options->draw,
                   "Carry draws on: seal the lists of closed ones, rank the entries of seeded ones, and give places to "
                   "the next as long as any is free");
}

void AddSinkFiles(Parser& parser, SinkFlags* flags) {
  parser.AddList("sink-secret-file", &flags->secret_files, "NAME=FILE",
                 "Secrets that a webhook's messages are signed with; not readable by others; repeatable");
  parser.AddList(
      "sink-ca", &flags->authorities, "NAME=FILE",
      "PEM file of the authorities that may vouch for a sink's certificate (grpcs: and https://), instead of "
      "those that this machine trusts; repeatable");
  parser.AddList("sink-certificate", &flags->certificates, "NAME=FILE",
                 "PEM file with the certificate to show to a sink, and its chain; with --sink-key; repeatable");
  parser.AddList("sink-key", &flags->keys, "NAME=FILE", "PEM file with the key of --sink-certificate; repeatable");
  parser.AddList("sink-token-file", &flags->token_files, "NAME=FILE",
                 "Token that says to a gRPC sink who calls; one line, not readable by others; repeatable");
}

void AddSinks(Parser& parser, WorkerProcessOptions* options, SinkFlags* flags) {
  parser.Group("Messages about changes");
  parser.AddList("sink", &flags->sinks, "NAME=KIND:TARGET",
                 "A sink to deliver to: NAME=webhook:URL, NAME=grpc:HOST:PORT or, over TLS, NAME=grpcs:HOST:PORT; "
                 "repeatable");
  AddSinkFiles(parser, flags);
  parser.AddNumber("sink-timeout-ms", &options->sink_timeout_ms, 100, 60000, "MS", "Longest time for one delivery");
  parser.AddNumber("sink-connections", &options->sink_connections, 1, 256, "N",
                   "Most requests to a webhook at once, for each of two threads");
  parser.AddNumber("sink-batch", &options->sink_batch, 1, 1000, "N", "Most messages taken from the outbox at once");
  parser.AddNumber("sink-lease-ms", &options->sink_lease_ms, 1000, 600000, "MS",
                   "How long a message that was taken is this worker's; after a crash, others deliver it then. At "
                   "least twice --sink-timeout-ms");
  parser.AddNumber("give-up-attempts", &options->give_up_attempts, 1, 100000, "N",
                   "A message is dead after this many attempts, once it is also as old as --give-up-hours");
  parser.AddNumber("give-up-hours", &options->give_up_hours, 0, 8760, "HOURS", "See --give-up-attempts");
}

void AddRetention(Parser& parser, WorkerProcessOptions* options) {
  parser.Group("Retention");
  parser.AddSwitch("retire", &options->retire, "Take old reservations out of the running books");
  parser.AddNumber("retain-days", &options->retain_days, 1, 3650, "DAYS",
                   "How long cancelled, expired and, once their sale is over, confirmed reservations stay: as long as "
                   "their ids answer repeated requests");
  parser.AddSwitch("archive", &options->archive, "Keep what is retired in the table reservation_archive; off: drop it");
  parser.AddNumber("retire-batch", &options->retire_batch, 1, 10000, "N", "Most reservations in one transaction");
  parser.AddNumber(
      "audit-retain-days", &options->audit_retain_days, 0, 36500, "DAYS",
      "How long the audit log keeps its entries; 0: for ever. If workers differ, the shortest wins. Works with "
      "--retire off, too");
}

}  // namespace

std::optional<int> ParseServerOptions(int argc, const char* const* argv, ServerOptions* options, std::ostream& out,
                                      std::ostream& err) {
  Parser parser("tranched",
                "A front node of Tranche: sells limited stock over gRPC.\n\n"
                "SIGTERM drains it: it finishes what it has accepted, returns its unsold units and exits 0. Another "
                "signal, from a second later on, ends it at once.",
                "max-batch = 256");
  AddBackends(parser, &options->backends);
  AddShardHosts(parser, options);
  AddListening(parser, options);
  AddAccess(parser, options);
  AddSelling(parser, options);
  AddFrontDoor(parser, options);
  AddStreams(parser, options);
  AddLimits(parser, options);
  AddLog(parser, options);
  AddMetrics(parser, &options->metrics);
  parser.AddNumber("metrics-skus", &options->metrics.skus, 0, 1000, "N",
                   "SKUs with series of their own: those with the most traffic; the others are summed as \"other\"");
  if (const std::optional<int> done = parser.Parse(argc, argv, out, err)) return done;
  if (const std::string wrong = CheckTls(options->tls); !wrong.empty()) return parser.Refuse(wrong, err);
  const auto admin = FindAdminAddress(*options);
  if (!admin.ok()) return parser.Refuse(admin.status().message(), err);
  if (const std::string wrong = CheckAccess(*options, *admin); !wrong.empty()) return parser.Refuse(wrong, err);
  return std::nullopt;
}

std::optional<int> ParseBalancerOptions(int argc, const char* const* argv, BalancerProcessOptions* options,
                                        std::ostream& out, std::ostream& err) {
  Parser parser(
      "tranche-balancer",
      "Moves units between the front nodes of Tranche. Run two or more: one leads, the others wait.\n\n"
      "SIGTERM ends it: another one leads, and it exits 0. Another signal, from a second later on, ends it at "
      "once.",
      "name = \"balancer-1\"");
  AddBackends(parser, &options->backends);
  parser.Group("Balancing");
  parser.Add("name", &options->name, "NAME", "This process's name [default: host name and process id]")
      ->check(CheckName, "");
  parser.AddSwitch("probe-nodes", &options->probe_nodes,
                   "Keep a TCP connection to each front node's --advertise address while leading, so that a dead "
                   "process's units go to others at once; off: when its ZooKeeper session ends");
  AddLogFormat(parser, &options->log_format);
  AddMetrics(parser, &options->metrics);
  AddTls(parser, &options->tls, "--metrics-listen serves");
  if (const std::optional<int> done = parser.Parse(argc, argv, out, err)) return done;
  if (const std::string wrong = CheckTls(options->tls); !wrong.empty()) return parser.Refuse(wrong, err);
  return std::nullopt;
}

std::optional<int> ParseWorkerOptions(int argc, const char* const* argv, WorkerProcessOptions* options,
                                      std::ostream& out, std::ostream& err) {
  Parser parser("tranche-worker",
                "Does what Tranche's reservations need beside the sale: expires unpaid holds, carries draws on, "
                "delivers the messages about changes, retires old reservations. Run two or more, side by side.\n\n"
                "SIGTERM ends it: it finishes what it has begun and exits 0. Another signal, from a second later on, "
                "ends it at once.",
                "expire-per-s = 5000");
  parser.Group("Servers behind");
  AddPostgres(parser, &options->backends.postgres, &options->backends.postgres_password_file);
  AddPatience(parser, &options->backends);
  parser.Add("name", &options->name, "NAME", "This process's name [default: host name and process id]")
      ->check(CheckName, "");
  AddExpiry(parser, options);
  AddDraws(parser, options);
  SinkFlags sinks;
  AddSinks(parser, options, &sinks);
  AddRetention(parser, options);
  AddLogFormat(parser, &options->log_format);
  AddMetrics(parser, &options->metrics);
  AddTls(parser, &options->tls, "--metrics-listen serves");
  parser.Footer(kWorkerFooter);
  if (const std::optional<int> done = parser.Parse(argc, argv, out, err)) return done;
  if (const std::string wrong = CheckTls(options->tls); !wrong.empty()) return parser.Refuse(wrong, err);
  absl::StatusOr<std::vector<SinkSpec>> specs = ParseSinks(sinks);
  if (!specs.ok()) return parser.Refuse(specs.status().message(), err);
  options->sinks = *std::move(specs);
  if (options->sink_lease_ms < 2 * options->sink_timeout_ms) {
    return parser.Refuse("--sink-lease-ms must be at least twice --sink-timeout-ms", err);
  }
  return std::nullopt;
}

std::optional<int> ParseMigrateOptions(int argc, const char* const* argv, MigrateOptions* options, std::ostream& out,
                                       std::ostream& err) {
  Parser parser("tranche-migrate",
                "Brings a PostgreSQL database to this version's schema. Run it before starting or upgrading nodes; "
                "repeating it is harmless.",
                "postgres = \"host=db dbname=tranche user=tranche_owner\"");
  parser.Group("Servers behind");
  AddPostgres(parser, &options->postgres, &options->postgres_password_file);
  parser.Group("Schema");
  parser.AddSwitch("replace-procedures", &options->replace_procedures,
                   "Replace procedures that another build of the same schema version has made");
  return parser.Parse(argc, argv, out, err);
}

}  // namespace tranche::server
