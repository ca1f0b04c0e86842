#include "server/services/stream_budget.h"

#include "absl/memory/memory.h"
#include "server/errors.h"
#include "server/rpc/peer_address.h"

namespace tranche::server {
namespace {

absl::Status TooManyStreams(const char* message) { return MakeError(v1::ERROR_REASON_TOO_MANY_STREAMS, message); }

// Adds so many unless that exceeds the bound. Near the bound it may fail although another thread is just giving way,
// which costs that stream a moment.
bool Take(std::atomic<int64_t>& count, int64_t answers, int64_t bound) {
  if (count.fetch_add(answers, std::memory_order_relaxed) + answers <= bound) return true;
  count.fetch_sub(answers, std::memory_order_relaxed);
  return false;
}

}  // namespace

std::shared_ptr<StreamBudget> StreamBudget::Make(const StreamLimits& limits) {
  return absl::WrapUnique(new StreamBudget(limits));
}

absl::StatusOr<std::unique_ptr<StreamShare>> StreamBudget::Open(const std::string& peer) {
  const std::string address = AddressOfPeer(peer);
  const auto streams_of = [](const Counts& counts, const std::string& name) {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second.streams;
  };
  absl::MutexLock lock(&mutex_);
  if (streams_ >= limits_.node.streams) {
    return TooManyStreams("This node has as many streams as it may; try another one.");
  }
  if (streams_of(addresses_, address) >= limits_.address.streams) {
    return TooManyStreams("This node has as many streams of callers at your address as it may; try another one.");
  }
  if (streams_of(connections_, peer) >= limits_.connection.streams) {
    return TooManyStreams("This connection has as many streams as it may.");
  }
  const Counts::iterator of_address = addresses_.try_emplace(address).first;
  const Counts::iterator of_connection = connections_.try_emplace(peer).first;
  ++streams_;
  ++of_address->second.streams;
  ++of_connection->second.streams;
  return absl::WrapUnique(new StreamShare(shared_from_this(), of_address, of_connection));
}

void StreamBudget::Close(Counts::iterator address, Counts::iterator connection) {
  absl::MutexLock lock(&mutex_);
  --streams_;
  if (--address->second.streams == 0) addresses_.erase(address);
  if (--connection->second.streams == 0) connections_.erase(connection);
}

StreamShare::~StreamShare() {
  GiveBack(taken_);
  budget_->Close(address_, connection_);
}

bool StreamShare::TryTake(int64_t answers, int64_t spare) {
  if (answers == 0) return true;
  const StreamLimits& limits = budget_->limits_;
  if (!Take(connection_->second.answers, answers, limits.connection.answers - spare)) return false;
  if (Take(address_->second.answers, answers, limits.address.answers - spare)) {
    if (Take(budget_->answers_, answers, limits.node.answers - spare)) {
      taken_ += answers;
      return true;
    }
    address_->second.answers.fetch_sub(answers, std::memory_order_relaxed);
  }
  connection_->second.answers.fetch_sub(answers, std::memory_order_relaxed);
  return false;
}

void StreamShare::GiveBack(int64_t answers) {
  if (answers == 0) return;
  taken_ -= answers;
  connection_->second.answers.fetch_sub(answers, std::memory_order_relaxed);
  address_->second.answers.fetch_sub(answers, std::memory_order_relaxed);
  budget_->answers_.fetch_sub(answers, std::memory_order_relaxed);
}

bool StreamShare::Exhausted(int64_t answers) const {
  const StreamLimits& limits = budget_->limits_;
  return connection_->second.answers.load(std::memory_order_relaxed) + answers > limits.connection.answers ||
         address_->second.answers.load(std::memory_order_relaxed) + answers > limits.address.answers ||
         budget_->answers() + answers > limits.node.answers;
}

}  // namespace tranche::server
