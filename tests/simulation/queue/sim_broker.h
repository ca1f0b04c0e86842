// The broker of a simulated run, with what all processes know of it: its queues, and the key of tickets.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/admission/front_keys.h"
#include "server/queue/claim_queue.h"
#include "server/queue/fake/fake_claim_queue.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/scheduler.h"

namespace tranche::simulation {

class SimBroker {
 public:
  SimBroker(const Scenario& scenario, Scheduler* scheduler, Random random);

  server::FakeClaimBroker& server() { return server_; }
  const std::vector<std::string>& queues() const { return queues_; }
  std::string QueueOf(const std::string& sku_id) const;
  const std::shared_ptr<const server::FrontKeys>& keys() const { return keys_; }
  // A message's way, one way.
  absl::Duration Way();

  // Something has changed: what can be delivered now is, in a moment.
  void Changed();
  void SetUp(bool up);
  // Operators let consumers rest.
  void SetClaimsPaused(bool paused) { claims_paused_ = paused; }
  bool claims_paused() const { return claims_paused_; }
  // Puts dead letters into their queues again, as operators do. Returns how many.
  int64_t RetryDead();

  // Since when messages have been waiting in the queue all the time; the future: none waits.
  absl::Time WaitingSince(const std::string& queue) const;
  // Since when the broker has been within reach; the future: it is not.
  absl::Time up_since() const { return up_since_; }

 private:
  void NoteDepths();

  Scheduler* const scheduler_;
  Random random_;
  server::FakeClaimBroker server_;
  const std::unique_ptr<server::ClaimQueueAdmin> admin_;
  const std::unique_ptr<server::ClaimPublisher> publisher_;
  const int partitions_;
  std::vector<std::string> queues_;
  const std::shared_ptr<const server::FrontKeys> keys_;
  bool delivers_soon_ = false;
  bool claims_paused_ = false;
  absl::Time up_since_;
  std::map<std::string, absl::Time> waiting_since_;
};

}  // namespace tranche::simulation
