// A network that tests can cut.
#pragma once

#include <list>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tranche::testing {

// Listens on a free port of 127.0.0.1 and forwards every connection to a server, until it is cut. Thread-safe.
class TcpForwarder {
 public:
  // `target` is "host:port"; of a list "host:port,host:port" the first is taken.
  explicit TcpForwarder(const std::string& target);
  ~TcpForwarder();
  TcpForwarder(const TcpForwarder&) = delete;
  TcpForwarder& operator=(const TcpForwarder&) = delete;

  // "127.0.0.1:port"
  std::string address() const;

  // Ends all connections; until Restore new ones are ended at once. When it returns, no byte passes any more.
  void Cut();
  void Restore();

 private:
  struct Pair {
    int client;
    int server;
  };

  void Run();
  void Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string target_;
  int port_ = 0;
  int listener_ = -1;
  int wake_[2] = {-1, -1};  // a pipe: a byte or its end ends the thread's poll

  absl::Mutex mutex_;
  std::list<Pair> pairs_ ABSL_GUARDED_BY(mutex_);
  bool cut_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

// A TCP connection to the first of "host:port,host:port"; -1 if it is refused.
int ConnectTcp(const std::string& addresses);

}  // namespace tranche::testing
