// Refuses here what overloaded nodes would refuse anyway: the adaptive throttling of "Handling Overload" in Google's
// book on SRE.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/internal/attempt_verdict.h"
#include "tranche/options.h"

namespace tranche::internal {

// Uniform in [0, 1). Thread-safe.
using RandomSource = std::function<double()>;

// A count over the last kBuckets buckets of time, the present one included. Each bucket is a word that also says which
// time it is for, so that nobody has to clear it. Thread-safe, lock-free.
class SlidingCount {
 public:
  static constexpr int64_t kBuckets = 10;

  // `bucket` is the number of the present bucket, at least 0.
  void Add(int64_t bucket, int64_t n);
  int64_t Sum(int64_t bucket) const;

 private:
  std::array<std::atomic<uint64_t>, kBuckets> words_{};
};

// For calls of one kind. Over a sliding window it counts tries: those that nodes have accepted, those that came back
// because of overload, and those that were refused here. Together they are the requests, and the next one is refused
// with the probability (requests - K x accepted - kFreeTries) / (requests + 1), if that is above 0. So about K times as
// many are sent as are accepted, however many callers want to send.
//
// A try counts when it is answered, not when it is sent: otherwise a burst would be refused because its own beginning
// is still under way.
//
// If no try of the window came back because of overload, nothing is refused. So the last refusal is at most one window
// after the last overload, also after an outage in which hardly anything was accepted.
//
// Thread-safe, lock-free.
class Throttle {
 public:
  // So many tries more than the rule allows are not held against the nodes, so that a few failures of a caller with few
  // requests change nothing, nor do all attempts of one call. In an outage, it is also about how many tries a window
  // still sends, to notice its end.
  static constexpr int64_t kFreeTries = 20;

  // `random` empty: a real one. `advice`: how such a call is tried again, for Refusal(), behind "Try again later".
  Throttle(const ThrottlePolicy& policy, RandomSource random, std::string advice = "");

  // False: the next try must not be sent, and counts as refused. `now` is about the present time, after 1970.
  bool Admit(absl::Time now);
  // So many tries ended with that sign.
  void OnAnswers(LoadSign sign, int64_t tries, absl::Time now);
  // From 0 to below 1.
  double RefusalProbability(absl::Time now) const;

  // OVERLOADED, with metadata "throttled" = "true". `last` is what the node said to the try before; OK: there was none,
  // so nothing was sent at all.
  absl::Status Refusal(const absl::Status& last = absl::OkStatus()) const;

 private:
  int64_t BucketOf(absl::Time now) const { return absl::ToUnixNanos(now) / bucket_ns_; }
  double ProbabilityIn(int64_t bucket) const;

  const double ratio_;
  const int64_t bucket_ns_;
  const RandomSource random_;
  const std::string advice_;
  // Apart, because the first is written with each answer and the others, which each try reads, only in an overload.
  alignas(64) SlidingCount accepted_;
  alignas(64) SlidingCount overloaded_;
  SlidingCount refused_;
};

// Null if the policy switches it off.
std::unique_ptr<Throttle> MakeThrottle(const ThrottlePolicy& policy, const RandomSource& random,
                                       const std::string& advice = "");

}  // namespace tranche::internal
