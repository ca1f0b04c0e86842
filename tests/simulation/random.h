// Random numbers that depend only on the seed: the same on every machine and with every standard library.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace tranche::simulation {

// xoshiro256** (Blackman, Vigna), seeded by SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) word = SplitMix(&seed);
  }

  uint64_t Next() {
    const uint64_t result = RotateLeft(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = RotateLeft(state_[3], 45);
    return result;
  }

  // A generator of its own, so that more draws in one place change nothing in another.
  Random Fork() { return Random(Next()); }

  // 0 <= result < bound.
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>((static_cast<unsigned __int128>(Next()) * static_cast<uint64_t>(bound)) >> 64);
  }
  // low <= result <= high.
  int64_t Between(int64_t low, int64_t high) { return low + Below(high - low + 1); }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    return absl::Nanoseconds(Between(absl::ToInt64Nanoseconds(low), absl::ToInt64Nanoseconds(high)));
  }
  bool Chance(double probability) {
    return probability > 0 && static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability;
  }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(Below(static_cast<int64_t>(from.size())))];
  }

 private:
  static uint64_t RotateLeft(uint64_t value, int bits) { return (value << bits) | (value >> (64 - bits)); }
  static uint64_t SplitMix(uint64_t* state) {
    uint64_t mixed = (*state += 0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
  }

  uint64_t state_[4];
};

}  // namespace tranche::simulation
