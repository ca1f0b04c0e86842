// Solves challenges as a browser's widget does.
#pragma once

#include <string>

namespace tranche::simulation {

// In base64, as EnterSale takes it. `challenge`: one of EnterSale's.
std::string SolveDoorChallenge(const std::string& challenge);
// Its work, by what it asks for: 320 iterations for each of 2^bits keys are `bits`; -1 if they are no such work.
int DoorChallengeBits(const std::string& challenge);

}  // namespace tranche::simulation
