// A map of a YAML file whose keys and values are checked, with errors that name the line.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tranche::load {

// INVALID_ARGUMENT "line 3: MESSAGE".
absl::Status WrongAt(const YAML::Node& node, absl::string_view message);

// The Read functions leave the value as it is where the key is missing. All errors are INVALID_ARGUMENT, and name the
// line and the key.
class YamlMap {
 public:
  // Fails unless the node is a map with only these keys, each once. `what`: for messages, such as "a phase".
  static absl::StatusOr<YamlMap> Of(const YAML::Node& node, const std::string& what,
                                    const std::vector<std::string>& known);

  bool Has(const std::string& key) const { return values_.count(key) > 0; }
  // Valid as long as this.
  absl::StatusOr<const YAML::Node*> Required(const std::string& key) const;

  // 1 to `most` bytes.
  absl::Status ReadText(const std::string& key, size_t most, std::string* value) const;
  absl::Status ReadNumber(const std::string& key, double least, double most, double* value) const;
  absl::Status ReadCount(const std::string& key, int64_t least, int64_t most, int64_t* value) const;
  // Such as 500ms or 1m30s.
  absl::Status ReadTime(const std::string& key, absl::Duration least, absl::Duration most, absl::Duration* value) const;
  // true or false.
  absl::Status ReadSwitch(const std::string& key, bool* value) const;
  // The index of one of `words`.
  absl::Status ReadWord(const std::string& key, const std::vector<std::string>& words, size_t* value) const;

 private:
  YamlMap(const YAML::Node& node, std::string what) : node_(node), what_(std::move(what)) {}

  YAML::Node node_;
  std::string what_;
  std::map<std::string, YAML::Node> values_;
};

// Of a single value; `key` is for messages.
absl::Status ReadYamlNumber(const YAML::Node& node, const std::string& key, double least, double most, double* value);
absl::Status ReadYamlTime(const YAML::Node& node, const std::string& key, absl::Duration least, absl::Duration most,
                          absl::Duration* value);
absl::Status ReadYamlText(const YAML::Node& node, const std::string& key, size_t most, std::string* value);

// One line about a word that is none of `known`, with the one that was probably meant, or all of them.
std::string UnknownWord(const std::string& what, const std::string& word, const std::vector<std::string>& known);

}  // namespace tranche::load
