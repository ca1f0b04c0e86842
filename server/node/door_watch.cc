#include "server/node/door_watch.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/random/random.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/base/log_event.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

using storage::FrontChanges;

// So many entries that cannot be read are named in a line of the log.
constexpr size_t kUnreadableTold = 5;

std::shared_ptr<const AccessLists> NewAccess(const DoorState& known, const FrontChanges& changes) {
  // A list may have 200,000 entries: it is copied only if some of them change.
  if (!changes.complete && changes.entries.empty()) return known.access;
  auto access = changes.complete ? std::make_shared<AccessLists>() : std::make_shared<AccessLists>(*known.access);
  access->Apply(changes.entries);
  return access;
}

// Whom it is about is not known, so they may buy here, or be limited, against an operator's will.
void LogUnreadable(const AccessLists& access) {
  if (access.unreadable() == 0) return;
  const auto quoted = [](std::string* out, const std::string& subject) {
    absl::StrAppend(out, "'", absl::CHexEscape(subject), "'");
  };
  LOG_EVERY_T(WARNING, 60) << "entries of the front door's access list that this version cannot read, and that count "
                              "for nobody here: "
                           << access.unreadable() << ", such as "
                           << absl::StrJoin(access.SomeUnreadable(kUnreadableTold), ", ", quoted);
}

void SetPolicy(const storage::FrontPolicyRow& row, DoorState* state) {
  if (row.document.empty()) {
    state->policies.erase(row.sku_id);
    return;
  }
  auto policy = std::make_shared<const DoorPolicy>(CompilePolicy(row));
  LOG_IF(WARNING, !policy->unreadable.empty())
      << "the front door's policy of " << row.sku_id << " cannot be read by this version (" << policy->unreadable
      << "): its buyers are sent to other nodes";
  state->policies.insert_or_assign(row.sku_id, std::move(policy));
}

std::shared_ptr<const DoorState> NewState(const DoorState& known, const FrontChanges& changes) {
  auto state = std::make_shared<DoorState>();
  state->version = changes.version;
  state->mode = changes.mode.value_or(known.mode);
  state->access = NewAccess(known, changes);
  state->keys = std::make_shared<const FrontKeys>(changes.keys);
  if (!changes.complete) state->policies = known.policies;
  for (const storage::FrontPolicyRow& row : changes.policies) SetPolicy(row, state.get());
  return state;
}

void TellMode(const DoorState& before, const DoorState& state) {
  if (before.mode.kind == state.mode.kind) return;
  LOG(WARNING) << "the service mode is " << storage::ServiceModeName(state.mode.kind) << " now, set by "
               << state.mode.changed_by << ": it was " << storage::ServiceModeName(before.mode.kind);
}

}  // namespace

DoorWatch::DoorWatch(storage::FrontLedger* ledger, FrontDoor* door, quota::SessionSource* sessions,
                     std::function<storage::IncarnationId()> self, storage::Clock* clock)
    : ledger_(ledger),
      door_(door),
      sessions_(sessions),
      self_(std::move(self)),
      clock_(clock),
      known_at_us_(absl::ToUnixMicros(clock->Now())),
      state_(door->state()) {}

DoorWatch::~DoorWatch() { StopThread(); }

absl::Status DoorWatch::Begin() {
  const absl::Time began_at = clock_->Now();
  ASSIGN_OR_RETURN(const FrontChanges changes, ReadChanges());
  Apply(changes);
  known_at_us_.store(absl::ToUnixMicros(began_at), std::memory_order_relaxed);
  return absl::OkStatus();
}

void DoorWatch::StartThread() {
  thread_ = std::thread([this] { Run(); });
}

void DoorWatch::StopThread() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void DoorWatch::NoteAnnounced(int64_t version) {
  absl::MutexLock lock(&mutex_);
  if (announced_ == version) return;
  announced_ = version;
  look_wanted_ = true;
}

void DoorWatch::AwaitLook(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  look_wanted_ = true;
  const uint64_t wanted = looks_begun_ + 1;
  const auto done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || looks_ended_ >= wanted; };
  mutex_.AwaitWithTimeout(absl::Condition(&done), timeout);
}

bool DoorWatch::look_wanted() const {
  absl::MutexLock lock(&mutex_);
  return look_wanted_;
}

absl::Duration DoorWatch::rest() const {
  absl::MutexLock lock(&mutex_);
  return Rest();
}

// Never longer than it was meant to be, should the clock be set back.
absl::Duration DoorWatch::Rest() const {
  return std::clamp(rest_until_ - clock_->Now(), absl::ZeroDuration(), kRestAfterChange);
}

absl::Duration DoorWatch::age() const {
  const absl::Time known_at = absl::FromUnixMicros(known_at_us_.load(std::memory_order_relaxed));
  return std::max(absl::ZeroDuration(), clock_->Now() - known_at);
}

void DoorWatch::Run() {
  absl::BitGen random;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || look_wanted_; };
      const absl::Duration pause = kLookEvery * absl::Uniform(random, kLeastPause, kMostPause);
      const absl::Duration rest = Rest();
      mutex_.AwaitWithTimeout(absl::Condition(&stopping_), rest);
      mutex_.AwaitWithTimeout(absl::Condition(&wanted), pause - rest);
      if (stopping_) return;
    }
    Look();
  }
}

void DoorWatch::Look() {
  {
    absl::MutexLock lock(&mutex_);
    look_wanted_ = false;
    ++looks_begun_;
  }
  const absl::Time began_at = clock_->Now();
  if (const absl::Status followed = Follow(); followed.ok()) {
    known_at_us_.store(absl::ToUnixMicros(began_at), std::memory_order_relaxed);
  } else {
    failures_.fetch_add(1, std::memory_order_relaxed);
    LOG_EVERY_T(WARNING, 60) << "the front door's policies, keys and access list cannot be read, so those of "
                             << absl::FormatDuration(absl::Trunc(age(), absl::Seconds(1)))
                             << " ago hold: " << followed.message();
  }
  LogUnreadable(*state_->access);
  if (!state_->policies.empty() || looks_++ % kLooksForHomes == 0) FindHomes();
  absl::MutexLock lock(&mutex_);
  ++looks_ended_;
}

absl::Status DoorWatch::Follow() {
  ASSIGN_OR_RETURN(const storage::FrontVersion version, ledger_->ReadFrontVersion());
  if (version == state_->version) return absl::OkStatus();
  ASSIGN_OR_RETURN(const FrontChanges changes, ReadChanges());
  Apply(changes);
  absl::MutexLock lock(&mutex_);
  rest_until_ = clock_->Now() + kRestAfterChange;
  return absl::OkStatus();
}

absl::StatusOr<FrontChanges> DoorWatch::ReadChanges() {
  absl::StatusOr<FrontChanges> changes = ReadPages(state_->version);
  // Who knows nothing is told everything, on each page.
  return absl::IsAborted(changes.status()) ? ReadPages({}) : std::move(changes);
}

absl::StatusOr<FrontChanges> DoorWatch::ReadPages(const storage::FrontVersion& known) {
  ASSIGN_OR_RETURN(FrontChanges changes, ledger_->ReadFrontChanges(known, std::nullopt));
  while (changes.next.has_value()) {
    ASSIGN_OR_RETURN(FrontChanges page, ledger_->ReadFrontChanges(known, changes.next));
    // The ledger was restored, or so much has changed meanwhile that it tells everything now.
    if (page.complete != changes.complete) return absl::AbortedError("the ledger's history changed while it was read");
    std::move(page.entries.begin(), page.entries.end(), std::back_inserter(changes.entries));
    changes.next = std::move(page.next);
  }
  return changes;
}

void DoorWatch::Apply(const FrontChanges& changes) {
  std::shared_ptr<const DoorState> state = NewState(*state_, changes);
  // Before the first limits count: a node that knows of no others lets each key have all of them.
  if (state_->policies.empty() && !state->policies.empty()) FindHomes();
  TellMode(*state_, *state);
  state_ = std::move(state);
  door_->SetState(state_);
  LogEvent("door.loaded", {{"version", state_->version.number},
                           {"policies", static_cast<int64_t>(state_->policies.size())},
                           {"access_entries", static_cast<int64_t>(state_->access->size())}});
}

void DoorWatch::FindHomes() {
  const storage::IncarnationId self = self_();
  if (self == storage::kPool) return;
  const std::shared_ptr<quota::Coordination> session = sessions_->Session();
  if (session == nullptr) return;
  const auto names = session->List(quota::kNodesPath, quota::Watch::kNo);
  const auto drained = session->List(quota::kDrainPath, quota::Watch::kNo);
  if (!names.ok() || !drained.ok()) return;
  std::vector<storage::IncarnationId> nodes;
  for (const std::string& name : *names) {
    const storage::IncarnationId node = quota::ParseIncarnation(name);
    // A node that is drained lets nobody in: its keys would only get the others' shares.
    if (node != storage::kPool && !absl::c_linear_search(*drained, name)) nodes.push_back(node);
  }
  door_->SetHomes(std::make_shared<const Homes>(self, WithBuyers(*session, nodes)));
}

// A consumer lets nobody in, either. What cannot be read counts as a node until it can.
std::vector<storage::IncarnationId> DoorWatch::WithBuyers(quota::Coordination& session,
                                                          const std::vector<storage::IncarnationId>& nodes) {
  std::map<storage::IncarnationId, bool> consumers;
  std::vector<storage::IncarnationId> unknown;
  std::vector<std::string> paths;
  {
    absl::MutexLock lock(&mutex_);
    for (const storage::IncarnationId node : nodes) {
      if (const auto known = consumers_.find(node); known != consumers_.end()) {
        consumers.insert(*known);
      } else {
        unknown.push_back(node);
        paths.push_back(quota::NodePath(node));
      }
    }
  }
  const auto read = session.GetMany(paths, quota::Watch::kNo);
  for (size_t i = 0; i < read.size(); ++i) {
    internal::v1::NodeRegistration registration;
    if (!read[i].ok() || !registration.ParseFromString(read[i]->data)) continue;
    consumers.emplace(unknown[i], registration.consumer());
  }
  std::vector<storage::IncarnationId> with_buyers;
  for (const storage::IncarnationId node : nodes) {
    const auto known = consumers.find(node);
    if (known == consumers.end() || !known->second) with_buyers.push_back(node);
  }
  absl::MutexLock lock(&mutex_);
  consumers_ = std::move(consumers);
  return with_buyers;
}

}  // namespace tranche::server
