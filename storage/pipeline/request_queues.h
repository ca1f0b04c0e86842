// The requests that wait in a group commit (group_commit.h), and which of them are the next batch.
//
// A request is *slow* once another transaction was found to have locked what it needs. Slow requests have queues of
// their own: only one batch of them is under way at a time, and after a try that did not help all of it, the next one
// comes only after a while. Whose deadline passes meanwhile is not kept until then. New requests with the key of a slow
// one queue up behind it. If they did not, each of them would keep a lane waiting for the lock, and with it everybody
// else.
//
// Each queue has a bound of its own, and so have its slow requests: many of one kind leave the others their room. So
// about 2 x kQueues x PipelineOptions::max_queue requests wait at most. Slow requests of several queues take turns.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "storage/mutation.h"
#include "storage/uuid.h"

namespace tranche::storage {

// Not thread-safe. Of Work it uses what is about items: see GroupCommit.
template <typename Work>
class RequestQueues {
 public:
  using Item = typename Work::Item;
  using Batch = std::vector<Item>;

  struct Taken {
    Batch batch;
    Batch expired;  // their deadlines have passed; at most kMaxDropped of each queue
    bool slow = false;
  };

  // Late requests that one batch takes from a queue. After a stall all of them may be late, and this runs under the
  // pipeline's lock: the rest is left for the next batch.
  static constexpr size_t kMaxDropped = 2048;

  // How many wait: slow ones, and others. These are computed from the queues: lanes sleep on them, so separate counts
  // must not differ.
  size_t slow() const {
    size_t slow = 0;
    for (const std::deque<Item>& queue : slow_) slow += queue.size();
    return slow;
  }
  size_t ready() const {
    size_t ready = 0;
    for (const std::deque<Item>& queue : queues_) {
      ready += queue.size();
      if (Mutated(Mutation::kOtherQueuesNotSeen)) break;
    }
    return ready;
  }

  // In this queue.
  size_t ready(size_t queue) const { return queues_.at(queue).size(); }

  // That waits longest in this queue, slow ones not counted; null: none does.
  const Item* Head(size_t queue) const { return queues_.at(queue).empty() ? nullptr : &queues_.at(queue).front(); }

  // How many requests wait in the queue that the request belongs to.
  size_t AheadOf(const Item& item) const {
    const auto queue = static_cast<size_t>(Work::QueueOf(item));
    return IsSlow(item) ? slow_.at(queue).size() : ready(queue);
  }

  // It would be slow, and tried for the first time after its deadline.
  bool ComesTooLate(const Item& item) const { return IsSlow(item) && item.deadline <= slow_due_; }

  void Push(Item item) {
    if (IsSlow(item)) {
      PushSlow(std::move(item));
    } else {
      QueueOf(item).push_back(std::move(item));
    }
  }

  // At the heads of their queues: nothing was decided about them, and they have waited longest.
  void PushFront(Batch batch) {
    if (batch.empty()) return;
    std::deque<Item>& queue = batch.front().slow ? SlowQueueOf(batch.front()) : QueueOf(batch.front());
    queue.insert(queue.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
  }

  // What they need is locked. No slow request is tried before `due`: returns those, all of them slow, whose deadlines
  // have passed by then.
  Batch PushLocked(Batch batch, absl::Time due) {
    for (Item& item : batch) PushSlow(std::move(item));
    slow_due_ = due;
    Batch too_late;
    for (std::deque<Item>& queue : slow_) {
      const auto late =
          std::stable_partition(queue.begin(), queue.end(), [due](const Item& item) { return item.deadline > due; });
      too_late.insert(too_late.end(), std::make_move_iterator(late), std::make_move_iterator(queue.end()));
      queue.erase(late, queue.end());
    }
    return too_late;
  }

  // The next batch, from the queue whose turn it is. Empty: no request may be sent now, or so many are late that the
  // others come next time. After a slow batch, SlowTried must follow.
  Taken Take(absl::Time now, size_t max_batch) {
    Taken taken;
    for (size_t i = 0; i <= queues_.size() && taken.batch.empty(); ++i) {
      taken.slow = next_ == queues_.size();
      if (!taken.slow || (!slow_under_way_ && slow_due_ <= now)) TakeFrom(now, max_batch, &taken);
      next_ = (next_ + 1) % (queues_.size() + 1);
    }
    taken.slow = taken.slow && !taken.batch.empty();
    slow_under_way_ = slow_under_way_ || taken.slow;
    return taken;
  }
  void SlowTried() { slow_under_way_ = false; }

  // To be called for every request that is answered and was in these queues.
  void Answered(const Item& item) {
    if (!item.slow) return;
    const auto found = slow_keys_.find(Work::KeyOf(item));
    if (--found->second == 0) slow_keys_.erase(found);
  }

  Batch TakeAll() {
    Batch all;
    const auto take = [&all](std::deque<Item>& queue) {
      all.insert(all.end(), std::make_move_iterator(queue.begin()), std::make_move_iterator(queue.end()));
      queue.clear();
    };
    for (std::deque<Item>& queue : queues_) take(queue);
    for (std::deque<Item>& queue : slow_) take(queue);
    return all;
  }

 private:
  using Key = std::decay_t<decltype(Work::KeyOf(std::declval<const Item&>()))>;

  std::deque<Item>& QueueOf(const Item& item) { return queues_[static_cast<size_t>(Work::QueueOf(item))]; }
  std::deque<Item>& SlowQueueOf(const Item& item) { return slow_[static_cast<size_t>(Work::QueueOf(item))]; }
  bool IsSlow(const Item& item) const { return !slow_keys_.empty() && slow_keys_.contains(Work::KeyOf(item)); }

  void PushSlow(Item item) {
    if (!item.slow) ++slow_keys_[Work::KeyOf(item)];
    item.slow = true;
    if (Mutated(Mutation::kSlowDoubtForgotten)) item.in_doubt = false;
    SlowQueueOf(item).push_back(std::move(item));
  }

  // The next one that has requests; any, if none has.
  std::deque<Item>& NextSlowQueue() {
    for (size_t i = 0; i < slow_.size(); ++i) {
      std::deque<Item>& queue = slow_[next_slow_];
      next_slow_ = (next_slow_ + 1) % slow_.size();
      if (!queue.empty()) return queue;
    }
    return slow_.front();
  }

  // Takes requests that go together and have distinct ids, from the head on. A request whose id is already in the batch
  // is a replay of that one: it keeps its place, and later requests are examined, so that many requests with one id do
  // not lead to batches of one. So it is for requests that do not go together: whichever of them is at the head has the
  // next batch. Only up to a bound, since this runs under the pipeline's lock.
  void TakeFrom(absl::Time now, size_t max_batch, Taken* taken) {
    std::deque<Item>& queue = taken->slow ? NextSlowQueue() : queues_[next_];
    absl::flat_hash_set<Uuid> ids;
    Batch& batch = taken->batch;
    Batch passed;
    size_t dropped = 0;
    while (!queue.empty() && batch.size() < max_batch && passed.size() < max_batch && dropped < kMaxDropped) {
      Item& next = queue.front();
      const bool together = batch.empty() || Work::GoTogether(batch.front(), next);
      if (next.deadline <= now) {
        taken->expired.push_back(std::move(next));
        ++dropped;
      } else if (!together || !ids.insert(Work::IdOf(next)).second) {
        passed.push_back(std::move(next));
      } else {
        batch.push_back(std::move(next));
      }
      queue.pop_front();
    }
    queue.insert(queue.begin(), std::make_move_iterator(passed.begin()), std::make_move_iterator(passed.end()));
  }

  std::array<std::deque<Item>, Work::kQueues> queues_;
  std::array<std::deque<Item>, Work::kQueues> slow_;  // the slow requests of each
  size_t next_ = 0;                                   // whose turn it is; the last one is that of the slow
  size_t next_slow_ = 0;                              // and among these
  absl::flat_hash_map<Key, size_t> slow_keys_;        // slow requests that are not yet answered, by key
  bool slow_under_way_ = false;
  absl::Time slow_due_ = absl::InfinitePast();
};

}  // namespace tranche::storage
