#include "tests/support/free_port.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
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

}  // namespace

int PickFreePort() {
  static absl::Mutex mutex(absl::kConstInit);
  static auto* const taken = new absl::flat_hash_set<int>();
  static auto* const random = new std::mt19937(std::random_device{}());
  absl::MutexLock lock(&mutex);
  std::uniform_int_distribution<int> ports(kLowestPort, FirstEphemeralPort() - 1);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = ports(*random);
    if (!taken->contains(port) && IsFree(port)) {
      taken->insert(port);
      return port;
    }
  }
  LOG(FATAL) << "no free TCP port on 127.0.0.1";
}

}  // namespace tranche::testing
