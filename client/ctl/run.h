// tranchectl without its process: tests call this.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace tranche::ctl {

// `arguments` without the program's name. Data goes to `out`, everything else to `err`. Returns the exit status.
int Run(std::vector<std::string> arguments, std::ostream& out, std::ostream& err, bool color);

}  // namespace tranche::ctl
