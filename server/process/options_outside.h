// The flags of tranched about what its front door may ask outside: the shop's risk scorer, a captcha's provider.
#pragma once

#include <string>

#include "server/process/options.h"
#include "server/process/options_parser.h"

namespace tranche::server {

void AddOutsideChecks(OptionsParser& parser, ServerOptions* options);

// "" if they fit together; otherwise one line that says what does not. Reads no file.
std::string CheckOutsideFlags(const ServerOptions& options);

}  // namespace tranche::server
