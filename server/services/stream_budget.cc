#include "server/services/stream_budget.h"

#include "absl/memory/memory.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

// Adds one unless that exceeds the bound. Near the bound it may fail although another thread is just giving way, which
// costs that stream a moment.
bool TakeOne(std::atomic<int64_t>& count, int64_t bound) {
  if (count.fetch_add(1, std::memory_order_relaxed) < bound) return true;
  count.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

}  // namespace

std::shared_ptr<StreamBudget> StreamBudget::Make(StreamBounds node, StreamBounds connection) {
  return absl::WrapUnique(new StreamBudget(node, connection));
}

absl::StatusOr<std::unique_ptr<StreamShare>> StreamBudget::Open(const std::string& connection) {
  absl::MutexLock lock(&mutex_);
  if (streams_ >= node_.streams) {
    return MakeError(v1::ERROR_REASON_TOO_MANY_STREAMS, "This node has as many streams as it may; try another one.");
  }
  const Connections::iterator found = connections_.try_emplace(connection).first;
  if (found->second.streams >= connection_.streams) {
    return MakeError(v1::ERROR_REASON_TOO_MANY_STREAMS, "This connection has as many streams as it may.");
  }
  ++streams_;
  ++found->second.streams;
  return absl::WrapUnique(new StreamShare(shared_from_this(), found));
}

void StreamBudget::Close(Connections::iterator connection) {
  absl::MutexLock lock(&mutex_);
  --streams_;
  if (--connection->second.streams == 0) connections_.erase(connection);
}

StreamShare::~StreamShare() {
  GiveBack(taken_);
  budget_->Close(connection_);
}

bool StreamShare::TryTake() {
  if (!TakeOne(connection_->second.answers, budget_->connection_.answers)) return false;
  if (!TakeOne(budget_->answers_, budget_->node_.answers)) {
    connection_->second.answers.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  ++taken_;
  return true;
}

void StreamShare::GiveBack(int64_t answers) {
  if (answers == 0) return;
  taken_ -= answers;
  connection_->second.answers.fetch_sub(answers, std::memory_order_relaxed);
  budget_->answers_.fetch_sub(answers, std::memory_order_relaxed);
}

bool StreamShare::Exhausted() const {
  return connection_->second.answers.load(std::memory_order_relaxed) >= budget_->connection_.answers ||
         budget_->answers() >= budget_->node_.answers;
}

}  // namespace tranche::server
