// Lets the pools of one process share a server that gives it few connections.
//
// Each pool opens what it needs. When the server gives no more, a pool that has some goes on with those. One that has
// none would fail for ever if the others keep theirs: claims would be sold, and their payments refused. So it asks
// here, another one closes a connection that it does not need at the moment, and none that has any opens more. No pool
// gives its last one.
#pragma once

#include <atomic>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tranche::storage {

class ConnectionPool;

// Thread-safe. Shared by the pools.
class ConnectionShare {
 public:
  void Join(ConnectionPool* pool);
  void Leave(ConnectionPool* pool);

  // Between these the caller wants a connection, and has none.
  void BeginAsking() { ++asking_; }
  void EndAsking() { --asking_; }
  bool Asking() const { return asking_ > 0; }

  // Another pool closes a connection: an idle one at once, or else the next one that is returned. The caller holds no
  // pool's lock.
  void AskFor(ConnectionPool* asking);

  // Whether another pool has a connection. The caller holds no pool's lock.
  bool OthersConnected(ConnectionPool* asking);

  // For a pool that could close one: is one asked for? Then it has to close it.
  bool Take() { return asked_.exchange(false); }

 private:
  absl::Mutex mutex_;
  std::vector<ConnectionPool*> pools_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> asking_{0};
  std::atomic<bool> asked_{false};
};

}  // namespace tranche::storage
