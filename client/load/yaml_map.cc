#include "client/load/yaml_map.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/flags/closest_word.h"
#include "storage/base/status_macros.h"

namespace tranche::load {
namespace {

// Longer ones are no slip of the hand, and would cost time to compare.
constexpr size_t kLongestWord = 64;

// What stands there, for messages.
std::string Shown(const YAML::Node& node) {
  if (!node.IsScalar()) return node.IsMap() ? "a map" : node.IsSequence() ? "a list" : "nothing";
  return absl::StrCat("\"", node.Scalar().substr(0, kLongestWord), "\"");
}

absl::Status NotA(const YAML::Node& node, const std::string& key, absl::string_view what) {
  return WrongAt(node, absl::StrCat(key, ": ", Shown(node), " is not ", what));
}

}  // namespace

absl::Status WrongAt(const YAML::Node& node, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("line ", node.Mark().line + 1, ": ", message));
}

std::string UnknownWord(const std::string& what, const std::string& word, const std::vector<std::string>& known) {
  const std::string typed = word.substr(0, kLongestWord);
  const std::string meant = ClosestWord(typed, known);
  return absl::StrCat(what, " has no \"", typed, "\"; ",
                      meant.empty() ? absl::StrCat("there are: ", absl::StrJoin(known, ", "))
                                    : absl::StrCat("did you mean \"", meant, "\"?"));
}

absl::StatusOr<YamlMap> YamlMap::Of(const YAML::Node& node, const std::string& what,
                                    const std::vector<std::string>& known) {
  if (!node.IsMap()) {
    return WrongAt(node, absl::StrCat(what, " must have \"key: value\", with keys of ", absl::StrJoin(known, ", ")));
  }
  YamlMap map(node, what);
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return WrongAt(entry.first, absl::StrCat("a key of ", what, " is no word"));
    const std::string& key = entry.first.Scalar();
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return WrongAt(entry.first, UnknownWord(what, key, known));
    }
    if (!map.values_.emplace(key, entry.second).second) {
      return WrongAt(entry.first, absl::StrCat(what, " has \"", key, "\" twice"));
    }
  }
  return map;
}

absl::StatusOr<const YAML::Node*> YamlMap::Required(const std::string& key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return WrongAt(node_, absl::StrCat(what_, " needs \"", key, "\""));
  return &found->second;
}

absl::Status ReadYamlText(const YAML::Node& node, const std::string& key, size_t most, std::string* value) {
  if (!node.IsScalar() || node.Scalar().empty() || node.Scalar().size() > most) {
    return NotA(node, key, absl::StrCat("a text of 1 to ", most, " bytes"));
  }
  *value = node.Scalar();
  return absl::OkStatus();
}

absl::Status ReadYamlNumber(const YAML::Node& node, const std::string& key, double least, double most, double* value) {
  double number = 0;
  // "Not at least" also of what is no number to IEEE 754.
  if (!node.IsScalar() || !absl::SimpleAtod(node.Scalar(), &number) || !(number >= least && number <= most)) {
    return NotA(node, key, absl::StrCat("a number from ", least, " to ", most));
  }
  *value = number;
  return absl::OkStatus();
}

absl::Status ReadYamlTime(const YAML::Node& node, const std::string& key, absl::Duration least, absl::Duration most,
                          absl::Duration* value) {
  absl::Duration time;
  if (!node.IsScalar() || !absl::ParseDuration(node.Scalar(), &time) || time < least || time > most) {
    return NotA(node, key,
                absl::StrCat("a time from ", absl::FormatDuration(least), " to ", absl::FormatDuration(most),
                             ", such as 500ms or 30s"));
  }
  *value = time;
  return absl::OkStatus();
}

absl::Status YamlMap::ReadText(const std::string& key, size_t most, std::string* value) const {
  const auto found = values_.find(key);
  return found == values_.end() ? absl::OkStatus() : ReadYamlText(found->second, key, most, value);
}

absl::Status YamlMap::ReadNumber(const std::string& key, double least, double most, double* value) const {
  const auto found = values_.find(key);
  return found == values_.end() ? absl::OkStatus() : ReadYamlNumber(found->second, key, least, most, value);
}

absl::Status YamlMap::ReadCount(const std::string& key, int64_t least, int64_t most, int64_t* value) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return absl::OkStatus();
  int64_t count = 0;
  const YAML::Node& node = found->second;
  if (!node.IsScalar() || !absl::SimpleAtoi(node.Scalar(), &count) || count < least || count > most) {
    return NotA(node, key, absl::StrCat("a whole number from ", least, " to ", most));
  }
  *value = count;
  return absl::OkStatus();
}

absl::Status YamlMap::ReadTime(const std::string& key, absl::Duration least, absl::Duration most,
                               absl::Duration* value) const {
  const auto found = values_.find(key);
  return found == values_.end() ? absl::OkStatus() : ReadYamlTime(found->second, key, least, most, value);
}

absl::Status YamlMap::ReadSwitch(const std::string& key, bool* value) const {
  size_t word = 0;
  if (!Has(key)) return absl::OkStatus();
  RETURN_IF_ERROR(ReadWord(key, {"false", "true"}, &word));
  *value = word == 1;
  return absl::OkStatus();
}

absl::Status YamlMap::ReadWord(const std::string& key, const std::vector<std::string>& words, size_t* value) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return absl::OkStatus();
  const YAML::Node& node = found->second;
  if (!node.IsScalar()) return NotA(node, key, absl::StrCat("one of ", absl::StrJoin(words, ", ")));
  const auto word = std::find(words.begin(), words.end(), node.Scalar());
  if (word == words.end()) return WrongAt(node, UnknownWord(key, node.Scalar(), words));
  *value = static_cast<size_t>(word - words.begin());
  return absl::OkStatus();
}

}  // namespace tranche::load
