// One ZooKeeper session as a Coordination. Made by ZookeeperConnector.
//
// Built on the client's asynchronous calls: each call sends its requests at once and waits for the replies with a bound
// (reply_batch.h). All watches use the client's global watcher, so there is no context per watch to own.
//
// The client runs watchers and completions one at a time on a thread of its own, which zookeeper_close joins. So no
// lock is held when an observer is called or the client is closed. An observer that calls back into the session would
// wait for itself, so that aborts the program.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "quota/coordination/coordination.h"
#include "quota/zookeeper/reply_batch.h"
#include "quota/zookeeper/tree_protection.h"
#include "quota/zookeeper/zookeeper_coordination.h"

// The client's handle and its access rules, declared here to keep its header out of ours.
struct _zhandle;
struct ACL_vector;

namespace tranche::quota {

class ZookeeperSession : public Coordination {
 public:
  static absl::StatusOr<std::unique_ptr<ZookeeperSession>> Open(const ZookeeperOptions& options,
                                                                CoordinationObserver* observer);
  // Ends the session. The caller must hold no lock that the observer takes.
  ~ZookeeperSession() override;

  absl::StatusOr<Znode> Get(const std::string& path, Watch watch) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path, Watch watch) override;
  absl::Status Create(const std::string& path, const std::string& data, CreateMode mode) override;
  absl::Status Set(const std::string& path, const std::string& data, int32_t version) override;
  absl::Status Delete(const std::string& path, int32_t version) override;
  std::vector<absl::StatusOr<Znode>> GetMany(absl::Span<const std::string> paths, Watch watch) override;
  std::vector<absl::Status> Apply(absl::Span<const WriteOp> ops) override;
  absl::Status EnsureFixedPaths() override { return CreateTree(); }
  absl::StatusOr<TreeProtection> ProtectTree() override;
  int64_t SessionId() const override { return session_id_; }

  // With the id, this lets another client attach to the session.
  const std::string& password() const { return password_; }

 private:
  enum class State { kConnecting, kConnected, kDisconnected, kExpired, kClosing };

  ZookeeperSession(const ZookeeperOptions& options, CoordinationObserver* observer);

  absl::Status Start(const ZookeeperOptions& options);
  // Before the first request. The client repeats it by itself after each reconnect.
  absl::Status Authenticate(const std::string& auth);
  absl::Status CreateTree();

  // The client's global watcher.
  static void OnEvent(struct _zhandle* handle, int type, int state, const char* path, void* context) noexcept;
  void OnSessionState(int state);
  void OnNodeEvent(const char* path);
  State Enter(State state);

  // Sends requests 0..count-1 and waits for their replies, returned in order. `send` starts one, with `token` as the
  // data of its completion, and returns the client's code.
  using Send = absl::FunctionRef<int(size_t index, const void* token)>;
  std::vector<ZookeeperReply> Run(size_t count, Send send);
  int NotConnectedCode();
  int SendCreate(const std::string& full_path, const std::string& data, int flags, const void* token);
  std::vector<ZookeeperReply> SendGets(absl::Span<const std::string> paths, bool watch);
  // Sets watches for the creation of those `paths` whose reply says that there is no such node.
  void WatchMissing(absl::Span<const std::string> paths, std::vector<ZookeeperReply>& replies);

  TreeAccessCalls AccessCalls();
  std::vector<std::string> FixedPaths() const;  // in full
  std::string FullPath(const std::string& path) const;

  const std::string root_;  // empty for "/"
  const absl::Duration call_timeout_;
  struct ACL_vector* const access_;  // of what this session creates; the client's constant
  CoordinationObserver* const observer_;
  PendingCalls pending_;
  struct _zhandle* handle_ = nullptr;
  int64_t session_id_ = 0;
  std::string password_;
  std::unique_ptr<TreeWalk> walk_;  // of the thread that calls ProtectTree; null: none has begun

  absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kConnecting;
};

}  // namespace tranche::quota
