#include "server/admission/rate_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "absl/numeric/int128.h"
#include "glog/logging.h"
#include "server/admission/mix_bits.h"
#include "storage/mutation.h"

namespace tranche::server {

// Of a set: a key's fingerprint (0: never used), and its TAT. Of the shared buckets: see kUserBits, and their
// TAT. Nanoseconds since 1970. The highest bit of the TAT of the first slot of a set, or of a group of buckets, locks
// it.
struct RateSlot {
  std::atomic<uint64_t> key;
  std::atomic<uint64_t> tat;
};
static_assert(sizeof(RateSlot) == 16 && std::atomic<uint64_t>::is_always_lock_free);

namespace {

constexpr int kSetSlots = 8;
constexpr size_t kSetBytes = kSetSlots * sizeof(RateSlot);  // two cache lines
// One cache line of shared buckets for so many sets: 3 % of the memory. At a load of 85 %, 0.2 % of the keys find both
// sets busy (by simulation), so that rarely two keys share a bucket.
constexpr int kGroupBuckets = 4;
constexpr size_t kGroupBytes = kGroupBuckets * sizeof(RateSlot);
constexpr size_t kGroupSets = 16;
constexpr size_t kHugePage = size_t{2} << 20;

constexpr uint64_t kLockBit = uint64_t{1} << 63;
// Sums of a time and four durations stay below the lock bit: 2^62 is in the year 2116, 2^59 is 18 years.
constexpr uint64_t kLatestTime = uint64_t{1} << 62;
constexpr uint64_t kLongestDuration = uint64_t{1} << 59;
constexpr uint64_t kThreadsApart = 1'000'000'000;
// A shared bucket's word: in the highest 24 bits the tag of its rule (0: never used), in the others a Bloom filter of
// the keys that it has counted. Without the filter it would hold back all keys of its sets, also those with a slot. Of
// 8 million pairs of rules, one has the same tag: such a bucket could be cut to what the quicker rule can make.
constexpr int kUserBits = 40;
constexpr uint64_t kUsersMask = (uint64_t{1} << kUserBits) - 1;
constexpr uint64_t kMixedRules = uint64_t{1} << kUserBits;
constexpr int kSpinsBeforeYield = 64;
constexpr size_t kSampledSets = 512;

uint64_t RateNanosOf(absl::Duration duration) {
  return static_cast<uint64_t>(std::clamp<int64_t>(absl::ToInt64Nanoseconds(duration), 0, kLongestDuration));
}
uint64_t RateNanosOf(absl::Time time) {
  return static_cast<uint64_t>(std::clamp<int64_t>(absl::ToUnixNanos(time), 1, kLatestTime));
}
absl::Duration RateDurationOf(uint64_t nanos) { return absl::Nanoseconds(static_cast<int64_t>(nanos)); }

// A RateRule in nanoseconds.
struct RateLimit {
  explicit RateLimit(const RateRule& rule)
      : interval(std::max<uint64_t>(RateNanosOf(rule.interval), 1)),
        tolerance(RateNanosOf(rule.tolerance)),
        max_wait(RateNanosOf(rule.max_wait)) {}

  // At its place in a bucket's word. Not 0, and not kMixedRules.
  uint64_t tag() const {
    return (MixBits(interval + MixBits(tolerance + MixBits(max_wait))) & ~kUsersMask) | (kMixedRules << 1);
  }

  uint64_t interval;
  uint64_t tolerance;
  uint64_t max_wait;
};

// Eight slots or four buckets, locked for as long as this lives.
class LockedSlots {
 public:
  LockedSlots(RateSlot* slots, int count) : slots_(slots), count_(count) {
    std::atomic<uint64_t>& word = slots_->tat;
    for (int spins = 1; (word.fetch_or(kLockBit, std::memory_order_acquire) & kLockBit) != 0; ++spins) {
      // Only reads, so that the line is not taken from the thread that holds the lock.
      while ((word.load(std::memory_order_relaxed) & kLockBit) != 0) {
        if (++spins % kSpinsBeforeYield == 0) std::this_thread::yield();
      }
    }
  }
  // Nobody else writes the word meanwhile.
  ~LockedSlots() { slots_->tat.store(tat(0), std::memory_order_release); }
  LockedSlots(const LockedSlots&) = delete;
  LockedSlots& operator=(const LockedSlots&) = delete;

  uint64_t key(int i) const { return slots_[i].key.load(std::memory_order_relaxed); }
  uint64_t tat(int i) const { return slots_[i].tat.load(std::memory_order_relaxed) & ~kLockBit; }
  void Set(int i, uint64_t key, uint64_t tat) {
    slots_[i].key.store(key, std::memory_order_relaxed);
    slots_[i].tat.store(i == 0 ? tat | kLockBit : tat, std::memory_order_relaxed);
  }

  // -1: not here.
  int Find(uint64_t key) const {
    for (int i = 0; i < count_; ++i) {
      if (slots_[i].key.load(std::memory_order_relaxed) == key) return i;
    }
    return -1;
  }
  bool IsFree(int i, uint64_t now) const {
    return tat(i) <= now || storage::Mutated(storage::Mutation::kBusySlotReused);
  }
  // -1: none. A slot is free when its time is past.
  int FindFree(uint64_t now) const {
    for (int i = 0; i < count_; ++i) {
      if (IsFree(i, now)) return i;
    }
    return -1;
  }
  int CountFree(uint64_t now) const {
    int free = 0;
    for (int i = 0; i < count_; ++i) free += IsFree(i, now) ? 1 : 0;
    return free;
  }
  int size() const { return count_; }

 private:
  RateSlot* const slots_;
  const int count_;
};

// What becomes of a try.
struct RateStep {
  RateVerdict verdict;
  uint64_t tat = 0;     // afterwards
  bool stored = false;  // it has changed
};

// `own`: all that `tat` says was made by this rule, or its forerunners; then one that is too far ahead is cut.
RateStep StepOf(uint64_t tat, const RateLimit& limit, uint64_t now, bool own) {
  RateStep step;
  const uint64_t allowed = limit.tolerance + limit.max_wait;
  uint64_t due = std::max(tat, now);
  if (own && due - now > allowed + limit.interval + std::max(limit.interval, kThreadsApart)) {
    due = now + allowed + limit.interval;
    // Also when the try is refused: otherwise it would be cut and refused again at each try.
    step.stored = true;
  }
  const uint64_t early = due - now;
  step.verdict.taken = early <= allowed;
  step.tat = due;
  if (!step.verdict.taken) {
    step.verdict.wait = RateDurationOf(early - allowed);
    return step;
  }
  if (early > limit.tolerance) step.verdict.wait = RateDurationOf(early - limit.tolerance);
  step.tat += limit.interval;
  step.stored = true;
  return step;
}

RateVerdict TakeFrom(LockedSlots& slots, int i, const RateLimit& limit, uint64_t now, bool counts) {
  const RateStep step = StepOf(slots.tat(i), limit, now, /*own=*/true);
  if (counts && step.stored) slots.Set(i, slots.key(i), step.tat);
  return step.verdict;
}

// Without a lock: whatever the caller's key left there, it left while its sets were locked, as they are now.
bool IsQuiet(const RateSlot* buckets, uint64_t now) {
  return std::all_of(buckets, buckets + kGroupBuckets, [now](const RateSlot& bucket) {
    return (bucket.tat.load(std::memory_order_relaxed) & ~kLockBit) <= now;
  });
}

// A key that wants to use the shared buckets.
struct BucketUser {
  BucketUser(RateFingerprint key, const RateLimit& limit)
      : tag(limit.tag()), bits(uint64_t{1} << (key % kUserBits) | uint64_t{1} << (key / kUserBits % kUserBits)) {}

  // The bucket has counted it, or others that look alike.
  bool IsIn(uint64_t word) const { return (word & bits) == bits; }

  uint64_t tag;
  uint64_t bits;  // of the filter
};

// -1: there is none.
int FindBucket(const LockedSlots& buckets, uint64_t tag) {
  for (int i = 0; i < buckets.size(); ++i) {
    if ((buckets.key(i) & ~kUsersMask) == tag) return i;
  }
  return -1;
}

// What a key may have left in the shared buckets.
struct SharedDebt {
  void Add(uint64_t other_tat, bool same_rule) {
    own = own && same_rule;
    tat = std::max(tat, other_tat);
  }

  uint64_t tat = 0;
  bool own = true;  // all of it was made by this rule
};

SharedDebt DebtOf(const LockedSlots& buckets, const BucketUser& user, uint64_t now) {
  SharedDebt debt;
  for (int i = 0; i < buckets.size(); ++i) {
    const uint64_t tag = buckets.key(i) & ~kUsersMask;
    const bool counted = (tag == user.tag || tag == kMixedRules) && user.IsIn(buckets.key(i));
    if (counted && buckets.tat(i) > now) debt.Add(buckets.tat(i), tag == user.tag);
  }
  return debt;
}

// The rule's own bucket, else a free one, else that of mixed rules, else the one that is free first: it becomes mixed.
int BucketFor(const LockedSlots& buckets, uint64_t tag, uint64_t now) {
  if (const int own = FindBucket(buckets, tag); own >= 0) return own;
  if (const int free = buckets.FindFree(now); free >= 0) return free;
  if (const int mixed = FindBucket(buckets, kMixedRules); mixed >= 0) return mixed;
  int first = 0;
  for (int i = 1; i < buckets.size(); ++i) {
    if (buckets.tat(i) < buckets.tat(first)) first = i;
  }
  return first;
}

// Both sets of the key are busy.
RateVerdict TakeShared(RateSlot* shared, RateFingerprint key, const RateLimit& limit, uint64_t now, bool counts) {
  LockedSlots buckets(shared, kGroupBuckets);
  const BucketUser user(key, limit);
  const int i = BucketFor(buckets, user.tag, now);
  SharedDebt debt = DebtOf(buckets, user, now);
  uint64_t tag = user.tag;
  uint64_t users = user.bits;
  if (buckets.tat(i) > now) {
    const bool same_rule = (buckets.key(i) & ~kUsersMask) == user.tag;
    debt.Add(buckets.tat(i), same_rule);
    if (!same_rule) tag = kMixedRules;
    users |= buckets.key(i) & kUsersMask;
  }
  const RateStep step = StepOf(debt.tat, limit, now, debt.own);
  if (counts && step.stored) buckets.Set(i, tag | users, step.tat);
  return step.verdict;
}

// A slot for a key that has none, with what it owes to the shared buckets. `is_shared`: that decided.
RateVerdict TakeFree(LockedSlots& set, RateFingerprint key, RateSlot* shared, const RateLimit& limit, uint64_t now,
                     bool counts, bool* is_shared) {
  SharedDebt debt;
  if (!IsQuiet(shared, now)) {
    const LockedSlots buckets(shared, kGroupBuckets);
    debt = DebtOf(buckets, BucketUser(key, limit), now);
  }
  const RateStep step = StepOf(debt.tat, limit, now, debt.own);
  *is_shared = debt.tat > now;
  // A refusal needs no slot: the shared bucket still says why.
  if (counts && step.stored) set.Set(set.FindFree(now), key, step.tat);
  return step.verdict;
}

// One interval less. What is past says nothing any more.
void TakeBack(LockedSlots& slots, int i, const RateLimit& limit, uint64_t now) {
  const uint64_t tat = slots.tat(i);
  if (tat > now) slots.Set(i, slots.key(i), tat - std::min(tat, limit.interval));
}

}  // namespace

RateTable::RateTable(size_t bytes) {
  if (Map(bytes)) return;
  PLOG(ERROR) << "there are no " << bytes << " bytes for rate limits: buyers will be refused who did nothing";
  // Whoever does not get so little cannot go on in any case.
  PCHECK(Map(std::min(bytes, kLeastRateTableBytes))) << "there is no memory for rate limits";
}

bool RateTable::Map(size_t bytes) {
  // Whole groups first, then as many sets more as there is room for with a group of their own.
  sets_ = bytes / (kGroupSets * kSetBytes + kGroupBytes) * kGroupSets;
  const size_t rest = bytes % (kGroupSets * kSetBytes + kGroupBytes);
  if (rest > kGroupBytes) sets_ += (rest - kGroupBytes) / kSetBytes;
  sets_ = std::max<size_t>(sets_, 2);
  const size_t groups = (sets_ + kGroupSets - 1) / kGroupSets;
  bytes_ = sets_ * kSetBytes + groups * kGroupBytes;
  // Aligned to huge pages: on small ones, each cold key would miss the TLB as well.
  mapping_bytes_ = bytes_ + (bytes_ >= kHugePage ? kHugePage : 0);
  mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) return false;
  auto begin = reinterpret_cast<uintptr_t>(mapping_);
  if (bytes_ >= kHugePage) {
    begin = (begin + kHugePage - 1) / kHugePage * kHugePage;
    // Without them it works, only slower.
    madvise(reinterpret_cast<void*>(begin), bytes_, MADV_HUGEPAGE);
  }
  // It is zeroed already. But the kernel gives each page when it is first touched, and a claim should not wait for
  // that.
  std::memset(reinterpret_cast<void*>(begin), 0, bytes_);
  slots_ = reinterpret_cast<RateSlot*>(begin);
  buckets_ = slots_ + sets_ * kSetSlots;
  return true;
}

RateTable::~RateTable() { munmap(mapping_, mapping_bytes_); }

RateTable::Places RateTable::PlacesOf(RateFingerprint key) const {
  // The high bits of a product: evenly spread without a division.
  const auto pick = [this](uint64_t hash) {
    return static_cast<size_t>(absl::Uint128High64(absl::uint128(hash) * sets_));
  };
  const size_t home = pick(key);
  size_t other = pick(MixBits(key));
  if (other == home) other = home + 1 == sets_ ? 0 : home + 1;
  const Places places = {slots_ + std::min(home, other) * kSetSlots, slots_ + std::max(home, other) * kSetSlots,
                         buckets_ + home / kGroupSets * kGroupBuckets};
  for (const RateSlot* const set : {places.first, places.second}) {
    __builtin_prefetch(set, /*rw=*/1);
    __builtin_prefetch(set + kSetSlots / 2, /*rw=*/1);
  }
  __builtin_prefetch(places.shared);
  return places;
}

// Locks are taken in the order of sets, and those of shared buckets last, so that nobody waits in a circle.
RateVerdict RateTable::Judge(RateFingerprint key, const RateRule& rule, absl::Time time, bool counts) const {
  key = std::max<RateFingerprint>(key, 1);
  const Places places = PlacesOf(key);
  const RateLimit limit(rule);
  const uint64_t now = RateNanosOf(time);
  LockedSlots first(places.first, kSetSlots);
  if (const int i = first.Find(key); i >= 0) return TakeFrom(first, i, limit, now, counts);
  LockedSlots second(places.second, kSetSlots);
  if (const int i = second.Find(key); i >= 0) return TakeFrom(second, i, limit, now, counts);
  // With both locked: no other thread can bring the key into either.
  const int free_in_first = first.CountFree(now);
  const int free_in_second = second.CountFree(now);
  bool by_shared = free_in_first + free_in_second == 0;
  RateVerdict verdict = by_shared ? TakeShared(places.shared, key, limit, now, counts)
                                  : TakeFree(free_in_first >= free_in_second ? first : second, key, places.shared,
                                             limit, now, counts, &by_shared);
  verdict.by_shared = by_shared;
  return verdict;
}

RateVerdict RateTable::Try(RateFingerprint key, const RateRule& rule, absl::Time now) {
  const RateVerdict verdict = Judge(key, rule, now, /*counts=*/true);
  if (verdict.by_shared) shared_.fetch_add(1, std::memory_order_relaxed);
  return verdict;
}

RateVerdict RateTable::Look(RateFingerprint key, const RateRule& rule, absl::Time now) const {
  return Judge(key, rule, now, /*counts=*/false);
}

void RateTable::GiveBack(RateFingerprint key, const RateRule& rule, absl::Time time) {
  key = std::max<RateFingerprint>(key, 1);
  const Places places = PlacesOf(key);
  const RateLimit limit(rule);
  const uint64_t now = RateNanosOf(time);
  LockedSlots first(places.first, kSetSlots);
  if (const int i = first.Find(key); i >= 0) return TakeBack(first, i, limit, now);
  LockedSlots second(places.second, kSetSlots);
  if (const int i = second.Find(key); i >= 0) return TakeBack(second, i, limit, now);
  if (IsQuiet(places.shared, now)) return;
  LockedSlots buckets(places.shared, kGroupBuckets);
  const BucketUser user(key, limit);
  for (const uint64_t tag : {user.tag, kMixedRules}) {
    const int i = FindBucket(buckets, tag);
    if (i >= 0 && buckets.tat(i) > now && user.IsIn(buckets.key(i))) return TakeBack(buckets, i, limit, now);
  }
}

double RateTable::load(absl::Time time) const {
  const uint64_t now = RateNanosOf(time);
  const size_t step = std::max<size_t>(sets_ / kSampledSets, 1);
  size_t looked_at = 0;
  size_t busy = 0;
  for (size_t set = 0; set < sets_; set += step) {
    for (const RateSlot* slot = slots_ + set * kSetSlots; slot < slots_ + (set + 1) * kSetSlots; ++slot) {
      ++looked_at;
      busy += (slot->tat.load(std::memory_order_relaxed) & ~kLockBit) > now ? 1 : 0;
    }
  }
  return static_cast<double>(busy) / static_cast<double>(looked_at);
}

size_t RateTable::slots() const { return sets_ * kSetSlots; }

}  // namespace tranche::server
