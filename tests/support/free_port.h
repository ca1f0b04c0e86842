// Ports for servers that tests start.
#pragma once

namespace tranche::testing {

// A TCP port of 127.0.0.1 that nobody listens on, and that no other call returns, in this process or in another that
// calls this at the same time, while this process lives. It lies below the kernel's range
// for outgoing connections: a client that keeps reconnecting to a stopped server there could otherwise be given that
// very port and connect to itself, and the server could not come back. Some other
// program may take the port before the server does: then the server's start fails and says so.
int PickFreePort();

}  // namespace tranche::testing
