#include "client/ctl/suggest.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tranche::ctl {
namespace {

constexpr size_t kLettersPerSlip = 4;

// Optimal string alignment distance: insertions, deletions, substitutions, and exchanges of neighbours.
size_t Slips(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

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

std::string ClosestWord(const std::string& typed, const std::vector<std::string>& words) {
  std::string closest;
  // In a short word two slips leave little of what was typed: "tcsh" is no "bash".
  size_t fewest = (typed.size() < 2 * kLettersPerSlip ? 1 : 2) + 1;
  for (const std::string& word : words) {
    const size_t slips = Slips(typed, word);
    if (slips < fewest) fewest = slips, closest = word;
  }
  if (!closest.empty() || typed.empty()) return closest;
  const auto begins = [&](const std::string& word) { return absl::StartsWith(word, typed); };
  const auto only = std::find_if(words.begin(), words.end(), begins);
  return std::count_if(words.begin(), words.end(), begins) == 1 ? *only : "";
}

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
