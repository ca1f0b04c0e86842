// Coordination: the small tree of announcements that ZooKeeper keeps for us. It announces; the ledger decides. If
// something is lost, late or stale here, that may cost efficiency, never a unit.
//
// `zookeeper/` holds the real one, fake_coordination.h the one in memory; tests/contract runs one suite on both.
//
// Paths start with "/" and are below the configured root, which an implementation adds and hides. The fixed first level
// (coordination_paths.h) exists once Connect has returned.
//
// Threads: every method may be called from any thread but an observer's, and blocks for at most about one session
// timeout. Observers are called on a thread of the implementation, one call at a time: they may only take note and
// return.
//
// Errors:
//   kNotFound            no such node, or on Create no such parent
//   kAlreadyExists       Create of a node that exists
//   kAborted             the node's version is not the expected one
//   kFailedPrecondition  Delete of a node with children
//   kUnavailable         connection lost: a write may or may not have happened
//   kPermissionDenied    the node is somebody else's, who keeps it from this session
//   kUnauthenticated     the session is over for good: destroy this object and Connect anew
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace tranche::quota {

struct Znode {
  std::string data;
  int32_t version = 0;
  // The session that owns an ephemeral node; 0 for a persistent one.
  int64_t ephemeral_owner = 0;

  // Does it vanish with a session? Not so a persistent one, nor a container, whose owner is the least number.
  bool owned_by_session() const {
    return ephemeral_owner != 0 && ephemeral_owner != std::numeric_limits<int64_t>::min();
  }
};

enum class Watch { kNo, kYes };
enum class CreateMode { kPersistent, kEphemeral };

// The most bytes of a znode's data; longer writes are refused with kInvalidArgument.
inline constexpr size_t kMaxZnodeBytes = 64 * 1024;
// As the expected version of a write: any.
inline constexpr int32_t kAnyVersion = -1;

struct WriteOp {
  enum class Kind { kCreatePersistent, kSet, kDelete };
  Kind kind = Kind::kSet;
  std::string path;
  std::string data;               // not for kDelete
  int32_t version = kAnyVersion;  // not for kCreatePersistent
};

struct TreeProtection {
  int znodes = 0;    // that were open, so far
  bool done = true;  // nothing is left
};

class CoordinationObserver {
 public:
  virtual ~CoordinationObserver() = default;
  // A watched node changed, came or went, or its children did. One-shot: read again with a watch to hear of the next
  // change. May come without a reason; may be lost with the connection, so readers also resync after OnConnected and
  // from time to time.
  virtual void OnChanged(const std::string& path) = 0;
  // The session is connected, for the first time or again.
  virtual void OnConnected() = 0;
  virtual void OnDisconnected() = 0;
  // The session is over and its ephemeral nodes are gone.
  virtual void OnSessionExpired() = 0;
};

class Coordination {
 public:
  virtual ~Coordination() = default;

  virtual absl::StatusOr<Znode> Get(const std::string& path, Watch watch) = 0;
  // Names of the children, sorted. kNotFound sets no watch.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& path, Watch watch) = 0;
  virtual absl::Status Create(const std::string& path, const std::string& data, CreateMode mode) = 0;
  virtual absl::Status Set(const std::string& path, const std::string& data, int32_t version) = 0;
  virtual absl::Status Delete(const std::string& path, int32_t version) = 0;

  // Many at once, pipelined: all wait for one round trip. Each succeeds or fails by itself; the results are in order.
  virtual std::vector<absl::StatusOr<Znode>> GetMany(absl::Span<const std::string> paths, Watch watch) = 0;
  virtual std::vector<absl::Status> Apply(absl::Span<const WriteOp> ops) = 0;

  // Makes the root and the fixed first level again where they are missing, after somebody deleted the tree.
  virtual absl::Status EnsureFixedPaths() = 0;

  // For an implementation with access control, once its sessions have an identity: protects a part of what is still
  // open to everybody, for about 0.1 s, and goes on at the next call. If the tree is protected, this is one look. After
  // a failure it begins anew. Call it from one thread at a time.
  virtual absl::StatusOr<TreeProtection> ProtectTree() { return TreeProtection(); }

  // To compare with Znode::ephemeral_owner.
  virtual int64_t SessionId() const = 0;
};

// Makes sessions.
class CoordinationConnector {
 public:
  virtual ~CoordinationConnector() = default;
  // A new session, connected, with the fixed first level in place. Fails with kUnavailable when no server answers
  // within the implementation's connect timeout. The observer outlives the session, and hears of it from now until the
  // session's destructor returns.
  virtual absl::StatusOr<std::unique_ptr<Coordination>> Connect(CoordinationObserver* observer) = 0;
};

}  // namespace tranche::quota
