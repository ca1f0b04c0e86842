#include "tests/support/free_port.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <random>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tranche::testing {
namespace {

constexpr int kLowestPort = 10240;

// The first port that the kernel gives to outgoing connections.
int FirstEphemeralPort() {
  int first = 32768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first;
  return std::max(first, kLowestPort + 1000);
}

bool IsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(fd >= 0) << "socket";
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return bound;
}

// Claims the port among all test processes of this machine until this one ends: a name in the abstract namespace of
// sockets, which disappears with the process. A started server may take a while to bind the port itself.
bool Claim(int port) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  PCHECK(fd >= 0) << "socket";
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  // The first byte stays zero.
  const int length = std::snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "tranche-test-port-%d", port);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(length));
  if (bind(fd, reinterpret_cast<sockaddr*>(&name), size) == 0) return true;  // stays open
  PCHECK(errno == EADDRINUSE) << "bind";
  close(fd);
  return false;
}

}  // namespace

int PickFreePort() {
  static absl::Mutex mutex(absl::kConstInit);
  static auto* const random = new std::mt19937(std::random_device{}());
  absl::MutexLock lock(&mutex);
  std::uniform_int_distribution<int> ports(kLowestPort, FirstEphemeralPort() - 1);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = ports(*random);
    if (!IsFree(port) || !Claim(port)) continue;
    return port;
  }
  LOG(FATAL) << "no free TCP port on 127.0.0.1";
}

}  // namespace tranche::testing
