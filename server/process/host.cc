#include "server/process/host.h"

#include <unistd.h>

#include <string>

namespace tranche::server {

bool IsWildcard(absl::string_view host) { return host == "0.0.0.0" || host == "[::]" || host == "*"; }

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace tranche::server
