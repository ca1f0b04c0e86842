#include "server/node/agent_options.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/process/host.h"
#include "storage/base/address.h"

namespace tranche::server {

quota::NodeAgentOptions ToAgentOptions(const ServerOptions& options, int port) {
  quota::NodeAgentOptions agent;
  const std::string listen_host = ParseAddress(options.listen)->host;
  agent.node_name = options.node_name.empty() ? absl::StrCat(HostName(), ":", port) : options.node_name;
  agent.address = options.advertise;
  if (agent.address.empty())
    agent.address = absl::StrCat(IsWildcard(listen_host) ? HostName() : listen_host, ":", port);
  return agent;
}

}  // namespace tranche::server
