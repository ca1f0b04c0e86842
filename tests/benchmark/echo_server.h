// The reference: a bare gRPC unary callback server with the API's own messages and nothing behind them.
#pragma once

#include <string>

namespace tranche::benchmark {

// As ServeInChild.
int ServeEcho(const std::string& port_file);

}  // namespace tranche::benchmark
