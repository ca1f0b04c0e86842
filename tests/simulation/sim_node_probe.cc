#include "tests/simulation/sim_node_probe.h"

namespace tranche::simulation {
namespace {

// A node that was started again so soon that it accepts connections, a network that refuses none, and the like.
constexpr double kOverlooks = 0.3;

}  // namespace

// Nobody is told before the next round, which is soon enough.
void SimNodeProbe::Watch(const std::vector<quota::ProbedNode>& nodes, std::function<void()> found_dead) {
  std::map<storage::IncarnationId, Watched> watched;
  for (const quota::ProbedNode& node : nodes) {
    const auto known = watched_.find(node.incarnation);
    watched[node.incarnation] = known == watched_.end() ? Watched{.address = node.address} : known->second;
  }
  watched_ = std::move(watched);
}

std::set<storage::IncarnationId> SimNodeProbe::FoundDead() {
  std::set<storage::IncarnationId> dead;
  for (auto& [incarnation, node] : watched_) {
    Look(incarnation, node);
    if (node.seen == Seen::kDead || node.seen == Seen::kSaidDead) dead.insert(incarnation);
  }
  return dead;
}

// Only a process that was seen alive can be seen to have ended.
void SimNodeProbe::Look(storage::IncarnationId incarnation, Watched& node) {
  World& world = process_.world();
  // A lie is taken back in the end, if the incarnation has not ended: it holds units of a frozen SKU.
  if (node.seen == Seen::kSaidDead) node.seen = Seen::kAlive;
  if (world.said_to_be_dead.contains(incarnation)) node.seen = Seen::kSaidDead;
  if (node.seen == Seen::kSaidDead) return;
  if (node.seen == Seen::kDead || node.seen == Seen::kOverlooked) return;
  const auto listening = world.listening.find(node.address);
  if (listening != world.listening.end() && !listening->second->crashed()) {
    node.seen = Seen::kAlive;
  } else if (node.seen == Seen::kAlive) {
    node.seen = world.call_random.Chance(kOverlooks) ? Seen::kOverlooked : Seen::kDead;
    process_.Note(node.seen == Seen::kDead ? "sees dead" : "overlooks the death of", incarnation);
  }
}

}  // namespace tranche::simulation
