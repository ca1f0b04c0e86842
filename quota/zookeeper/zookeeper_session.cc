#include "quota/zookeeper/zookeeper_session.h"

#include <glog/logging.h>
#include <zookeeper/zookeeper.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "quota/coordination/coordination_check.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/zookeeper/completions.h"
#include "quota/zookeeper/zookeeper_auth.h"
#include "quota/zookeeper/zookeeper_errors.h"
#include "quota/zookeeper/zookeeper_log.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

// Requests in flight at once: enough to hide the round trip, and a bound on what the client and the server keep for us.
constexpr size_t kMaxInFlight = 1000;

// Whether this thread is inside an observer.
thread_local bool in_observer = false;

absl::string_view Name(WriteOp::Kind kind) {
  switch (kind) {
    case WriteOp::Kind::kCreatePersistent:
      return "create ";
    case WriteOp::Kind::kSet:
      return "set ";
    case WriteOp::Kind::kDelete:
      return "delete ";
  }
  return "";
}

absl::StatusOr<Znode> ToZnode(ZookeeperReply& reply, const std::string& path) {
  if (reply.rc == ZOK) return std::move(reply.node);
  RETURN_IF_ERROR(CheckPath(path));
  return ZookeeperStatus(reply.rc, absl::StrCat("get ", path));
}

}  // namespace

ZookeeperSession::ZookeeperSession(const ZookeeperOptions& options, CoordinationObserver* observer)
    : root_(options.root == "/" ? "" : options.root),
      call_timeout_(std::min(options.call_timeout, options.session_timeout)),
      access_(options.auth_file.empty() ? &ZOO_OPEN_ACL_UNSAFE : &ZOO_CREATOR_ALL_ACL),
      observer_(observer) {}

ZookeeperSession::~ZookeeperSession() {
  CHECK(!in_observer) << "a session must not be destroyed by its observer";
  Enter(State::kClosing);
  if (handle_ == nullptr) return;
  const int rc = zookeeper_close(handle_);
  LOG_IF(WARNING, rc != ZOK && rc != ZCONNECTIONLOSS && rc != ZSESSIONEXPIRED && rc != ZINVALIDSTATE)
      << "closing ZooKeeper session: " << zerror(rc);
}

absl::StatusOr<std::unique_ptr<ZookeeperSession>> ZookeeperSession::Open(const ZookeeperOptions& options,
                                                                         CoordinationObserver* observer) {
  CHECK(!in_observer) << "an observer must not connect";
  std::string auth;
  if (!options.auth_file.empty()) {
    ASSIGN_OR_RETURN(auth, ReadZookeeperAuth(options.auth_file));
  }
  std::unique_ptr<ZookeeperSession> session(new ZookeeperSession(options, observer));
  RETURN_IF_ERROR(session->Start(options));
  if (!auth.empty()) RETURN_IF_ERROR(session->Authenticate(auth));
  RETURN_IF_ERROR(session->CreateTree());
  return session;
}

absl::Status ZookeeperSession::Start(const ZookeeperOptions& options) {
  LimitZookeeperLog();
  handle_ = zookeeper_init2(options.servers.c_str(), &ZookeeperSession::OnEvent,
                            static_cast<int>(absl::ToInt64Milliseconds(options.session_timeout)), nullptr, this,
                            ZOO_NO_LOG_CLIENTENV, LogFromZookeeper);
  if (handle_ == nullptr) {
    const int error = errno;
    const std::string text = absl::StrCat("cannot use ZooKeeper servers \"", options.servers, "\": ", strerror(error));
    return error == EINVAL ? absl::InvalidArgumentError(text) : absl::UnavailableError(text);
  }
  // Otherwise the client would resolve the host names each time it checks its socket, and miss pings while DNS is slow.
  zoo_set_servers_resolution_delay(handle_, -1);

  absl::MutexLock lock(&mutex_);
  const auto decided = [this] {
    mutex_.AssertReaderHeld();
    return state_ != State::kConnecting;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&decided), options.connect_timeout);
  if (state_ != State::kConnected) {
    return absl::UnavailableError(absl::StrCat("no ZooKeeper server answered at ", options.servers, " within ",
                                               absl::FormatDuration(options.connect_timeout)));
  }
  const clientid_t* const id = zoo_client_id(handle_);
  session_id_ = id->client_id;
  password_.assign(id->passwd, sizeof(id->passwd));
  return absl::OkStatus();
}

absl::Status ZookeeperSession::Authenticate(const std::string& auth) {
  // The client puts the identity in front of everything that it has to send, and wakes its thread only for other
  // requests. So one goes with it, that needs no rights.
  const int rc =
      Run(2,
          [&](size_t i, const void* token) {
            if (i == 1) return zoo_aexists(handle_, "/", 0, FinishStat, token);
            return zoo_add_auth(handle_, "digest", auth.data(), static_cast<int>(auth.size()), FinishVoid, token);
          })
          .front()
          .rc;
  // The server closes the session, and the client may notice that first.
  if (rc == ZAUTHFAILED || rc == ZINVALIDSTATE || rc == ZSESSIONEXPIRED) {
    return absl::PermissionDeniedError(
        "ZooKeeper refuses the identity of --zookeeper-auth-file: its scheme \"digest\" may be switched off there");
  }
  return ZookeeperStatus(rc, "authenticate");
}

absl::Status ZookeeperSession::CreateTree() {
  const std::vector<std::string> fixed(std::begin(kFixedPaths), std::end(kFixedPaths));
  // Normally everything exists, and then a thousand nodes that start together need not write.
  const std::vector<absl::StatusOr<Znode>> found = GetMany(fixed, Watch::kNo);
  if (std::all_of(found.begin(), found.end(), [](const auto& node) { return node.ok(); })) return absl::OkStatus();

  // Below a root of somebody else's, creating would say that everything exists.
  for (const absl::StatusOr<Znode>& node : found) {
    if (absl::IsPermissionDenied(node.status())) return node.status();
  }

  std::vector<std::string> full_paths;
  for (size_t end = root_.find('/', 1); !root_.empty(); end = root_.find('/', end + 1)) {
    full_paths.push_back(root_.substr(0, end));
    if (end == std::string::npos) break;
  }
  const size_t above = full_paths.size();
  for (size_t i = 0; i < fixed.size(); ++i) {
    if (!found[i].ok()) full_paths.push_back(FullPath(fixed[i]));
  }
  // All at once: a session's requests are carried out in the order in which they were sent.
  const std::vector<ZookeeperReply> replies = Run(full_paths.size(), [&](size_t i, const void* token) {
    return SendCreate(full_paths[i], "", ZOO_PERSISTENT, token);
  });
  absl::Status denied;
  for (size_t i = 0; i < replies.size(); ++i) {
    const int rc = replies[i].rc;
    if (rc == ZOK || rc == ZNODEEXISTS) continue;
    if (rc == ZNONODE && !denied.ok()) return denied;
    const absl::Status failed = ZookeeperStatus(rc, absl::StrCat("create ", full_paths[i]));
    if (rc != ZNOAUTH || i >= above) return failed;
    // Where nobody may create anything, ZooKeeper does not say that it exists. The first level shows whether it does.
    denied = failed;
  }
  return absl::OkStatus();
}

void ZookeeperSession::OnEvent(zhandle_t*, int type, int state, const char* path, void* context) noexcept {
  // handle_ may not be set yet: the first event can come before zookeeper_init2 has returned.
  auto* const session = static_cast<ZookeeperSession*>(context);
  in_observer = true;
  if (type == ZOO_SESSION_EVENT) {
    session->OnSessionState(state);
  } else if (type != ZOO_NOTWATCHING_EVENT) {
    session->OnNodeEvent(path);
  }
  in_observer = false;
}

void ZookeeperSession::OnSessionState(int state) {
  if (state == ZOO_CONNECTED_STATE) {
    const State before = Enter(State::kConnected);
    if (before == State::kConnecting || before == State::kDisconnected) observer_->OnConnected();
  } else if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE) {
    const State before = Enter(State::kExpired);
    if (before == State::kConnected) observer_->OnDisconnected();
    if (before != State::kExpired && before != State::kClosing) observer_->OnSessionExpired();
  } else if (Enter(State::kDisconnected) == State::kConnected) {
    observer_->OnDisconnected();
  }
}

void ZookeeperSession::OnNodeEvent(const char* path) {
  {
    absl::MutexLock lock(&mutex_);
    if (state_ == State::kClosing) return;
  }
  absl::string_view below_root(path);
  if (!absl::ConsumePrefix(&below_root, root_)) return;
  observer_->OnChanged(below_root.empty() ? "/" : std::string(below_root));
}

ZookeeperSession::State ZookeeperSession::Enter(State state) {
  absl::MutexLock lock(&mutex_);
  const State before = state_;
  // The last two states only end by closing. A session that never connected is still connecting.
  const bool is_final = before == State::kClosing || (before == State::kExpired && state != State::kClosing);
  const bool is_still_connecting = before == State::kConnecting && state == State::kDisconnected;
  if (!is_final && !is_still_connecting) state_ = state;
  return before;
}

int ZookeeperSession::NotConnectedCode() {
  absl::MutexLock lock(&mutex_);
  if (state_ == State::kConnected) return ZOK;
  return state_ == State::kExpired ? ZSESSIONEXPIRED : ZCONNECTIONLOSS;
}

std::vector<ZookeeperReply> ZookeeperSession::Run(size_t count, Send send) {
  CHECK(!in_observer) << "an observer must not call its session";
  const absl::Time deadline = absl::Now() + call_timeout_;
  std::vector<ZookeeperReply> replies;
  replies.reserve(count);
  while (replies.size() < count) {
    const size_t first = replies.size();
    const size_t size = std::min(kMaxInFlight, count - first);
    // Fail at once: the client would queue the requests until it is connected again.
    const int not_connected = absl::Now() >= deadline ? ZOPERATIONTIMEOUT : NotConnectedCode();
    const auto batch = std::make_shared<ReplyBatch>(size);
    for (size_t i = 0; i < size; ++i) {
      const void* const token = pending_.Add(batch, i);
      const int rc = not_connected == ZOK ? send(first + i, token) : not_connected;
      // A request that was not accepted gets no completion.
      if (rc != ZOK) PendingCalls::Finish(token, {.rc = rc, .node = {}, .children = {}});
    }
    for (ZookeeperReply& reply : batch->Wait(deadline)) replies.push_back(std::move(reply));
  }
  return replies;
}

std::string ZookeeperSession::FullPath(const std::string& path) const {
  return path == "/" && !root_.empty() ? root_ : root_ + path;
}

std::vector<std::string> ZookeeperSession::FixedPaths() const {
  std::vector<std::string> paths;
  for (const char* const path : kFixedPaths) paths.push_back(FullPath(path));
  return paths;
}

int ZookeeperSession::SendCreate(const std::string& full_path, const std::string& data, int flags, const void* token) {
  return zoo_acreate(handle_, full_path.c_str(), data.data(), static_cast<int>(data.size()), access_, flags,
                     FinishString, token);
}

TreeAccessCalls ZookeeperSession::AccessCalls() {
  TreeAccessCalls calls;
  calls.read_access = [this](const std::vector<std::string>& paths) {
    return Run(paths.size(),
               [&](size_t i, const void* token) { return zoo_aget_acl(handle_, paths[i].c_str(), FinishAcl, token); });
  };
  calls.protect = [this](const std::vector<std::string>& paths) {
    return Run(paths.size(), [&](size_t i, const void* token) {
      return zoo_aset_acl(handle_, paths[i].c_str(), kAnyVersion, access_, FinishVoid, token);
    });
  };
  calls.list = [this](const std::vector<std::string>& paths) {
    return Run(paths.size(), [&](size_t i, const void* token) {
      return zoo_aget_children(handle_, paths[i].c_str(), 0, FinishStrings, token);
    });
  };
  return calls;
}

absl::StatusOr<TreeProtection> ZookeeperSession::ProtectTree() {
  if (access_ == &ZOO_OPEN_ACL_UNSAFE) return TreeProtection();
  if (walk_ == nullptr) walk_ = std::make_unique<TreeWalk>(root_, FixedPaths(), AccessCalls());
  absl::StatusOr<TreeProtection> part = walk_->Step();
  if (!part.ok() || part->done) walk_ = nullptr;
  return part;
}

std::vector<ZookeeperReply> ZookeeperSession::SendGets(absl::Span<const std::string> paths, bool watch) {
  return Run(paths.size(), [&](size_t i, const void* token) -> int {
    if (!CheckPath(paths[i]).ok()) return ZBADARGUMENTS;
    return zoo_aget(handle_, FullPath(paths[i]).c_str(), watch, FinishData, token);
  });
}

void ZookeeperSession::WatchMissing(absl::Span<const std::string> paths, std::vector<ZookeeperReply>& replies) {
  std::vector<size_t> missing;
  for (size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].rc == ZNONODE) missing.push_back(i);
  }
  // A get leaves no watch if the node does not exist; an "exists" does. A node that was made in between is read again.
  // A few rounds are enough, unless a node comes and goes all the time: then its reader is told to try again.
  for (int round = 0; round < 4 && !missing.empty(); ++round) {
    std::vector<ZookeeperReply> exists = Run(missing.size(), [&](size_t i, const void* token) {
      return zoo_aexists(handle_, FullPath(paths[missing[i]]).c_str(), 1, FinishStat, token);
    });
    std::vector<size_t> created;
    std::vector<std::string> created_paths;
    for (size_t i = 0; i < exists.size(); ++i) {
      if (exists[i].rc != ZOK) {
        replies[missing[i]] = std::move(exists[i]);
        continue;
      }
      created.push_back(missing[i]);
      created_paths.push_back(paths[missing[i]]);
    }
    std::vector<ZookeeperReply> again = SendGets(created_paths, true);
    missing.clear();
    for (size_t i = 0; i < again.size(); ++i) {
      if (again[i].rc == ZNONODE) missing.push_back(created[i]);
      replies[created[i]] = std::move(again[i]);
    }
  }
  for (const size_t i : missing) replies[i].rc = ZOPERATIONTIMEOUT;
}

absl::StatusOr<Znode> ZookeeperSession::Get(const std::string& path, Watch watch) {
  return std::move(GetMany(absl::MakeConstSpan(&path, 1), watch).front());
}

std::vector<absl::StatusOr<Znode>> ZookeeperSession::GetMany(absl::Span<const std::string> paths, Watch watch) {
  std::vector<ZookeeperReply> replies = SendGets(paths, watch == Watch::kYes);
  if (watch == Watch::kYes) WatchMissing(paths, replies);
  std::vector<absl::StatusOr<Znode>> results;
  results.reserve(paths.size());
  for (size_t i = 0; i < paths.size(); ++i) results.push_back(ToZnode(replies[i], paths[i]));
  return results;
}

absl::StatusOr<std::vector<std::string>> ZookeeperSession::List(const std::string& path, Watch watch) {
  RETURN_IF_ERROR(CheckPath(path));
  ZookeeperReply reply =
      std::move(Run(1, [&](size_t, const void* token) {
                  return zoo_aget_children(handle_, FullPath(path).c_str(), watch == Watch::kYes, FinishStrings, token);
                }).front());
  if (reply.rc != ZOK) return ZookeeperStatus(reply.rc, absl::StrCat("list ", path));
  std::sort(reply.children.begin(), reply.children.end());
  return std::move(reply.children);
}

absl::Status ZookeeperSession::Create(const std::string& path, const std::string& data, CreateMode mode) {
  RETURN_IF_ERROR(CheckWrite(path, data));
  const int flags = mode == CreateMode::kEphemeral ? ZOO_EPHEMERAL : ZOO_PERSISTENT;
  const std::vector<ZookeeperReply> replies =
      Run(1, [&](size_t, const void* token) { return SendCreate(FullPath(path), data, flags, token); });
  return ZookeeperStatus(replies.front().rc, absl::StrCat("create ", path));
}

absl::Status ZookeeperSession::Set(const std::string& path, const std::string& data, int32_t version) {
  const WriteOp op{.kind = WriteOp::Kind::kSet, .path = path, .data = data, .version = version};
  return Apply(absl::MakeConstSpan(&op, 1)).front();
}

absl::Status ZookeeperSession::Delete(const std::string& path, int32_t version) {
  const WriteOp op{.kind = WriteOp::Kind::kDelete, .path = path, .data = "", .version = version};
  return Apply(absl::MakeConstSpan(&op, 1)).front();
}

std::vector<absl::Status> ZookeeperSession::Apply(absl::Span<const WriteOp> ops) {
  const auto send = [&](size_t i, const void* token) -> int {
    const WriteOp& op = ops[i];
    if (!CheckWrite(op.path, op.data).ok()) return ZBADARGUMENTS;
    const std::string path = FullPath(op.path);
    switch (op.kind) {
      case WriteOp::Kind::kCreatePersistent:
        return SendCreate(path, op.data, ZOO_PERSISTENT, token);
      case WriteOp::Kind::kSet:
        return zoo_aset(handle_, path.c_str(), op.data.data(), static_cast<int>(op.data.size()), op.version, FinishStat,
                        token);
      case WriteOp::Kind::kDelete:
        return zoo_adelete(handle_, path.c_str(), op.version, FinishVoid, token);
    }
    return ZBADARGUMENTS;
  };
  const std::vector<ZookeeperReply> replies = Run(ops.size(), send);
  std::vector<absl::Status> results;
  results.reserve(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    absl::Status checked = CheckWrite(ops[i].path, ops[i].data);
    results.push_back(checked.ok() ? ZookeeperStatus(replies[i].rc, absl::StrCat(Name(ops[i].kind), ops[i].path))
                                   : std::move(checked));
  }
  return results;
}

}  // namespace tranche::quota
