// What makes a node a consumer of the claim queues: the real ClaimConsumer over the simulated broker.
#pragma once

#include "server/queue/claim_consumer.h"
#include "storage/books.h"
#include "tests/simulation/process.h"
#include "tests/simulation/queue/sim_claim_source.h"

namespace tranche::simulation {

class ConsumerPart {
 public:
  // Outlived by the process. `sell` and `sell_cart` answer only while the process lives.
  ConsumerPart(Process* process, server::ClaimConsumer::Sell sell, server::ClaimConsumer::SellCart sell_cart,
               storage::Books* books);

  // The body of a fiber, until the process ends: takes claims, and decides them.
  void Run();

  void SetDraining(bool draining) { consumer_.SetDraining(draining); }
  bool idle() const { return consumer_.held() == 0; }
  // After SetDraining: whatever is not decided goes back.
  void GiveBack() { consumer_.Drain(absl::ZeroDuration()); }
  void CutOff(absl::Duration unnoticed) { source_.Break(unnoticed); }

 private:
  Process* const process_;
  SimClaimSource source_;
  server::ClaimConsumer consumer_;
};

}  // namespace tranche::simulation
