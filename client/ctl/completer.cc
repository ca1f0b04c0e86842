#include "client/ctl/completer.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace tranche::ctl {
namespace {

const CLI::App* ChildOf(const CLI::App* command, const std::string& name) {
  for (const CLI::App* child : command->get_subcommands({})) {
    if (child->get_name() == name) return child;
  }
  return nullptr;
}

// Of the command or, for the global ones, of a command above.
const CLI::Option* FlagOf(const CLI::App* command, const std::string& typed) {
  const std::string name = typed.substr(0, typed.find('='));
  for (; command != nullptr; command = command->get_parent()) {
    const CLI::Option* option = command->get_option_no_throw(name);
    if (option != nullptr) return option;
  }
  return nullptr;
}

bool IsNamed(const CLI::Option& option, const char* name) { return option.check_lname(name); }

// The argument at this place; the last one may take several.
const CLI::Option* ArgumentAt(const CLI::App* command, size_t place) {
  const CLI::Option* last = nullptr;
  for (const CLI::Option* option : command->get_options()) {
    if (!option->get_positional()) continue;
    last = option;
    if (place-- == 0) return option;
  }
  return last != nullptr && last->get_items_expected_max() > 1 ? last : nullptr;
}

// What the help shows as the type of such an option, and what tells that it is one.
constexpr std::pair<NameKind, absl::string_view> kTypes[] = {
    {NameKind::kSku, "SKU"},     {NameKind::kNode, "NODE"}, {NameKind::kNodeOrPool, "NODE|pool"},
    {NameKind::kShard, "SHARD"}, {NameKind::kSink, "SINK"}, {NameKind::kQueue, "QUEUE"},
};

std::optional<NameKind> KindOf(const CLI::Option& option) {
  for (const auto& [kind, type] : kTypes) {
    if (type == option.get_type_name()) return kind;
  }
  return std::nullopt;
}

// The words of TakesOneOf, which CLI11 shows as "TEXT:{dead,pending}".
std::vector<std::string> FixedWords(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{');
  const size_t close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {};
  return absl::StrSplit(type.substr(open + 1, close - open - 1), ',');
}

// Of the command, and the global ones of those above; --help and --version are each command's own.
std::vector<std::string> FlagsOf(const CLI::App* command) {
  std::vector<std::string> flags;
  for (const CLI::App* owner = command; owner != nullptr; owner = owner->get_parent()) {
    for (const CLI::Option* option : owner->get_options()) {
      if (owner != command && (option == owner->get_help_ptr() || option == owner->get_version_ptr())) continue;
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
  }
  return flags;
}

// Where the last word stands.
struct Place {
  const CLI::App* command;
  const CLI::Option* awaits_value = nullptr;  // the flag before it
  size_t arguments = 0;                       // of the command, before it
  std::string endpoints = {};
};

Place PlaceOf(const CLI::App& app, const std::vector<std::string>& typed) {
  Place place{&app};
  for (size_t i = 0; i + 1 < typed.size(); ++i) {
    const std::string& word = typed[i];
    if (const CLI::Option* flag = place.awaits_value; flag != nullptr) {
      if (IsNamed(*flag, "endpoint")) place.endpoints = word;
      place.awaits_value = nullptr;
    } else if (absl::StartsWith(word, "-")) {
      const CLI::Option* flag = FlagOf(place.command, word);
      const bool takes_value = flag != nullptr && flag->get_items_expected_max() > 0;
      if (takes_value && !absl::StrContains(word, '=')) place.awaits_value = flag;
      if (takes_value && IsNamed(*flag, "endpoint") && absl::StrContains(word, '=')) {
        place.endpoints = word.substr(word.find('=') + 1);
      }
    } else if (const CLI::App* child = ChildOf(place.command, word); child != nullptr) {
      place.command = child;
      place.arguments = 0;
    } else {
      ++place.arguments;
    }
  }
  return place;
}

}  // namespace

CLI::Option* TakesNameOf(NameKind kind, CLI::Option* option) {
  for (const auto& [known, type] : kTypes) {
    if (known == kind) option->type_name(std::string(type));
  }
  return option;
}

std::vector<std::string> Completer::Complete(const std::vector<std::string>& typed) const {
  const Place place = PlaceOf(app, typed);
  const std::string last = typed.empty() ? "" : typed.back();
  const auto values_of = [&](const CLI::Option* option) {
    if (option == nullptr) return std::vector<std::string>();
    const std::optional<NameKind> kind = KindOf(*option);
    std::vector<std::string> values = kind.has_value() ? names_of(*kind, place.endpoints) : FixedWords(*option);
    if (kind == NameKind::kNodeOrPool) values.push_back("pool");
    return values;
  };

  std::vector<std::string> words;
  if (place.awaits_value != nullptr) {
    words = values_of(place.awaits_value);
  } else if (absl::StartsWith(last, "-") && absl::StrContains(last, '=')) {
    const std::string flag = last.substr(0, last.find('=') + 1);
    for (const std::string& value : values_of(FlagOf(place.command, last))) words.push_back(flag + value);
  } else if (absl::StartsWith(last, "-")) {
    words = FlagsOf(place.command);
  } else {
    for (const CLI::App* child : place.command->get_subcommands({})) {
      if (!child->get_group().empty()) words.push_back(child->get_name());
    }
    if (words.empty()) words = values_of(ArgumentAt(place.command, place.arguments));
  }
  std::erase_if(words, [&](const std::string& word) { return !absl::StartsWith(word, last); });
  return words;
}

}  // namespace tranche::ctl
