#include "client/load/scenario_reader.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/load/arrival_plan.h"
#include "client/load/scenario_steps.h"
#include "client/load/yaml_map.h"
#include "storage/base/status_macros.h"

namespace tranche::load {
namespace {

constexpr size_t kMostNameBytes = 64;
constexpr size_t kMostSkuBytes = 128;
constexpr size_t kMostSkus = 1000;
constexpr size_t kMostPhases = 64;
constexpr size_t kMostKinds = 16;
constexpr double kMostRate = 1'000'000;
constexpr absl::Duration kLongestPhase = absl::Hours(24);
constexpr int64_t kMostUnderWay = 1'000'000;

// The shape of a phase is the one key that it has of these.
absl::Status ReadShape(const YamlMap& map, const YAML::Node& node, Phase* phase) {
  const int shapes = (map.Has("hold") ? 1 : 0) + (map.Has("ramp_to") ? 1 : 0) + (map.Has("fade_to") ? 1 : 0);
  if (shapes != 1) return WrongAt(node, "a phase needs one of \"ramp_to\", \"hold\" and \"fade_to\"");
  if (map.Has("within") == map.Has("hold")) {
    return WrongAt(node, "\"ramp_to\" and \"fade_to\" need \"within\", \"hold\" has a time itself");
  }
  if (map.Has("hold")) {
    phase->to = phase->from;
    if (phase->from <= 0) return WrongAt(node, "\"hold\" keeps a rate: ramp to one first");
    return map.ReadTime("hold", absl::ZeroDuration(), kLongestPhase, &phase->length);
  }
  RETURN_IF_ERROR(map.ReadTime("within", absl::ZeroDuration(), kLongestPhase, &phase->length));
  RETURN_IF_ERROR(map.ReadNumber("ramp_to", 0, kMostRate, &phase->to));
  RETURN_IF_ERROR(map.ReadNumber("fade_to", 0.001, kMostRate, &phase->to));
  phase->shape = map.Has("ramp_to") ? Phase::Shape::kRamp : Phase::Shape::kFade;
  if (phase->shape == Phase::Shape::kFade && phase->from <= 0) {
    return WrongAt(node, "\"fade_to\" changes a rate: ramp to one first");
  }
  return absl::OkStatus();
}

absl::Status ReadPhases(const YAML::Node& node, Scenario* scenario) {
  if (!node.IsSequence() || node.size() == 0 || node.size() > kMostPhases) {
    return WrongAt(node, absl::StrCat("phases must be a list of 1 to ", kMostPhases));
  }
  double rate = 0;
  for (const auto& entry : node) {
    Phase phase;
    phase.from = rate;
    ASSIGN_OR_RETURN(const YamlMap map,
                     YamlMap::Of(entry, "a phase", {"name", "ramp_to", "hold", "fade_to", "within"}));
    RETURN_IF_ERROR(map.ReadText("name", kMostNameBytes, &phase.name));
    RETURN_IF_ERROR(ReadShape(map, entry, &phase));
    rate = phase.to;
    scenario->phases.push_back(std::move(phase));
  }
  const double arrivals = ExpectedArrivals(*scenario);
  if (arrivals < 1 || arrivals > kMostScenarioArrivals) {
    return WrongAt(node, absl::StrCat("the phases have about ", static_cast<int64_t>(arrivals),
                                      " visitors; there must be 1 to ", static_cast<int64_t>(kMostScenarioArrivals)));
  }
  if (LengthOf(*scenario) > kLongestPhase) return WrongAt(node, "the phases take more than 24h");
  return absl::OkStatus();
}

absl::Status ReadVisitors(const YAML::Node& node, Scenario* scenario) {
  if (!node.IsMap() || node.size() == 0 || node.size() > kMostKinds) {
    return WrongAt(node, absl::StrCat("visitors must be 1 to ", kMostKinds, " kinds, each with a name"));
  }
  for (const auto& entry : node) {
    VisitorKind kind;
    RETURN_IF_ERROR(ReadYamlText(entry.first, "a kind's name", kMostNameBytes, &kind.name));
    const auto same = [&](const VisitorKind& other) { return other.name == kind.name; };
    if (std::any_of(scenario->visitors.begin(), scenario->visitors.end(), same)) {
      return WrongAt(entry.first, absl::StrCat("there are two kinds \"", kind.name, "\""));
    }
    ASSIGN_OR_RETURN(const YamlMap map,
                     YamlMap::Of(entry.second, kind.name, {"weight", "accounts", "addresses", "steps"}));
    RETURN_IF_ERROR(map.ReadNumber("weight", 0.000001, 1'000'000, &kind.weight));
    RETURN_IF_ERROR(map.ReadCount("accounts", 1, 1'000'000'000, &kind.accounts));
    // Those of 10.0.0.0/8.
    RETURN_IF_ERROR(map.ReadCount("addresses", 1, 1 << 24, &kind.addresses));
    ASSIGN_OR_RETURN(const YAML::Node* steps, map.Required("steps"));
    ASSIGN_OR_RETURN(kind.steps, ReadSteps(*steps));
    scenario->visitors.push_back(std::move(kind));
  }
  return absl::OkStatus();
}

absl::Status ReadSkus(const YAML::Node& node, Scenario* scenario) {
  if (!node.IsSequence() || node.size() == 0 || node.size() > kMostSkus) {
    return WrongAt(node, absl::StrCat("skus must be a list of 1 to ", kMostSkus));
  }
  for (const auto& entry : node) {
    std::string sku;
    RETURN_IF_ERROR(ReadYamlText(entry, "a SKU", kMostSkuBytes, &sku));
    scenario->skus.push_back(std::move(sku));
  }
  return absl::OkStatus();
}

absl::StatusOr<Scenario> ReadRoot(const YAML::Node& root) {
  Scenario scenario;
  ASSIGN_OR_RETURN(const YamlMap map, YamlMap::Of(root, "a scenario",
                                                  {"name", "seed", "arrivals", "skus", "call_timeout", "most_under_way",
                                                   "phases", "visitors"}));
  RETURN_IF_ERROR(map.Required("name").status());
  RETURN_IF_ERROR(map.ReadText("name", 2 * kMostNameBytes, &scenario.name));
  auto seed = static_cast<int64_t>(scenario.seed);
  RETURN_IF_ERROR(map.ReadCount("seed", 0, INT64_MAX, &seed));
  scenario.seed = static_cast<uint64_t>(seed);
  size_t arrivals = 0;
  RETURN_IF_ERROR(map.ReadWord("arrivals", {"poisson", "uniform"}, &arrivals));
  scenario.poisson = arrivals == 0;
  RETURN_IF_ERROR(map.ReadTime("call_timeout", absl::Milliseconds(1), absl::Hours(1), &scenario.call_timeout));
  RETURN_IF_ERROR(map.ReadCount("most_under_way", 1, kMostUnderWay, &scenario.most_under_way));
  ASSIGN_OR_RETURN(const YAML::Node* skus, map.Required("skus"));
  RETURN_IF_ERROR(ReadSkus(*skus, &scenario));
  ASSIGN_OR_RETURN(const YAML::Node* phases, map.Required("phases"));
  RETURN_IF_ERROR(ReadPhases(*phases, &scenario));
  ASSIGN_OR_RETURN(const YAML::Node* visitors, map.Required("visitors"));
  RETURN_IF_ERROR(ReadVisitors(*visitors, &scenario));
  return scenario;
}

}  // namespace

absl::StatusOr<Scenario> ReadScenario(const std::string& text) {
  if (text.size() > kMostScenarioBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a scenario has at most ", kMostScenarioBytes, " bytes"));
  }
  // The library's exceptions end here.
  try {
    return ReadRoot(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("line ", error.mark.line + 1, ": ", error.msg));
  }
}

absl::StatusOr<std::string> ReadScenarioFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  std::string text(kMostScenarioBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() <= kMostScenarioBytes) return text;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is no scenario: it has more than ", kMostScenarioBytes, " bytes"));
}

}  // namespace tranche::load
