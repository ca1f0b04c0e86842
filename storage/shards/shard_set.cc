#include "storage/shards/shard_set.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::storage {

ShardSet::ShardSet(std::unique_ptr<ShardBackend> home, Make make, std::function<void(IncarnationId)> ended)
    : home_(std::move(home)), make_(std::move(make)), ended_(std::move(ended)) {
  absl::MutexLock lock(&mutex_);
  members_.push_back({home_, nullptr});
}

absl::Status ShardSet::Refresh() {
  ASSIGN_OR_RETURN(const auto shards, home_->shards->ListShards());
  for (const Shard& shard : shards) {
    if (Closed()) return absl::OkStatus();
    const auto known = Find(shard.name);
    if (known == nullptr || known->dsn != shard.dsn) Add(shard);
  }
  return absl::OkStatus();
}

void ShardSet::Add(const Shard& shard) {
  Member member{make_(shard), nullptr};
  member.mirror = std::make_shared<IncarnationMirror>(member.backend->shards, member.backend->stock, ended_);
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  LOG(INFO) << "shard " << shard.name << " is known from now on";
  if (present_.has_value()) member.mirror->Follow(*present_);
  const auto same = std::find_if(members_.begin(), members_.end(),
                                 [&](const Member& other) { return other.backend->name == shard.name; });
  if (same != members_.end()) {
    replaced_.push_back(std::exchange(*same, std::move(member)));
    return;
  }
  members_.push_back(std::move(member));
  std::sort(members_.begin() + 1, members_.end(),
            [](const Member& a, const Member& b) { return a.backend->name < b.backend->name; });
}

std::vector<ShardSet::Member> ShardSet::Members() const {
  absl::MutexLock lock(&mutex_);
  return members_;
}

bool ShardSet::Closed() const {
  absl::MutexLock lock(&mutex_);
  return closed_;
}

ShardList ShardSet::All() const {
  absl::MutexLock lock(&mutex_);
  ShardList all;
  all.reserve(members_.size());
  for (const Member& member : members_) all.push_back(member.backend);
  return all;
}

std::shared_ptr<ShardBackend> ShardSet::Find(absl::string_view name) const {
  absl::MutexLock lock(&mutex_);
  for (const Member& member : members_) {
    if (member.backend->name == name) return member.backend;
  }
  return nullptr;
}

std::vector<std::string> ShardSet::Silent() const {
  std::vector<std::string> silent;
  for (const auto& shard : All()) {
    if (shard != home_ && !shard->Answers()) silent.push_back(shard->name);
  }
  return silent;
}

void ShardSet::Follow(const Incarnation& incarnation) {
  absl::MutexLock lock(&mutex_);
  present_ = incarnation;
  for (const Member& member : members_) {
    if (member.mirror != nullptr) member.mirror->Follow(incarnation);
  }
}

void ShardSet::End(IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  if (present_.has_value() && present_->id == incarnation) present_.reset();
  for (const Member& member : members_) {
    if (member.mirror != nullptr) member.mirror->End(incarnation);
  }
}

void ShardSet::AwaitTold(absl::Duration timeout) {
  const absl::Time give_up = absl::Now() + timeout;
  for (const Member& member : Members()) {
    if (member.mirror == nullptr || !member.backend->Answers()) continue;
    member.mirror->AwaitTold(std::max(absl::ZeroDuration(), give_up - absl::Now()));
  }
}

void ShardSet::StopMirrors() {
  std::vector<std::shared_ptr<IncarnationMirror>> ending;
  {
    absl::MutexLock lock(&mutex_);
    for (Member& member : members_) ending.push_back(std::move(member.mirror));
    for (Member& member : replaced_) ending.push_back(std::move(member.mirror));
  }
}

ShardList ShardSet::Everyone() const {
  absl::MutexLock lock(&mutex_);
  ShardList all;
  for (const Member& member : members_) all.push_back(member.backend);
  for (const Member& member : replaced_) all.push_back(member.backend);
  return all;
}

void ShardSet::RefuseWaiting() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  for (const auto& shard : Everyone()) shard->RefuseWaiting();
}

void ShardSet::TrySlowCarts() {
  for (const auto& shard : Everyone()) shard->carts->TrySlow();
}

void ShardSet::GiveUpLedgers() {
  for (const auto& shard : Everyone()) shard->GiveUpLedger();
}

void ShardSet::StopExecutors() {
  for (const auto& shard : Everyone()) shard->StopExecutor();
}

void ShardSet::StopPipelines() {
  for (const auto& shard : Everyone()) shard->StopPipelines();
}

}  // namespace tranche::storage
