// The front door of a front node: its checks, where tries wait for their turn, and what keeps it and its waiting rooms
// up to date; and whom it asks outside of Tranche.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "quota/sale/sale_gate.h"
#include "server/admission/front_door.h"
#include "server/admission/turn_queue.h"
#include "server/node/door_watch.h"
#include "server/node/node_ledger.h"
#include "server/node/room_link.h"
#include "server/outbound/make_outside_checks.h"
#include "server/process/options.h"
#include "server/process/periodic_task.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::server {

// Thread-safe, except for starting and ending. Outlived by its dependencies; outlives the sellers that ask it, if turns
// are ended before those.
class NodeDoor {
 public:
  // `self`: the node's incarnation, kPool while it has none. `waiting_for_units`: how many wait for units; who waits
  // for their turn has only the places that they leave. Called when somebody is to wait. `outside`: what EnterSale
  // asks.
  NodeDoor(const ServerOptions& options, OutsideChecks outside, NodeLedger* ledger, quota::SessionSource* sessions,
           std::function<storage::IncarnationId()> self, std::function<size_t()> waiting_for_units);

  // Reads what the door goes by, and keeps it up to date from then on. An error's message is one line for operators: a
  // node that knows no policies must not sell, since it would let everybody in. Call it once the ledger has started.
  absl::Status Start();

  quota::SaleGate* gate() { return &door_; }
  FrontDoor& door() { return door_; }
  const FrontDoor& door() const { return door_; }
  // Without pointers once the threads are stopped.
  const OutsideChecks& outside() const { return outside_; }

  // What the tree says (quota::NodeHost::NoteFrontDoor). Does not block.
  void NoteAnnounced(int64_t version) { watch_.NoteAnnounced(version); }
  // The node has an incarnation now, and a session: finds those whom it shares limits with, and how far the waiting
  // rooms are; the latter takes a second at most. Blocks. Call it before the node serves, and after Start.
  void FindHomes();
  // Since the door knew all that the ledger had.
  absl::Duration age() const { return watch_.age(); }
  // As DoorWatch::AwaitLook.
  void CatchUp(absl::Duration timeout) { watch_.AwaitLook(timeout); }
  uint64_t failed_looks() const { return watch_.failures(); }
  // How many wait for their turn.
  size_t waiting() const { return turns_.waiting(); }

  // When the node ends: nobody waits any more. Those who do go on at once, and are refused since nothing is accepted.
  void EndTurns() { turns_.End(); }
  // Ends the threads, the turns, and what is asked outside. Call it when every EnterSale has its answer, since those
  // ask; and before their handler ends, which is called back. The agent, and the ledger's end, come after this.
  void StopThreads();

 private:
  OutsideChecks outside_;
  TurnQueue turns_;
  FrontDoor door_;
  DoorWatch watch_;
  RoomLink room_link_;
  // Last: they use the others.
  std::unique_ptr<PeriodicTask> turns_task_;
  std::unique_ptr<PeriodicTask> rooms_task_;  // null before Start
};

}  // namespace tranche::server
