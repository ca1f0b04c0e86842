// The broker as one consumer takes claims out of it. Each message takes its time on its way, and so does what the
// consumer says of it. The connection may break, and the consumer may learn of that late, or die just before it can
// say that a claim is decided.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "server/queue/claim_queue.h"
#include "server/queue/queued_claim.h"
#include "tests/simulation/process.h"

namespace tranche::simulation {

class SimClaimSource : public server::ClaimSource {
 public:
  // Outlived by the process.
  explicit SimClaimSource(Process* process) : process_(process) {}
  ~SimClaimSource() override {
    SimClaimSource::Stop();
    *self_ = nullptr;
  }

  void Start(std::vector<std::string> queues, int prefetch, Receiver* receiver) override;
  void Pause() override;
  void Resume() override;
  void Settle(const std::string& queue, uint64_t tag, server::Settlement settlement) override;
  void Stop() override;
  bool Up() const override { return connection_ != nullptr; }

  // The connection breaks. The broker knows at once, and gives to others what was handed over here; this process
  // learns of it after a while, and connects again.
  void Break(absl::Duration unnoticed);

 private:
  class Connection;

  void Connect();
  void Receive(server::ClaimDelivery delivery);
  void NoteLost(const std::string& queue);
  void NoteBroken();
  // Dies, or loses the connection, just before it can say that a claim is decided.
  bool FailsBeforeDone();

  Process* const process_;
  std::vector<std::string> queues_;
  int prefetch_ = 1;
  Receiver* receiver_ = nullptr;  // null: not started, or stopped
  bool paused_ = false;
  std::shared_ptr<Connection> connection_;
  std::map<uint64_t, server::QueuedClaim> held_;  // handed over and not settled, by tag, which grows
  const std::shared_ptr<SimClaimSource*> self_ = std::make_shared<SimClaimSource*>(this);  // null when this is gone
};

}  // namespace tranche::simulation
