// Private RabbitMQ brokers for a test.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/support/child_process.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {

// How brokers on one machine find each other and their tools: an epmd on a port of its own, and a shared secret. It
// dies with the thread that started it. Brokers that share one may form a cluster.
class RabbitmqNeighbourhood {
 public:
  RabbitmqNeighbourhood();

  // Once.
  absl::Status Start();
  // Of brokers and tools.
  std::map<std::string, std::string> Environment() const;

 private:
  ScratchDir scratch_{"rabbitmq-home"};  // the home folder: the secret is there
  int port_ = 0;
  std::unique_ptr<ChildProcess> epmd_;
};

// One broker from the distribution's package, on a free port of 127.0.0.1, with its data in a scratch folder. Its user
// is guest, with the password guest. It dies with the thread that started it, at the latest. Not thread-safe. Takes
// some seconds to start.
class MiniRabbitmq {
 public:
  // Alone.
  MiniRabbitmq();
  // In a cluster, of which `member` (another broker's node_name()) is; "": it begins one. The neighbourhood has been
  // started, and outlives it.
  MiniRabbitmq(const RabbitmqNeighbourhood* neighbourhood, std::string member);
  ~MiniRabbitmq();

  // Before Start: it also serves TLS, with this certificate. It asks nobody for theirs.
  void ServeTls(const std::string& certificate_pem, const std::string& key_pem);

  // Starts the broker and returns when it serves. After Stop or Kill: the same port, name and data.
  absl::Status Start();

  // Ends it in an orderly way (SIGTERM) or like a crash (SIGKILL), and waits until it is gone.
  absl::Status Stop();
  absl::Status Kill();

  // Freezes it (SIGSTOP) and lets it continue: a broker that exists and does not answer.
  absl::Status Freeze();
  absl::Status Thaw();

  // Until it has on its disk where the quorum queue's log is: a broker that is killed within half a second of a queue's
  // making forgets it, and with it what the queue holds.
  absl::Status AwaitOnDisk(const std::string& queue) const;

  // Has it believe that it has no memory left, so that it blocks who publishes; or again that it has. Takes seconds.
  absl::Status SetMemoryAlarm(bool on);

  bool running() const { return process_ != nullptr; }
  // "127.0.0.1:port"
  std::string address() const;
  // After Start; served a moment after the other one.
  int tls_port() const { return tls_port_; }
  std::string node_name() const;
  // The broker's log, to be shown when a test fails.
  std::string log_file() const { return (scratch_.path() / "rabbitmq.log").string(); }

 private:
  absl::Status StartOnPorts();
  absl::Status WaitUntilServing();
  void WriteConfig() const;
  std::map<std::string, std::string> Environment() const;
  absl::Status End(int signal);

  ScratchDir scratch_{"rabbitmq"};
  std::unique_ptr<RabbitmqNeighbourhood> own_neighbourhood_;
  const RabbitmqNeighbourhood* neighbourhood_ = nullptr;
  const std::string member_;
  int port_ = 0;  // chosen by the first Start
  bool serves_tls_ = false;
  int tls_port_ = 0;
  int distribution_port_ = 0;  // for the other members and the tools
  std::unique_ptr<ChildProcess> process_;
};

// Three brokers; a quorum queue that is declared at one of them has a member at each.
class MiniRabbitmqCluster {
 public:
  static constexpr size_t kBrokers = 3;

  // Starts all of them. Once.
  absl::Status Start();
  MiniRabbitmq& broker(size_t index) { return *brokers_[index]; }
  // "127.0.0.1:port,127.0.0.1:port,127.0.0.1:port"
  std::string addresses() const;

 private:
  RabbitmqNeighbourhood neighbourhood_;
  std::vector<std::unique_ptr<MiniRabbitmq>> brokers_;
};

}  // namespace tranche::testing
