// Random numbers that are the same in every build and on every machine, so that a seed is a plan.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace tranche::load {

// SplitMix64 (Steele, Lea, Flood 2014): a good generator of eight bytes, cheap enough to make one for each visitor.
class VisitRandom {
 public:
  explicit VisitRandom(uint64_t seed) : state_(seed) {}
  // One of many independent ones of a seed.
  VisitRandom(uint64_t seed, uint64_t number) : state_(VisitRandom(seed ^ VisitRandom(number).Next()).Next()) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  // At least 0, below 1.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  // With mean 1.
  double Exponential() { return -std::log1p(-Uniform()); }
  // With mean 0 and variance 1 (Box and Muller).
  double Normal() {
    const double radius = std::sqrt(2 * Exponential());
    return radius * std::cos(2 * std::numbers::pi * Uniform());
  }

 private:
  uint64_t state_;
};

}  // namespace tranche::load
