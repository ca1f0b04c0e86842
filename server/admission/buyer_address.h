// Where a buyer calls from, as text, and as the network that limits count.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

// An address in 16 bytes; IPv4 as IPv4-mapped IPv6 (::ffff:a.b.c.d).
struct IpAddress {
  std::array<unsigned char, 16> bytes = {};
  bool is_v4() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// nullopt: it is not an address. Takes no port, no brackets, no zone, no leading zeros in IPv4.
std::optional<IpAddress> ParseIpAddress(absl::string_view text);
// "203.0.113.7", also for a mapped one; RFC 5952 for IPv6.
std::string ToText(const IpAddress& address);
// An address that is written in any way, as ToText writes it. "" for what is no address, such as "".
std::string PlainAddress(absl::string_view text);

// The buyer's address as text in its one form: `hops` proxies are trusted, so it is the entry that far from the right
// of the forwarding header (X-Forwarded-For: "client, proxy1, proxy2", also given as several headers in order), counted
// with the peer as the last. 0 hops: the peer. A header that is too short or has something else at that place: the
// peer. An entry may have a port or brackets. "" if the peer is no IP address either (a Unix socket).
//
// The peer is as gRPC names it ("ipv4:10.0.0.7:51234"), with or without its port, or an address alone. Of the header
// only the last `hops` entries are looked at, however many a client has put before them.
std::string BuyerAddress(absl::string_view peer, absl::string_view forwarded_for, int hops);

// The first 24 bits of IPv4, the first 56 of IPv6, as key of a limit, such as "203.0.113.0/24". "" for what is
// no address, such as "".
std::string NetworkOf(absl::string_view address);

}  // namespace tranche::server
