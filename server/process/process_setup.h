// What every binary does first.
#pragma once

namespace tranche::server {

// Call once, first in main. `program` must live for ever.
//
// One log format on stderr for everything in the process. No search for deadlocks: Debian builds Abseil with it
// switched on, and gRPC's every mutex would take part (a tenth of a front node's time). And a heap that does not shrink
// at once.
void SetUpProcess(const char* program);

}  // namespace tranche::server
