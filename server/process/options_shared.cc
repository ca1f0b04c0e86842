#include "server/process/options_shared.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "quota/zookeeper/zookeeper_auth.h"
#include "server/process/dsn.h"
#include "storage/base/address.h"
#include "storage/base/flag_variable.h"
#include "storage/base/secret_file.h"

namespace tranche::server {
namespace {

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

std::string CheckZookeeperAuthFile(const std::string& path) {
  return std::string(quota::ReadZookeeperAuth(path).status().message());
}

}  // namespace

std::string CheckAddress(const std::string& text) {
  return ParseAddress(text).has_value() ? "" : "must be HOST:PORT, such as 127.0.0.1:7400 or [::]:7400";
}

std::string CheckAddressWithPort(const std::string& text) {
  return IsAddressWithPort(text) ? "" : "must be HOST:PORT with a port of 1 to 65535";
}

std::string CheckSecretFile(const std::string& path) { return std::string(ReadSecretLine(path).status().message()); }

std::string CheckName(const std::string& text) {
  const bool good = !text.empty() && text.size() <= 128 &&
                    std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isgraph(c); });
  return good ? "" : "must be 1 to 128 printable characters without spaces";
}

void AddPostgres(OptionsParser& parser, std::string* dsn, std::string* password_file) {
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

void AddPatience(OptionsParser& parser, BackendOptions* options) {
  parser.AddNumber("statement-timeout-ms", &options->statement_timeout_ms, 100, 600000, "MS",
                   "Longest time for one call of the database");
  parser.AddNumber("startup-timeout-ms", &options->startup_timeout_ms, 100, 600000, "MS",
                   "How long to wait at start for the servers behind before giving up");
}

void AddLogFormat(OptionsParser& parser, LogFormat* format) {
  parser.Group("Log");
  parser.AddChoice<LogFormat>("log-format", format, {{"json", LogFormat::kJson}, {"text", LogFormat::kText}},
                              "How the lines on stderr look: for people, or one JSON object a line");
}

void AddBackends(OptionsParser& parser, BackendOptions* options) {
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

void AddNodeName(OptionsParser& parser, ServerOptions* options) {
  parser
      .Add("advertise", &options->advertise, "HOST:PORT",
           "The address that callers reach, as shown to operators. Balancers connect there too, to notice at once when "
           "this process dies [default: from --listen]")
      ->check(CheckAddressWithPort, "");
  parser.Add("node-name", &options->node_name, "NAME", "This node's name [default: host name and port]")
      ->check(CheckName, "");
  parser.Add("port-file", &options->port_file, "FILE", "Write the port into this file once the node serves");
}

void AddSelling(OptionsParser& parser, ServerOptions* options) {
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
  parser.AddNumber(
      "blocking-threads", &options->blocking_threads, 1, 256, "N",
      "Threads (and database connections) of each shard for carts and for reads of one SKU or reservation; neither "
      "takes all of them from the other");
  parser.AddNumber(
      "blocking-queue", &options->blocking_queue, 1, 100000, "N",
      "Most carts waiting for a thread, as many such reads, and as many late payments; more are refused with "
      "OVERLOADED");
}

void AddDrainTimeout(OptionsParser& parser, ServerOptions* options) {
  parser.AddNumber("drain-timeout-ms", &options->drain_timeout_ms, 0, 600000, "MS",
                   "How long accepted calls may take to finish after SIGTERM");
}

void AddMetrics(OptionsParser& parser, MetricsOptions* options) {
  parser.Group("Metrics");
  parser
      .Add("metrics-listen", &options->listen, "HOST:PORT",
           "Where to serve /metrics, /livez and /readyz, over HTTP or (with --tls-certificate) HTTPS; port 0 takes a "
           "free one [default: nowhere]")
      ->check(CheckAddress, "");
  parser.Add("metrics-port-file", &options->port_file, "FILE", "Write the port of --metrics-listen into this file");
}

void AddTls(OptionsParser& parser, TlsOptions* options, const std::string& doors) {
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

}  // namespace tranche::server
