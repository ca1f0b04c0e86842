// A front node from start to end: makes its parts, puts them together and takes them apart in the right order.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "server/process/delayed_task.h"
#include "server/process/options.h"

namespace tranche::server {

class FrontNode {
 public:
  // `exit_requested` is called when an operator has drained the node and wants the process to end, on a thread that
  // must not be kept; perhaps more than once.
  FrontNode(const ServerOptions& options, std::function<void()> exit_requested);
  // Without Drain: ends everything at once; the balancer reclaims the units.
  ~FrontNode();
  FrontNode(const FrontNode&) = delete;
  FrontNode& operator=(const FrontNode&) = delete;

  // Returns once the node sells. An error's message is one line for operators.
  absl::Status Start();

  // Refuses new claims, answers the accepted ones, hands the units back, ends the calls. What is not answered by the
  // drain timeout is refused, or broken off and answered as unknown. Blocks for that long at most and a few seconds
  // more. Should something hold it up for longer, or the destructor after it, the process ends with status 3. Not from
  // a gRPC thread; after a Start that succeeded.
  void Drain();

  // The port that it listens at.
  int port() const;

 private:
  class Parts;

  void EndWithin(absl::Duration timeout);

  const ServerOptions options_;
  const std::function<void()> exit_requested_;
  std::unique_ptr<DelayedTask> last_resort_;  // outlives the parts
  std::unique_ptr<Parts> parts_;
};

}  // namespace tranche::server
