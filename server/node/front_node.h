// A front node from start to end: makes its parts, connects them and takes them apart in the right order.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/process/delayed_task.h"
#include "server/process/options.h"

namespace tranche::server {

class FrontNode {
 public:
  // `end_requested` is called when the process is to end, by Drain and then with this exit status: an operator has
  // drained the node, or nobody can connect to it any more. It may be called more than once and must not block its
  // thread.
  using EndRequested = std::function<void(const std::string& reason, int exit_status)>;
  FrontNode(const ServerOptions& options, EndRequested end_requested);
  // Without Drain: ends everything at once; the balancer reclaims the units.
  ~FrontNode();
  FrontNode(const FrontNode&) = delete;
  FrontNode& operator=(const FrontNode&) = delete;

  // Returns once the node sells. An error's message is one line for operators.
  absl::Status Start();

  // Refuses new claims, answers the accepted ones, hands the units back, ends the calls. What is not answered by the
  // drain timeout is refused, or aborted and answered as unknown. Blocks for at most the drain timeout and a few
  // seconds. If it or the destructor after it takes longer, the process exits with status 3. Call it after a successful
  // Start, not on a gRPC thread.
  void Drain();

  // The port that it listens on.
  int port() const;
  // That of AdminService; 0 if it is off.
  int admin_port() const;

 private:
  class Parts;

  void EndWithin(absl::Duration timeout);

  const ServerOptions options_;
  const EndRequested end_requested_;
  std::unique_ptr<DelayedTask> last_resort_;  // outlives the parts
  std::unique_ptr<Parts> parts_;
};

}  // namespace tranche::server
