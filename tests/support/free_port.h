// Ports for servers that tests start.
#pragma once

namespace tranche::testing {

// A TCP port of 127.0.0.1 that nobody listens on, never the same twice in one process. It lies below the kernel's range
// for outgoing connections: a client that keeps reconnecting to a stopped server there could otherwise be given that
// very port and connect to itself, and the server could not come back. Another process may take the port before the
// server does: then the server's start fails and says so.
int PickFreePort();

}  // namespace tranche::testing
