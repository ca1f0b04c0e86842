#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "client/ctl/run.h"

int main(int argc, char** argv) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool color = (no_color == nullptr || *no_color == '\0') && isatty(STDOUT_FILENO) != 0;
  return tranche::ctl::Run({argv + 1, argv + argc}, std::cout, std::cerr, color);
}
