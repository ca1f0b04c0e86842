// CLI11 with what the options of all our binaries share. Included by options_*.cc alone: CLI11 takes long to compile.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "storage/base/decimal_flags.h"
#include "storage/base/flag_variable.h"

namespace tranche::server {

// Not thread-safe.
class OptionsParser {
 public:
  // `line`: of a --config file for this program.
  OptionsParser(const std::string& program, const std::string& description, const std::string& line);

  void Group(const std::string& group) { group_ = group; }

  template <typename T>
  CLI::Option* Add(const std::string& flag, T* value, const std::string& type, const std::string& help) {
    return app_.add_option("--" + flag, *value, help)
        ->type_name(type)
        ->envname(EnvironmentName(flag))
        ->group(group_)
        ->capture_default_str();
  }

  CLI::Option* AddNumber(const std::string& flag, int* value, int least, int most, const std::string& type,
                         const std::string& help) {
    return Add(flag, value, type, help)
        ->transform(PlainNumber())
        ->check(CLI::Range(least, most).description(absl::StrCat("[", least, "-", most, "]")));
  }

  CLI::Option* AddSwitch(const std::string& flag, bool* value, const std::string& help) {
    CLI::Option* option = Add(flag, value, "on|off", help);
    // CLI11 would show 1 and 0.
    return option->default_str(*value ? "on" : "off");
  }

  // One of the words.
  template <typename T>
  CLI::Option* AddChoice(const std::string& flag, T* value, const std::map<std::string, T>& words,
                         const std::string& help) {
    std::string type, at_first;
    for (const auto& [word, meaning] : words) {
      absl::StrAppend(&type, type.empty() ? "" : "|", word);
      if (meaning == *value) at_first = word;
    }
    // CLI11 reads a value of an enumeration from its number.
    const auto to_number = [words, type](std::string& text) {
      const auto found = words.find(text);
      if (found == words.end()) return absl::StrCat("must be ", absl::StrReplaceAll(type, {{"|", " or "}}));
      text = absl::StrCat(static_cast<int>(found->second));
      return std::string();
    };
    return Add(flag, value, type, help)->transform(CLI::Validator(to_number, "", ""))->default_str(at_first);
  }

  // May be given several times; in the environment and in the file separated by spaces.
  CLI::Option* AddList(const std::string& flag, std::vector<std::string>* values, const std::string& type,
                       const std::string& help) {
    return app_.add_option("--" + flag, *values, help)
        ->type_name(type)
        ->envname(EnvironmentName(flag))
        ->group(group_)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->delimiter(' ');
  }

  // Looked at when all flags have their values: returns "", or what is wrong with them. `typed` are the arguments of
  // the command line.
  using Rule = std::function<std::string(const std::vector<std::string>& typed)>;
  void AddRule(Rule rule) { rules_.push_back(std::move(rule)); }

  // The file of --config that was read; "": none.
  std::string ConfigFile() const {
    const auto files = app_.get_config_ptr()->as<std::vector<std::string>>();
    return files.empty() ? "" : files.front();
  }

  // The last lines of the help.
  void Footer(const std::string& text) { app_.footer(absl::StrCat(app_.get_footer(), "\n\n", text)); }

  // One line that says what is wrong; returns the status to exit with.
  int Refuse(absl::string_view what, std::ostream& err) {
    err << program_ << ": " << what << ". See '" << program_ << " --help'.\n";
    return 1;
  }

  // As the functions of options.h.
  std::optional<int> Parse(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

 private:
  std::string UnknownArguments() const;

  const std::string program_;
  CLI::App app_;
  std::string group_;
  std::vector<Rule> rules_;
};

}  // namespace tranche::server
