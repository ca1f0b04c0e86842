// The flags about the broker whose queues keep claims until they are decided.
#pragma once

#include <string>

#include "server/process/broker_options.h"
#include "server/process/options_parser.h"

namespace tranche::server {

// Those of all who use the broker. Returns --queue-broker.
CLI::Option* AddQueueFlags(OptionsParser& parser, BrokerOptions* options);
// --queue-deadline-ms: of those who put claims into queues.
void AddQueueDeadline(OptionsParser& parser, BrokerOptions* options);

// "" if they fit together; otherwise one line that says what does not. Reads no file.
std::string CheckQueueFlags(const BrokerOptions& options);

}  // namespace tranche::server
