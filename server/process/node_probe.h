// Watches the processes of front nodes over plain TCP: a connection to each, over which nothing is sent and nothing is
// read. When a process ends, its machine closes the connection, and refuses new ones.
//
// Nothing is said, so it is all the same whether the node speaks TLS, and gRPC logs no fault of a handshake.
//
// One thread and epoll. A connection that nothing happens to costs a descriptor and a keepalive probe every ten
// seconds. gRPC closes one that does not begin HTTP/2 after 20 s (rpc/grpc_server.cc), so with 1,000 nodes about 50
// connections a second are made again. quota/balancer/probe_verdicts.h says what proves a death.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "quota/balancer/node_probe.h"
#include "quota/balancer/probe_verdicts.h"
#include "server/process/file_descriptor.h"
#include "server/process/socket_address.h"
#include "storage/base/address.h"

namespace tranche::server {

class TcpNodeProbe : public quota::NodeProbe {
 public:
  using ResolveName = std::function<absl::StatusOr<std::vector<SocketAddress>>(const Address&, Lookup)>;

  // Fails if this process may have no more descriptors. `resolve` is called from two threads; for numbers
  // it must not block.
  static absl::StatusOr<std::unique_ptr<TcpNodeProbe>> Start(ResolveName resolve = Resolve);
  // How many nodes a process that may have so many descriptors open can watch.
  static size_t MostNodes(uint64_t descriptor_limit);
  // Waits for the look-up of a name that is under way.
  ~TcpNodeProbe() override;
  TcpNodeProbe(const TcpNodeProbe&) = delete;
  TcpNodeProbe& operator=(const TcpNodeProbe&) = delete;

  void Watch(const std::vector<quota::ProbedNode>& nodes, std::function<void()> found_dead) override;
  void WatchNobody() override;
  std::set<storage::IncarnationId> FoundDead() override;
  quota::NodeProbeStats Stats() override;

 private:
  struct Connection {
    std::string address;                   // as the node names it
    std::vector<SocketAddress> addresses;  // what it resolves to; empty: not known yet
    size_t next = 0;                       // which of them is tried
    bool worked = false;                   // then it stays with that one
    FileDescriptor socket;
    bool established = false;
  };

  TcpNodeProbe(FileDescriptor epoll, FileDescriptor waker, ResolveName resolve);

  void Run();
  bool Turn();
  // If more are dead than before.
  void TellOfDeaths(size_t dead_before) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ConnectToDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Begin(storage::IncarnationId incarnation, Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Connect(storage::IncarnationId incarnation, Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Handle(storage::IncarnationId incarnation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Established(storage::IncarnationId incarnation, Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `error` is of the system.
  void Failed(storage::IncarnationId incarnation, Connection& connection, int error)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Before there was anything to connect to.
  void NotResolved(storage::IncarnationId incarnation, const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeThread();

  void ResolveNames();

  const FileDescriptor epoll_;
  const FileDescriptor waker_;
  const ResolveName resolve_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> found_dead_ ABSL_GUARDED_BY(mutex_);
  quota::ProbeVerdicts verdicts_ ABSL_GUARDED_BY(mutex_);
  std::map<storage::IncarnationId, Connection> connections_ ABSL_GUARDED_BY(mutex_);
  // Whose names are to be looked up; at most one entry for each connection that is due.
  std::deque<storage::IncarnationId> to_resolve_ ABSL_GUARDED_BY(mutex_);
  // Last: they use the others. A name server that does not answer must not delay the one that watches.
  std::thread resolver_;
  std::thread thread_;
};

}  // namespace tranche::server
