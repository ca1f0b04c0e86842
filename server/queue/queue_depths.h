// How full the queues of claims are, as a node knows it: what the broker said a moment ago, and what the node itself
// has put in since.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/queue/claim_queue.h"
#include "storage/clock.h"

namespace tranche::server {

// When a caller asks again what became of a claim that has so many before it, in a queue that shrinks at this rate. 0:
// it is not known.
absl::Duration PollAfter(int64_t ahead, double drained_per_s);

// What whoever waits in a queue may be told.
struct ClaimOutlook {
  int64_t ahead = 0;  // about how many claims are before it
  absl::Duration poll_after = {};
};

// Thread-safe. Outlived by its dependencies.
class QueueDepths {
 public:
  QueueDepths(ClaimQueueAdmin* admin, storage::Clock* clock) : admin_(admin), clock_(clock) {}

  // Asks the broker about these queues, once a second, on a thread of its own: blocks for as long as the admin does.
  // Makes the queues if one of them is missing, so that claims can come before the first consumer; the next poll asks
  // about them. Forgets the others.
  // A broker says "nothing, and no consumer" also of a queue whose leader does not answer it, as during an election.
  // So that after another answer, and "no dead letters" after some, is believed when three polls in a row say it.
  void Poll(const std::vector<std::string>& queues) ABSL_LOCKS_EXCLUDED(mutex_);

  // The node ends: a poll that has begun makes no further call to the broker, and later ones none at all.
  void NoteEnding() { ending_.store(true, std::memory_order_relaxed); }

  // The broker has confirmed a message of this node.
  void NotePublished(const std::string& queue);

  // Messages that no consumer had taken when the broker last said, and those that this node has put in since it was
  // asked. Those that others have put in meanwhile are missing, and those that consumers have in hand.
  int64_t Ahead(const std::string& queue) const;
  // The same, but what was put in while the broker was asked is left out: otherwise a queue that one puts claims into
  // only because it is not empty would never seem to be empty.
  int64_t Backlog(const std::string& queue) const;
  // For a claim that had about so many before it when it was queued: as many, or what is in the queue now, whichever is
  // less. Until the broker has told of the queue since then: whichever is more. What the broker said more than five
  // seconds ago counts no more.
  ClaimOutlook OutlookOf(const std::string& queue, int64_t ahead, absl::Time queued_at = absl::InfinitePast()) const;

  struct Known {
    QueueDepth depth;
    absl::Time read_at = absl::InfinitePast();  // when the broker said so
  };
  // Of the queues that the broker has told about within the last five seconds.
  std::vector<Known> All() const;

 private:
  struct Figures {
    QueueDepth depth;
    absl::Time read_at = absl::InfinitePast();
    int64_t published = 0;                // by this node, ever
    int64_t published_before = 0;         // of these, before the broker was asked last
    int64_t published_before_answer = 0;  // and before it answered
    double drained_per_s = 0;             // smoothed
    int doubted = 0;                      // answers in a row that the queue has nothing, not believed
    int dead_doubted = 0;                 // likewise of its dead letters
  };

  bool Fresh(const Figures& figures, absl::Time now) const;
  void Apply(QueueDepth depth, int64_t published_before, absl::Time now, Figures* figures)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ClaimQueueAdmin* const admin_;
  storage::Clock* const clock_;
  std::atomic<bool> ending_{false};
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Figures> queues_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
