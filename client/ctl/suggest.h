// "Did you mean": guesses which command a mistyped one was meant to be.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tranche::ctl {

// The one of `words` that is closest to `typed`, if it is close enough: at most one slip (a letter wrong, missing, too
// many, or two exchanged), or two in a word of eight letters or more; or `typed` is the beginning of only one word.
// Otherwise empty.
std::string ClosestWord(const std::string& typed, const std::vector<std::string>& words);

// One line about the first argument that should be a command of `app` and is not, with the command that was probably
// meant, or all commands. Empty when every command is right. `arguments` in the order typed.
std::string ExplainMistypedCommand(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace tranche::ctl
