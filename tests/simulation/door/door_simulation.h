// One simulated run at the front door, from a seed to a verdict: buyers, bots, operators and a balancer, over two to
// eight nodes that hear of changes late. Then everybody hears everything, and the last buyers must get in.
#pragma once

#include "tests/simulation/simulation.h"

namespace tranche::simulation {

// Its name as a scenario.
inline constexpr char kDoorScenario[] = "door";

// Thread-compatible; replaces libsodium's randomness in this process by the seed's, so that a seed replays exactly.
SimulationResult SimulateDoor(const SimulationOptions& options);

}  // namespace tranche::simulation
