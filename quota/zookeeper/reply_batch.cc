#include "quota/zookeeper/reply_batch.h"

#include <glog/logging.h>
#include <zookeeper/zookeeper.h>

#include <utility>

namespace tranche::quota {

ReplyBatch::ReplyBatch(size_t size) : missing_(size), replies_(size) {
  for (ZookeeperReply& reply : replies_) reply.rc = ZOPERATIONTIMEOUT;
}

void ReplyBatch::Set(size_t index, ZookeeperReply reply) {
  absl::MutexLock lock(&mutex_);
  if (abandoned_) return;
  replies_[index] = std::move(reply);
  --missing_;
}

std::vector<ZookeeperReply> ReplyBatch::Wait(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto complete = [this] {
    mutex_.AssertReaderHeld();
    return missing_ == 0;
  };
  mutex_.AwaitWithDeadline(absl::Condition(&complete), deadline);
  abandoned_ = true;
  return std::move(replies_);
}

const void* PendingCalls::Add(std::shared_ptr<ReplyBatch> batch, size_t index) {
  auto call = std::make_unique<Call>(Call{this, std::move(batch), index});
  const void* const token = call.get();
  absl::MutexLock lock(&mutex_);
  calls_.emplace(token, std::move(call));
  return token;
}

void PendingCalls::Finish(const void* token, ZookeeperReply reply) {
  PendingCalls* const owner = static_cast<const Call*>(token)->owner;
  std::unique_ptr<Call> call;
  {
    absl::MutexLock lock(&owner->mutex_);
    const auto found = owner->calls_.find(token);
    CHECK(found != owner->calls_.end()) << "a ZooKeeper request completed twice";
    call = std::move(found->second);
    owner->calls_.erase(found);
  }
  call->batch->Set(call->index, std::move(reply));
}

}  // namespace tranche::quota
