// Everything that a worker does for one shard, each task on threads of its own, so that none blocks another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/worker/audit_retirer.h"
#include "server/worker/drawer.h"
#include "server/worker/expirer.h"
#include "server/worker/group_expirer.h"
#include "server/worker/group_retirer.h"
#include "server/worker/loop.h"
#include "server/worker/reminder.h"
#include "server/worker/retirer.h"
#include "server/worker/sink.h"
#include "server/worker/sink_relay.h"
#include "storage/clock.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/health_ledger.h"
#include "storage/ledger/outbox_ledger.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::server {

struct ShardWorkerOptions {
  bool expire = true;  // holds, and groups
  ExpirerOptions expirer;
  GroupExpirerOptions group_expirer;
  bool remind = false;
  ReminderOptions reminder;
  bool retire = true;  // reservations, and groups
  RetirerOptions retirer;
  GroupRetirerOptions group_retirer;
  bool retire_audit = true;
  AuditRetirerOptions audit_retirer;
  bool draw = true;
  DrawerOptions drawer;
  RelayOptions relay;
};

class ShardWorker {
 public:
  // Starts to work at once. The ledgers are one shard's; if one does not answer, the worker waits for it. The sinks may
  // serve other shards as well.
  ShardWorker(storage::UpkeepLedger* upkeep, storage::OutboxLedger* outbox, storage::DrawLedger* draws,
              storage::GroupLedger* groups, const std::vector<Sink*>& sinks, storage::Clock* clock,
              const ShardWorkerOptions& options);
  // Stops, and waits for the steps that have begun.
  ~ShardWorker();
  ShardWorker(const ShardWorker&) = delete;
  ShardWorker& operator=(const ShardWorker&) = delete;

  // Does not wait, so that several shards can stop side by side.
  void RequestStop();

  // Its parts, for those who watch it; null if it does not do that. They live as long as this.
  const Expirer* expirer() const { return expirer_.get(); }
  const GroupExpirer* group_expirer() const { return group_expirer_.get(); }
  const Retirer* retirer() const { return retirer_.get(); }
  const GroupRetirer* group_retirer() const { return group_retirer_.get(); }
  const Drawer* drawer() const { return drawer_.get(); }
  std::vector<const SinkRelay*> relays() const;

  // What it does, for its heartbeat. From any thread.
  storage::Heartbeat Describe() const;

  // The most connections to the ledger that it uses at once, with its heartbeat's and one for reads for the metrics.
  static int ConnectionsFor(int sinks);

 private:
  storage::Clock* const clock_;
  const ShardWorkerOptions options_;
  std::vector<std::string> sink_names_;
  std::unique_ptr<Expirer> expirer_;
  std::unique_ptr<GroupExpirer> group_expirer_;
  std::unique_ptr<Reminder> reminder_;
  std::unique_ptr<Retirer> retirer_;
  std::unique_ptr<GroupRetirer> group_retirer_;
  std::unique_ptr<AuditRetirer> audit_retirer_;
  std::unique_ptr<Drawer> drawer_;
  std::vector<std::unique_ptr<SinkRelay>> relays_;
  std::vector<std::unique_ptr<Loop>> loops_;  // last: they use the others
};

}  // namespace tranche::server
