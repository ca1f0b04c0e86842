#include "server/admission/buyer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace tranche::server {
namespace {

constexpr std::array<unsigned char, 12> kMappedStart = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
// "[" address "%" zone "]:" port, with room to spare. Who sends more means something else.
constexpr size_t kMaxEntryBytes = 128;

bool IsPortNumber(absl::string_view text) {
  int port = 0;
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, &port) && port <= 65535;
}

// An address that may have brackets or a port: "203.0.113.7:51234", "[2001:db8::7]", "[2001:db8::7]:443".
std::optional<IpAddress> ParseEndpoint(absl::string_view text) {
  if (absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return std::nullopt;
    const absl::string_view rest = text.substr(end + 1);
    if (!rest.empty() && (rest[0] != ':' || !IsPortNumber(rest.substr(1)))) return std::nullopt;
    const std::optional<IpAddress> inner = ParseIpAddress(text.substr(1, end - 1));
    // Only IPv6 has brackets; it may be a mapped one.
    return absl::StrContains(text.substr(1, end - 1), ':') ? inner : std::nullopt;
  }
  const size_t colon = text.find(':');
  // IPv6 has at least two.
  if (colon == absl::string_view::npos || text.find(':', colon + 1) != absl::string_view::npos) {
    return ParseIpAddress(text);
  }
  return IsPortNumber(text.substr(colon + 1)) ? ParseIpAddress(text.substr(0, colon)) : std::nullopt;
}

// As gRPC names it, "ipv4:10.0.0.7:51234", "ipv6:%5B2001:db8::7%5D:51234" or "ipv6:[::1]:51234", also without the port;
// or only the address. The zone of a link-local one, "fe80::1%25eth0", is left out.
std::optional<IpAddress> ParsePeer(absl::string_view peer) {
  if (peer.size() > kMaxEntryBytes) return std::nullopt;
  if (!absl::ConsumePrefix(&peer, "ipv4:")) absl::ConsumePrefix(&peer, "ipv6:");
  std::string text = absl::StrReplaceAll(peer, {{"%5B", "["}, {"%5b", "["}, {"%5D", "]"}, {"%5d", "]"}, {"%25", "%"}});
  if (const size_t zone = text.find('%'); zone != std::string::npos) {
    text.erase(zone, std::min(text.find(']', zone), text.size()) - zone);
  }
  return ParseEndpoint(text);
}

// The entry so many places from the right, the last being 1; nullopt if there are fewer.
std::optional<absl::string_view> EntryFromRight(absl::string_view list, int place) {
  while (true) {
    const size_t comma = list.rfind(',');
    const bool leftmost = comma == absl::string_view::npos;
    if (place == 1) return leftmost ? list : list.substr(comma + 1);
    if (leftmost) return std::nullopt;
    list = list.substr(0, comma);
    --place;
  }
}

}  // namespace

bool IpAddress::is_v4() const { return std::equal(kMappedStart.begin(), kMappedStart.end(), bytes.begin()); }

std::optional<IpAddress> ParseIpAddress(absl::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(terminated) || absl::StrContains(text, '\0')) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated);
  terminated[text.size()] = '\0';
  IpAddress address;
  if (inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) return address;
  // It refuses leading zeros, which some read as octal, and fewer than four numbers.
  if (inet_pton(AF_INET, terminated, address.bytes.data() + kMappedStart.size()) != 1) return std::nullopt;
  std::copy(kMappedStart.begin(), kMappedStart.end(), address.bytes.begin());
  return address;
}

std::string ToText(const IpAddress& address) {
  const auto& bytes = address.bytes;
  if (address.is_v4()) return absl::StrCat(bytes[12], ".", bytes[13], ".", bytes[14], ".", bytes[15]);
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  return text;
}

std::string PlainAddress(absl::string_view text) {
  const std::optional<IpAddress> address = ParseIpAddress(text);
  return address.has_value() ? ToText(*address) : "";
}

std::string BuyerAddress(absl::string_view peer, absl::string_view forwarded_for, int hops) {
  if (hops > 0) {
    const std::optional<absl::string_view> entry = EntryFromRight(forwarded_for, hops);
    if (entry.has_value() && entry->size() <= kMaxEntryBytes) {
      const std::optional<IpAddress> address = ParseEndpoint(absl::StripAsciiWhitespace(*entry));
      if (address.has_value()) return ToText(*address);
    }
  }
  const std::optional<IpAddress> address = ParsePeer(peer);
  return address.has_value() ? ToText(*address) : "";
}

std::string NetworkOf(absl::string_view address) {
  std::optional<IpAddress> network = ParseIpAddress(address);
  if (!network.has_value()) return "";
  const bool v4 = network->is_v4();
  // Whole bytes: 96 + 24 and 56 bits.
  std::fill(network->bytes.begin() + (v4 ? 15 : 7), network->bytes.end(), static_cast<unsigned char>(0));
  return absl::StrCat(ToText(*network), v4 ? "/24" : "/56");
}

}  // namespace tranche::server
