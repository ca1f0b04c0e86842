// What a node's agent asks of, and tells, its process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tranche::quota {

// Called on the agent's thread; must not block for long, nor call the agent.
class NodeHost {
 public:
  virtual ~NodeHost() = default;

  // An operator drains or undrains the node: while draining it refuses new requests.
  virtual void SetDraining(bool draining) = 0;
  // Is every request that was granted units decided? Only asked while draining.
  virtual bool Idle() = 0;
  // The operator wants the process to end, and its units are handed back.
  virtual void ExitAfterDrain() = 0;
  // Does the node's commit path reach the ledger?
  virtual bool LedgerAnswers() = 0;
  // Which shards besides home does it not reach?
  virtual std::vector<std::string> SilentShards() { return {}; }
  // Why is its health NOT_SERVING although it neither drains nor ends? "" while it serves. For people.
  virtual std::string WhyUnhealthy() { return {}; }
  // The flags whose files it cannot use as they are now, so that it goes on with what it read from them before.
  virtual std::vector<std::string> FaultyFiles() { return {}; }
  // What the tree says that the version of the front door's data is (coordination/front_door_announcement.h); 0 if it
  // says none. Told at every change, and again from time to time.
  virtual void NoteFrontDoor(int64_t /*version*/) {}
};

}  // namespace tranche::quota
