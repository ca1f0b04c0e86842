#include "tests/simulation/fault_injector.h"

#include <glog/logging.h>

#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/ledger_mark.h"
#include "quota/coordination/read_announcement.h"
#include "storage/ledger/quota_ledger.h"
#include "tests/simulation/ledger_backup.h"
#include "tests/support/sessions.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kOldestBackup = absl::Seconds(6);
// Of a standby, behind its primary.
constexpr absl::Duration kLongestLag = absl::Milliseconds(500);
constexpr absl::Duration kLongestSwitch = absl::Milliseconds(500);
// From when the ledger serves again; docs/operations.md.
constexpr absl::Duration kLongestRecovery = absl::Seconds(10);

// A version that the ledger has not said: one that it might have said, or that none can say. None that comes true soon
// after: then a node would believe the wrong number.
int64_t InventVersion(Random& random) {
  const int64_t versions[] = {random.Between(int64_t{1000}, int64_t{1000000}),
                              storage::kMostRaisedVersion - 10000,
                              storage::kMostRaisedVersion + 10000,
                              quota::kMostVersion,
                              quota::kMostVersion + 1,
                              std::numeric_limits<int64_t>::max()};
  return versions[random.Below(6)];
}

void CloseByHand(Random& random, quota::Coordination& tree, const storage::Sku& sku) {
  internal::v1::SkuAnnouncement announcement;
  announcement.set_sku_id(sku.sku_id);
  announcement.set_state(internal::v1::SkuAnnouncement::STATE_CLOSED);
  announcement.set_per_user_limit(sku.per_user_limit);
  announcement.set_unsold(1);
  announcement.set_version(InventVersion(random));
  tree.Set(quota::SkuPath(sku.sku_id), announcement.SerializeAsString(), quota::kAnyVersion).IgnoreError();
}

// Returns the path.
std::string WriteSliceByHand(Random& random, quota::Coordination& tree, const storage::Sku& sku) {
  const auto incarnations = tree.List(quota::kSlicesPath, quota::Watch::kNo);
  if (!incarnations.ok() || incarnations->empty()) return "";
  const std::string path = quota::SlicePath(quota::ParseIncarnation(random.Pick(*incarnations)), sku.sku_id);
  const auto present = tree.Get(path, quota::Watch::kNo);
  internal::v1::SliceAnnouncement announcement;
  if (!present.ok() || !announcement.ParseFromString(present->data)) return "";
  announcement.set_allotted(random.Between(int64_t{0}, announcement.allotted()));
  if (random.Chance(0.8)) announcement.set_version(InventVersion(random));
  tree.Set(path, announcement.SerializeAsString(), quota::kAnyVersion).IgnoreError();
  return path;
}

}  // namespace

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
      // Without the mark nobody could notice what the ledger has lost (docs/operations.md).
      if (world_->checker.history_broke_off() || !world_->checker.LiveFromBefore().empty()) return;
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
    case Fault::kAnnouncementByHand:
    case Fault::kNewHistory: {
      testing::DeafObserver observer;
      const auto session = quota::FakeConnector(&world_->zookeeper).Connect(&observer);
      if (!session.ok()) return;
      MeddleWith(**session, fault);
      break;
    }
    case Fault::kLedgerDown:
      world_->ledger_down = true;
      Later(duration, [this] { world_->ledger_down = false; });
      break;
    case Fault::kLedgerRestored:
    case Fault::kLedgerPromoted:
      return LoseHistory(fault);
    case Fault::kSkuLocked:
      world_->locked_sku = world_->fault_random.Pick(scenario.skus).sku_id;
      Later(duration, [this] { world_->locked_sku.clear(); });
      break;
    case Fault::kBrokerDown:
    case Fault::kBrokerAlarm:
    case Fault::kBrokerConnectionsLost:
      InjectIntoBroker(fault, duration);
      break;
    default:
      if (!targets.empty()) InjectIntoProcess(fault, world_->fault_random.Pick(targets));
      return;
  }
  world_->Count(fault);
  world_->trace.Add(world_->scheduler.Now(), 0, NameOf(fault), absl::ToInt64Milliseconds(duration));
}

void FaultInjector::InjectIntoBroker(Fault fault, absl::Duration duration) {
  SimBroker& broker = world_->broker;
  switch (fault) {
    case Fault::kBrokerDown:
      broker.SetUp(false);
      return Later(duration, [&broker] { broker.SetUp(true); });
    case Fault::kBrokerAlarm:
      broker.server().Alarm(true);
      return Later(duration, [&broker] { broker.server().Alarm(false); });
    default:
      broker.server().LoseConnection();
      broker.Changed();
  }
}

void FaultInjector::LoseHistory(Fault fault) {
  const bool restored = fault == Fault::kLedgerRestored;
  Random& random = world_->fault_random;
  const auto backup = std::make_shared<const LedgerBackup>(*world_);
  const absl::Duration loss = restored ? random.Between(absl::Milliseconds(100), kOldestBackup)
                                       : random.Between(absl::ZeroDuration(), kLongestLag);
  const absl::Duration outage = random.Between(absl::Milliseconds(20), kLongestSwitch);
  Later(loss, [this, fault, restored, backup, outage] {
    if (!world_->faulty || world_->ledger_down) return;
    world_->ledger_down = true;
    Later(outage, [this, fault, restored, backup] {
      if (!world_->faulty) return;
      world_->ledger_down = false;
      if (!backup->LossIsNoticed(*world_, restored)) return;
      backup->Restore(*world_, restored);
      world_->Count(fault);
      world_->trace.Add(world_->scheduler.Now(), 0, NameOf(fault), backup->AgeMs(*world_));
      if (world_->scenario.name == "restores") ExpectRecovery();
    });
  });
}

// Nothing else fails: the nodes begin anew in time.
void FaultInjector::ExpectRecovery() {
  Later(kLongestRecovery, [this, epoch = world_->ledger_epoch] {
    if (epoch != world_->ledger_epoch || world_->checker.LiveFromBefore().empty()) return;
    world_->checker.Violated("restore", absl::StrCat("incarnation ", *world_->checker.LiveFromBefore().begin(),
                                                     " goes on with what the ledger has lost"));
  });
}

void FaultInjector::MeddleWith(quota::Coordination& tree, Fault fault) {
  Random& random = world_->fault_random;
  if (fault == Fault::kNewHistory) return quota::RequestNewHistory(tree).IgnoreError();
  const storage::Sku& sku = random.Pick(world_->scenario.skus);
  if (random.Chance(0.3)) return CloseByHand(random, tree, sku);
  // What was announced there before is gone.
  world_->checker.OnAnnouncementGone(WriteSliceByHand(random, tree, sku));
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
    case Fault::kProbesLie:
      if (target.node == nullptr || target.node->incarnation() == storage::kPool) return;
      process->NoteFault(fault, target.node->incarnation());
      world_->said_to_be_dead.insert(target.node->incarnation());
      return;
    case Fault::kPause: {
      const absl::Duration duration = world_->fault_random.Between(absl::Milliseconds(20), timeout * 3);
      process->Pause(duration);
      if (duration > timeout && target.connector != nullptr) ExpireAfterTimeout(target.connector->session_id());
      // The broker misses its heartbeats.
      if (duration > timeout && target.node != nullptr && target.node->consumes()) {
        target.node->CutOffFromBroker(absl::ZeroDuration());
      }
      return;
    }
    case Fault::kConsumerCutOff:
      if (target.node == nullptr || !target.node->consumes()) return;
      process->NoteFault(fault);
      return target.node->CutOffFromBroker(world_->fault_random.Between(absl::ZeroDuration(), timeout));
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
  world_->said_to_be_dead.clear();
  world_->broker.SetUp(true);
  world_->broker.server().Alarm(false);
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
