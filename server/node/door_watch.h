// Keeps a node's copy of what the front door goes by: policies, keys and the access list, which are in home's ledger;
// and which nodes there are.
//
//   ReadFrontVersion, every 5 s and when a change is announced -> if it is another one: ReadFrontChanges, all
//   pages -> applied to a copy of the state -> FrontDoor::SetState
//
// A claim never waits for any of this: a look that fails leaves the door as it is. So while the ledger is away, the
// last policies hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "server/admission/front_door.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::server {

// Thread-safe, except for starting and ending.
class DoorWatch {
 public:
  // Nodes need each other only for limits. Without a policy their list, which is long in a large cluster, is read at
  // one look of so many: if the first policy comes while ZooKeeper is away, it is shared with those who were there.
  static constexpr int kLooksForHomes = 4;
  // Between two looks at the ledger, if nothing is announced: one row of one table for each node.
  static constexpr absl::Duration kLookEvery = absl::Seconds(5);
  // The least and the most of it, so that the nodes of a cluster do not look all at once.
  static constexpr double kLeastPause = 0.8;
  static constexpr double kMostPause = 1.2;
  // After a look that found a change, until the next one. An import of a list is many changes, and with each of them
  // every node would copy its list.
  static constexpr absl::Duration kRestAfterChange = absl::Milliseconds(300);

  // `self`: the node's incarnation, kPool while it has none. All are called on this object's thread, and outlive it, or
  // StopThread.
  DoorWatch(storage::FrontLedger* ledger, FrontDoor* door, quota::SessionSource* sessions,
            std::function<storage::IncarnationId()> self, storage::Clock* clock);
  ~DoorWatch();
  DoorWatch(const DoorWatch&) = delete;
  DoorWatch& operator=(const DoorWatch&) = delete;

  // Reads everything. Blocks; fails with the ledger's error. Call it before the door is asked.
  absl::Status Begin();
  // From now on a thread of its own looks. After Begin.
  void StartThread();
  // Waits for a look that is under way. Afterwards it looks no more.
  void StopThread();

  // What the tree says that the ledger's version is: another one than it said before is a reason to look, at once or
  // after rest(). Does not block.
  void NoteAnnounced(int64_t version);

  // Lets the thread look, after rest() at the earliest, and waits until a look that began after this call has ended, or
  // the time is over, or StopThread is called. So the door then knows what was set before, if the ledger answers.
  void AwaitLook(absl::Duration timeout);

  // One look. Without the thread, its owner calls it, as the tests do.
  void Look();
  // Has something been announced since the last look began?
  bool look_wanted() const;
  // For how long its thread does not look yet, whatever is announced; zero after a quiet time.
  absl::Duration rest() const;

  // Tells the door which nodes live. Blocks. If they cannot be read, or the node has no incarnation yet, those that it
  // knows stay. Looks do it, too; call it before the node serves, so that it does not count for itself alone until
  // then.
  void FindHomes();

  // Since the door knew all that the ledger had.
  absl::Duration age() const;
  // Looks that have failed.
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  void Run();
  absl::Duration Rest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Follow();
  // What has changed since the state that is known, with the entries of all pages.
  absl::StatusOr<storage::FrontChanges> ReadChanges();
  // kAborted: the pages do not belong together.
  absl::StatusOr<storage::FrontChanges> ReadPages(const storage::FrontVersion& known);
  void Apply(const storage::FrontChanges& changes);
  // Of these, the nodes that let buyers in: not the consumers of queues.
  std::vector<storage::IncarnationId> WithBuyers(quota::Coordination& session,
                                                 const std::vector<storage::IncarnationId>& nodes);

  storage::FrontLedger* const ledger_;
  FrontDoor* const door_;
  quota::SessionSource* const sessions_;
  const std::function<storage::IncarnationId()> self_;
  storage::Clock* const clock_;

  std::atomic<int64_t> known_at_us_{0};  // since 1970
  std::atomic<uint64_t> failures_{0};
  // Only where Look runs.
  std::shared_ptr<const DoorState> state_;
  int looks_ = 0;

  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool look_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t looks_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t looks_ended_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time rest_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::optional<int64_t> announced_ ABSL_GUARDED_BY(mutex_);
  // Whether a registered incarnation is a consumer. That does not change, so each registration is read once.
  std::map<storage::IncarnationId, bool> consumers_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the others
};

}  // namespace tranche::server
