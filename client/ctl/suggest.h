// "Did you mean": what somebody who mistyped a command wanted to type.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tranche::ctl {

// The one of `words` that is closest to `typed`, if it is close enough to be meant: at most two slips (a letter wrong,
// missing, too many, or two exchanged), one in a word of up to three letters; or `typed` is the beginning of only one.
// Empty otherwise.
std::string ClosestWord(const std::string& typed, const std::vector<std::string>& words);

// One line about the first argument that should be a command of `app` and is none, with the command that was probably
// meant, or all there are. Empty when every command is right. `arguments` in the order typed.
std::string ExplainMistypedCommand(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace tranche::ctl
