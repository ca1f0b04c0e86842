#include "quota/fake/fake_coordination.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "quota/coordination/coordination_check.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

// The server for which this thread is running an observer.
thread_local const FakeZookeeper* delivering_on_this_thread = nullptr;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

absl::Status NoNode(const std::string& path) { return absl::NotFoundError(absl::StrCat("no node ", path)); }

}  // namespace

class FakeSession : public Coordination {
 public:
  FakeSession(FakeZookeeper* zookeeper, int64_t id) : zookeeper_(zookeeper), id_(id) {}
  ~FakeSession() override { zookeeper_->RemoveSession(id_); }

  absl::StatusOr<Znode> Get(const std::string& path, Watch watch) override { return zookeeper_->Get(id_, path, watch); }

  absl::StatusOr<std::vector<std::string>> List(const std::string& path, Watch watch) override {
    return zookeeper_->List(id_, path, watch);
  }

  absl::Status Create(const std::string& path, const std::string& data, CreateMode mode) override {
    return zookeeper_->Write(
        id_, {.kind = WriteOp::Kind::kCreatePersistent, .path = path, .data = data, .version = kAnyVersion}, mode);
  }

  absl::Status Set(const std::string& path, const std::string& data, int32_t version) override {
    return zookeeper_->Write(id_, {.kind = WriteOp::Kind::kSet, .path = path, .data = data, .version = version},
                             CreateMode::kPersistent);
  }

  absl::Status Delete(const std::string& path, int32_t version) override {
    return zookeeper_->Write(id_, {.kind = WriteOp::Kind::kDelete, .path = path, .data = "", .version = version},
                             CreateMode::kPersistent);
  }

  std::vector<absl::StatusOr<Znode>> GetMany(absl::Span<const std::string> paths, Watch watch) override {
    std::vector<absl::StatusOr<Znode>> results;
    for (const std::string& path : paths) results.push_back(zookeeper_->Get(id_, path, watch));
    return results;
  }

  std::vector<absl::Status> Apply(absl::Span<const WriteOp> ops) override {
    std::vector<absl::Status> results;
    for (const WriteOp& op : ops) results.push_back(zookeeper_->Write(id_, op, CreateMode::kPersistent));
    return results;
  }

  absl::Status EnsureFixedPaths() override { return zookeeper_->EnsureFixedPaths(id_); }

  absl::StatusOr<TreeProtection> ProtectTree() override { return zookeeper_->ProtectPart(); }

  int64_t SessionId() const override { return id_; }

 private:
  FakeZookeeper* const zookeeper_;
  const int64_t id_;
};

absl::StatusOr<std::unique_ptr<Coordination>> FakeConnector::Connect(CoordinationObserver* observer) {
  ASSIGN_OR_RETURN(const int64_t id, zookeeper_->AddSession(observer));
  zookeeper_->DeliverIfImmediate();
  return std::make_unique<FakeSession>(zookeeper_, id);
}

size_t FakeZookeeper::DeliverEvents() {
  size_t delivered = 0;
  absl::MutexLock lock(&mutex_);
  if (delivering_) return 0;
  delivering_ = true;
  for (; !events_.empty(); ++delivered) {
    const Event event = std::move(events_.front());
    events_.pop_front();
    CoordinationObserver* const observer = sessions_.at(event.session_id).observer;
    delivering_to_ = event.session_id;
    mutex_.Unlock();
    delivering_on_this_thread = this;
    if (event.kind == EventKind::kChanged) observer->OnChanged(event.path);
    if (event.kind == EventKind::kConnected) observer->OnConnected();
    if (event.kind == EventKind::kDisconnected) observer->OnDisconnected();
    if (event.kind == EventKind::kExpired) observer->OnSessionExpired();
    delivering_on_this_thread = nullptr;
    mutex_.Lock();
    delivering_to_ = 0;
  }
  delivering_ = false;
  return delivered;
}

void FakeZookeeper::DeliverIfImmediate() {
  if (delivery_ == Delivery::kImmediate) DeliverEvents();
}

size_t FakeZookeeper::waiting_events() {
  absl::MutexLock lock(&mutex_);
  return events_.size();
}

std::vector<int64_t> FakeZookeeper::Sessions() {
  absl::MutexLock lock(&mutex_);
  std::vector<int64_t> ids;
  for (const auto& [id, session] : sessions_) {
    if (!session.expired) ids.push_back(id);
  }
  return ids;
}

void FakeZookeeper::ExpireSession(int64_t session_id) {
  {
    absl::MutexLock lock(&mutex_);
    SessionState& session = sessions_.at(session_id);
    if (session.expired) return;
    session.expired = true;
    session.node_watches.clear();
    session.child_watches.clear();
    RemoveEphemerals(session_id);
    // An isolated follower does not learn of it.
    if (session.connected && session.isolated_tree == nullptr) {
      // Like the real one: the connection breaks first, and reconnecting finds that the session has expired.
      SetConnected(session_id, false);
      SetConnected(session_id, true);
    }
  }
  DeliverIfImmediate();
}

void FakeZookeeper::Disconnect(int64_t session_id) {
  {
    absl::MutexLock lock(&mutex_);
    SetConnected(session_id, false);
  }
  DeliverIfImmediate();
}

void FakeZookeeper::Reconnect(int64_t session_id) {
  {
    absl::MutexLock lock(&mutex_);
    CHECK(!down_) << "the fake server is down";
    SetConnected(session_id, true);
  }
  DeliverIfImmediate();
}

void FakeZookeeper::Isolate(int64_t session_id, bool can_write) {
  absl::MutexLock lock(&mutex_);
  SessionState& session = sessions_.at(session_id);
  if (session.isolated_tree == nullptr) session.isolated_tree = std::make_unique<Tree>(nodes_);
  session.isolated_can_write = can_write;
}

void FakeZookeeper::Rejoin(int64_t session_id) {
  {
    absl::MutexLock lock(&mutex_);
    CatchUp(session_id);
    SessionState& session = sessions_.at(session_id);
    if (session.expired && session.connected) {
      SetConnected(session_id, false);
      SetConnected(session_id, true);
    }
  }
  DeliverIfImmediate();
}

bool FakeZookeeper::HasSession(int64_t session_id) {
  absl::MutexLock lock(&mutex_);
  return sessions_.contains(session_id);
}

const FakeZookeeper::Tree& FakeZookeeper::TreeOf(const SessionState& session) const {
  return session.isolated_tree == nullptr ? nodes_ : *session.isolated_tree;
}

void FakeZookeeper::CatchUp(int64_t session_id) {
  SessionState& session = sessions_.at(session_id);
  const std::unique_ptr<Tree> before = std::move(session.isolated_tree);
  if (before == nullptr) return;
  const auto changed = [&](const std::string& path, int64_t Node::*stamp) {
    mutex_.AssertHeld();
    const auto was = before->find(path);
    const auto is = nodes_.find(path);
    if (was == before->end() || is == nodes_.end()) return (was == before->end()) != (is == nodes_.end());
    return was->second.*stamp != is->second.*stamp;
  };
  const auto fire = [&](std::set<std::string>& watches, int64_t Node::*stamp) {
    mutex_.AssertHeld();
    std::vector<std::string> fired;
    for (const std::string& path : watches) {
      if (changed(path, stamp)) fired.push_back(path);
    }
    for (const std::string& path : fired) {
      watches.erase(path);
      FireWatch(session_id, path);
    }
  };
  fire(session.node_watches, &Node::changed_at);
  fire(session.child_watches, &Node::children_changed_at);
}

void FakeZookeeper::DeleteTree() {
  {
    absl::MutexLock lock(&mutex_);
    // Children come after their parents in the map.
    while (nodes_.size() > 1) {
      const std::string last = std::prev(nodes_.end())->first;
      const absl::Status deleted =
          PerformDelete({.kind = WriteOp::Kind::kDelete, .path = last, .data = "", .version = kAnyVersion});
      CHECK(deleted.ok()) << deleted;
    }
  }
  DeliverIfImmediate();
}

std::map<std::string, std::string> FakeZookeeper::Backup(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  std::map<std::string, std::string> backup;
  for (const auto& [node_path, node] : nodes_) {
    const bool below = absl::StartsWith(node_path, path + "/");
    if (below && node.znode.ephemeral_owner == 0) backup[node_path] = node.znode.data;
  }
  return backup;
}

void FakeZookeeper::Restore(const std::map<std::string, std::string>& backup) {
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [path, data] : backup) {
      const absl::Status restored =
          Perform({.kind = WriteOp::Kind::kSet, .path = path, .data = data, .version = kAnyVersion}, 0);
      CHECK(restored.ok() || absl::IsNotFound(restored)) << restored;
    }
  }
  DeliverIfImmediate();
}

void FakeZookeeper::SetDown(bool down) {
  {
    absl::MutexLock lock(&mutex_);
    down_ = down;
    for (const auto& [id, session] : sessions_) SetConnected(id, !down);
  }
  DeliverIfImmediate();
}

void FakeZookeeper::DropNextWatchEvents(int count) {
  absl::MutexLock lock(&mutex_);
  watch_events_to_drop_ = count;
}

void FakeZookeeper::FailNextWrite(UnknownOutcome outcome) {
  absl::MutexLock lock(&mutex_);
  next_write_outcome_ = outcome;
}

void FakeZookeeper::SetConnected(int64_t session_id, bool connected) {
  SessionState& session = sessions_.at(session_id);
  if (session.connected == connected || session.knows_it_expired) return;
  session.connected = connected;
  if (!connected) {
    Queue(session_id, EventKind::kDisconnected);
  } else if (session.expired) {
    session.knows_it_expired = true;
    Queue(session_id, EventKind::kExpired);
  } else {
    Queue(session_id, EventKind::kConnected);
  }
}

void FakeZookeeper::KeepFromAll(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  nodes_.at(path).kept_from_all = true;
}

void FakeZookeeper::SetOpenParts(int parts) {
  absl::MutexLock lock(&mutex_);
  open_parts_ = parts;
}

int FakeZookeeper::open_parts() {
  absl::MutexLock lock(&mutex_);
  return open_parts_;
}

TreeProtection FakeZookeeper::ProtectPart() {
  absl::MutexLock lock(&mutex_);
  if (open_parts_ > 0) --open_parts_;
  return {.znodes = 0, .done = open_parts_ == 0};
}

absl::StatusOr<int64_t> FakeZookeeper::AddSession(CoordinationObserver* observer) {
  CHECK(delivering_on_this_thread != this) << "an observer must not connect";
  absl::MutexLock lock(&mutex_);
  if (down_) return absl::UnavailableError("the fake server is down");
  const int64_t id = next_session_id_++;
  sessions_[id].observer = observer;
  Queue(id, EventKind::kConnected);
  CreateFixedPaths();
  return id;
}

void FakeZookeeper::CreateFixedPaths() {
  for (const char* const path : kFixedPaths) {
    const absl::Status created =
        Perform({.kind = WriteOp::Kind::kCreatePersistent, .path = path, .data = "", .version = kAnyVersion},
                /*ephemeral_owner=*/0);
    CHECK(created.ok() || absl::IsAlreadyExists(created)) << created;
  }
}

absl::Status FakeZookeeper::EnsureFixedPaths(int64_t session_id) {
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(CheckWritable(session_id));
    CreateFixedPaths();
  }
  DeliverIfImmediate();
  return absl::OkStatus();
}

void FakeZookeeper::RemoveSession(int64_t session_id) {
  CHECK(delivering_on_this_thread != this) << "a session must not be destroyed by its observer";
  {
    absl::MutexLock lock(&mutex_);
    const auto not_in_its_observer = [this, session_id] {
      mutex_.AssertReaderHeld();
      return delivering_to_ != session_id;
    };
    mutex_.Await(absl::Condition(&not_in_its_observer));
    const auto is_its_own = [session_id](const Event& event) { return event.session_id == session_id; };
    events_.erase(std::remove_if(events_.begin(), events_.end(), is_its_own), events_.end());
    sessions_.erase(session_id);
    RemoveEphemerals(session_id);
  }
  DeliverIfImmediate();
}

absl::Status FakeZookeeper::CheckSession(int64_t session_id) const {
  CHECK(delivering_on_this_thread != this) << "an observer must not call its session";
  const SessionState& session = sessions_.at(session_id);
  if (session.knows_it_expired) return absl::UnauthenticatedError("the session has expired");
  if (!session.connected) return absl::UnavailableError("disconnected");
  return absl::OkStatus();
}

absl::Status FakeZookeeper::CheckWritable(int64_t session_id) {
  RETURN_IF_ERROR(CheckSession(session_id));
  const SessionState& session = sessions_.at(session_id);
  if (session.isolated_tree == nullptr) return absl::OkStatus();
  if (!session.isolated_can_write) return absl::UnavailableError("the follower does not reach the leader");
  CatchUp(session_id);
  return absl::OkStatus();
}

absl::StatusOr<Znode> FakeZookeeper::Get(int64_t session_id, const std::string& path, Watch watch) {
  RETURN_IF_ERROR(CheckPath(path));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckSession(session_id));
  if (watch == Watch::kYes) {
    sessions_.at(session_id).node_watches.insert(path);
    watchers_[path].insert(session_id);
  }
  const Tree& tree = TreeOf(sessions_.at(session_id));
  const auto found = tree.find(path);
  if (found == tree.end()) return NoNode(path);
  if (found->second.kept_from_all) return absl::PermissionDeniedError(absl::StrCat("get ", path));
  return found->second.znode;
}

absl::StatusOr<std::vector<std::string>> FakeZookeeper::List(int64_t session_id, const std::string& path, Watch watch) {
  RETURN_IF_ERROR(CheckPath(path));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckSession(session_id));
  const Tree& tree = TreeOf(sessions_.at(session_id));
  const auto found = tree.find(path);
  if (found == tree.end()) return NoNode(path);
  if (watch == Watch::kYes) {
    sessions_.at(session_id).child_watches.insert(path);
    watchers_[path].insert(session_id);
  }
  return std::vector<std::string>(found->second.children.begin(), found->second.children.end());
}

absl::Status FakeZookeeper::Write(int64_t session_id, const WriteOp& op, CreateMode mode) {
  RETURN_IF_ERROR(CheckWrite(op.path, op.data));
  absl::Status result;
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(CheckWritable(session_id));
    const std::optional<UnknownOutcome> outcome = std::exchange(next_write_outcome_, std::nullopt);
    if (outcome != UnknownOutcome::kNotPerformed) {
      result = Perform(op, mode == CreateMode::kEphemeral ? session_id : 0);
    }
    if (outcome.has_value()) result = absl::UnavailableError("connection lost");
  }
  DeliverIfImmediate();
  return result;
}

absl::Status FakeZookeeper::Perform(const WriteOp& op, int64_t ephemeral_owner) {
  if (op.kind == WriteOp::Kind::kCreatePersistent) return PerformCreate(op, ephemeral_owner);
  const auto found = nodes_.find(op.path);
  if (found == nodes_.end()) return NoNode(op.path);
  Znode& znode = found->second.znode;
  if (op.version != kAnyVersion && op.version != znode.version) {
    return absl::AbortedError(absl::StrCat(op.path, " has version ", znode.version, ", not ", op.version));
  }
  if (op.kind == WriteOp::Kind::kDelete) return PerformDelete(op);
  znode.data = op.data;
  ++znode.version;
  found->second.changed_at = ++changes_;
  FireNodeWatches(op.path);
  return absl::OkStatus();
}

absl::Status FakeZookeeper::PerformCreate(const WriteOp& op, int64_t ephemeral_owner) {
  if (nodes_.contains(op.path)) return absl::AlreadyExistsError(absl::StrCat(op.path, " exists"));
  const std::string parent = ParentOf(op.path);
  const auto found = nodes_.find(parent);
  if (found == nodes_.end()) return NoNode(parent);
  if (found->second.znode.ephemeral_owner != 0) {
    return absl::InvalidArgumentError(absl::StrCat(parent, " is ephemeral and cannot have children"));
  }
  found->second.children.insert(NameOf(op.path));
  found->second.children_changed_at = ++changes_;
  Node& node = nodes_[op.path];
  node.znode = {.data = op.data, .version = 0, .ephemeral_owner = ephemeral_owner};
  node.changed_at = node.children_changed_at = changes_;
  if (ephemeral_owner != 0) ephemerals_[ephemeral_owner].insert(op.path);
  FireNodeWatches(op.path);
  FireChildWatches(parent);
  return absl::OkStatus();
}

absl::Status FakeZookeeper::PerformDelete(const WriteOp& op) {
  const auto found = nodes_.find(op.path);
  if (op.path == "/" || !found->second.children.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(op.path, " has children"));
  }
  const std::string parent = ParentOf(op.path);
  if (const int64_t owner = found->second.znode.ephemeral_owner; owner != 0) ephemerals_[owner].erase(op.path);
  nodes_.erase(found);
  Node& parent_node = nodes_.at(parent);
  parent_node.children.erase(NameOf(op.path));
  parent_node.children_changed_at = ++changes_;
  FireNodeWatches(op.path);
  FireChildWatches(op.path);
  FireChildWatches(parent);
  return absl::OkStatus();
}

void FakeZookeeper::RemoveEphemerals(int64_t session_id) {
  const std::set<std::string> owned = ephemerals_[session_id];
  for (const std::string& path : owned) {
    const absl::Status deleted =
        PerformDelete({.kind = WriteOp::Kind::kDelete, .path = path, .data = "", .version = kAnyVersion});
    CHECK(deleted.ok()) << deleted;
  }
  ephemerals_.erase(session_id);
}

void FakeZookeeper::FireNodeWatches(const std::string& path) { FireWatches(path, &SessionState::node_watches); }

void FakeZookeeper::FireChildWatches(const std::string& path) { FireWatches(path, &SessionState::child_watches); }

void FakeZookeeper::FireWatches(const std::string& path, std::set<std::string> SessionState::*watches) {
  const auto watchers = watchers_.find(path);
  if (watchers == watchers_.end()) return;
  std::erase_if(watchers->second, [&](int64_t id) {
    mutex_.AssertHeld();
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return true;
    SessionState& session = found->second;
    if (session.isolated_tree == nullptr && (session.*watches).erase(path) > 0) FireWatch(id, path);
    return !session.node_watches.contains(path) && !session.child_watches.contains(path);
  });
  if (watchers->second.empty()) watchers_.erase(watchers);
}

void FakeZookeeper::FireWatch(int64_t session_id, const std::string& path) {
  if (!sessions_.at(session_id).connected) return;
  if (watch_events_to_drop_ > 0) {
    --watch_events_to_drop_;
    return;
  }
  Queue(session_id, EventKind::kChanged, path);
}

void FakeZookeeper::Queue(int64_t session_id, EventKind kind, std::string path) {
  events_.push_back({session_id, kind, std::move(path)});
}

}  // namespace tranche::quota
