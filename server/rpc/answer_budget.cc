#include "server/rpc/answer_budget.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/memory/memory.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/rpc/peer_address.h"

namespace tranche::server {

AnswerBudget::AnswerBudget(const AnswerLimits& limits, storage::Clock* clock) : limits_(limits), clock_(clock) {}

absl::StatusOr<std::unique_ptr<AnswerShare>> AnswerBudget::Take(const std::string& peer, int64_t bytes,
                                                                std::function<void()> cancel) {
  const std::string address = AddressOfPeer(peer);
  const int64_t counted = Counted(bytes);
  std::optional<Scope> full;
  std::vector<Late> late;
  {
    absl::MutexLock lock(&mutex_);
    full = FullFor(peer, address, counted);
    if (!full.has_value()) return Hold(peer, address, counted, std::move(cancel));
    late = TakeLate(*full, peer, address);
  }
  return Refuse(*full, late);
}

absl::Status AnswerBudget::Admit(const std::string& peer) {
  const std::string address = AddressOfPeer(peer);
  std::optional<Scope> full;
  std::vector<Late> late;
  {
    absl::MutexLock lock(&mutex_);
    full = FullFor(peer, address, 1);
    if (!full.has_value()) return absl::OkStatus();
    late = TakeLate(*full, peer, address);
  }
  return Refuse(*full, late);
}

std::unique_ptr<AnswerShare> AnswerBudget::TakeAnyway(const std::string& peer, int64_t bytes,
                                                      std::function<void()> cancel) {
  const std::string address = AddressOfPeer(peer);
  absl::MutexLock lock(&mutex_);
  return Hold(peer, address, Counted(bytes), std::move(cancel));
}

int64_t AnswerBudget::bytes() {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

int64_t AnswerBudget::Counted(int64_t bytes) const {
  return std::min({bytes, limits_.connection_bytes, limits_.address_bytes, limits_.node_bytes});
}

std::unique_ptr<AnswerShare> AnswerBudget::Hold(const std::string& peer, const std::string& address, int64_t bytes,
                                                std::function<void()> cancel) {
  const Counts::iterator of_address = addresses_.try_emplace(address, 0).first;
  const Counts::iterator of_connection = connections_.try_emplace(peer, 0).first;
  of_address->second += bytes;
  of_connection->second += bytes;
  bytes_ += bytes;
  held_.push_back({of_address, of_connection, bytes, clock_->Now(), std::move(cancel)});
  return absl::WrapUnique(new AnswerShare(this, std::prev(held_.end())));
}

void AnswerBudget::GiveBack(std::list<Held>::iterator held) {
  // Destroyed after the lock is released: that of a call may be the last reference to it.
  std::list<Held> given_back;
  absl::MutexLock lock(&mutex_);
  bytes_ -= held->bytes;
  if ((held->address->second -= held->bytes) == 0) addresses_.erase(held->address);
  if ((held->connection->second -= held->bytes) == 0) connections_.erase(held->connection);
  given_back.splice(given_back.end(), held_, held);
}

std::optional<AnswerBudget::Scope> AnswerBudget::FullFor(const std::string& peer, const std::string& address,
                                                         int64_t bytes) const {
  const auto taken = [](const Counts& counts, const std::string& name) {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
  };
  if (taken(connections_, peer) + bytes > limits_.connection_bytes) return Scope::kConnection;
  if (taken(addresses_, address) + bytes > limits_.address_bytes) return Scope::kAddress;
  if (bytes_ + bytes > limits_.node_bytes) return Scope::kNode;
  return std::nullopt;
}

std::vector<AnswerBudget::Late> AnswerBudget::TakeLate(Scope scope, const std::string& peer,
                                                       const std::string& address) {
  std::vector<Late> late;
  const absl::Time latest = clock_->Now() - limits_.unread_timeout;
  for (Held& held : held_) {
    if (held.since > latest) break;
    if (held.cancel == nullptr) continue;
    if (scope == Scope::kConnection && held.connection->first != peer) continue;
    if (scope == Scope::kAddress && held.address->first != address) continue;
    late.push_back({held.connection->first, std::exchange(held.cancel, nullptr)});
  }
  return late;
}

absl::Status AnswerBudget::Refuse(Scope scope, const std::vector<Late>& late) {
  for (const Late& answer : late) answer.cancel();
  if (!late.empty()) {
    LOG_EVERY_T(WARNING, 60) << "answers are dropped, because their callers do not take them; one of these is "
                             << late.front().peer << " (at most one line a minute)";
  }
  switch (scope) {
    case Scope::kConnection:
      return MakeError(v1::ERROR_REASON_OVERLOADED,
                       "Too many answers on this connection are not read yet: read them, then try again.");
    case Scope::kAddress:
      return MakeError(v1::ERROR_REASON_OVERLOADED,
                       "Too many answers to callers at your address are not read yet: read them, then try again.");
    case Scope::kNode:
      break;
  }
  return MakeError(
      v1::ERROR_REASON_OVERLOADED,
      "Too many answers of this node are not read yet by its callers; try another node, or this one in a moment.");
}

}  // namespace tranche::server
