#include "server/process/socket_address.h"

#include <netdb.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace tranche::server {

absl::StatusOr<std::vector<SocketAddress>> Resolve(const Address& address, Lookup lookup) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (lookup == Lookup::kNumbersOnly ? AI_NUMERICHOST : 0);
  std::string host = address.host;
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (error != 0) return absl::UnavailableError(absl::StrCat(host, ": ", gai_strerror(error)));
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    SocketAddress& copy = addresses.emplace_back();
    memcpy(&copy.address, one->ai_addr, one->ai_addrlen);
    copy.length = one->ai_addrlen;
  }
  freeaddrinfo(found);
  return addresses;
}

}  // namespace tranche::server
