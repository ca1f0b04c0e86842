#include "client/ctl/suggest.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tranche::ctl {
namespace {

// Whether the argument after this one is its value, like 7400 in "--port 7400".
bool TakesNext(const CLI::App* command, const std::string& argument) {
  if (absl::StrContains(argument, '=')) return false;
  for (; command != nullptr; command = command->get_parent()) {
    const CLI::Option* option = command->get_option_no_throw(argument);
    if (option != nullptr) return option->get_items_expected_min() > 0;
  }
  return false;
}

std::vector<std::string> CommandsOf(const CLI::App* command) {
  std::vector<std::string> names;
  for (const CLI::App* child : command->get_subcommands({})) names.push_back(child->get_name());
  return names;
}

}  // namespace

std::string ExplainMistypedCommand(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* command = &app;
  std::string path = app.get_name();
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (absl::StartsWith(argument, "-")) {
      if (TakesNext(command, argument)) ++i;
      continue;
    }
    const std::vector<const CLI::App*> children = command->get_subcommands({});
    if (children.empty()) return "";
    const auto child = std::find_if(children.begin(), children.end(),
                                    [&](const CLI::App* candidate) { return candidate->get_name() == argument; });
    if (child == children.end()) {
      const std::string closest = ClosestWord(argument, CommandsOf(command));
      return absl::StrCat(path, " has no command \"", argument, "\"; ",
                          closest.empty() ? absl::StrCat("there are: ", absl::StrJoin(CommandsOf(command), ", "))
                                          : absl::StrCat("did you mean \"", closest, "\"?"));
    }
    command = *child;
    absl::StrAppend(&path, " ", argument);
  }
  return "";
}

}  // namespace tranche::ctl
