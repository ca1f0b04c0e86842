// Serves ReservationService/CreateReservation from a peer: gRPC's threads put calls into a bounded queue, and threads
// that each have a seller take them out. Other methods are UNIMPLEMENTED.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/benchmark/peers/call_queue.h"
#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

// Calls that wait at once; what comes beyond is refused as OVERLOADED.
inline constexpr size_t kMostWaiting = 16384;

class PeerServer {
 public:
  // Connects a seller for each thread and serves on a free port of 127.0.0.1. The peer has been started, and outlives
  // this.
  static absl::StatusOr<std::unique_ptr<PeerServer>> Start(Peer& peer, int threads, size_t most_waiting = kMostWaiting);
  ~PeerServer();  // Stop
  PeerServer(const PeerServer&) = delete;
  PeerServer& operator=(const PeerServer&) = delete;

  int port() const { return port_; }

  // Takes no more calls and answers those that it has; those that take longer than five seconds are cancelled. Call it
  // once or more, from one thread.
  void Stop();

 private:
  explicit PeerServer(size_t most_waiting);
  void Work(Seller& seller);

  CallQueue queue_;
  const std::unique_ptr<grpc::Service> service_;
  int port_ = 0;
  std::vector<std::unique_ptr<Seller>> sellers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace tranche::peers
