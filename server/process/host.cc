#include "server/process/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <string>

namespace tranche::server {

bool IsWildcard(absl::string_view host) { return host == "0.0.0.0" || host == "[::]" || host == "*"; }

bool IsLoopback(absl::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  constexpr uint32_t kLoopbackNet = 127;
  in_addr address{};
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == kLoopbackNet;
}

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace tranche::server
