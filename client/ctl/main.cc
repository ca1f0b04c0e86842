#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "client/ctl/run.h"

int main(int argc, char** argv) {
  // gRPC's own lines about a failed handshake say less than our error, which follows them. Who debugs may still set it.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  const tranche::ctl::Screen screen =
      tranche::ctl::ScreenOf(isatty(STDOUT_FILENO) != 0, std::getenv("TERM"), std::getenv("NO_COLOR"));
  return tranche::ctl::Run({argv + 1, argv + argc}, std::cout, std::cerr, screen);
}
