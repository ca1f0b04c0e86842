// A scenario: who comes when, and what they do. docs/load.md describes its file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace tranche::load {

// How many visitors come per second, over some time.
struct Phase {
  enum class Shape {
    kHold,  // as many as before
    kRamp,  // straight from `from` to `to`
    kFade,  // by the same part in each second: first fast, then slower. Neither rate is 0
  };
  std::string name = {};
  Shape shape = Shape::kHold;
  double from = 0;  // per second, at its beginning
  double to = 0;    // per second, at its end
  absl::Duration length = absl::ZeroDuration();
};

// A time to think.
struct Pause {
  enum class Law { kFixed, kExponential, kLognormal };
  Law law = Law::kFixed;
  absl::Duration middle = absl::ZeroDuration();  // the time; exponential: the mean; lognormal: the median
  double sigma = 0;                              // lognormal: of the logarithm
  absl::Duration at_least = absl::ZeroDuration();
  absl::Duration at_most = absl::InfiniteDuration();
};

// Asks to be let in, solves the challenge, waits in the room.
struct EnterStep {
  absl::Duration within = absl::Seconds(30);  // zero: asks once
  bool solve = true;                          // false: leaves when there is a challenge
};
// Reads the SKU's page in the catalogue.
struct LookStep {
  int64_t times = 1;
  absl::Duration every = absl::Seconds(1);  // after the answer
};
struct ThinkStep {
  Pause pause;
};
// Leaves, or goes on.
struct AbandonStep {
  double probability = 0;
};
enum class TokenUse {
  kEntered,   // what the last EnterStep gave; none before
  kNone,      // none
  kInvented,  // one that no node has made
};
// Claims units; each try has an id of its own.
struct ClaimStep {
  int64_t units = 1;
  int64_t tries = 1;  // at most, until one gets the units
  absl::Duration every = absl::ZeroDuration();
  TokenUse token = TokenUse::kEntered;
  bool queued = false;                                  // the claim may be queued; waits for its decision then
  std::optional<absl::Duration> within = std::nullopt;  // for the decision; nullopt: as long as the node says
};
// Pays for what was claimed.
struct PayStep {};
// Gives it back.
struct CancelStep {};
// Watches the reservation until its state is final, or for so long.
struct WatchStep {
  absl::Duration at_most = absl::Seconds(10);
};
using Step = std::variant<EnterStep, LookStep, ThinkStep, AbandonStep, ClaimStep, PayStep, CancelStep, WatchStep>;

// As in the file: "enter", "look", ...
const char* StepWord(const Step& step);

// A kind of visitors.
struct VisitorKind {
  std::string name = {};
  double weight = 1;
  int64_t accounts = 0;   // the visitors share so many accounts; 0: each has one of their own
  int64_t addresses = 0;  // and come from so many addresses, which the generator tells the nodes; 0: it tells none
  std::vector<Step> steps = {};
};

struct Scenario {
  std::string name = {};
  uint64_t seed = 1;
  bool poisson = true;  // false: arrivals are evenly spaced
  std::vector<std::string> skus = {};
  absl::Duration call_timeout = absl::Seconds(2);  // of a call, with its retries
  int64_t most_under_way = 20'000;                 // visitors at a time; who comes then does not begin, and is counted
  std::vector<Phase> phases = {};
  std::vector<VisitorKind> visitors = {};
};

// How results call the kind's steps: what each does, with a number where the kind does so again, such as "claim" and
// "claim 2".
std::vector<std::string> StepNames(const VisitorKind& kind);

// All phases together.
absl::Duration LengthOf(const Scenario& scenario);

}  // namespace tranche::load
