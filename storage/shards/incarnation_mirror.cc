#include "storage/shards/incarnation_mirror.h"

#include <utility>

#include "glog/logging.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(500);

}  // namespace

IncarnationMirror::IncarnationMirror(ShardLedger* shards, IncarnationLedger* stock,
                                     std::function<void(IncarnationId)> ended)
    : shards_(shards), stock_(stock), ended_(std::move(ended)), thread_([this] { Run(); }) {}

IncarnationMirror::~IncarnationMirror() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void IncarnationMirror::Follow(const Incarnation& incarnation) {
  absl::MutexLock lock(&mutex_);
  to_register_ = incarnation;
}

void IncarnationMirror::End(IncarnationId incarnation) {
  absl::MutexLock lock(&mutex_);
  if (to_register_.has_value() && to_register_->id == incarnation) to_register_.reset();
  to_end_.insert(incarnation);
}

bool IncarnationMirror::AwaitTold(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto told = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Told(); };
  return mutex_.AwaitWithTimeout(absl::Condition(&told), timeout);
}

void IncarnationMirror::Run() {
  bool failed = false;
  while (true) {
    std::optional<Incarnation> begin;
    std::optional<IncarnationId> end;
    {
      absl::MutexLock lock(&mutex_);
      const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; };
      if (failed && mutex_.AwaitWithTimeout(absl::Condition(&stopping), kPause)) return;
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !Told(); };
      mutex_.Await(absl::Condition(&wanted));
      if (stopping_) return;
      begin = to_register_;
      if (!to_end_.empty()) end = *to_end_.begin();
    }
    failed = false;
    if (begin.has_value()) {
      const auto registered = shards_->RegisterIncarnationAs(*begin);
      failed = !registered.ok();
      LOG_IF_EVERY_N(WARNING, failed, 20) << "a shard is not told of this node yet: " << registered.status();
      if (registered.ok() && !*registered) ended_(begin->id);
      absl::MutexLock lock(&mutex_);
      if (registered.ok() && to_register_.has_value() && to_register_->id == begin->id) to_register_.reset();
    }
    if (end.has_value()) {
      const absl::Status ended = stock_->ReclaimIncarnation(*end).status();
      failed = failed || !ended.ok();
      absl::MutexLock lock(&mutex_);
      if (ended.ok()) to_end_.erase(*end);
    }
  }
}

}  // namespace tranche::storage
