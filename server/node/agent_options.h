// How a process that holds slices is named and reached, as its flags say.
#pragma once

#include "quota/node/node_agent.h"
#include "server/process/options.h"

namespace tranche::server {

// `port`: that it listens on at options.listen.
quota::NodeAgentOptions ToAgentOptions(const ServerOptions& options, int port);

}  // namespace tranche::server
