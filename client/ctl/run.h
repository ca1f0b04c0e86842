// tranchectl without its process: tests call this.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "client/ctl/screen.h"

namespace tranche::ctl {

// `arguments` without the program's name. Data goes to `out`, everything else to `err`. Returns the exit status.
int Run(std::vector<std::string> arguments, std::ostream& out, std::ostream& err, const Screen& screen);

}  // namespace tranche::ctl
