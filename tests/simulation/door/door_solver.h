// Solves challenges as a browser's widget does.
#pragma once

#include <string>

namespace tranche::simulation {

// In base64, as EnterSale takes it. `challenge`: one of EnterSale's.
std::string SolveDoorChallenge(const std::string& challenge);

}  // namespace tranche::simulation
