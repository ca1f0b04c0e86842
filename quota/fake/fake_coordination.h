// Coordination in memory: one tree that several sessions share, which can imitate the faults of the real one.
//
// FakeZookeeper is the server; FakeConnector makes sessions on it. Deterministic when used from one thread: what
// happens depends only on the order of the calls.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "quota/coordination/coordination.h"

namespace tranche::quota {

// Thread-safe. Outlives its sessions.
class FakeZookeeper {
 public:
  enum class Delivery {
    kImmediate,  // observers are called by the call that caused the event, before it returns (or by the delivery that
                 // another thread is busy with)
    kExplicit,   // observers are called by DeliverEvents only
  };
  // Whether a write whose caller is told kUnavailable was made.
  enum class UnknownOutcome { kPerformed, kNotPerformed };

  explicit FakeZookeeper(Delivery delivery = Delivery::kImmediate) : delivery_(delivery) {}

  // Calls the observers for all waiting events, in order and without a lock held, until there are none. Returns how
  // many. Does nothing inside an observer, or while another thread delivers.
  size_t DeliverEvents();
  size_t waiting_events();

  // The live and the disconnected sessions, oldest first.
  std::vector<int64_t> Sessions();

  // The server forgets the session: its ephemeral nodes vanish. The session hears of it at once if it is connected,
  // else at Reconnect.
  void ExpireSession(int64_t session_id);

  // Cuts the session off: its calls fail with kUnavailable. Its watches stay; an event for one is lost and uses the
  // watch up. (The real server catches up on those after a reconnect; readers may not count on it.)
  void Disconnect(int64_t session_id);
  void Reconnect(int64_t session_id);

  // Puts the session on a follower that hears nothing of the leader: it reads the tree as it is now, its watches do not
  // fire, its writes fail. `can_write` makes it a follower that only lags: a write makes it catch up, since it is
  // answered when the follower has applied it.
  void Isolate(int64_t session_id, bool can_write);
  // The follower catches up: watches of what has changed meanwhile fire, and the session learns if it has expired.
  void Rejoin(int64_t session_id);
  // False once the session is destroyed.
  bool HasSession(int64_t session_id);

  // Deletes everything below the root, ephemeral nodes too, as an operator may do by mistake.
  void DeleteTree();

  // Reads the persistent nodes below `path`, and writes them back where they still exist: like restoring an old backup.
  std::map<std::string, std::string> Backup(const std::string& path);
  void Restore(const std::map<std::string, std::string>& backup);

  // Down: every session is cut off and Connect fails. Up: every session reconnects. Nothing is forgotten.
  void SetDown(bool down);

  // From now on the node's data is somebody else's, whom no session is.
  void KeepFromAll(const std::string& path);

  // The tree is open to everybody, and each ProtectTree protects one part of so many. Access itself is not imitated.
  void SetOpenParts(int parts);
  int open_parts();

  // The next `count` events of watches, of whatever session, are lost.
  void DropNextWatchEvents(int count);

  // The next write of any session (one of an Apply) is answered with kUnavailable.
  void FailNextWrite(UnknownOutcome outcome);

 private:
  friend class FakeSession;
  friend class FakeConnector;

  enum class EventKind { kChanged, kConnected, kDisconnected, kExpired };
  struct Event {
    int64_t session_id;
    EventKind kind;
    std::string path;
  };
  struct Node {
    Znode znode;
    std::set<std::string> children;  // names
    bool kept_from_all = false;
    // When its data and its children last changed, by the number of the change.
    int64_t changed_at = 0;
    int64_t children_changed_at = 0;
  };
  using Tree = std::map<std::string, Node>;
  struct SessionState {
    CoordinationObserver* observer = nullptr;
    bool connected = true;
    bool expired = false;                // the server has forgotten it
    bool knows_it_expired = false;       // and it has been told
    std::set<std::string> node_watches;  // for data, and for nodes that do not exist yet
    std::set<std::string> child_watches;
    std::unique_ptr<Tree> isolated_tree;  // what an isolated session reads
    bool isolated_can_write = false;
  };

  absl::StatusOr<int64_t> AddSession(CoordinationObserver* observer);
  void RemoveSession(int64_t session_id);
  absl::Status EnsureFixedPaths(int64_t session_id);
  TreeProtection ProtectPart();

  absl::StatusOr<Znode> Get(int64_t session_id, const std::string& path, Watch watch);
  absl::StatusOr<std::vector<std::string>> List(int64_t session_id, const std::string& path, Watch watch);
  absl::Status Write(int64_t session_id, const WriteOp& op, CreateMode mode);

  absl::Status CheckSession(int64_t session_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same for writes; a follower that only lags catches up.
  absl::Status CheckWritable(int64_t session_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CreateFixedPaths() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Perform(const WriteOp& op, int64_t ephemeral_owner) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status PerformCreate(const WriteOp& op, int64_t ephemeral_owner) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status PerformDelete(const WriteOp& op) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveEphemerals(int64_t session_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FireNodeWatches(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FireChildWatches(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FireWatches(const std::string& path, std::set<std::string> SessionState::*watches)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FireWatch(int64_t session_id, const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetConnected(int64_t session_id, bool connected) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Queue(int64_t session_id, EventKind kind, std::string path = "") ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CatchUp(int64_t session_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const Tree& TreeOf(const SessionState& session) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DeliverIfImmediate();

  const Delivery delivery_;

  absl::Mutex mutex_;
  Tree nodes_ ABSL_GUARDED_BY(mutex_) = {{"/", {}}};
  int64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<int64_t, SessionState> sessions_ ABSL_GUARDED_BY(mutex_);
  // Indexes, so that a write costs the same however many sessions there are: which sessions may watch a path (it may
  // still hold sessions that have ended; ids are never reused), and which nodes a session owns.
  absl::flat_hash_map<std::string, std::set<int64_t>> watchers_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::set<std::string>> ephemerals_ ABSL_GUARDED_BY(mutex_);
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
  int64_t next_session_id_ ABSL_GUARDED_BY(mutex_) = 1;
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t delivering_to_ ABSL_GUARDED_BY(mutex_) = 0;
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
  int open_parts_ ABSL_GUARDED_BY(mutex_) = 0;
  int watch_events_to_drop_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<UnknownOutcome> next_write_outcome_ ABSL_GUARDED_BY(mutex_);
};

class FakeConnector : public CoordinationConnector {
 public:
  explicit FakeConnector(FakeZookeeper* zookeeper) : zookeeper_(zookeeper) {}

  absl::StatusOr<std::unique_ptr<Coordination>> Connect(CoordinationObserver* observer) override;

 private:
  FakeZookeeper* const zookeeper_;
};

}  // namespace tranche::quota
