// Ports for servers that tests start.
#pragma once

namespace tranche::testing {

// A TCP port of 127.0.0.1 that nobody listens on. While this process lives, no other call returns it, also in another
// process at the same time. It lies below the kernel's range for outgoing connections: otherwise a client that keeps
// reconnecting to a stopped server could be given that very port and connect to itself, and the server could not come
// back. If some other program takes the port before the server does, the server's start fails with a message.
int PickFreePort();

}  // namespace tranche::testing
