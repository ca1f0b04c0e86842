// A private ZooKeeper server for a test.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "tests/support/child_process.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {

// One standalone server from the distribution's package, on a free port of 127.0.0.1, with its data in a scratch
// folder. It dies with the thread that started it, at the latest. Sessions may have timeouts from 0.5 s to 60 s. Not
// thread-safe.
class MiniZookeeper {
 public:
  MiniZookeeper();
  ~MiniZookeeper();

  // Starts the server and returns when it serves. After Stop or Kill: the same port and data.
  absl::Status Start();

  // Ends it in an orderly way (SIGTERM) or like a crash (SIGKILL), and waits until it is gone.
  absl::Status Stop();
  absl::Status Kill();

  // Freezes it (SIGSTOP) and lets it continue: a server that exists and does not answer.
  absl::Status Freeze();
  absl::Status Thaw();

  bool running() const { return process_ != nullptr; }
  // Serves since its first start, without a pause.
  bool undisturbed() const { return running() && !disturbed_; }
  // "127.0.0.1:port"
  std::string connect_string() const;
  // The server's log, to be shown when a test fails.
  std::string log_file() const { return (scratch_.path() / "zookeeper.log").string(); }

 private:
  absl::Status StartOnPort();
  absl::Status WaitUntilServing();
  void WriteConfig() const;

  ScratchDir scratch_{"zookeeper"};
  int port_ = 0;  // chosen by the first Start
  bool disturbed_ = false;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace tranche::testing
