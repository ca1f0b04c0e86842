// What every binary does first.
#pragma once

#include "server/process/log_format.h"

namespace tranche::server {

// Call once, first in main. `program` must outlive everything.
//
// Writes every line of the log to stderr in one format, those of libraries too (log_format.h), and limits protobuf's
// lines about what callers send. Switches off Abseil's deadlock detection: Debian builds Abseil with it, and gRPC's
// every mutex would take part (a tenth of a front node's time). Keeps freed memory in the heap instead of returning it
// to the kernel at once. Raises the limit of open files as far as this process may.
void SetUpProcess(const char* program, LogFormat log_format);

}  // namespace tranche::server
