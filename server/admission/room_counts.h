// How many buyers wait in a room, by rank, in so many buckets that a threshold can be set among them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

// A value. Buyers of one bucket are taken to be spread evenly over it.
class RoomCounts {
 public:
  static constexpr int kShuffledBuckets = 256;  // bucket i has the ranks from i * 2^55 on
  static constexpr int kMostLateBuckets = 256;
  static constexpr int64_t kLeastWidthS = 1;
  // 256 such buckets are more than a year.
  static constexpr int64_t kMostWidthS = int64_t{1} << 17;

  // One buyer, or `buyers`. Where later ones would need more buckets than there may be, all are made wider, by twos.
  // Who is out of reach even so counts as the first or the last that can be.
  void Add(uint64_t rank, uint64_t buyers = 1);
  // Sums of many nodes. Exact: the wider buckets of the two consist of whole ones of the other.
  void Merge(const RoomCounts& other);
  // Forgets the late buckets that have nobody who joined within [from, to]: a clock that was wrong has made them. Where
  // they have made the others wider than that time needs, those are spread evenly over narrower ones, within it.
  void DropLateOutside(absl::Time from, absl::Time to);

  uint64_t shuffled() const;
  uint64_t late() const;
  uint64_t total() const;

  // How many have a rank in [from, to).
  double Between(uint64_t from, uint64_t to) const;

  internal::v1::RoomCounts ToMessage() const;
  // nullopt: it is not within the bounds of the message's comments.
  static std::optional<RoomCounts> FromMessage(const internal::v1::RoomCounts& message);

  friend bool operator==(const RoomCounts&, const RoomCounts&) = default;

 private:
  struct Bucket {
    uint64_t from = 0;
    uint64_t to = 0;  // not of it
    uint64_t buyers = 0;
  };

  // All buckets, by rank.
  size_t buckets() const { return shuffled_.size() + late_.size(); }
  Bucket At(size_t which) const;

  // Of the bucket that has this second.
  void AddLate(int64_t second, uint64_t buyers);
  // With buckets as wide as now.
  bool HasRoomFor(int64_t second) const;
  void Widen();
  // To this width; of each bucket, only the part within the seconds [first, last] is taken to have anybody.
  void Narrow(int64_t first, int64_t last, int64_t width_s);
  // Drops empty buckets at both ends of late_.
  void Trim();

  std::array<uint64_t, kShuffledBuckets> shuffled_ = {};
  int64_t width_s_ = kLeastWidthS;  // a power of two
  int64_t late_first_ = 0;      // late_[i] has those who joined in [late_first_ + i, late_first_ + i + 1) * width_s_
  std::vector<uint64_t> late_;  // empty: nobody; the first and the last have somebody
};

}  // namespace tranche::server
