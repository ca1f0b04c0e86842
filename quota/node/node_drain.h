// Draining a node: an operator asks it to stop selling; it waits until its grants are decided, and hands its units
// back.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "quota/node/node_host.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Used in the agent's turns.
class NodeDrain {
 public:
  // Dependencies outlive it. The units go back after `patience` at the latest, even if claims are undecided: the ledger
  // refuses those.
  NodeDrain(storage::StockLedger* ledger, Announcer* announcer, NodeHost* host, storage::Clock* clock,
            absl::Duration patience)
      : ledger_(ledger), announcer_(announcer), host_(host), clock_(clock), patience_(patience) {}

  // Looks in the tree whether this incarnation is asked to drain, and obeys if the ledger says the same. Leaves
  // watches. kNotFound: the tree has gone.
  absl::Status Read(Coordination& session, storage::IncarnationId incarnation);
  // Follows the ledger's flag while the tree says nothing.
  void FollowLedger(bool draining) { Follow(draining, exit_wanted_); }

  // A drained node stays drained when it begins a new incarnation.
  bool requested() const { return state_ != State::kServing; }
  // Is a drain requested, and not all units handed back yet?
  bool waiting() const { return state_ == State::kWaitingForIdle; }
  // The request as it is in the tree.
  std::string Request() const;

  // While a drain is requested: once the node is idle, hands back what the ledger says the incarnation holds, including
  // what was announced to it since the last time, and ends the process if that is wanted.
  absl::Status ReturnUnits(storage::IncarnationId incarnation);

 private:
  enum class State { kServing, kWaitingForIdle, kReturned };

  void Heed(storage::IncarnationId incarnation, bool requested, bool exit);
  void Follow(bool requested, bool exit);
  struct Returned {
    int64_t skus = 0;
    int64_t units = 0;
  };
  // Adds what was moved to `*returned`, as the ledger had it right before.
  absl::Status MoveAllToPool(storage::IncarnationId incarnation, Returned* returned);

  storage::StockLedger* const ledger_;
  Announcer* const announcer_;
  NodeHost* const host_;
  storage::Clock* const clock_;
  const absl::Duration patience_;

  State state_ = State::kServing;
  absl::Time since_ = absl::InfinitePast();
  bool exit_wanted_ = false;
};

}  // namespace tranche::quota
