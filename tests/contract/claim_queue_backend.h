// The brokers that the contract of claim queues runs on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "server/queue/claim_queue.h"

namespace tranche::server {

// One broker under test, with queues of its own.
class ClaimQueueBackend {
 public:
  virtual ~ClaimQueueBackend() = default;
  // Of a queue that nobody else uses. It is declared by admin().
  virtual std::string queue() const = 0;
  virtual ClaimPublisher& publisher() = 0;
  virtual ClaimQueueAdmin& admin() = 0;
  // Ends before the backend.
  virtual std::unique_ptr<ClaimSource> MakeSource() = 0;
  // Cuts off all sources for a moment.
  virtual void LoseConnections() = 0;
  virtual bool CanAlarm() const = 0;
  virtual void SetAlarm(bool on) = 0;
};

struct ClaimQueueBackendFactory {
  std::string name;
  // A queue holds about `max_length` messages.
  std::function<std::unique_ptr<ClaimQueueBackend>(int64_t max_length)> make;

  friend void PrintTo(const ClaimQueueBackendFactory& factory, std::ostream* out) { *out << factory.name; }
};

ClaimQueueBackendFactory FakeClaimQueues();
ClaimQueueBackendFactory RabbitClaimQueues();

}  // namespace tranche::server
