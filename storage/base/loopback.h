// Hosts that are this machine itself: what is said to them crosses no network.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "storage/base/address.h"

namespace tranche {

// `host` as in Address: "localhost", an address of 127.0.0.0/8, or "[::1]". By its text alone: no name is looked up.
inline bool IsLoopbackHost(absl::string_view host) {
  if (absl::EqualsIgnoreCase(host, "localhost")) return true;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    in6_addr six{};
    const std::string inner(host.substr(1, host.size() - 2));
    return inet_pton(AF_INET6, inner.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six) != 0;
  }
  in_addr four{};
  return inet_pton(AF_INET, std::string(host).c_str(), &four) == 1 && ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
}

// Of a HOST:PORT. What is sent to one must not go through a proxy, which may be another machine: gRPC obeys http_proxy
// for these hosts, too.
inline bool IsLoopbackEndpoint(const std::string& endpoint) {
  const std::optional<Address> address = ParseAddress(endpoint);
  return address.has_value() && IsLoopbackHost(address->host);
}

// The first of these HOST:PORTs that is another machine, or may be one; nullopt: none is.
inline std::optional<std::string> FirstBeyondLoopback(const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) {
    if (!IsLoopbackEndpoint(endpoint)) return endpoint;
  }
  return std::nullopt;
}

}  // namespace tranche
