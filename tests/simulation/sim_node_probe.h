// A balancer's probe of the simulated nodes' processes. It sees most deaths with the balancer's next round, overlooks
// some, and says what it is made to say of nodes that live.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "quota/balancer/node_probe.h"
#include "tests/simulation/process.h"

namespace tranche::simulation {

class SimNodeProbe : public quota::NodeProbe {
 public:
  // Of that balancer's process.
  explicit SimNodeProbe(Process* process) : process_(*process) {}

  void Watch(const std::vector<quota::ProbedNode>& nodes, std::function<void()> found_dead) override;
  void WatchNobody() override { watched_.clear(); }
  std::set<storage::IncarnationId> FoundDead() override;
  quota::NodeProbeStats Stats() override { return {}; }

 private:
  enum class Seen { kNothing, kAlive, kSaidDead, kDead, kOverlooked };
  struct Watched {
    std::string address;
    Seen seen = Seen::kNothing;
  };

  void Look(storage::IncarnationId incarnation, Watched& node);

  Process& process_;
  std::map<storage::IncarnationId, Watched> watched_;
};

}  // namespace tranche::simulation
