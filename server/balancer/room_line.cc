#include "server/balancer/room_line.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

constexpr int kBucketBits = 55;
static_assert((uint64_t{RoomCounts::kShuffledBuckets} << kBucketBits) == kFirstLateRank);

// A step is half a second or so, and a window at most a few minutes.
constexpr size_t kMostPassages = 2048;
// 2^63 microseconds are a little more.
constexpr int64_t kLastSecond = 9'000'000'000'000;

// Where the late bucket of this number begins.
uint64_t LateBucketBegin(int64_t number, int64_t width_s) {
  const int64_t second = std::clamp<int64_t>(number, 0, kLastSecond / width_s) * width_s;
  return kFirstLateRank + static_cast<uint64_t>(second) * 1'000'000;
}

// `fraction`: 0 to 1.
uint64_t PartOf(uint64_t span, double fraction) {
  return std::min(span, static_cast<uint64_t>(static_cast<double>(span) * fraction));
}

}  // namespace

void RoomLine::Look(double at_s, double window_s, const RoomCounts& living, double staying) {
  at_s_ = at_s;
  window_s_ = window_s;
  while (!passages_.empty() && passages_.front().at_s <= at_s_ - window_s_) passages_.pop_front();
  counts_ = living.ToMessage();
  const std::vector<Bucket> before = std::exchange(buckets_, Buckets());
  Correct(before, staying);
}

std::vector<RoomLine::Bucket> RoomLine::Buckets() const {
  std::vector<Bucket> buckets;
  const int shuffled = std::min(counts_.shuffled_size(), RoomCounts::kShuffledBuckets);
  for (int i = 0; i < shuffled; ++i) {
    const auto number = static_cast<uint64_t>(i);
    AddBucket(i, number << kBucketBits, (number + 1) << kBucketBits, counts_.shuffled(i), &buckets);
  }
  const int64_t width_s = std::clamp(counts_.late_width_s(), RoomCounts::kLeastWidthS, RoomCounts::kMostWidthS);
  const int64_t first = std::clamp<int64_t>(counts_.late_first(), 0, kLastSecond);
  for (int i = 0; i < counts_.late_size(); ++i) {
    AddBucket(RoomCounts::kShuffledBuckets + i, LateBucketBegin(first + i, width_s),
              LateBucketBegin(first + i + 1, width_s), counts_.late(i), &buckets);
  }
  return buckets;
}

void RoomLine::AddBucket(int index, uint64_t begin, uint64_t end, uint32_t counted,
                         std::vector<Bucket>* buckets) const {
  if (counted == 0 || begin >= end || end <= threshold_) return;
  const double buyers = counted;
  buckets->push_back(
      {.index = index, .begin = begin, .end = end, .counted = buyers, .most_counted = buyers, .buyers = buyers});
}

// What is left by the last look, less whom was passed since, is exact as long as nobody leaves. What is counted shows
// who has left, but is noisy: whether somebody who was let in is still counted is left to chance. So the first holds
// within two standard deviations of the second. Taking the second alone would let in a tenth too many in small buckets.
void RoomLine::Correct(const std::vector<Bucket>& before, double staying) {
  if (buckets_.empty() || buckets_.front().begin >= threshold_) return;
  Bucket& bucket = buckets_.front();
  const double still_counted = StillCounted(bucket.begin);
  const double seen = bucket.counted - still_counted;
  const double noise = 2 * std::sqrt(still_counted) + 1;
  double expected = seen;
  for (const Bucket& old : before) {
    if (old.begin != bucket.begin || old.end != bucket.end) continue;
    expected = old.buyers * staying;
    bucket.most_counted = std::max(bucket.counted, old.most_counted);
  }
  const double least = std::max(seen - noise, 0.0);
  const double most = std::max(std::min(seen + noise, bucket.counted), least);
  bucket.buyers = std::clamp(expected, least, most);
}

// Each was last counted at any time within the window before they were passed, so that they drop out evenly over the
// window after it.
double RoomLine::StillCounted(uint64_t begin) const {
  double counted = 0;
  for (const Passage& passage : passages_) {
    if (passage.to <= begin) continue;
    const double part = static_cast<double>(passage.to - std::max(passage.from, begin)) /
                        static_cast<double>(passage.to - passage.from);
    counted += passage.buyers * part * std::clamp(1 - (at_s_ - passage.at_s) / window_s_, 0.0, 1.0);
  }
  return counted;
}

double RoomLine::Pass(double buyers, uint64_t limit) {
  const uint64_t from = threshold_;
  double passed = 0;
  for (Bucket& bucket : buckets_) {
    const uint64_t begin = std::max(bucket.begin, threshold_);
    const uint64_t end = std::min(bucket.end, limit);
    if (bucket.end <= threshold_) continue;
    // A bucket where nobody is left is passed, too.
    if (end <= begin || !(passed < buyers)) break;
    const double left = buyers - passed;
    if (bucket.buyers > left) {
      const uint64_t reached = begin + PartOf(end - begin, left / bucket.buyers);
      if (reached == threshold_) break;
      threshold_ = reached;
      bucket.buyers -= left;
      passed = buyers;
      break;
    }
    passed += bucket.buyers;
    bucket.buyers = 0;
    threshold_ = end;
  }
  if (threshold_ == from) return 0;
  passages_.push_back({.at_s = at_s_, .from = from, .to = threshold_, .buyers = passed});
  if (passages_.size() > kMostPassages) passages_.pop_front();
  return passed;
}

RoomCounts RoomLine::Waiting() const {
  internal::v1::RoomCounts waiting = counts_;
  for (uint32_t& buyers : *waiting.mutable_shuffled()) buyers = 0;
  for (uint32_t& buyers : *waiting.mutable_late()) buyers = 0;
  for (const Bucket& bucket : buckets_) {
    if (bucket.end <= threshold_) continue;
    double buyers = bucket.buyers;
    if (bucket.begin < threshold_) {
      // As many as there would be in all of it, and not more than there were: so few remain behind its end that a small
      // error in their number would be a large one here.
      buyers *= static_cast<double>(bucket.end - bucket.begin) / static_cast<double>(bucket.end - threshold_);
      buyers = std::min(buyers, bucket.most_counted);
    }
    const auto count = static_cast<uint32_t>(std::min(std::round(buyers), double{UINT32_MAX}));
    if (bucket.index < RoomCounts::kShuffledBuckets) {
      waiting.set_shuffled(bucket.index, count);
    } else {
      waiting.set_late(bucket.index - RoomCounts::kShuffledBuckets, count);
    }
  }
  return RoomCounts::FromMessage(waiting).value_or(RoomCounts());
}

}  // namespace tranche::server
