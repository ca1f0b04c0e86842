#include "server/handlers/draw_watch.h"

#include <algorithm>
#include <optional>

#include "server/handlers/draw_messages.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

int64_t AwardsGiven(const storage::Draw& draw) { return int64_t{draw.pending} + draw.confirmed + draw.lapsed; }

bool WaitsForWorker(const storage::Draw& draw) {
  if (draw.state == storage::DrawState::kClosing || draw.state == storage::DrawState::kSeeded) return true;
  if (draw.state != storage::DrawState::kDrawn) return false;
  const int64_t taken = int64_t{draw.pending} + draw.confirmed;
  return taken < draw.winners && AwardsGiven(draw) < draw.entries;
}

// Since when it is in its state, as far as the ledger keeps it.
std::optional<absl::Time> InStateSince(const storage::Draw& draw) {
  if (draw.state == storage::DrawState::kClosing) return draw.closed_at;
  if (draw.state == storage::DrawState::kSeeded) return draw.seeded_at;
  return std::nullopt;
}

}  // namespace

std::vector<v1::WaitingDraw> DrawWatch::Waiting(const std::string& shard, const std::vector<storage::Draw>& draws,
                                                absl::Time now) {
  absl::MutexLock lock(&mutex_);
  std::map<Name, Seen>& before = shards_[shard];
  std::map<Name, Seen> seen;
  // Since when, and which.
  std::vector<std::pair<absl::Time, const storage::Draw*>> waiting;
  for (const storage::Draw& draw : draws) {
    if (!WaitsForWorker(draw)) continue;
    const Name name = {draw.key.sku_id, draw.key.number};
    const auto known = before.find(name);
    const bool same =
        known != before.end() && known->second.state == draw.state && known->second.awards == AwardsGiven(draw);
    const Seen& kept = seen[name] = same ? known->second : Seen{draw.state, AwardsGiven(draw), now};
    waiting.emplace_back(InStateSince(draw).value_or(kept.since), &draw);
  }
  before = std::move(seen);
  std::stable_sort(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  if (waiting.size() > kMostTold) waiting.resize(kMostTold);
  std::vector<v1::WaitingDraw> told;
  for (const auto& [since, draw] : waiting) {
    v1::WaitingDraw& message = told.emplace_back();
    message.set_sku_id(draw->key.sku_id);
    message.set_number(draw->key.number);
    message.set_state(DrawToMessage(*draw).state());
    message.set_entries(draw->entries);
    // The database's clock may be ahead of ours.
    *message.mutable_waiting_for() = ToDuration(std::max(now - since, absl::ZeroDuration()));
  }
  return told;
}

}  // namespace tranche::server
