// tranchectl completion bash: made from the command tree itself, so it cannot fall behind.

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

// What may follow each command, such as {"sku", {"create", "list", ...}}; "" is the top.
using Words = std::map<std::string, std::set<std::string>>;

void Collect(const CLI::App* command, const std::string& path, Words& words) {
  std::set<std::string>& here = words[path];
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) here.insert("--" + name);
  }
  for (const CLI::App* child : command->get_subcommands({})) {
    here.insert(child->get_name());
    Collect(child, path.empty() ? child->get_name() : absl::StrCat(path, " ", child->get_name()), words);
  }
}

std::string BashScript(const Words& words) {
  std::string cases;
  for (const auto& [path, next] : words) {
    absl::StrAppend(&cases, "    '", path, "') words='", absl::StrJoin(next, " "), "' ;;\n");
  }
  return absl::StrCat(
      "# Load with:  source <(tranchectl completion bash)\n"
      "_tranchectl() {\n"
      "  local path='' word words=''\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$word\" in -*) continue ;; esac\n"
      "    case \"$path $word\" in\n",
      [&] {
        // Only commands make the path longer; arguments such as a SKU do not.
        std::string known;
        for (const auto& [path, next] : words) {
          if (path.empty()) continue;
          const size_t space = path.rfind(' ');
          const std::string parent = space == std::string::npos ? "" : path.substr(0, space);
          absl::StrAppend(&known, "      '", parent, " ", path.substr(space == std::string::npos ? 0 : space + 1),
                          "') path='", path, "' ;;\n");
        }
        return known;
      }(),
      "    esac\n"
      "  done\n"
      "  case \"$path\" in\n",
      cases,
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
      "}\n"
      "complete -F _tranchectl tranchectl\n");
}

}  // namespace

void AddCompletionCommand(CLI::App& app, Session& session) {
  CLI::App* completion = app.add_subcommand("completion", "Completion for shells");
  completion->require_subcommand(1);
  CLI::App* bash = completion->add_subcommand("bash", "Load it with: source <(tranchectl completion bash)");
  bash->callback([&app, &session] {
    Words words;
    Collect(&app, "", words);
    session.out() << BashScript(words);
  });
}

}  // namespace tranche::ctl
