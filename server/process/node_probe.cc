#include "server/process/node_probe.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/process/descriptor_limit.h"

namespace tranche::server {
namespace {

using quota::ProbedNode;
using storage::IncarnationId;

// An epoll event's number for the waker; no incarnation has it.
constexpr IncarnationId kWaker = storage::kPool;
// Events that are taken at once.
constexpr int kMostEvents = 64;
// So many more SYNs after the first one, so 3 s: then the try has failed.
constexpr int kSynRetries = 1;
// A host that has vanished does not close its connections. After 10 s without a sign it is asked three times, every
// 5 s; then the connection is lost, so that a later one can prove something.
constexpr int kKeepIdleS = 10, kKeepIntervalS = 5, kKeepProbes = 3;

// What this process opens besides: a few connections for each shard, to ZooKeeper, and files.
constexpr uint64_t kOtherDescriptors = 64;

void SetNumber(int socket, int level, int option, int value) {
  setsockopt(socket, level, option, &value, sizeof(value));
}

FileDescriptor NewProbeSocket(int family) {
  FileDescriptor made(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.open()) return made;
  SetNumber(made.number(), IPPROTO_TCP, TCP_SYNCNT, kSynRetries);
  SetNumber(made.number(), SOL_SOCKET, SO_KEEPALIVE, 1);
  SetNumber(made.number(), IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdleS);
  SetNumber(made.number(), IPPROTO_TCP, TCP_KEEPINTVL, kKeepIntervalS);
  SetNumber(made.number(), IPPROTO_TCP, TCP_KEEPCNT, kKeepProbes);
  // Closed without waiting, so that nothing stays in TIME_WAIT on either side.
  const linger at_once{1, 0};
  setsockopt(made.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  return made;
}

// `operation` as for epoll_ctl. The end of a connection is told even if what came before it is not read.
bool Listen(const FileDescriptor& epoll, int operation, int socket, uint32_t events, IncarnationId incarnation) {
  epoll_event wanted{};
  wanted.events = events | EPOLLRDHUP;
  wanted.data.u64 = static_cast<uint64_t>(incarnation);
  return epoll_ctl(epoll.number(), operation, socket, &wanted) == 0;
}

int ToWaitMs(absl::Duration wait) {
  if (wait == absl::InfiniteDuration()) return -1;
  return static_cast<int>(std::max<int64_t>(0, absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1)))));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TcpNodeProbe>> TcpNodeProbe::Start(ResolveName resolve) {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  FileDescriptor waker(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.open() || !waker.open() || !Listen(epoll, EPOLL_CTL_ADD, waker.number(), EPOLLIN, kWaker)) {
    return absl::UnavailableError(absl::StrCat("cannot watch the nodes' processes (", strerror(errno),
                                               "): raise the limit of open files, or use --probe-nodes off"));
  }
  return std::unique_ptr<TcpNodeProbe>(new TcpNodeProbe(std::move(epoll), std::move(waker), std::move(resolve)));
}

size_t TcpNodeProbe::MostNodes(uint64_t descriptor_limit) {
  const uint64_t left = descriptor_limit - std::min(descriptor_limit, kOtherDescriptors);
  return std::min<uint64_t>(left, quota::ProbeVerdicts::kMostNodes);
}

TcpNodeProbe::TcpNodeProbe(FileDescriptor epoll, FileDescriptor waker, ResolveName resolve)
    : epoll_(std::move(epoll)),
      waker_(std::move(waker)),
      resolve_(std::move(resolve)),
      verdicts_(MostNodes(DescriptorLimit())),
      resolver_([this] { ResolveNames(); }),
      thread_([this] { Run(); }) {}

TcpNodeProbe::~TcpNodeProbe() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  WakeThread();
  thread_.join();
  resolver_.join();
}

void TcpNodeProbe::Watch(const std::vector<ProbedNode>& nodes, std::function<void()> found_dead) {
  absl::MutexLock lock(&mutex_);
  found_dead_ = std::move(found_dead);
  verdicts_.Watch(nodes, absl::Now());
  std::erase_if(connections_, [this](const auto& entry)
                                  ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !verdicts_.Watches(entry.first); });
  std::erase_if(to_resolve_,
                [this](IncarnationId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !verdicts_.Watches(id); });
  WakeThread();
}

void TcpNodeProbe::WatchNobody() {
  absl::MutexLock lock(&mutex_);
  // It is only called under the lock.
  found_dead_ = nullptr;
  verdicts_.Forget();
  connections_.clear();
  to_resolve_.clear();
}

std::set<IncarnationId> TcpNodeProbe::FoundDead() {
  absl::MutexLock lock(&mutex_);
  return verdicts_.dead();
}

quota::NodeProbeStats TcpNodeProbe::Stats() {
  absl::MutexLock lock(&mutex_);
  return verdicts_.stats(absl::Now());
}

void TcpNodeProbe::WakeThread() {
  const uint64_t one = 1;
  // It can only fail if the thread has not taken billions of earlier ones.
  if (write(waker_.number(), &one, sizeof(one)) < 0) return;
}

void TcpNodeProbe::Run() {
  while (Turn()) {
  }
}

bool TcpNodeProbe::Turn() {
  int wait_ms = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return false;
    // On one machine a refusal may come at once.
    const size_t dead_before = verdicts_.dead().size();
    ConnectToDue();
    TellOfDeaths(dead_before);
    wait_ms = ToWaitMs(verdicts_.NextDue() - absl::Now());
  }
  epoll_event events[kMostEvents];
  const int happened = epoll_wait(epoll_.number(), events, kMostEvents, wait_ms);
  absl::MutexLock lock(&mutex_);
  const size_t dead_before = verdicts_.dead().size();
  for (int i = 0; i < happened; ++i) {
    const auto incarnation = static_cast<IncarnationId>(events[i].data.u64);
    if (incarnation != kWaker) {
      Handle(incarnation);
      continue;
    }
    uint64_t count = 0;
    if (read(waker_.number(), &count, sizeof(count)) < 0) continue;
  }
  TellOfDeaths(dead_before);
  return !stopping_;
}

void TcpNodeProbe::TellOfDeaths(size_t dead_before) {
  if (verdicts_.dead().size() > dead_before && found_dead_ != nullptr) found_dead_();
}

void TcpNodeProbe::ConnectToDue() {
  for (const ProbedNode& node : verdicts_.TakeDue(absl::Now())) {
    Connection& connection = connections_[node.incarnation];
    connection.address = node.address;
    Begin(node.incarnation, connection);
  }
}

// A name is looked up until an address that it gave has worked: from then on its process does not move.
void TcpNodeProbe::Begin(IncarnationId incarnation, Connection& connection) {
  if (connection.addresses.empty()) {
    const std::optional<Address> address = ParseAddress(connection.address);
    if (!address.has_value() || address->port == 0) return NotResolved(incarnation, "that is not HOST:PORT");
    auto resolved = resolve_(*address, Lookup::kNumbersOnly);
    if (!resolved.ok()) {
      to_resolve_.push_back(incarnation);
      return;
    }
    connection.addresses = *std::move(resolved);
  }
  Connect(incarnation, connection);
}

void TcpNodeProbe::Connect(IncarnationId incarnation, Connection& connection) {
  const SocketAddress& to = connection.addresses[connection.next];
  connection.established = false;
  connection.socket = NewProbeSocket(to.address.ss_family);
  if (!connection.socket.open()) return Failed(incarnation, connection, errno);
  const int socket = connection.socket.number();
  if (connect(socket, to.get(), to.length) != 0 && errno != EINPROGRESS) return Failed(incarnation, connection, errno);
  // What came of it is an event, also if it was at once.
  if (!Listen(epoll_, EPOLL_CTL_ADD, socket, EPOLLOUT, incarnation)) Failed(incarnation, connection, errno);
}

void TcpNodeProbe::Handle(IncarnationId incarnation) {
  const auto found = connections_.find(incarnation);
  if (found == connections_.end() || !found->second.socket.open()) return;
  Connection& connection = found->second;
  if (connection.established) {
    connection.established = false;
    connection.socket = FileDescriptor();
    verdicts_.NoteLost(incarnation, absl::Now());
    return;
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(connection.socket.number(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return Failed(incarnation, connection, error);
  Established(incarnation, connection);
}

void TcpNodeProbe::Established(IncarnationId incarnation, Connection& connection) {
  if (!Listen(epoll_, EPOLL_CTL_MOD, connection.socket.number(), 0, incarnation)) {
    return Failed(incarnation, connection, errno);
  }
  connection.established = true;
  connection.worked = true;
  verdicts_.NoteConnected(incarnation, absl::Now());
}

void TcpNodeProbe::Failed(IncarnationId incarnation, Connection& connection, int error) {
  connection.socket = FileDescriptor();
  if (!connection.worked && ++connection.next >= connection.addresses.size()) {
    // None worked: they may be of another machine than the name means by now.
    connection.addresses.clear();
    connection.next = 0;
  }
  if (error == ECONNREFUSED) {
    verdicts_.NoteRefused(incarnation, absl::Now());
  } else {
    verdicts_.NoteFailed(incarnation, absl::Now(), strerror(error));
  }
}

void TcpNodeProbe::NotResolved(IncarnationId incarnation, const std::string& reason) {
  verdicts_.NoteFailed(incarnation, absl::Now(), reason);
}

void TcpNodeProbe::ResolveNames() {
  while (true) {
    IncarnationId incarnation = storage::kPool;
    std::optional<Address> address;
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !to_resolve_.empty(); };
      mutex_.Await(absl::Condition(&wanted));
      if (stopping_) return;
      incarnation = to_resolve_.front();
      to_resolve_.pop_front();
      const auto found = connections_.find(incarnation);
      if (found == connections_.end() || !found->second.addresses.empty()) continue;
      address = ParseAddress(found->second.address);
    }
    auto resolved = resolve_(*address, Lookup::kNames);
    absl::MutexLock lock(&mutex_);
    // It may not be watched any more, or watched anew.
    const auto found = connections_.find(incarnation);
    if (found == connections_.end() || !found->second.addresses.empty()) continue;
    if (resolved.ok()) {
      found->second.addresses = *std::move(resolved);
      Connect(incarnation, found->second);
    } else {
      NotResolved(incarnation, std::string(resolved.status().message()));
    }
    // There may be something due earlier than the thread knows.
    WakeThread();
  }
}

}  // namespace tranche::server
