#include "tests/simulation/fault_injector.h"

#include <glog/logging.h>

#include <utility>
#include <vector>

#include "quota/coordination/coordination_paths.h"

namespace tranche::simulation {

void FaultInjector::Run() {
  const Scenario& scenario = world_->scenario;
  if (scenario.staged_faults.empty()) return;
  while (true) {
    world_->scheduler.Sleep(world_->fault_random.Between(absl::ZeroDuration(), scenario.between_faults * 2));
    if (!world_->faulty || world_->scheduler.stopping()) return;
    Inject(world_->fault_random.Pick(scenario.staged_faults));
  }
}

void FaultInjector::Later(absl::Duration delay, absl::AnyInvocable<void()> repair) {
  world_->scheduler.After(delay, std::move(repair));
}

void FaultInjector::Inject(Fault fault) {
  const absl::Duration duration =
      world_->fault_random.Between(absl::Milliseconds(20), world_->scenario.session_timeout * 2);
  const std::vector<Target> targets = cluster_->Targets();
  const Scenario& scenario = world_->scenario;
  switch (fault) {
    case Fault::kZookeeperDown:
      SetZookeeperDown(true);
      Later(duration, [this] { SetZookeeperDown(false); });
      break;
    case Fault::kTreeDeleted:
      world_->zookeeper.DeleteTree();
      world_->checker.OnTreeDeleted();
      break;
    case Fault::kTreeRestored:
      Later(duration, [this, backup = world_->zookeeper.Backup(quota::kSlicesPath)] {
        if (!world_->faulty) return;
        world_->checker.OnTreeDeleted();
        world_->zookeeper.Restore(backup);
      });
      break;
    case Fault::kLedgerDown:
      world_->ledger_down = true;
      Later(duration, [this] { world_->ledger_down = false; });
      break;
    case Fault::kSkuLocked:
      world_->locked_sku = world_->fault_random.Pick(scenario.skus).sku_id;
      Later(duration, [this] { world_->locked_sku.clear(); });
      break;
    default:
      if (!targets.empty()) InjectIntoProcess(fault, world_->fault_random.Pick(targets));
      return;
  }
  world_->Count(fault);
  world_->trace.Add(world_->scheduler.Now(), 0, NameOf(fault), absl::ToInt64Milliseconds(duration));
}

void FaultInjector::InjectIntoProcess(Fault fault, const Target& target) {
  const absl::Duration timeout = world_->scenario.session_timeout;
  Process* const process = target.process;
  switch (fault) {
    case Fault::kCrash:
      return process->Crash();
    case Fault::kRestart:
      if (target.node == nullptr) return;
      process->NoteFault(fault);
      return target.node->StopInOrder();
    case Fault::kPause: {
      const absl::Duration duration = world_->fault_random.Between(absl::Milliseconds(20), timeout * 3);
      process->Pause(duration);
      if (duration > timeout && target.connector != nullptr) ExpireAfterTimeout(target.connector->session_id());
      return;
    }
    case Fault::kLedgerCutOffFromOne:
      process->NoteFault(fault);
      process->CutOffFromLedger(true);
      return Later(world_->fault_random.Between(absl::Milliseconds(20), timeout * 3), [this, process] {
        if (cluster_->Lives(process)) process->CutOffFromLedger(false);
      });
    default:
      if (target.connector == nullptr || !world_->zookeeper.HasSession(target.connector->session_id())) return;
      process->NoteFault(fault, target.connector->session_id());
      return InjectIntoSession(fault, target.connector->session_id());
  }
}

void FaultInjector::InjectIntoSession(Fault fault, int64_t session) {
  quota::FakeZookeeper& zookeeper = world_->zookeeper;
  const absl::Duration timeout = world_->scenario.session_timeout;
  const absl::Duration duration = world_->fault_random.Between(absl::Milliseconds(20), timeout * 2);
  const auto repair = [this, session] {
    if (!world_->zookeeper.HasSession(session)) return;
    world_->zookeeper.Rejoin(session);
    if (!world_->zookeeper_down) world_->zookeeper.Reconnect(session);
  };
  switch (fault) {
    case Fault::kSessionExpires:
      return zookeeper.ExpireSession(session);
    case Fault::kSessionCutOff:
      zookeeper.Disconnect(session);
      break;
    case Fault::kFollowerIsolated:
      zookeeper.Isolate(session, /*can_write=*/false);
      break;
    case Fault::kFollowerLags:
      zookeeper.Isolate(session, /*can_write=*/true);
      return Later(duration, repair);
    default:
      LOG(FATAL) << "not a fault of sessions: " << NameOf(fault);
  }
  if (duration > timeout) ExpireAfterTimeout(session);
  Later(duration, repair);
}

void FaultInjector::ExpireAfterTimeout(int64_t session) {
  Later(world_->scenario.session_timeout, [this, session] {
    if (world_->faulty && world_->zookeeper.HasSession(session)) world_->zookeeper.ExpireSession(session);
  });
}

void FaultInjector::SetZookeeperDown(bool down) {
  world_->zookeeper_down = down;
  world_->zookeeper.SetDown(down);
}

void FaultInjector::Heal() {
  world_->faulty = false;
  world_->ledger_down = false;
  world_->locked_sku.clear();
  SetZookeeperDown(false);
  for (const Target& target : cluster_->Targets()) {
    target.process->CutOffFromLedger(false);
    if (target.connector == nullptr) continue;
    const int64_t session = target.connector->session_id();
    if (!world_->zookeeper.HasSession(session)) continue;
    world_->zookeeper.Rejoin(session);
    world_->zookeeper.Reconnect(session);
  }
}

}  // namespace tranche::simulation
