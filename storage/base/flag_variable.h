// The environment variable that sets a flag.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace tranche {

// "--node-name" is TRANCHE_NODE_NAME.
inline std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat("TRANCHE_", absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}})));
}

// Did somebody type this flag, in any of its spellings?
inline bool WasTyped(const CLI::Option& option, const std::vector<std::string>& arguments) {
  const std::vector<std::string> names = absl::StrSplit(option.get_name(false, /*all_options=*/true), ',');
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      // --postgres=DSN, but not --postgres-password-file; -eENDPOINT.
      const bool is_long = absl::StartsWith(name, "--");
      return argument == name || absl::StartsWith(argument, is_long ? absl::StrCat(name, "=") : name);
    });
  });
}

// CLI11 blames the flag, also where nobody typed it: then the environment has set it, and the message says so.
inline std::string BlamingTheVariable(const CLI::App& app, const std::vector<std::string>& arguments,
                                      const std::string& message) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string variable = option->get_envname();
    const std::string blamed = absl::StrCat(option->get_name(), ": ");
    if (variable.empty() || !absl::StartsWith(message, blamed) || std::getenv(variable.c_str()) == nullptr) continue;
    if (!WasTyped(*option, arguments)) return absl::StrCat(variable, ": ", message.substr(blamed.size()));
  }
  return message;
}

}  // namespace tranche
