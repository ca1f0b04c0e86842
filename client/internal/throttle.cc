#include "client/internal/throttle.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "client/internal/status_translation.h"

namespace tranche::internal {
namespace {

// A word of a SlidingCount: the low bits of its bucket's number, and the count. They differ again after 194 days of
// buckets of one second.
constexpr int kCountBits = 40;
constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;
constexpr uint64_t kEpochMask = (uint64_t{1} << (64 - kCountBits)) - 1;

uint64_t EpochOf(int64_t bucket) { return static_cast<uint64_t>(bucket) & kEpochMask; }

double RandomFraction() {
  thread_local absl::BitGen random;
  return absl::Uniform(random, 0.0, 1.0);
}

}  // namespace

void SlidingCount::Add(int64_t bucket, int64_t n) {
  std::atomic<uint64_t>& word = words_[static_cast<size_t>(bucket % kBuckets)];
  uint64_t now = word.load(std::memory_order_relaxed);
  while (now >> kCountBits != EpochOf(bucket)) {
    // The first one in its bucket. Also one whose clock went back: what was counted in the future is forgotten.
    const uint64_t first = (EpochOf(bucket) << kCountBits) + static_cast<uint64_t>(n);
    if (word.compare_exchange_weak(now, first, std::memory_order_relaxed)) return;
  }
  // If another thread begins a later bucket meanwhile, these are counted there.
  word.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
}

int64_t SlidingCount::Sum(int64_t bucket) const {
  uint64_t sum = 0;
  for (const std::atomic<uint64_t>& word : words_) {
    const uint64_t now = word.load(std::memory_order_relaxed);
    const uint64_t age = (EpochOf(bucket) - (now >> kCountBits)) & kEpochMask;
    if (age < static_cast<uint64_t>(kBuckets)) sum += now & kCountMask;
  }
  return static_cast<int64_t>(sum);
}

Throttle::Throttle(const ThrottlePolicy& policy, RandomSource random, std::string advice)
    : ratio_(policy.ratio),
      bucket_ns_(std::max<int64_t>(1, absl::ToInt64Nanoseconds(policy.window) / SlidingCount::kBuckets)),
      random_(random ? std::move(random) : RandomSource(RandomFraction)),
      advice_(std::move(advice)) {}

bool Throttle::Admit(absl::Time now) {
  const int64_t bucket = BucketOf(now);
  const double probability = ProbabilityIn(bucket);
  if (probability <= 0 || random_() >= probability) return true;
  refused_.Add(bucket, 1);
  return false;
}

void Throttle::OnAnswers(LoadSign sign, int64_t tries, absl::Time now) {
  switch (sign) {
    case LoadSign::kNone:
      return;
    case LoadSign::kAccepted:
      accepted_.Add(BucketOf(now), tries);
      return;
    case LoadSign::kOverload:
      overloaded_.Add(BucketOf(now), tries);
      return;
  }
}

double Throttle::RefusalProbability(absl::Time now) const { return ProbabilityIn(BucketOf(now)); }

double Throttle::ProbabilityIn(int64_t bucket) const {
  const int64_t overloaded = overloaded_.Sum(bucket);
  // Nearly always: then a try reads nothing that others write.
  if (overloaded == 0) return 0;
  const double accepted = static_cast<double>(accepted_.Sum(bucket));
  const double requests = accepted + static_cast<double>(overloaded + refused_.Sum(bucket));
  return std::max(0.0, (requests - ratio_ * accepted - kFreeTries) / (requests + 1));
}

absl::Status Throttle::Refusal(const absl::Status& last) const {
  const std::string why = absl::StrCat(
      "the nodes are overloaded: they did not accept too many of this client's latest tries, so that it sends only "
      "some of them. Nothing was done. Try again later",
      advice_);
  absl::Status refusal =
      absl::UnavailableError(last.ok() ? absl::StrCat("Not sent: ", why)
                                       : absl::StrCat("Not sent again: ", why, ". Last answer: ", last.message()));
  SetReason(refusal, "OVERLOADED");
  SetMetadata(refusal, "throttled", "true");
  // Earlier, the probability is about the same.
  SetRetryDelay(refusal, absl::Nanoseconds(bucket_ns_));
  return refusal;
}

std::unique_ptr<Throttle> MakeThrottle(const ThrottlePolicy& policy, const RandomSource& random,
                                       const std::string& advice) {
  return policy.enabled ? std::make_unique<Throttle>(policy, random, advice) : nullptr;
}

}  // namespace tranche::internal
