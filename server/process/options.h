// The options of the binaries. Each is a flag, an environment variable TRANCHE_<FLAG> (dashes as underscores) and a key
// of the TOML file given with --config. The command line wins over the environment, the environment over the file.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/process/broker_options.h"
#include "server/process/log_format.h"
#include "server/process/metrics_options.h"
#include "server/process/sink_spec.h"
#include "server/process/tls_options.h"

namespace tranche::server {

struct BackendOptions {
  // libpq's connection string or URI. May hold a password: never logged.
  std::string postgres;
  std::string postgres_password_file;  // of every shard; read for each connection. "": none
  std::string zookeeper;               // host:port,host:port
  std::string zookeeper_root = "/tranche";
  std::string zookeeper_auth_file;  // "": what is written to ZooKeeper is open to everybody
  int zookeeper_session_timeout_ms = 10000;
  int statement_timeout_ms = 10000;  // of one call to the ledger
  int startup_timeout_ms = 15000;
};

// Which calls have a line in the log.
enum class AccessLogMode { kOff, kErrors, kAll };

struct ServerOptions {
  BackendOptions backends;
  LogFormat log_format = LogFormat::kText;
  AccessLogMode access_log = AccessLogMode::kOff;
  int access_log_sample = 1;  // one of so many
  MetricsOptions metrics;

  std::string listen = "127.0.0.1:7400";
  std::string advertise;  // "": from listen, with the host name for a wildcard
  std::string node_name;  // "": host name and port
  std::string port_file;  // "": none
  TlsOptions tls;
  std::string access_file;  // who may call what; "": everybody everything
  bool admin = true;
  std::string admin_listen;     // HOST:PORT, or "same"; "": by default (admin_address.h)
  std::string admin_port_file;  // "": none; not written with admin off
  bool reflection = true;

  int lanes = 2;
  int max_batch = 512;
  int max_queue = 16384;
  int exhausted_wait_ms = 100;
  int max_waiting = 1000;
  int trusted_proxies = 0;  // of the entries of x-forwarded-for, from the right
  int door_memory_mib = 64;
  std::string risk_scorer;  // "": nobody is asked
  bool risk_scorer_tls = false;
  std::string risk_scorer_ca_file;     // "": the authorities of this machine
  std::string risk_scorer_token_file;  // "": none
  std::string captcha_url;             // "": no captchas, and the next two are empty
  std::string captcha_site_key;
  std::string captcha_secret_file;
  std::string captcha_ca_file;  // "": the authorities of this machine
  // Of databases that an operator may add as shards: HOST,HOST. "": those of --postgres.
  std::string shard_hosts;
  int default_deadline_ms = 2000;  // 0: refuse calls without a deadline
  int max_deadline_ms = 30000;
  int blocking_threads = 4;
  int blocking_queue = 1024;
  BrokerOptions queue;

  int max_stream_outstanding = 1024;
  int unread_memory_per_connection_mib = 16;
  int unread_memory_per_address_mib = 32;
  int unread_memory_mib = 64;
  int unread_timeout_ms = 10000;
  int max_streams_per_connection = 256;
  int max_streams_per_address = 512;
  int max_streams = 1024;
  int max_watches_per_address = 5000;
  int max_watches = 10000;

  int max_message_bytes = 64 * 1024;
  int max_concurrent_streams = 4096;  // calls at once on one connection
  int max_calls_per_caller = 0;       // 0: no bound
  int grpc_memory_mib = 128;
  int max_connection_age_ms = 0;        // 0: without end
  int max_connection_idle_ms = 300000;  // 0: without end
  int drain_timeout_ms = 10000;
};

struct BalancerProcessOptions {
  // Its statements are short, and a leader that hangs on one keeps others from leading.
  BalancerProcessOptions() { backends.statement_timeout_ms = 3000; }

  BackendOptions backends;
  LogFormat log_format = LogFormat::kText;
  MetricsOptions metrics;
  TlsOptions tls;    // of the metrics
  std::string name;  // "": host name and process id
  bool probe_nodes = true;
};

struct ConsumerOptions {
  // Of a node's it uses what connects and sells; it serves no calls.
  ServerOptions node = {};
  int prefetch = 512;  // of each queue
};

struct WorkerProcessOptions {
  BackendOptions backends;  // no ZooKeeper
  LogFormat log_format = LogFormat::kText;
  MetricsOptions metrics;
  TlsOptions tls;    // of the metrics
  std::string name;  // "": host name and process id

  bool expire = true;
  int expire_batch = 100;
  int expire_per_s = 12500;
  int remind_before_s = 0;  // a hold lapses; 0: nobody is told

  bool draw = true;

  std::vector<SinkSpec> sinks;
  int sink_timeout_ms = 10000;
  int sink_connections = 16;  // of one webhook's batch
  int sink_batch = 256;
  int sink_lease_ms = 60000;
  int give_up_attempts = 10;
  int give_up_hours = 24;

  bool retire = true;
  int retain_days = 30;
  bool archive = true;  // otherwise old reservations are dropped
  int retire_batch = 1000;
  int audit_retain_days = 400;  // 0: for ever
};

struct MigrateOptions {
  std::string postgres;
  std::string postgres_password_file;
  bool replace_procedures = false;
};

// Fills `options` from command line, environment and file. Returns an exit status when there is nothing more to do: 0
// after --help or --version (written to `out`), 1 after one line on `err` that says what is wrong and what to do.
std::optional<int> ParseServerOptions(int argc, const char* const* argv, ServerOptions* options, std::ostream& out,
                                      std::ostream& err);
// Of `options->node`, what a consumer has no flag for is as it is: it has no effect.
std::optional<int> ParseConsumerOptions(int argc, const char* const* argv, ConsumerOptions* options, std::ostream& out,
                                        std::ostream& err);
std::optional<int> ParseBalancerOptions(int argc, const char* const* argv, BalancerProcessOptions* options,
                                        std::ostream& out, std::ostream& err);
std::optional<int> ParseWorkerOptions(int argc, const char* const* argv, WorkerProcessOptions* options,
                                      std::ostream& out, std::ostream& err);
std::optional<int> ParseMigrateOptions(int argc, const char* const* argv, MigrateOptions* options, std::ostream& out,
                                       std::ostream& err);

}  // namespace tranche::server
