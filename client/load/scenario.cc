#include "client/load/scenario.h"

#include <map>

#include "absl/strings/str_cat.h"

namespace tranche::load {
namespace {

struct WordOfStep {
  const char* operator()(const EnterStep&) const { return "enter"; }
  const char* operator()(const LookStep&) const { return "look"; }
  const char* operator()(const ThinkStep&) const { return "think"; }
  const char* operator()(const AbandonStep&) const { return "abandon"; }
  const char* operator()(const ClaimStep&) const { return "claim"; }
  const char* operator()(const PayStep&) const { return "pay"; }
  const char* operator()(const CancelStep&) const { return "cancel"; }
  const char* operator()(const WatchStep&) const { return "watch"; }
};

}  // namespace

const char* StepWord(const Step& step) { return std::visit(WordOfStep(), step); }

std::vector<std::string> StepNames(const VisitorKind& kind) {
  std::map<std::string, int> seen;
  std::vector<std::string> names;
  for (const Step& step : kind.steps) {
    const std::string word = StepWord(step);
    const int number = ++seen[word];
    names.push_back(number == 1 ? word : absl::StrCat(word, " ", number));
  }
  return names;
}

absl::Duration LengthOf(const Scenario& scenario) {
  absl::Duration length = absl::ZeroDuration();
  for (const Phase& phase : scenario.phases) length += phase.length;
  return length;
}

}  // namespace tranche::load
