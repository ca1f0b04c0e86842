#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "client/ctl/run.h"

int main(int argc, char** argv) {
  const tranche::ctl::Screen screen =
      tranche::ctl::ScreenOf(isatty(STDOUT_FILENO) != 0, std::getenv("TERM"), std::getenv("NO_COLOR"));
  return tranche::ctl::Run({argv + 1, argv + argc}, std::cout, std::cerr, screen);
}
