#include "quota/balancer/probe_verdicts.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "glog/logging.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

constexpr int kRefusalsThatProve = 2;
constexpr absl::Duration kBetweenBrakeLines = absl::Minutes(1);

// As it is written. A name that means this machine is its own: nobody else is called so.
bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

}  // namespace

ProbeVerdicts::ProbeVerdicts(size_t most_nodes) : most_nodes_(std::min(most_nodes, kMostNodes)) {}

void ProbeVerdicts::Watch(absl::Span<const ProbedNode> nodes, absl::Time now) {
  NoteAddresses(nodes);
  if (nodes.size() > most_nodes_) {
    LOG_IF(WARNING, !told_of_too_many_) << "only " << most_nodes_ << " of " << nodes.size()
                                        << " nodes' processes are watched: that one of the others "
                                        << "has died is only known when its session ends. At most " << kMostNodes
                                        << " are, and no more than the limit "
                                        << "of open files leaves room for";
    told_of_too_many_ = true;
    nodes = nodes.first(most_nodes_);
  }
  std::set<IncarnationId> wanted;
  for (const ProbedNode& node : nodes) wanted.insert(node.incarnation);
  std::erase_if(nodes_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(dead_, [&](IncarnationId id) { return !wanted.contains(id); });
  for (const ProbedNode& node : nodes) {
    const auto [entry, is_new] = nodes_.try_emplace(node.incarnation);
    entry->second.registered = node.registered;
    if (!is_new) continue;
    entry->second.address = node.address;
    entry->second.name = node.name;
    entry->second.last_reached = now;
    Wait(entry->second, now);
    if (IsOff(node.address)) entry->second.phase = Phase::kOff;
  }
  TakeBackWrongVerdicts(now);
}

void ProbeVerdicts::TakeBackWrongVerdicts(absl::Time now) {
  for (auto& [incarnation, node] : nodes_) {
    if (node.phase != Phase::kDead || !node.registered || now - node.found_dead_at < kSessionsEndBy) continue;
    dead_.erase(incarnation);
    node.reached = false;
    node.last_reached = now;
    Pause(node, now);
    NoteWrongGuess(node.address);
  }
}

void ProbeVerdicts::Forget() {
  nodes_.clear();
  records_.clear();
  dead_.clear();
  looked_dead_.clear();
  of_several_.clear();
  told_of_too_many_ = false;
}

// A process that was started again has the address of its earlier incarnation, whose session has not ended yet; it has
// its name, too.
void ProbeVerdicts::NoteAddresses(absl::Span<const ProbedNode> nodes) {
  all_loopback_ = std::all_of(nodes.begin(), nodes.end(), [](const auto& node) { return IsLoopback(node.address); });
  of_several_.clear();
  std::map<std::string, std::string> names;
  for (const ProbedNode& node : nodes) {
    const auto [known, is_new] = names.try_emplace(node.address, node.name);
    if (is_new) continue;
    of_several_.insert(node.address);
    if (known->second != node.name) RecordOf(node.address).shared = true;
  }
}

std::vector<ProbedNode> ProbeVerdicts::TakeDue(absl::Time now) {
  std::vector<ProbedNode> due;
  for (auto& [incarnation, node] : nodes_) {
    if (node.phase != Phase::kWaiting || node.due > now) continue;
    node.phase = Phase::kConnecting;
    due.push_back({incarnation, node.address, node.name});
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
  node->last_reached = now;
  node->refusals = 0;
  node->reached = true;
  Acquit(node->address);
}

// To connect again at once tells a death from a connection that was only closed.
void ProbeVerdicts::NoteLost(IncarnationId incarnation, absl::Time now) {
  Node* const node = Find(incarnation, Phase::kConnected);
  if (node == nullptr) return;
  node->last_reached = now;
  node->trouble = "it closes each connection";
  if (now - node->connected_at < kShortLived) return Pause(*node, now);
  node->pause = absl::ZeroDuration();
  Wait(*node, now);
}

void ProbeVerdicts::NoteRefused(IncarnationId incarnation, absl::Time now) {
  Node* const node = Find(incarnation, Phase::kConnecting);
  if (node == nullptr) return;
  node->trouble = "it refuses connections";
  if (++node->refusals < kRefusalsThatProve) return Wait(*node, now + kBetweenRefusals);
  node->refusals = 0;
  Judge(incarnation, *node, now);
}

void ProbeVerdicts::NoteFailed(IncarnationId incarnation, absl::Time now, const std::string& reason) {
  Node* const node = Find(incarnation, Phase::kConnecting);
  if (node == nullptr) return;
  node->refusals = 0;
  node->trouble = reason;
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
  if (ProvesNothing(node.address)) return;
  if (TooManyLookDead(node.address, now)) return LeaveAlone(node, now);
  node.phase = Phase::kDead;
  node.found_dead_at = now;
  dead_.insert(incarnation);
  ++found_dead_;
  RecordOf(node.address).accused = true;
}

// Those found dead before stay so. Whoever is reached again leaves the count: a process listens there, so what refused
// us was its predecessor's end, or is over.
bool ProbeVerdicts::TooManyLookDead(const std::string& address, absl::Time now) {
  std::erase_if(looked_dead_, [now](const auto& entry) { return now - entry.second > kMassWindow; });
  if (looked_dead_.size() >= kMostNodes) looked_dead_.erase(looked_dead_.begin());
  looked_dead_[address] = now;
  // Whom we have never reached tells nothing, such as the next incarnations of those found dead.
  const size_t with_this_one = std::count_if(nodes_.begin(), nodes_.end(), [](const auto& entry) {
    return entry.second.reached && entry.second.phase != Phase::kDead && entry.second.phase != Phase::kOff;
  });
  const size_t others = with_this_one - 1;
  return looked_dead_.size() + others >= kFewestForBrake && looked_dead_.size() > others;
}

// Else it would be found dead when the others are too long ago to count.
void ProbeVerdicts::LeaveAlone(Node& node, absl::Time now) {
  node.reached = false;
  ++left_alone_;
  if (now - told_of_brake_ < kBetweenBrakeLines) return;
  told_of_brake_ = now;
  LOG(ERROR) << "most nodes refuse connections: " << looked_dead_.size() << " began to within " << kMassWindow
             << ", the latest is " << node.name << " at " << node.address
             << ". That is taken for a rule of the network, "
             << "and from now on whether one of them is dead is left to its session. If they live, look at what is "
             << "between this balancer and the nodes: a firewall, a network policy, a sidecar";
}

NodeProbeStats ProbeVerdicts::stats(absl::Time now) const {
  NodeProbeStats stats;
  stats.watched = static_cast<int64_t>(nodes_.size());
  stats.found_dead = found_dead_;
  stats.wrong_guesses = wrong_guesses_;
  stats.left_alone = left_alone_;
  for (const auto& [incarnation, node] : nodes_) {
    if (!IsUnreached(node, now)) continue;
    if (stats.unreached++ == 0) stats.example = {{incarnation, node.address, node.name}, node.trouble};
  }
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

bool ProbeVerdicts::IsUnreached(const Node& node, absl::Time now) {
  const bool trying = node.phase == Phase::kWaiting || node.phase == Phase::kConnecting;
  return trying && now - node.last_reached >= kUnreachedAfter;
}

bool ProbeVerdicts::ProvesNothing(const std::string& address) const {
  if (IsLoopback(address) && !all_loopback_) return true;
  if (of_several_.contains(address)) return true;
  const auto record = records_.find(address);
  return record != records_.end() && record->second.shared;
}

bool ProbeVerdicts::IsOff(const std::string& address) const {
  const auto record = records_.find(address);
  return record != records_.end() && record->second.wrong_guesses >= kMostWrongGuesses;
}

// When it becomes too many, any one is forgotten: that only allows another wrong guess there.
ProbeVerdicts::Record& ProbeVerdicts::RecordOf(const std::string& address) {
  if (records_.size() >= kMostAddresses && !records_.contains(address)) records_.erase(records_.begin());
  return records_[address];
}

void ProbeVerdicts::Acquit(const std::string& address) {
  looked_dead_.erase(address);
  const auto record = records_.find(address);
  if (record == records_.end()) return;
  record->second.accused = false;
  if (record->second.wrong_guesses == 0 && !record->second.shared) records_.erase(record);
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
