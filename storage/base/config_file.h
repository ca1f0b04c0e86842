// The file of --config: flags of a program as lines "flag = value". The command line wins over the environment, and
// that over the file; an unknown key is an error.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/base/flag_variable.h"

namespace tranche {

// CLI11 lets the file win over the environment; dropping the keys that the environment sets reverses that.
class FileBelowEnvironment : public CLI::ConfigTOML {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> items = CLI::ConfigTOML::from_config(input);
    const auto in_environment = [](const CLI::ConfigItem& item) {
      const char* value = std::getenv(EnvironmentName(item.name).c_str());
      return item.parents.empty() && value != nullptr && *value != '\0';
    };
    items.erase(std::remove_if(items.begin(), items.end(), in_environment), items.end());
    return items;
  }
};

// Adds --config to the program. TRANCHE_CONFIG names the file, too.
inline void ReadConfigFile(CLI::App& app, const std::string& help) {
  const char* file = std::getenv(EnvironmentName("config").c_str());
  const bool named = file != nullptr && *file != '\0';
  app.set_config("--config", named ? file : "", absl::StrCat(help, " (Env:TRANCHE_CONFIG)"), /*config_required=*/named)
      ->type_name("FILE");
  app.config_formatter(std::make_shared<FileBelowEnvironment>());
  app.allow_config_extras(CLI::config_extras_mode::error);
}

// The name at the beginning of what somebody mistyped. The rest may be a password, and must not be shown.
inline std::string NameIn(absl::string_view mistyped) {
  const auto end = std::find_if_not(mistyped.begin(), mistyped.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
  return std::string(mistyped.begin(), end);
}

// CLI11's message about an unknown key, in words that say where it is.
inline std::string ExplainConfigError(const std::string& message) {
  constexpr absl::string_view kUnknown = "INI was not able to parse ";
  if (!absl::StartsWith(message, kUnknown)) return message;
  return absl::StrCat("the --config file has an unknown key, or a line that is not \"key = value\": ",
                      NameIn(absl::string_view(message).substr(kUnknown.size())));
}

}  // namespace tranche
