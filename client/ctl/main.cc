#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "client/ctl/run.h"

int main(int argc, char** argv) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool terminal = isatty(STDOUT_FILENO) != 0 && term != nullptr && std::strcmp(term, "dumb") != 0;
  const tranche::ctl::Screen screen{.color = terminal && (no_color == nullptr || *no_color == '\0'),
                                    .redraw = terminal};
  return tranche::ctl::Run({argv + 1, argv + argc}, std::cout, std::cerr, screen);
}
