// Tells watchers about changes of reservations, or of groups: reads all that are watched from the ledger again and
// again, in batches, however many watchers one has. What is said of reservations here holds for groups, too.
//
// Polling, because the change may have been made through any node, by a worker, or by hand: only the ledger has seen
// them all. A watcher is called only when the reservation's revision differs from the last one that it was told, and
// again after some time without a change: proxies end idle streams, many of them after a minute.
//
// A ledger can become an older state of itself (a restore, a failover). Then a revision may fall, and a reservation may
// be gone for good. One that is on its way to another shard is missing only for a moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
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
#include "absl/types/span.h"
#include "server/handlers/watched_group.h"
#include "storage/clock.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/partial_read.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/uuid.h"

namespace tranche::server {

struct WatchHubOptions {
  size_t max_watches = 10000;
  size_t max_watches_per_caller = 5000;
  // How many are watched, whatever the number of their watches.
  size_t max_watched = std::numeric_limits<size_t>::max();
  // What is read at a time, at most kMaxBatch: what it tells is told before the next are read.
  size_t max_read = storage::kMaxBatch;
  // A look at many ends after this long, by the clock, and the next one goes on where it has ended: new watches and the
  // end of the process wait no longer for it.
  absl::Duration look_for = absl::InfiniteDuration();
  // Time between two looks at all watched reservations; a new watch is looked at at once. Zero: no thread, the owner
  // calls Poll.
  absl::Duration poll_interval = absl::Milliseconds(250);
  // A watcher that was not called for this long is called again with the state that was seen last.
  absl::Duration repeat_after = absl::Seconds(20);
  // A reservation that was seen and then is missing for this long is lost.
  absl::Duration lost_after = absl::Seconds(30);
  // A watch of which the ledger has said nothing for this long, because it does not answer, ends.
  absl::Duration first_within = absl::Seconds(5);
};

// Receives the hub's calls. They come without the hub's lock, on the hub's thread or, for the end, on any other, and
// must not block. The end is final, but one last OnChange may still arrive after it.
template <typename Thing>
class Watcher {
 public:
  virtual ~Watcher() = default;
  // The reservation as it is now: once at the start, then after each change that was seen. Every `repeat_after` as it
  // was seen last: the ledger may be silent, or the reservation missing.
  virtual void OnChange(const Thing& now) = 0;
  // Of a watch with IfMissing::kWait: the reservation does not exist yet, as far as the ledger said last. Once at the
  // start, and every `repeat_after`.
  virtual void OnMissing() {}
  // OK after a final state; otherwise why the watch ends.
  virtual void OnEnd(const absl::Status& status) = 0;
  // Who may watch has changed: it may want to end (WatchHubOf::Recheck).
  virtual void OnRecheck() {}
};
using ReservationWatcher = Watcher<storage::Reservation>;

// What becomes of a watch whose reservation does not exist.
enum class IfMissing {
  kEnd,   // with RESERVATION_NOT_FOUND, or GROUP_NOT_FOUND
  kWait,  // until it does: that is what it waits for, and so its end
};

// What names a thing that is watched.
template <typename Thing>
struct WatchKeyOf {
  using Type = storage::Uuid;
};
template <>
struct WatchKeyOf<storage::Group> {
  using Type = WatchedGroup;
};

// Of Reservation and of Group. Thread-safe.
template <typename Thing>
class WatchHubOf {
 public:
  using Key = typename WatchKeyOf<Thing>::Type;
  // ShardRouter::ReadWhereAnswered, ReadWatchedGroups, or a stand-in for them: at most `max_read` ids. Blocks.
  using Read = std::function<storage::PartialReadOf<Thing>(absl::Span<const Key>)>;

  // `clock` decides when to repeat, and when a reservation is lost; it outlives the hub.
  WatchHubOf(Read read, storage::Clock* clock, WatchHubOptions options);
  // Drops all remaining watchers without calling them.
  ~WatchHubOf();

  // Ends the reading thread after its current batch: from then on `read` is not called. Repeating it is harmless. Must
  // not be called by two threads at once.
  void Stop();

  WatchHubOf(const WatchHubOf&) = delete;
  WatchHubOf& operator=(const WatchHubOf&) = delete;

  // An error, TOO_MANY_WATCHES or DRAINING, when the watch is refused; then `watcher` is never called. If the
  // reservation does not exist, or is lost later, the watch ends as `if_missing` says. While the ledger, or
  // the shard, does not answer, the watch goes on; but if nothing was seen yet, it ends with LEDGER_UNAVAILABLE.
  // `caller` is whose watch it is, for the limit of each caller's.
  absl::Status Add(const Key& id, std::shared_ptr<Watcher<Thing>> watcher, const std::string& caller,
                   IfMissing if_missing = IfMissing::kEnd);
  // Ends a watch on the watcher's behalf. Repeating it is harmless.
  void Remove(const Key& id, const Watcher<Thing>* watcher);

  // False: ends every watch, and refuses every later one, with DRAINING.
  void SetAccepting(bool accepting);

  // Calls OnRecheck of all watchers, on this thread.
  void Recheck();

  // Looks at all watched reservations once, or for as long as a look may take.
  void Poll();

  size_t watches() const;

 private:
  // How many watches each has; those without any are not in it.
  using Callers = std::map<std::string, size_t>;
  struct Watch {
    std::shared_ptr<Watcher<Thing>> watcher;
    int32_t revision = 0;   // last one told; 0: none
    uint64_t added_in = 0;  // the first look that includes it
    absl::Time added_at;
    absl::Time told_at = absl::InfinitePast();
    IfMissing if_missing = IfMissing::kEnd;
    Callers::iterator caller{};

    bool waits() const { return if_missing == IfMissing::kWait; }
  };
  // A reservation and its watches, at least one.
  struct Watched {
    std::vector<Watch> watches;
    std::optional<Thing> last;  // as it was seen last; nullopt: never
    absl::Time missing_since = absl::InfiniteFuture();
  };
  // What to tell one watcher.
  struct News {
    std::shared_ptr<Watcher<Thing>> watcher;
    std::optional<Thing> now;
    std::optional<absl::Status> end;
    bool missing = false;
  };

  void Run();
  bool Stopping();
  // Takes the ids for one look.
  std::vector<Key> TakeFresh(uint64_t* look);
  // From where the last look at all has ended.
  std::vector<Key> TakeAll(uint64_t* look);
  // Returns those that there was no time to look at.
  absl::Span<const Key> Look(absl::Span<const Key> ids, uint64_t look);
  std::vector<News> Compare(absl::Span<const Key> ids, storage::PartialReadOf<Thing> read, uint64_t look);
  // For one reservation that was looked for; nullopt: it is not there. Drops the watches that end.
  void CompareOne(const Key& id, std::optional<Thing> now, uint64_t look, Watched* watched, std::vector<News>* news)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // For one that may exist on a shard that did not answer. Drops the watches that end.
  void RepeatOne(Watched* watched, std::vector<News>* news) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsSilent(const Watch& watch, absl::Time now) const;
  static void Tell(std::vector<News> news);
  // For a watch that ends.
  void Uncount(const Watch& watch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteLedgerAnswers(const absl::Status& status);

  const Read read_;
  storage::Clock* const clock_;
  const WatchHubOptions options_;

  mutable absl::Mutex mutex_;
  // Ordered by id, so that a look follows the order of the ledger's index.
  std::map<Key, Watched> watched_ ABSL_GUARDED_BY(mutex_);
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  Callers callers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Key> fresh_ ABSL_GUARDED_BY(mutex_);  // not looked at yet
  Key next_ ABSL_GUARDED_BY(mutex_) = {};           // where the next look at all begins
  uint64_t looks_ ABSL_GUARDED_BY(mutex_) = 1;
  bool accepting_ ABSL_GUARDED_BY(mutex_) = true;
  bool ledger_answers_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};
using WatchHub = WatchHubOf<storage::Reservation>;
using GroupWatchHub = WatchHubOf<storage::Group>;

}  // namespace tranche::server
