#include <string>

#include "server/process/options.h"
#include "server/process/options_parser.h"
#include "server/process/options_queue.h"
#include "server/process/options_shared.h"

namespace tranche::server {
namespace {

constexpr char kConsumerFooter[] =
    "A consumer is a front node without buyers: it is given units by demand, sells what the queues hold, and notes "
    "what "
    "is refused, so that GetClaim can tell. Run two or more, side by side: of a claim that is delivered twice the "
    "first "
    "decision holds. It takes from the queues of every shard; operators see it among the nodes, and drain it as one "
    "(tranchectl node drain).\n\n"
    "Example:\n"
    "  tranche-consumer --postgres postgresql://tranche@db/tranche --zookeeper zk1:2181,zk2:2181 \\\n"
    "    --queue-broker mq1:5671,mq2:5671,mq3:5671 --queue-tls on --queue-user-file /etc/tranche/queue.user \\\n"
    "    --listen 10.0.0.7:7500 --metrics-listen 10.0.0.7:9100";

}  // namespace

std::optional<int> ParseConsumerOptions(int argc, const char* const* argv, ConsumerOptions* options, std::ostream& out,
                                        std::ostream& err) {
  ServerOptions* const node = &options->node;
  node->listen = "127.0.0.1:0";
  node->admin = false;
  node->reflection = false;
  OptionsParser parser(
      "tranche-consumer",
      "Decides the claims that wait in Tranche's queues.\n\n"
      "SIGTERM drains it: it takes nothing more, decides what it has begun, gives the rest back to the "
      "queues, returns its unsold units and exits 0. Another signal, from a second later on, ends it at "
      "once.",
      "prefetch = 256");
  AddBackends(parser, &node->backends);
  AddQueueFlags(parser, &node->queue)->required();
  parser.AddNumber("prefetch", &options->prefetch, 1, 10000, "N",
                   "Most claims of one queue that this process holds undecided. Each may go to another consumer, and "
                   "count as delivered once more, if this one ends without warning");
  parser.Group("Listening");
  parser
      .Add("listen", &node->listen, "HOST:PORT",
           "Where balancers connect to notice at once when this process dies; it answers gRPC's health checks there. "
           "It must be reached from the balancers' machines; port 0 takes a free one")
      ->check(CheckAddress, "");
  AddNodeName(parser, node);
  AddSelling(parser, node);
  AddDrainTimeout(parser, node);
  AddLogFormat(parser, &node->log_format);
  AddMetrics(parser, &node->metrics);
  AddTls(parser, &node->tls, "--listen and --metrics-listen serve");
  parser.Footer(kConsumerFooter);
  if (const std::optional<int> done = parser.Parse(argc, argv, out, err)) return done;
  if (const std::string wrong = CheckTls(node->tls); !wrong.empty()) return parser.Refuse(wrong, err);
  if (const std::string wrong = CheckQueueFlags(node->queue); !wrong.empty()) return parser.Refuse(wrong, err);
  return std::nullopt;
}

}  // namespace tranche::server
