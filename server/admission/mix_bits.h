// Spreads a number over 64 bits.
#pragma once

#include <cstdint>

namespace tranche::server {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014). Each number has a result of its own. Without a key: not for
// what somebody outside may choose.
constexpr uint64_t MixBits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace tranche::server
