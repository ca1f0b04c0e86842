#include "tests/simulation/sim_coordination.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "quota/coordination/coordination_paths.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::simulation {

using quota::Znode;

void DelayedObserver::Later(Event event) {
  if (observer_ == nullptr) return;
  World& world = process_->world();
  events_.push_back(std::move(event));
  world.scheduler.After(world.call_random.Between(world.scenario.event_delay_min, world.scenario.event_delay_max),
                        [self = shared_from_this()] { self->DeliverNext(); });
}

void DelayedObserver::DeliverNext() {
  if (observer_ == nullptr || process_->crashed()) return;
  if (process_->paused()) {
    return process_->world().scheduler.After(process_->paused_for(),
                                             [self = shared_from_this()] { self->DeliverNext(); });
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  event(*observer_);
  process_->NoteChange();
}

void DelayedObserver::OnChanged(const std::string& path) {
  if (observer_ == nullptr) return;
  World& world = process_->world();
  if (world.faulty && world.call_random.Chance(world.scenario.call_faults.watch_event_lost)) {
    return process_->NoteFault(Fault::kWatchEventLost);
  }
  Later([path](quota::CoordinationObserver& observer) { observer.OnChanged(path); });
}
void DelayedObserver::OnConnected() {
  Later([](quota::CoordinationObserver& observer) { observer.OnConnected(); });
}
void DelayedObserver::OnDisconnected() {
  Later([](quota::CoordinationObserver& observer) { observer.OnDisconnected(); });
}
void DelayedObserver::OnSessionExpired() {
  Later([](quota::CoordinationObserver& observer) { observer.OnSessionExpired(); });
}

SimSession::~SimSession() {
  observer_->Close();
  World& world = process_->world();
  if (!process_->crashed() || world.scheduler.stopping()) return;
  // The process does not close its session: the server keeps it until it times out.
  const quota::Coordination* const orphan = inner_.get();
  world.orphans.push_back({observer_, std::move(inner_)});
  world.scheduler.After(world.scenario.session_timeout, [&world, orphan] {
    std::erase_if(world.orphans, [orphan](const Orphan& other) { return other.session.get() == orphan; });
  });
}

bool SimSession::Wait() {
  const Scenario& scenario = process_->world().scenario;
  return process_->Await(scenario.coordination_delay_min, scenario.coordination_delay_max);
}

bool SimSession::ReadFails() {
  World& world = process_->world();
  if (!world.faulty || !world.call_random.Chance(world.scenario.call_faults.coordination)) return false;
  process_->NoteFault(Fault::kCoordinationReadFails);
  return true;
}

absl::StatusOr<Znode> SimSession::Get(const std::string& path, quota::Watch watch) {
  if (!Wait() || ReadFails()) return absl::UnavailableError("connection lost");
  auto znode = inner_->Get(path, watch);
  if (!Wait()) return absl::UnavailableError("crashed");
  return znode;
}

absl::StatusOr<std::vector<std::string>> SimSession::List(const std::string& path, quota::Watch watch) {
  if (!Wait() || ReadFails()) return absl::UnavailableError("connection lost");
  auto names = inner_->List(path, watch);
  if (!Wait()) return absl::UnavailableError("crashed");
  return names;
}

std::vector<absl::StatusOr<Znode>> SimSession::GetMany(absl::Span<const std::string> paths, quota::Watch watch) {
  const absl::Status lost = absl::UnavailableError("connection lost");
  std::vector<absl::StatusOr<Znode>> znodes;
  if (paths.empty()) return znodes;
  if (!Wait()) return std::vector<absl::StatusOr<Znode>>(paths.size(), lost);
  znodes = inner_->GetMany(paths, watch);
  // The connection breaks in the middle: the later ones are not answered.
  if (ReadFails()) {
    const auto first = process_->world().call_random.Below(static_cast<int64_t>(paths.size()));
    std::fill(znodes.begin() + first, znodes.end(), lost);
  }
  if (!Wait()) std::fill(znodes.begin(), znodes.end(), lost);
  return znodes;
}

template <typename Perform>
absl::Status SimSession::Write(Perform perform) {
  World& world = process_->world();
  const bool lost = world.faulty && world.call_random.Chance(world.scenario.call_faults.coordination);
  const bool performed = !lost || world.call_random.Chance(0.5);
  absl::Status status = absl::UnavailableError("connection lost");
  if (performed) status = perform();
  if (!lost) return status;
  process_->NoteFault(performed ? Fault::kCoordinationAnswerLost : Fault::kCoordinationWriteLost);
  return absl::UnavailableError("connection lost");
}

void SimSession::Performed(const std::string& path, const std::string& data, bool gone) {
  if (!absl::StartsWith(path, quota::kSlicesPath)) return;
  Checker& checker = process_->world().checker;
  internal::v1::SliceAnnouncement announcement;
  if (gone) {
    checker.OnAnnouncementGone(path);
  } else if (!data.empty() && announcement.ParseFromString(data)) {
    checker.OnAnnounced(process_->actor(), path, announcement.version());
  }
}

absl::Status SimSession::Create(const std::string& path, const std::string& data, quota::CreateMode mode) {
  if (!Wait()) return absl::UnavailableError("crashed");
  const absl::Status status = Write([&] { return inner_->Create(path, data, mode); });
  return Wait() ? status : absl::UnavailableError("crashed");
}

absl::Status SimSession::Set(const std::string& path, const std::string& data, int32_t version) {
  if (!Wait()) return absl::UnavailableError("crashed");
  const absl::Status status = Write([&] { return inner_->Set(path, data, version); });
  return Wait() ? status : absl::UnavailableError("crashed");
}

absl::Status SimSession::Delete(const std::string& path, int32_t version) {
  if (!Wait()) return absl::UnavailableError("crashed");
  const absl::Status status = Write([&] {
    const absl::Status deleted = inner_->Delete(path, version);
    if (deleted.ok()) Performed(path, "", /*gone=*/true);
    return deleted;
  });
  return Wait() ? status : absl::UnavailableError("crashed");
}

absl::Status SimSession::EnsureFixedPaths() {
  if (!Wait()) return absl::UnavailableError("crashed");
  const absl::Status status = Write([&] { return inner_->EnsureFixedPaths(); });
  return Wait() ? status : absl::UnavailableError("crashed");
}

// Pipelined, and no transaction: others may come in between, and a crash leaves a part undone.
std::vector<absl::Status> SimSession::Apply(absl::Span<const quota::WriteOp> ops) {
  std::vector<absl::Status> statuses(ops.size(), absl::UnavailableError("connection lost"));
  if (ops.empty() || !Wait()) return statuses;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (i > 0 && process_->world().call_random.Chance(0.25) && !Wait()) return statuses;
    statuses[i] = Write([&] {
      const absl::Status performed = inner_->Apply({&ops[i], 1}).front();
      if (performed.ok()) Performed(ops[i].path, ops[i].data, ops[i].kind == quota::WriteOp::Kind::kDelete);
      return performed;
    });
  }
  if (!Wait()) statuses.assign(ops.size(), absl::UnavailableError("crashed"));
  return statuses;
}

absl::StatusOr<std::unique_ptr<quota::Coordination>> SimConnector::Connect(quota::CoordinationObserver* observer) {
  const Scenario& scenario = process_->world().scenario;
  const auto wait = [&] { return process_->Await(scenario.coordination_delay_min, scenario.coordination_delay_max); };
  if (!wait()) return absl::UnavailableError("crashed");
  auto delayed = std::make_shared<DelayedObserver>(process_, observer);
  auto session = quota::FakeConnector(&process_->world().zookeeper).Connect(delayed.get());
  if (!session.ok()) return session.status();
  auto wrapped = std::make_unique<SimSession>(process_, *std::move(session), std::move(delayed));
  session_id_ = wrapped->SessionId();
  process_->Note("connected to ZooKeeper", session_id_);
  if (!wait()) return absl::UnavailableError("crashed");
  return wrapped;
}

}  // namespace tranche::simulation
