// How a claim that other claims were in the way of is tried again. The same for all peers.
#pragma once

namespace tranche::peers {

// Then the claim is given up, as Outcome::kConflict.
inline constexpr int kMostTries = 8;

// Waits before try number `next` (from 2): any time up to 1 ms, the next time up to 2 ms, and so on, at most 32 ms: at
// random, so that those who met do not meet again. Thread-safe.
void WaitBeforeTry(int next);

}  // namespace tranche::peers
