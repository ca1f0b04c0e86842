#include "client/load/arrival_plan.h"

#include <algorithm>
#include <cmath>

namespace tranche::load {
namespace {

// Expected arrivals in all of the phase.
double ArrivalsIn(const Phase& phase) {
  const double length_s = absl::ToDoubleSeconds(phase.length);
  if (phase.shape == Phase::Shape::kFade && phase.from != phase.to) {
    return (phase.to - phase.from) * length_s / std::log(phase.to / phase.from);
  }
  return (phase.from + phase.to) / 2 * length_s;
}

// How long after its beginning so many are expected to have come; fewer than ArrivalsIn().
absl::Duration TimeUntil(const Phase& phase, double arrivals) {
  const double length_s = absl::ToDoubleSeconds(phase.length);
  double at_s = 0;
  if (phase.shape == Phase::Shape::kFade && phase.from != phase.to) {
    const double growth = std::log(phase.to / phase.from) / length_s;
    at_s = std::log1p(growth * arrivals / phase.from) / growth;
  } else {
    // from * t + (to - from) / (2 * length) * t^2 = arrivals, solved so that a flat curve divides by nothing small.
    const double slope = (phase.to - phase.from) / length_s;
    const double root = std::sqrt(std::max(0.0, phase.from * phase.from + 2 * slope * arrivals));
    at_s = 2 * arrivals / (phase.from + root);
  }
  return absl::Seconds(std::clamp(at_s, 0.0, length_s));
}

}  // namespace

double ExpectedArrivals(const Scenario& scenario) {
  double arrivals = 0;
  for (const Phase& phase : scenario.phases) arrivals += ArrivalsIn(phase);
  return arrivals;
}

ArrivalPlan::ArrivalPlan(const Scenario& scenario, Share share)
    : scenario_(scenario), share_(share), random_(scenario.seed) {
  for (const VisitorKind& kind : scenario.visitors) weights_ += kind.weight;
}

std::optional<absl::Duration> ArrivalPlan::NextTime() {
  due_ += scenario_.poisson ? random_.Exponential() : 1;
  while (phase_ < scenario_.phases.size()) {
    const Phase& phase = scenario_.phases[phase_];
    const double in_phase = due_ - due_before_;
    const double arrivals = ArrivalsIn(phase);
    // A phase without arrivals divides by zero.
    if (arrivals > 0 && in_phase <= arrivals) return phase_began_ + TimeUntil(phase, in_phase);
    due_before_ += arrivals;
    phase_began_ += phase.length;
    ++phase_;
  }
  return std::nullopt;
}

size_t ArrivalPlan::KindOf(VisitRandom* random) const {
  double left = random->Uniform() * weights_;
  for (size_t kind = 0; kind + 1 < scenario_.visitors.size(); ++kind) {
    left -= scenario_.visitors[kind].weight;
    if (left < 0) return kind;
  }
  return scenario_.visitors.size() - 1;
}

std::optional<Arrival> ArrivalPlan::Next() {
  while (const std::optional<absl::Duration> at = NextTime()) {
    ++number_;
    if (number_ % share_.shares != share_.share) continue;
    Arrival arrival;
    arrival.number = number_;
    arrival.at = *at;
    arrival.random = VisitRandom(scenario_.seed, static_cast<uint64_t>(number_));
    arrival.kind = KindOf(&arrival.random);
    const auto sku = static_cast<size_t>(arrival.random.Uniform() * static_cast<double>(scenario_.skus.size()));
    arrival.sku = scenario_.skus[sku];
    return arrival;
  }
  return std::nullopt;
}

}  // namespace tranche::load
