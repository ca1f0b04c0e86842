// Asks every shard the same question, side by side. Each SKU and reservation is on one shard, and that shard answers:
// there is no routing table that could be wrong.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// Called exactly once, inline or on another thread; must not block.
template <typename T>
using ShardAnswer = absl::AnyInvocable<void(absl::StatusOr<T>)>;
template <typename T>
using ShardQuestion = std::function<void(ShardBackend& shard, ShardAnswer<T> answer)>;

// A question that blocks runs on the shard's own threads for reads; a shard that is known not to answer gives
// kUnavailable at once.
template <typename T>
ShardQuestion<T> Blocking(std::function<absl::StatusOr<T>(ShardBackend& shard)> ask) {
  return [ask = std::move(ask)](ShardBackend& shard, ShardAnswer<T> answer) {
    if (!shard.Answers()) return answer(SilentShard(shard));
    RunOn(
        shard.for_reads(), [ask, &shard] { return ask(shard); }, std::move(answer));
  };
}

enum class AwaitShards {
  kFirst,  // that has it
  kAll,    // for a caller who bounds how much they ask: nothing is left waiting at a slow shard when it has its answer
};

namespace internal {

template <typename T>
class Round : public std::enable_shared_from_this<Round<T>> {
 public:
  Round(ShardList shards, ShardQuestion<T> ask, ShardAnswer<T> done, AwaitShards await, int rounds_left)
      : shards_(std::move(shards)),
        ask_(std::move(ask)),
        done_(std::move(done)),
        await_(await),
        rounds_left_(rounds_left) {}

  void Start() {
    {
      absl::MutexLock lock(&mutex_);
      waiting_ = shards_.size();
    }
    for (const auto& shard : shards_) {
      ask_(*shard, [self = this->shared_from_this()](absl::StatusOr<T> answer) { self->Take(std::move(answer)); });
    }
  }

 private:
  void Take(absl::StatusOr<T> answer) {
    ShardAnswer<T> done;
    absl::StatusOr<T> last = absl::NotFoundError("on no shard");
    {
      absl::MutexLock lock(&mutex_);
      --waiting_;
      if (answered_) return;
      if (!answer.ok() && !absl::IsNotFound(answer.status())) error_ = answer.status();
      if (answer.ok()) found_ = std::move(answer);
      const bool enough = found_.ok() && await_ == AwaitShards::kFirst;
      if (!enough && waiting_ > 0) return;
      answered_ = true;
      done = std::move(done_);
      if (found_.ok()) {
        last = std::move(found_);
      } else if (!error_.ok()) {
        last = error_;
      }
    }
    // It may have moved from a shard that was asked late to one that was asked early.
    if (absl::IsNotFound(last.status()) && shards_.size() > 1 && rounds_left_ > 1) {
      std::make_shared<Round>(shards_, ask_, std::move(done), await_, rounds_left_ - 1)->Start();
      return;
    }
    done(std::move(last));
  }

  const ShardList shards_;
  const ShardQuestion<T> ask_;
  absl::Mutex mutex_;
  ShardAnswer<T> done_ ABSL_GUARDED_BY(mutex_);
  const AwaitShards await_;
  const int rounds_left_;
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool answered_ ABSL_GUARDED_BY(mutex_) = false;
  absl::StatusOr<T> found_ ABSL_GUARDED_BY(mutex_) = absl::NotFoundError("on no shard yet");
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace internal

// `done` gets the first answer that is OK, at once or when all have answered. When no shard has it and some shard does
// not answer, that shard's error; kNotFound only when all say so, twice.
template <typename T>
void AskShards(ShardList shards, ShardQuestion<T> ask, ShardAnswer<T> done, AwaitShards await = AwaitShards::kFirst) {
  std::make_shared<internal::Round<T>>(std::move(shards), std::move(ask), std::move(done), await, /*rounds_left=*/2)
      ->Start();
}

}  // namespace tranche::storage
