#include "quota/balancer/probe_verdicts.h"

#include <algorithm>

#include "glog/logging.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

constexpr int kRefusalsThatProve = 2;

}  // namespace

void ProbeVerdicts::Watch(absl::Span<const ProbedNode> nodes, absl::Time now) {
  if (nodes.size() > kMostNodes) {
    LOG_EVERY_T(WARNING, 60) << nodes.size() << " nodes are more than " << kMostNodes
                             << ": that one of the others has died is only known when its session ends";
    nodes = nodes.first(kMostNodes);
  }
  std::set<IncarnationId> wanted;
  for (const ProbedNode& node : nodes) wanted.insert(node.incarnation);
  std::erase_if(nodes_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(dead_, [&](IncarnationId id) { return !wanted.contains(id); });
  for (const ProbedNode& node : nodes) {
    const auto [entry, is_new] = nodes_.try_emplace(node.incarnation);
    if (!is_new) continue;
    entry->second.address = node.address;
    Wait(entry->second, now);
    if (IsOff(node.address)) entry->second.phase = Phase::kOff;
  }
}

std::vector<ProbedNode> ProbeVerdicts::TakeDue(absl::Time now) {
  std::vector<ProbedNode> due;
  for (auto& [incarnation, node] : nodes_) {
    if (node.phase != Phase::kWaiting || node.due > now) continue;
    node.phase = Phase::kConnecting;
    due.push_back({incarnation, node.address});
  }
  return due;
}

absl::Time ProbeVerdicts::NextDue() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [incarnation, node] : nodes_) {
    if (node.phase == Phase::kWaiting) next = std::min(next, node.due);
  }
  return next;
}

void ProbeVerdicts::NoteConnected(IncarnationId incarnation, absl::Time now) {
  Node* const node = Find(incarnation, Phase::kConnecting);
  if (node == nullptr) return;
  node->phase = Phase::kConnected;
  node->connected_at = now;
  node->refusals = 0;
  node->reached = true;
  Acquit(node->address);
}

// To connect again at once tells a death from a connection that was only closed.
void ProbeVerdicts::NoteLost(IncarnationId incarnation, absl::Time now) {
  Node* const node = Find(incarnation, Phase::kConnected);
  if (node == nullptr) return;
  if (now - node->connected_at < kShortLived) return Pause(*node, now);
  node->pause = absl::ZeroDuration();
  Wait(*node, now);
}

void ProbeVerdicts::NoteRefused(IncarnationId incarnation, absl::Time now) {
  Node* const node = Find(incarnation, Phase::kConnecting);
  if (node == nullptr) return;
  if (++node->refusals < kRefusalsThatProve) return Wait(*node, now + kBetweenRefusals);
  node->refusals = 0;
  Judge(incarnation, *node, now);
}

void ProbeVerdicts::NoteFailed(IncarnationId incarnation, absl::Time now) {
  Node* const node = Find(incarnation, Phase::kConnecting);
  if (node == nullptr) return;
  node->refusals = 0;
  Pause(*node, now);
}

// Two connections in a row were refused.
void ProbeVerdicts::Judge(IncarnationId incarnation, Node& node, absl::Time now) {
  Pause(node, now);
  if (!node.reached) {
    const auto record = records_.find(node.address);
    if (record != records_.end() && record->second.accused) NoteWrongGuess(node.address);
    return;
  }
  if (IsShared(node.address)) return;
  node.phase = Phase::kDead;
  dead_.insert(incarnation);
  ++found_dead_;
  Accuse(node.address);
}

NodeProbeStats ProbeVerdicts::stats() const {
  NodeProbeStats stats{.watched = static_cast<int64_t>(nodes_.size()),
                       .connected = 0,
                       .found_dead = found_dead_,
                       .wrong_guesses = wrong_guesses_,
                       .switched_off = 0};
  stats.connected = std::count_if(nodes_.begin(), nodes_.end(),
                                  [](const auto& entry) { return entry.second.phase == Phase::kConnected; });
  stats.switched_off = std::count_if(records_.begin(), records_.end(),
                                     [](const auto& entry) { return entry.second.wrong_guesses >= kMostWrongGuesses; });
  return stats;
}

ProbeVerdicts::Node* ProbeVerdicts::Find(IncarnationId incarnation, Phase phase) {
  const auto node = nodes_.find(incarnation);
  return node == nodes_.end() || node->second.phase != phase ? nullptr : &node->second;
}

void ProbeVerdicts::Wait(Node& node, absl::Time until) {
  node.phase = Phase::kWaiting;
  node.due = until;
}

void ProbeVerdicts::Pause(Node& node, absl::Time now) {
  node.pause = std::clamp(node.pause * 2, kShortestPause, kLongestPause);
  Wait(node, now + node.pause);
}

bool ProbeVerdicts::IsShared(const std::string& address) const {
  return std::count_if(nodes_.begin(), nodes_.end(),
                       [&](const auto& entry) { return entry.second.address == address; }) > 1;
}

bool ProbeVerdicts::IsOff(const std::string& address) const {
  const auto record = records_.find(address);
  return record != records_.end() && record->second.wrong_guesses >= kMostWrongGuesses;
}

// When it becomes too many, any one is forgotten: that only allows another wrong guess there.
void ProbeVerdicts::Accuse(const std::string& address) {
  if (records_.size() >= kMostAddresses && !records_.contains(address)) records_.erase(records_.begin());
  records_[address].accused = true;
}

void ProbeVerdicts::Acquit(const std::string& address) {
  const auto record = records_.find(address);
  if (record == records_.end()) return;
  record->second.accused = false;
  if (record->second.wrong_guesses == 0) records_.erase(record);
}

void ProbeVerdicts::NoteWrongGuess(const std::string& address) {
  Record& record = records_[address];
  record.accused = false;
  ++record.wrong_guesses;
  ++wrong_guesses_;
  LOG(WARNING) << "the node at " << address << " was taken for dead, because connections to it were refused, and it "
               << "lives: a firewall between it and this balancer, or a proxy that refuses while it does not serve";
  if (record.wrong_guesses < kMostWrongGuesses) return;
  LOG(WARNING) << "from now on, whether a node at " << address << " is dead is left to its session";
  for (auto& [incarnation, node] : nodes_) {
    if (node.address == address && node.phase != Phase::kDead) node.phase = Phase::kOff;
  }
}

}  // namespace tranche::quota
