#include "server/consumer/shard_queues.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

absl::Status ShardQueues::Serve(const std::vector<std::string>& shards) {
  absl::Status first;
  for (const std::string& name : shards) first.Update(ServeShard(name));
  return first;
}

absl::Status ShardQueues::ServeShard(const std::string& name) {
  bool here = false;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return absl::OkStatus();
    const auto found = shards_.find(name);
    if (found != shards_.end()) {
      Shard& shard = *found->second;
      const bool up = shard.source->Up();
      const bool still_down = !up && shard.seen_down;
      shard.seen_down = !up;
      if (!still_down) return absl::OkStatus();
      here = true;
    }
  }
  std::vector<std::string> queues;
  for (int i = 0; i < parts_.partitions; ++i) queues.push_back(ClaimQueueName(name, i));
  RETURN_IF_ERROR(parts_.admin->Declare(queues));
  if (here) return absl::OkStatus();
  auto shard = std::make_unique<Shard>();
  shard->source = parts_.make_source();
  shard->consumer = std::make_unique<ClaimConsumer>(ClaimConsumer::Parts{.shard = name,
                                                                         .source = shard->source.get(),
                                                                         .sell = parts_.sell,
                                                                         .sell_cart = parts_.sell_cart,
                                                                         .books = parts_.books,
                                                                         .clock = parts_.clock,
                                                                         .shard_of = parts_.shard_of,
                                                                         .prefetch = parts_.prefetch,
                                                                         .seed = parts_.seed});
  shard->shown =
      parts_.metrics->Join({.shard = name, .consumer = shard->consumer.get(), .up = [source = shard->source.get()] {
                              return source->Up();
                            }});
  absl::MutexLock lock(&mutex_);
  if (stopped_) return absl::OkStatus();
  shard->source->Start(std::move(queues), parts_.prefetch, shard->consumer.get());
  // After Start: what comes before is decided, or given back.
  shard->consumer->SetPaused(paused_);
  shard->consumer->SetDraining(draining_);
  shards_[name] = std::move(shard);
  LOG(INFO) << "takes from the claim queues of shard " << name;
  return absl::OkStatus();
}

std::vector<ShardQueues::Shard*> ShardQueues::All() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Shard*> all;
  for (const auto& [name, shard] : shards_) all.push_back(shard.get());
  return all;
}

void ShardQueues::Tick() {
  for (Shard* const shard : All()) shard->consumer->Tick();
}

void ShardQueues::SetPaused(bool paused) {
  {
    absl::MutexLock lock(&mutex_);
    paused_ = paused;
  }
  for (Shard* const shard : All()) shard->consumer->SetPaused(paused);
}

void ShardQueues::SetDraining(bool draining) {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = draining;
  }
  for (Shard* const shard : All()) shard->consumer->SetDraining(draining);
}

bool ShardQueues::Idle() const {
  const std::vector<Shard*> all = All();
  return std::all_of(all.begin(), all.end(), [](const Shard* shard) { return shard->consumer->held() == 0; });
}

void ShardQueues::Drain(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  SetDraining(true);
  for (Shard* const shard : All()) shard->consumer->Drain(deadline - absl::Now());
}

void ShardQueues::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  std::vector<std::thread> stops;
  for (Shard* const shard : All()) stops.emplace_back([shard] { shard->source->Stop(); });
  for (std::thread& stop : stops) stop.join();
}

}  // namespace tranche::server
