// Tells who watches a reservation of its changes: reads all watched reservations from the ledger a few times a second,
// in batches, however many watch the same one.
//
// Polling, because the change may have been made through any node, by a worker, or by hand: the ledger alone has seen
// them all. Nobody is woken for nothing: a watcher hears of a reservation when its revision is another than the last
// one he was told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::server {

struct WatchHubOptions {
  size_t max_watches = 10000;
  // Between two looks at all that is watched; a new watch is looked at at once. Zero: no thread, Poll is the owner's.
  absl::Duration poll_interval = absl::Milliseconds(250);
};

// Whom the hub tells. Called without the hub's lock, on its thread or, for the end, on any other; must not block. After
// the end nothing more counts, but a last OnReservation may still be on its way.
class ReservationWatcher {
 public:
  virtual ~ReservationWatcher() = default;
  // As it is now: first of all, and after each change that was seen.
  virtual void OnReservation(const storage::Reservation& reservation) = 0;
  // OK after a state that is final; else why the watch ends.
  virtual void OnEnd(const absl::Status& status) = 0;
};

// Thread-safe.
class WatchHub {
 public:
  // LifecycleLedger::ReadReservations, or a stand-in for it: at most kMaxBatch ids. Blocks.
  using Read = std::function<absl::StatusOr<std::vector<storage::Reservation>>(absl::Span<const storage::Uuid>)>;

  WatchHub(Read read, WatchHubOptions options);
  // Forgets who still watches, without a word.
  ~WatchHub();

  // Ends the thread that reads, after the batch that it is at: from then on `read` is not called. Repeating it is
  // harmless. Not from two threads at once.
  void Stop();

  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // An error, TOO_MANY_WATCHES or DRAINING, when it does not watch; then `watcher` is never called. A reservation that
  // does not exist ends the watch with RESERVATION_NOT_FOUND. While the ledger does not answer the watch goes on.
  absl::Status Add(const storage::Uuid& id, std::shared_ptr<ReservationWatcher> watcher);
  // The watcher wants to hear no more. Repeating it is harmless.
  void Remove(const storage::Uuid& id, const ReservationWatcher* watcher);

  // False: ends every watch, and every later one, with DRAINING.
  void SetAccepting(bool accepting);

  // Looks at all that is watched, once.
  void Poll();

  size_t watches() const;

 private:
  struct Watch {
    std::shared_ptr<ReservationWatcher> watcher;
    int32_t revision = 0;   // that was told last; 0: none
    uint64_t added_in = 0;  // the look that was the next one when it was added
  };
  // What one watcher is to be told.
  struct News {
    std::shared_ptr<ReservationWatcher> watcher;
    std::optional<storage::Reservation> reservation;
    std::optional<absl::Status> end;
  };

  void Run();
  bool Stopping();
  // The ids of one look, taken together.
  std::vector<storage::Uuid> TakeFresh(uint64_t* look);
  std::vector<storage::Uuid> TakeAll(uint64_t* look);
  void Look(absl::Span<const storage::Uuid> ids, uint64_t look);
  std::vector<News> Compare(absl::Span<const storage::Uuid> ids, const std::vector<storage::Reservation>& found,
                            uint64_t look);
  static void Tell(std::vector<News> news);
  void NoteLedgerAnswers(const absl::Status& status);

  const Read read_;
  const WatchHubOptions options_;

  mutable absl::Mutex mutex_;
  // By id: a look goes through them in the order of the ledger's index.
  std::map<storage::Uuid, std::vector<Watch>> watches_ ABSL_GUARDED_BY(mutex_);
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<storage::Uuid> fresh_ ABSL_GUARDED_BY(mutex_);  // not looked at yet
  uint64_t looks_ ABSL_GUARDED_BY(mutex_) = 1;
  bool accepting_ ABSL_GUARDED_BY(mutex_) = true;
  bool ledger_answers_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tranche::server
