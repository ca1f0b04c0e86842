// How a process shows its metrics.
#pragma once

#include <string>

namespace tranche::server {

struct MetricsOptions {
  std::string listen = {};     // HOST:PORT; "": nothing is served, and nothing is spent on it
  std::string port_file = {};  // "": none
  int skus = 50;               // that a front node shows one by one
};

}  // namespace tranche::server
