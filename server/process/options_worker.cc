#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/process/options.h"
#include "server/process/options_parser.h"
#include "server/process/options_shared.h"
#include "server/process/sink_spec.h"

namespace tranche::server {
namespace {

constexpr char kWorkerFooter[] =
    "Messages: each change of a reservation is told to every sink that is registered in the ledger, at least once, in "
    "order per reservation. A sink is registered when a worker first starts with it, and gets what happens from then "
    "on; the one named \"default\" is registered from the beginning. Start a worker with each registered sink, or "
    "remove it (tranchectl outbox sink remove NAME --yes): its messages are kept until then.\n"
    "A webhook gets a POST for each message, with the headers Tranche-Message-Id, Tranche-Kind and\n"
    "Tranche-Signature: t=SECONDS,v1=HEX, where HEX is the HMAC-SHA256 of \"SECONDS.BODY\". 2xx means delivered. The "
    "secret file has one secret a line (openssl rand -hex 32); with several, each makes a v1, so that the receiver can "
    "change over. A grpc sink implements tranche.v1.OutboxSinkService; grpcs is the same over TLS. An amqp sink is a "
    "topic exchange of a broker such as RabbitMQ, which you declare; routing keys are KIND.SKU, such as "
    "reservation.confirmed.tv. Bind a queue to it: what no queue takes is tried again, and dead after a day.\n"
    "TLS: a sink's certificate must be of an authority of --sink-ca, or of this machine's. --sink-certificate and "
    "--sink-key show who calls, and so does --sink-token-file to a gRPC sink (authorization: Bearer) and --sink-user "
    "to a broker. Files may be renewed while the worker runs.\n\n"
    "Examples:\n"
    "  tranche-worker --postgres postgresql://tranche@db/tranche\n"
    "  tranche-worker --postgres postgresql://tranche@db/tranche \\\n"
    "    --sink default=webhook:https://shop.example/hooks/tranche --sink-secret-file default=/etc/tranche/hook.key "
    "\\\n"
    "    --sink books=grpcs:ledger.example:9000 --sink-ca books=/etc/tranche/books-ca.pem \\\n"
    "    --sink-token-file books=/etc/tranche/books.token\n"
    "  tranche-worker --postgres postgresql://tranche@db/tranche \\\n"
    "    --sink events=amqps:rabbit.example:5671/tranche?vhost=shop --sink-user events=/etc/tranche/events.user";

void AddExpiry(OptionsParser& parser, WorkerProcessOptions* options) {
  parser.Group("Expiry of unpaid holds, and of groups");
  parser.AddSwitch("expire", &options->expire,
                   "Expire holds whose time is over, end groups at their deadline, and put their units back on sale");
  parser.AddNumber("expire-batch", &options->expire_batch, 1, 10000, "N",
                   "Most holds in one transaction; of groups, whose paid members end together, up to 99 more, and "
                   "no batch above 1024");
  parser.AddNumber(
      "expire-per-s", &options->expire_per_s, 1, 1000000, "N",
      "Most holds that this process expires in a second, so that a sale beside it stays fast; as many that it ends "
      "with their groups; and of which it tells that they lapse soon (--remind-before-s)");
  parser.AddNumber("remind-before-s", &options->remind_before_s, 0, 604800, "S",
                   "Tell the sinks of a hold so many seconds before it lapses (reservation.lapses_soon), once for each "
                   "end; not of holds that last no longer than that. If workers differ, the longest counts. 0: never");
}

void AddDraws(OptionsParser& parser, WorkerProcessOptions* options) {
  parser.Group("Draws");
  parser.AddSwitch("draw", &options->draw,
                   "Carry draws on: seal the lists of closed ones, rank the entries of seeded ones, and give places to "
                   "the next as long as any is free");
}

void AddSinkFiles(OptionsParser& parser, SinkFlags* flags) {
  parser.AddList("sink-secret-file", &flags->secret_files, "NAME=FILE",
                 "Secrets that a webhook's messages are signed with; not readable by others; repeatable");
  parser.AddList(
      "sink-ca", &flags->authorities, "NAME=FILE",
      "PEM file of the authorities that may vouch for a sink's certificate (grpcs:, amqps: and https://), instead of "
      "those that this machine trusts; repeatable");
  parser.AddList("sink-certificate", &flags->certificates, "NAME=FILE",
                 "PEM file with the certificate to show to a sink, and its chain; with --sink-key; repeatable");
  parser.AddList("sink-key", &flags->keys, "NAME=FILE", "PEM file with the key of --sink-certificate; repeatable");
  parser.AddList("sink-token-file", &flags->token_files, "NAME=FILE",
                 "Token that says to a gRPC sink who calls; one line, not readable by others; repeatable");
  parser.AddList("sink-user", &flags->user_files, "NAME=FILE",
                 "USER:PASSWORD for an AMQP sink's broker; one line, not readable by others. Without it: guest:guest, "
                 "which brokers take from their own machine only; repeatable");
}

void AddSinks(OptionsParser& parser, WorkerProcessOptions* options, SinkFlags* flags) {
  parser.Group("Messages about changes");
  parser.AddList(
      "sink", &flags->sinks, "NAME=KIND:TARGET",
      "A sink to deliver to: NAME=webhook:URL, NAME=grpc:HOST:PORT, NAME=amqp:HOST:PORT/EXCHANGE (?vhost=VHOST if "
      "it is not /; HOST:PORT,HOST:PORT for several brokers of a cluster) or, over TLS, grpcs: and amqps:; "
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

void AddRetention(OptionsParser& parser, WorkerProcessOptions* options) {
  parser.Group("Retention");
  parser.AddSwitch("retire", &options->retire, "Take old reservations out of the running books, and delete old groups");
  parser.AddNumber("retain-days", &options->retain_days, 1, 3650, "DAYS",
                   "How long cancelled, expired and, once their sale is over, confirmed reservations stay, as long as "
                   "their ids answer repeated requests; and groups that are over");
  parser.AddSwitch("archive", &options->archive, "Keep what is retired in the table reservation_archive; off: drop it");
  parser.AddNumber("retire-batch", &options->retire_batch, 1, 10000, "N",
                   "Most reservations in one transaction, or groups, of which 200 are the most");
  parser.AddNumber(
      "audit-retain-days", &options->audit_retain_days, 0, 36500, "DAYS",
      "How long the audit log keeps its entries; 0: for ever. If workers differ, the shortest wins. Works with "
      "--retire off, too");
}

}  // namespace

std::optional<int> ParseWorkerOptions(int argc, const char* const* argv, WorkerProcessOptions* options,
                                      std::ostream& out, std::ostream& err) {
  OptionsParser parser(
      "tranche-worker",
      "Does what Tranche's reservations need beside the sale: expires unpaid holds, ends groups at their deadline, "
      "carries draws on, delivers the messages about changes, retires old reservations. Run two or more, side by "
      "side.\n\n"
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

}  // namespace tranche::server
