// A consumer of claim queues from start to end: a front node without buyers (docs/decisions/0021-queue.md).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/process/delayed_task.h"
#include "server/process/options.h"

namespace tranche::server {

class ConsumerNode {
 public:
  // As FrontNode::EndRequested.
  using EndRequested = std::function<void(const std::string& reason, int exit_status)>;
  ConsumerNode(const ConsumerOptions& options, EndRequested end_requested);
  // Without Drain: ends everything at once; what is held comes to others, and the balancer reclaims the units.
  ~ConsumerNode();
  ConsumerNode(const ConsumerNode&) = delete;
  ConsumerNode& operator=(const ConsumerNode&) = delete;

  // Returns once it has its registration; a broker that is not reached is tried again by itself. An error's message is
  // one line for operators.
  absl::Status Start();

  // Takes nothing more, decides what is under way, gives the rest back to the queues and the units to the pool. Blocks
  // for at most the drain timeout and a few seconds; otherwise the process exits with status 3. Call it after a
  // successful Start.
  void Drain();

  // The port that it listens on.
  int port() const;

 private:
  class Parts;

  void EndWithin(absl::Duration timeout);

  const ConsumerOptions options_;
  const EndRequested end_requested_;
  std::unique_ptr<DelayedTask> last_resort_;  // outlives the parts
  std::unique_ptr<Parts> parts_;
};

}  // namespace tranche::server
