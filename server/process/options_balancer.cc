#include "server/process/options.h"
#include "server/process/options_parser.h"
#include "server/process/options_shared.h"

namespace tranche::server {

std::optional<int> ParseBalancerOptions(int argc, const char* const* argv, BalancerProcessOptions* options,
                                        std::ostream& out, std::ostream& err) {
  OptionsParser parser(
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

}  // namespace tranche::server
