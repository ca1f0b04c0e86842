#include "client/load/scenario_steps.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/load/yaml_map.h"
#include "storage/base/status_macros.h"

namespace tranche::load {
namespace {

constexpr size_t kMostSteps = 16;
constexpr int64_t kMostTries = 1000;
constexpr int64_t kMostUnitsOfAClaim = 1'000'000;
constexpr absl::Duration kLongestStep = absl::Hours(1);
constexpr double kMostSigma = 5;

absl::StatusOr<Step> ReadEnter(const YAML::Node& node) {
  EnterStep step;
  ASSIGN_OR_RETURN(const YamlMap map, YamlMap::Of(node, "enter", {"within", "solve"}));
  RETURN_IF_ERROR(map.ReadTime("within", absl::ZeroDuration(), kLongestStep, &step.within));
  RETURN_IF_ERROR(map.ReadSwitch("solve", &step.solve));
  return Step(step);
}

absl::StatusOr<Step> ReadLook(const YAML::Node& node) {
  LookStep step;
  ASSIGN_OR_RETURN(const YamlMap map, YamlMap::Of(node, "look", {"times", "every"}));
  RETURN_IF_ERROR(map.ReadCount("times", 1, kMostTries, &step.times));
  RETURN_IF_ERROR(map.ReadTime("every", absl::ZeroDuration(), kLongestStep, &step.every));
  return Step(step);
}

absl::StatusOr<Step> ReadThink(const YAML::Node& node) {
  ThinkStep step;
  Pause& pause = step.pause;
  if (node.IsScalar()) {
    RETURN_IF_ERROR(ReadYamlTime(node, "think", absl::ZeroDuration(), kLongestStep, &pause.middle));
    return Step(step);
  }
  ASSIGN_OR_RETURN(const YamlMap map,
                   YamlMap::Of(node, "think", {"exponential", "lognormal", "sigma", "at_least", "at_most"}));
  if (map.Has("exponential") == map.Has("lognormal")) {
    return WrongAt(node, "think needs a time, or one of \"exponential\" and \"lognormal\"");
  }
  if (map.Has("sigma") != map.Has("lognormal")) return WrongAt(node, "think needs \"sigma\" with \"lognormal\" only");
  pause.law = map.Has("exponential") ? Pause::Law::kExponential : Pause::Law::kLognormal;
  // Without a bound a random time may be any; a bound of the whole run has to come from the file.
  ASSIGN_OR_RETURN(const YAML::Node* at_most, map.Required("at_most"));
  RETURN_IF_ERROR(ReadYamlTime(*at_most, "at_most", absl::ZeroDuration(), kLongestStep, &pause.at_most));
  RETURN_IF_ERROR(map.ReadTime("at_least", absl::ZeroDuration(), pause.at_most, &pause.at_least));
  RETURN_IF_ERROR(map.ReadTime("exponential", absl::ZeroDuration(), kLongestStep, &pause.middle));
  RETURN_IF_ERROR(map.ReadTime("lognormal", absl::ZeroDuration(), kLongestStep, &pause.middle));
  RETURN_IF_ERROR(map.ReadNumber("sigma", 0, kMostSigma, &pause.sigma));
  return Step(step);
}

absl::StatusOr<Step> ReadAbandon(const YAML::Node& node) {
  AbandonStep step;
  RETURN_IF_ERROR(ReadYamlNumber(node, "abandon", 0, 1, &step.probability));
  return Step(step);
}

absl::StatusOr<Step> ReadClaim(const YAML::Node& node) {
  ClaimStep step;
  ASSIGN_OR_RETURN(const YamlMap map,
                   YamlMap::Of(node, "claim", {"units", "tries", "every", "token", "queued", "within"}));
  RETURN_IF_ERROR(map.ReadCount("units", 1, kMostUnitsOfAClaim, &step.units));
  RETURN_IF_ERROR(map.ReadCount("tries", 1, kMostTries, &step.tries));
  RETURN_IF_ERROR(map.ReadTime("every", absl::ZeroDuration(), kLongestStep, &step.every));
  RETURN_IF_ERROR(map.ReadSwitch("queued", &step.queued));
  size_t token = 0;
  RETURN_IF_ERROR(map.ReadWord("token", {"entered", "none", "invented"}, &token));
  step.token = token == 0 ? TokenUse::kEntered : token == 1 ? TokenUse::kNone : TokenUse::kInvented;
  if (!map.Has("within")) return Step(step);
  if (!step.queued)
    return WrongAt(node, "claim: \"within\" is for the decision of what is queued: add \"queued: true\"");
  absl::Duration within;
  RETURN_IF_ERROR(map.ReadTime("within", absl::Milliseconds(1), kLongestStep, &within));
  step.within = within;
  return Step(step);
}

absl::StatusOr<Step> ReadPay(const YAML::Node& node) {
  if (!node.IsMap() || node.size() > 0) return WrongAt(node, "pay takes no value");
  return Step(PayStep());
}

absl::StatusOr<Step> ReadCancel(const YAML::Node& node) {
  if (!node.IsMap() || node.size() > 0) return WrongAt(node, "cancel takes no value");
  return Step(CancelStep());
}

absl::StatusOr<Step> ReadWatch(const YAML::Node& node) {
  WatchStep step;
  ASSIGN_OR_RETURN(const YamlMap map, YamlMap::Of(node, "watch", {"at_most"}));
  RETURN_IF_ERROR(map.ReadTime("at_most", absl::Milliseconds(1), kLongestStep, &step.at_most));
  return Step(step);
}

struct StepReader {
  const char* word;
  absl::StatusOr<Step> (*read)(const YAML::Node&);
  bool needs_a_value;
};
constexpr StepReader kStepReaders[] = {
    {"enter", ReadEnter, false},    {"look", ReadLook, false},   {"think", ReadThink, true},
    {"abandon", ReadAbandon, true}, {"claim", ReadClaim, false}, {"pay", ReadPay, false},
    {"cancel", ReadCancel, false},  {"watch", ReadWatch, false},
};

std::vector<std::string> WordsOfSteps() {
  std::vector<std::string> words;
  for (const StepReader& reader : kStepReaders) words.push_back(reader.word);
  return words;
}

// `value`: null if the step is a word by itself.
absl::StatusOr<Step> ReadStepOf(const YAML::Node& word, const YAML::Node* value) {
  const StepReader* const reader = std::find_if(std::begin(kStepReaders), std::end(kStepReaders),
                                                [&](const StepReader& one) { return word.Scalar() == one.word; });
  if (reader == std::end(kStepReaders)) return WrongAt(word, UnknownWord("a step", word.Scalar(), WordsOfSteps()));
  if (value != nullptr && !value->IsNull()) return reader->read(*value);
  if (reader->needs_a_value) return WrongAt(word, absl::StrCat(reader->word, " needs a value"));
  return reader->read(YAML::Node(YAML::NodeType::Map));
}

absl::StatusOr<Step> ReadStep(const YAML::Node& node) {
  if (node.IsScalar()) return ReadStepOf(node, nullptr);
  if (!node.IsMap() || node.size() != 1 || !node.begin()->first.IsScalar()) {
    return WrongAt(node, "a step is one word, or \"word: value\"");
  }
  const YAML::Node value = node.begin()->second;
  return ReadStepOf(node.begin()->first, &value);
}

bool IsClaim(const Step& step) { return std::holds_alternative<ClaimStep>(step); }
bool NeedsAClaim(const Step& step) {
  return std::holds_alternative<PayStep>(step) || std::holds_alternative<CancelStep>(step) ||
         std::holds_alternative<WatchStep>(step);
}

}  // namespace

absl::StatusOr<std::vector<Step>> ReadSteps(const YAML::Node& node) {
  if (!node.IsSequence() || node.size() == 0 || node.size() > kMostSteps) {
    return WrongAt(node, absl::StrCat("steps must be a list of 1 to ", kMostSteps));
  }
  std::vector<Step> steps;
  for (const auto& entry : node) {
    ASSIGN_OR_RETURN(Step step, ReadStep(entry));
    if (NeedsAClaim(step) && std::none_of(steps.begin(), steps.end(), IsClaim)) {
      return WrongAt(entry, absl::StrCat(StepWord(step), " needs a claim before it"));
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace tranche::load
