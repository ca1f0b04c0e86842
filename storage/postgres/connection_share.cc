#include "storage/postgres/connection_share.h"

#include <algorithm>

#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

void ConnectionShare::Join(ConnectionPool* pool) {
  absl::MutexLock lock(&mutex_);
  pools_.push_back(pool);
}

void ConnectionShare::Leave(ConnectionPool* pool) {
  absl::MutexLock lock(&mutex_);
  pools_.erase(std::remove(pools_.begin(), pools_.end(), pool), pools_.end());
}

void ConnectionShare::AskFor(ConnectionPool* asking) {
  absl::MutexLock lock(&mutex_);
  const bool closed = std::any_of(pools_.begin(), pools_.end(),
                                  [asking](ConnectionPool* pool) { return pool != asking && pool->CloseIdle(); });
  asked_ = !closed;
}

bool ConnectionShare::OthersConnected(ConnectionPool* asking) {
  absl::MutexLock lock(&mutex_);
  return std::any_of(pools_.begin(), pools_.end(),
                     [asking](ConnectionPool* pool) { return pool != asking && pool->Connected(); });
}

}  // namespace tranche::storage
