// When each visitor of a scenario comes: computed before anybody is answered, so slow answers shift nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/load/scenario.h"
#include "client/load/visit_random.h"

namespace tranche::load {

// Which visitors of the plan a generator takes: those whose number leaves the rest `share` when divided by `shares`.
struct Share {
  int64_t share = 0;
  int64_t shares = 1;
};

struct Arrival {
  int64_t number = 0;                        // from 0, in the whole plan
  absl::Duration at = absl::ZeroDuration();  // from the plan's beginning
  size_t kind = 0;                           // of Scenario::visitors
  std::string sku = {};
  VisitRandom random = VisitRandom(0);  // for all that the visitor decides
};

// So many visitors does the plan have, on average if arrivals are random.
double ExpectedArrivals(const Scenario& scenario);

// Times are those of an inhomogeneous Poisson process, or evenly spaced under the same curve. The plan follows from the
// scenario alone: the shares of all generators together are exactly the whole plan. Used by one thread.
class ArrivalPlan {
 public:
  // `scenario` outlives this. At least one phase and one kind of visitors.
  explicit ArrivalPlan(const Scenario& scenario, Share share = {});

  // The next of this share, in the order of time; nullopt: there is none.
  std::optional<Arrival> Next();

 private:
  // Of the whole plan.
  std::optional<absl::Duration> NextTime();
  size_t KindOf(VisitRandom* random) const;

  const Scenario& scenario_;
  const Share share_;
  VisitRandom random_;
  double weights_ = 0;
  int64_t number_ = -1;
  double due_ = 0;         // so many arrivals are expected until the next one
  double due_before_ = 0;  // and until the phase began
  size_t phase_ = 0;
  absl::Duration phase_began_ = absl::ZeroDuration();
};

}  // namespace tranche::load
