#include <string>

#include "absl/strings/str_cat.h"
#include "server/process/admin_address.h"
#include "server/process/options.h"
#include "server/process/options_outside.h"
#include "server/process/options_parser.h"
#include "server/process/options_queue.h"
#include "server/process/options_shared.h"
#include "server/process/shard_hosts.h"
#include "storage/base/address.h"
#include "storage/base/loopback.h"

namespace tranche::server {
namespace {

std::string CheckAdminAddress(const std::string& text) { return text == "same" ? "" : CheckAddress(text); }

std::string CheckShardHosts(const std::string& text) {
  return std::string(ShardHosts::Of(text, "").status().message());
}

void AddLog(OptionsParser& parser, ServerOptions* options) {
  AddLogFormat(parser, &options->log_format);
  parser.AddChoice<AccessLogMode>(
      "access-log", &options->access_log,
      {{"all", AccessLogMode::kAll}, {"errors", AccessLogMode::kErrors}, {"off", AccessLogMode::kOff}},
      "Which calls have a line in the log: none, those that are not answered with OK, or all; at most 1,000 a second");
  parser.AddNumber("access-log-sample", &options->access_log_sample, 1, 1000000, "N",
                   "Of these, log one in N; internal errors always");
}

void AddShardHosts(OptionsParser& parser, ServerOptions* options) {
  parser
      .Add("shard-hosts", &options->shard_hosts, "HOST[:PORT],...",
           "Database hosts that an operator may add as shards (tranchectl shard add): names, addresses, *.SUFFIX for "
           "all names that end so, or folders of Unix sockets; without a port, at 5432 [default: those of --postgres]")
      ->check(CheckShardHosts, "");
}

void AddListening(OptionsParser& parser, ServerOptions* options) {
  parser.Group("Listening");
  parser.Add("listen", &options->listen, "HOST:PORT", "Where to serve gRPC; port 0 takes a free one")
      ->check(CheckAddress, "");
  AddNodeName(parser, options);
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

void AddAccess(OptionsParser& parser, ServerOptions* options) {
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

void AddDeadlines(OptionsParser& parser, ServerOptions* options) {
  parser.AddNumber("default-deadline-ms", &options->default_deadline_ms, 0, 600000, "MS",
                   "Deadline of reservation calls that carry none; 0 refuses them with DEADLINE_REQUIRED");
  parser.AddNumber("max-deadline-ms", &options->max_deadline_ms, 1, 600000, "MS",
                   "Longer deadlines are lowered to this");
}

void AddFrontDoor(OptionsParser& parser, ServerOptions* options) {
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

void AddStreams(OptionsParser& parser, ServerOptions* options) {
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

void AddLimits(OptionsParser& parser, ServerOptions* options) {
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
  AddDrainTimeout(parser, options);
}

}  // namespace

std::optional<int> ParseServerOptions(int argc, const char* const* argv, ServerOptions* options, std::ostream& out,
                                      std::ostream& err) {
  OptionsParser parser(
      "tranched",
      "A front node of Tranche: sells limited stock over gRPC.\n\n"
      "SIGTERM drains it: it finishes what it has accepted, returns its unsold units and exits 0. Another "
      "signal, from a second later on, ends it at once.",
      "max-batch = 256");
  AddBackends(parser, &options->backends);
  AddShardHosts(parser, options);
  AddListening(parser, options);
  AddAccess(parser, options);
  AddSelling(parser, options);
  AddDeadlines(parser, options);
  AddQueueFlags(parser, &options->queue);
  AddQueueDeadline(parser, &options->queue);
  AddFrontDoor(parser, options);
  AddOutsideChecks(parser, options);
  AddStreams(parser, options);
  AddLimits(parser, options);
  AddLog(parser, options);
  AddMetrics(parser, &options->metrics);
  parser.AddNumber("metrics-skus", &options->metrics.skus, 0, 1000, "N",
                   "SKUs with series of their own: those with the most traffic; the others are summed as \"other\"");
  if (const std::optional<int> done = parser.Parse(argc, argv, out, err)) return done;
  if (const std::string wrong = CheckTls(options->tls); !wrong.empty()) return parser.Refuse(wrong, err);
  if (const std::string wrong = CheckOutsideFlags(*options); !wrong.empty()) return parser.Refuse(wrong, err);
  if (const std::string wrong = CheckQueueFlags(options->queue); !wrong.empty()) return parser.Refuse(wrong, err);
  const auto admin = FindAdminAddress(*options);
  if (!admin.ok()) return parser.Refuse(admin.status().message(), err);
  if (const std::string wrong = CheckAccess(*options, *admin); !wrong.empty()) return parser.Refuse(wrong, err);
  return std::nullopt;
}

}  // namespace tranche::server
