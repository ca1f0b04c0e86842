// "Did you mean", for commands.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/flags/closest_word.h"

namespace tranche::ctl {

// One line about the first argument that should be a command of `app` and is not, with the command that was probably
// meant, or all commands. Empty when every command is right. `arguments` in the order typed.
std::string ExplainMistypedCommand(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace tranche::ctl
