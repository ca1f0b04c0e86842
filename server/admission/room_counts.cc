#include "server/admission/room_counts.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

constexpr int kShuffledBucketBits = 55;
static_assert((uint64_t{RoomCounts::kShuffledBuckets} << kShuffledBucketBits) == kFirstLateRank);

constexpr uint64_t kMicrosPerSecond = 1'000'000;
// The second of the highest rank that there is.
constexpr int64_t kLastLateSecond = std::numeric_limits<int64_t>::max() / static_cast<int64_t>(kMicrosPerSecond);

// Counts come from other processes: too many of them stay too many.
uint64_t CappedSum(uint64_t one, uint64_t other) { return one > UINT64_MAX - other ? UINT64_MAX : one + other; }

template <typename Buckets>
uint64_t CappedSumOf(const Buckets& buckets) {
  uint64_t sum = 0;
  for (const uint64_t buyers : buckets) sum = CappedSum(sum, buyers);
  return sum;
}

// Where the ranks of a second begin.
uint64_t RankOfSecond(int64_t second) {
  return second > kLastLateSecond ? UINT64_MAX : kFirstLateRank + static_cast<uint64_t>(second) * kMicrosPerSecond;
}

uint32_t ForMessage(uint64_t buyers) { return static_cast<uint32_t>(std::min<uint64_t>(buyers, UINT32_MAX)); }

bool IsWidth(int64_t width_s) {
  return width_s >= RoomCounts::kLeastWidthS && width_s <= RoomCounts::kMostWidthS && (width_s & (width_s - 1)) == 0;
}

// So wide that late ones of these seconds need no more buckets than there may be.
int64_t WidthFor(int64_t first, int64_t last) {
  int64_t width_s = RoomCounts::kLeastWidthS;
  while (last / width_s - first / width_s >= RoomCounts::kMostLateBuckets && width_s < RoomCounts::kMostWidthS) {
    width_s *= 2;
  }
  return width_s;
}

bool IsWithinBounds(const internal::v1::RoomCounts& message) {
  if (message.shuffled_size() != 0 && message.shuffled_size() != RoomCounts::kShuffledBuckets) return false;
  if (message.late_size() > RoomCounts::kMostLateBuckets || message.late_first() < 0) return false;
  // An absent message says nothing of a width: nobody waits.
  if (message.late_size() == 0) return message.late_width_s() == 0 || IsWidth(message.late_width_s());
  return IsWidth(message.late_width_s()) &&
         message.late_first() <= kLastLateSecond / message.late_width_s() - (message.late_size() - 1);
}

}  // namespace

void RoomCounts::Add(uint64_t rank, uint64_t buyers) {
  if (buyers == 0) return;
  if (rank >= kFirstLateRank) {
    return AddLate(static_cast<int64_t>((rank - kFirstLateRank) / kMicrosPerSecond), buyers);
  }
  uint64_t& bucket = shuffled_[static_cast<size_t>(rank >> kShuffledBucketBits)];
  bucket = CappedSum(bucket, buyers);
}

void RoomCounts::AddLate(int64_t second, uint64_t buyers) {
  while (!HasRoomFor(second) && width_s_ < kMostWidthS) Widen();
  int64_t at = second / width_s_;
  if (late_.empty()) {
    late_first_ = at;
    late_.push_back(0);
  }
  // With the widest buckets somebody may still be out of reach, by a clock that was wrong: they count as first or last.
  const int64_t last = late_first_ + static_cast<int64_t>(late_.size()) - 1;
  at = std::clamp(at, last - (kMostLateBuckets - 1), late_first_ + (kMostLateBuckets - 1));
  if (at < late_first_) {
    late_.insert(late_.begin(), static_cast<size_t>(late_first_ - at), 0);
    late_first_ = at;
  }
  const auto index = static_cast<size_t>(at - late_first_);
  if (index >= late_.size()) late_.resize(index + 1);
  late_[index] = CappedSum(late_[index], buyers);
}

bool RoomCounts::HasRoomFor(int64_t second) const {
  if (late_.empty()) return true;
  const int64_t at = second / width_s_;
  const int64_t last = late_first_ + static_cast<int64_t>(late_.size()) - 1;
  return at > last - kMostLateBuckets && at < late_first_ + kMostLateBuckets;
}

void RoomCounts::Widen() {
  width_s_ *= 2;
  if (late_.empty()) return;
  const int64_t first = late_first_ / 2;
  const int64_t last = (late_first_ + static_cast<int64_t>(late_.size()) - 1) / 2;
  std::vector<uint64_t> wider(static_cast<size_t>(last - first + 1));
  for (size_t i = 0; i < late_.size(); ++i) {
    uint64_t& bucket = wider[static_cast<size_t>((late_first_ + static_cast<int64_t>(i)) / 2 - first)];
    bucket = CappedSum(bucket, late_[i]);
  }
  late_first_ = first;
  late_ = std::move(wider);
}

void RoomCounts::Trim() {
  while (!late_.empty() && late_.back() == 0) late_.pop_back();
  const auto begin = std::find_if(late_.begin(), late_.end(), [](uint64_t buyers) { return buyers != 0; });
  late_first_ += begin - late_.begin();
  late_.erase(late_.begin(), begin);
  if (!late_.empty()) return;
  late_first_ = 0;
  width_s_ = kLeastWidthS;
}

void RoomCounts::Merge(const RoomCounts& other) {
  for (size_t i = 0; i < shuffled_.size(); ++i) shuffled_[i] = CappedSum(shuffled_[i], other.shuffled_[i]);
  if (other.late_.empty()) return;
  while (width_s_ < other.width_s_) Widen();
  for (size_t i = 0; i < other.late_.size(); ++i) {
    if (other.late_[i] == 0) continue;
    AddLate((other.late_first_ + static_cast<int64_t>(i)) * other.width_s_, other.late_[i]);
  }
}

void RoomCounts::DropLateOutside(absl::Time from, absl::Time to) {
  const int64_t first = std::clamp<int64_t>(absl::ToUnixSeconds(from), 0, kLastLateSecond);
  const int64_t last = std::clamp<int64_t>(absl::ToUnixSeconds(to), 0, kLastLateSecond);
  for (size_t i = 0; i < late_.size(); ++i) {
    const int64_t second = (late_first_ + static_cast<int64_t>(i)) * width_s_;
    if (last < first || second + width_s_ <= first || second > last) late_[i] = 0;
  }
  Trim();
  if (late_.empty()) return;
  const int64_t width_s = WidthFor(first, last);
  if (width_s < width_s_) Narrow(first, last, width_s);
}

void RoomCounts::Narrow(int64_t first, int64_t last, int64_t width_s) {
  const std::vector<uint64_t> wide = std::exchange(late_, {});
  const int64_t wide_first = late_first_;
  const int64_t wide_s = std::exchange(width_s_, width_s);
  for (size_t i = 0; i < wide.size(); ++i) {
    const int64_t second = (wide_first + static_cast<int64_t>(i)) * wide_s;
    const int64_t begin = std::max(first, second) / width_s;
    const int64_t end = std::min(last, second + wide_s - 1) / width_s + 1;
    const auto pieces = static_cast<uint64_t>(end - begin);
    // How many are in the first `piece` of them, without overflow.
    const auto before = [&](uint64_t piece) { return wide[i] / pieces * piece + wide[i] % pieces * piece / pieces; };
    for (uint64_t piece = 0; piece < pieces; ++piece) {
      const uint64_t buyers = before(piece + 1) - before(piece);
      if (buyers > 0) AddLate((begin + static_cast<int64_t>(piece)) * width_s, buyers);
    }
  }
}

uint64_t RoomCounts::shuffled() const { return CappedSumOf(shuffled_); }

uint64_t RoomCounts::late() const { return CappedSumOf(late_); }

uint64_t RoomCounts::total() const { return CappedSum(shuffled(), late()); }

RoomCounts::Bucket RoomCounts::At(size_t which) const {
  if (which < shuffled_.size()) {
    return {.from = uint64_t{which} << kShuffledBucketBits,
            .to = uint64_t{which + 1} << kShuffledBucketBits,
            .buyers = shuffled_[which]};
  }
  const size_t index = which - shuffled_.size();
  const int64_t second = (late_first_ + static_cast<int64_t>(index)) * width_s_;
  return {.from = RankOfSecond(second), .to = RankOfSecond(second + width_s_), .buyers = late_[index]};
}

double RoomCounts::Between(uint64_t from, uint64_t to) const {
  double sum = 0;
  for (size_t i = 0; i < buckets(); ++i) {
    const Bucket bucket = At(i);
    const uint64_t first = std::max(from, bucket.from);
    const uint64_t end = std::min(to, bucket.to);
    if (bucket.buyers == 0 || first >= end) continue;
    sum += static_cast<double>(bucket.buyers) *
           (static_cast<double>(end - first) / static_cast<double>(bucket.to - bucket.from));
  }
  return sum;
}

internal::v1::RoomCounts RoomCounts::ToMessage() const {
  internal::v1::RoomCounts message;
  if (shuffled() != 0) {
    for (const uint64_t buyers : shuffled_) message.add_shuffled(ForMessage(buyers));
  }
  for (const uint64_t buyers : late_) message.add_late(ForMessage(buyers));
  message.set_late_first(late_first_);
  message.set_late_width_s(width_s_);
  return message;
}

std::optional<RoomCounts> RoomCounts::FromMessage(const internal::v1::RoomCounts& message) {
  if (!IsWithinBounds(message)) return std::nullopt;
  RoomCounts counts;
  std::copy(message.shuffled().begin(), message.shuffled().end(), counts.shuffled_.begin());
  counts.late_.assign(message.late().begin(), message.late().end());
  counts.late_first_ = message.late_first();
  counts.width_s_ = message.late_width_s();
  counts.Trim();
  return counts;
}

}  // namespace tranche::server
