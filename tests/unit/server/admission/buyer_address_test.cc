#include "server/admission/buyer_address.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace tranche::server {
namespace {

constexpr char kProxyPeer[] = "ipv4:10.0.0.7:51234";

// In its one form; "none": it is no address.
std::string FormOf(absl::string_view text) {
  const std::optional<IpAddress> address = ParseIpAddress(text);
  return address.has_value() ? ToText(*address) : "none";
}

TEST(BuyerAddressTest, AnAddressHasOneForm) {
  EXPECT_EQ(FormOf("203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(FormOf("::ffff:203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(FormOf("0:0:0:0:0:FFFF:CB00:7107"), "203.0.113.7");
  EXPECT_EQ(FormOf("2001:DB8:0:0:0:0:0:7"), "2001:db8::7");
  EXPECT_EQ(FormOf("2001:db8::7"), "2001:db8::7");
  EXPECT_EQ(FormOf("::"), "::");
  EXPECT_EQ(FormOf("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST(BuyerAddressTest, AnAddressInAnyWritingIsBroughtToItsOneForm) {
  EXPECT_EQ(PlainAddress("203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(PlainAddress("::FFFF:203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(PlainAddress("2001:DB8:0:0:0:0:0:7"), "2001:db8::7");
  EXPECT_EQ(PlainAddress(""), "");
  EXPECT_EQ(PlainAddress("203.0.113.7:80"), "");
}

TEST(BuyerAddressTest, OnlyMappedAddressesAreIpv4) {
  EXPECT_TRUE(ParseIpAddress("203.0.113.7")->is_v4());
  EXPECT_TRUE(ParseIpAddress("::ffff:203.0.113.7")->is_v4());
  EXPECT_FALSE(ParseIpAddress("::203.0.113.7")->is_v4());
  EXPECT_FALSE(ParseIpAddress("2001:db8::7")->is_v4());
  EXPECT_FALSE(ParseIpAddress("::")->is_v4());
}

TEST(BuyerAddressTest, WhatIsNoAddressIsRefused) {
  for (const char* text : {"", " ", "alice", "203.0.113", "203.0.113.256", "203.0.113.07", "0203.0.113.7",
                           "0xcb.0.113.7", "3405803783", "203.0.113.7:80", "[::1]", "::1%eth0", "1::2::3", "2001:db8",
                           "203.0.113.7 ", " 203.0.113.7", "-1.0.0.1", "203.0.113.7/24"}) {
    EXPECT_EQ(FormOf(text), "none") << text;
  }
  EXPECT_EQ(FormOf(absl::string_view("203.0.113.7\0", 12)), "none");
  EXPECT_EQ(FormOf(std::string(10'000, '1')), "none");
}

TEST(BuyerAddressTest, WithoutTrustedProxiesItIsThePeer) {
  EXPECT_EQ(BuyerAddress(kProxyPeer, "", 0), "10.0.0.7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, "203.0.113.7", 0), "10.0.0.7");
  EXPECT_EQ(BuyerAddress("ipv4:10.0.0.7", "", 0), "10.0.0.7");
  EXPECT_EQ(BuyerAddress("10.0.0.7", "", 0), "10.0.0.7");
}

TEST(BuyerAddressTest, PeersOfIpv6AreReadInAllForms) {
  for (const char* peer : {"ipv6:%5B2001:db8::7%5D:51234", "ipv6:%5B2001:db8::7%5D", "ipv6:[2001:db8::7]:51234",
                           "ipv6:[2001:db8::7]", "ipv6:%5b2001:db8::7%5d:51234", "2001:db8::7"}) {
    EXPECT_EQ(BuyerAddress(peer, "", 0), "2001:db8::7") << peer;
  }
  EXPECT_EQ(BuyerAddress("ipv6:%5Bfe80::1%25eth0%5D:51234", "", 0), "fe80::1");
  EXPECT_EQ(BuyerAddress("ipv6:[fe80::1%eth0]:51234", "", 0), "fe80::1");
  EXPECT_EQ(BuyerAddress("ipv6:%5B::ffff:10.0.0.7%5D:51234", "", 0), "10.0.0.7");
}

TEST(BuyerAddressTest, AnotherKindOfPeerHasNoAddress) {
  EXPECT_EQ(BuyerAddress("unix:/run/tranched.sock", "", 0), "");
  EXPECT_EQ(BuyerAddress("", "", 0), "");
  EXPECT_EQ(BuyerAddress(std::string(10'000, 'x'), "", 0), "");
  EXPECT_EQ(BuyerAddress("unix:/run/tranched.sock", "203.0.113.7", 1), "203.0.113.7");
}

// Field: "the leftmost forwarded address is the client's own invention" (brendanlong/lion-reader#983).
TEST(BuyerAddressTest, EntriesAreCountedFromTheRight) {
  const char* const header = "198.51.100.66, 203.0.113.7, 192.0.2.1";
  EXPECT_EQ(BuyerAddress(kProxyPeer, header, 1), "192.0.2.1");
  EXPECT_EQ(BuyerAddress(kProxyPeer, header, 2), "203.0.113.7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, header, 3), "198.51.100.66");
}

// Field: "a proxy's address puts everybody into one bucket" (lidofinance/lido-keys-api#372).
TEST(BuyerAddressTest, BehindATrustedProxyBuyersHaveAddressesOfTheirOwn) {
  const std::string one = BuyerAddress(kProxyPeer, "203.0.113.7", 1);
  const std::string other = BuyerAddress(kProxyPeer, "198.51.100.7", 1);
  EXPECT_NE(NetworkOf(one), NetworkOf(other));
  EXPECT_NE(NetworkOf(one), NetworkOf("10.0.0.7"));
}

TEST(BuyerAddressTest, AHeaderThatIsTooShortMeansThePeer) {
  EXPECT_EQ(BuyerAddress(kProxyPeer, "", 1), "10.0.0.7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, "203.0.113.7", 2), "10.0.0.7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, "198.51.100.66, 203.0.113.7", 10), "10.0.0.7");
}

TEST(BuyerAddressTest, SomethingElseAtThatPlaceMeansThePeer) {
  for (const char* header : {"203.0.113.7, unknown", "203.0.113.7,", "203.0.113.7, ", ",", "203.0.113.7, _hidden",
                             "203.0.113.7, 1.2.3.4:99999", "203.0.113.7, 1.2.3.4:", "203.0.113.7, [1.2.3.4]:80",
                             "203.0.113.7, [::1", "203.0.113.7, [::1]80", "203.0.113.7, [::1]:x", "203.0.113.7, []",
                             "203.0.113.7, \"1.2.3.4\"", "203.0.113.7, for=1.2.3.4", "203.0.113.7, 1.2.3.4 5.6.7.8"}) {
    EXPECT_EQ(BuyerAddress(kProxyPeer, header, 1), "10.0.0.7") << header;
  }
  EXPECT_EQ(BuyerAddress(kProxyPeer, "1.2.3.4" + std::string(10'000, ' '), 1), "10.0.0.7");
}

TEST(BuyerAddressTest, AnEntryMayHaveAPortOrBrackets) {
  EXPECT_EQ(BuyerAddress(kProxyPeer, "203.0.113.7:443", 1), "203.0.113.7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, "[2001:db8::7]:443", 1), "2001:db8::7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, "[2001:db8::7]", 1), "2001:db8::7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, " \t2001:DB8::7 ", 1), "2001:db8::7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, "::ffff:203.0.113.7", 1), "203.0.113.7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, "198.51.100.66,203.0.113.7", 1), "203.0.113.7");
}

// A client may send as much as the header may have.
TEST(BuyerAddressTest, WhatAClientPutsBeforeDoesNotMatter) {
  std::string header;
  for (int i = 0; i < 10'000; ++i) header += "198.51.100.66, ";
  EXPECT_EQ(BuyerAddress(kProxyPeer, header + "203.0.113.7", 1), "203.0.113.7");
  EXPECT_EQ(BuyerAddress(kProxyPeer, ",,,;%\x01, 203.0.113.7", 1), "203.0.113.7");
}

// Field: "a full IPv6 address as key is 2^64 buckets" (coda0HQ/open-artifacts#26).
TEST(BuyerAddressTest, AllAddressesOfANetworkAreOneKey) {
  EXPECT_EQ(NetworkOf("203.0.113.7"), "203.0.113.0/24");
  EXPECT_EQ(NetworkOf("203.0.113.255"), "203.0.113.0/24");
  EXPECT_NE(NetworkOf("203.0.114.7"), NetworkOf("203.0.113.7"));
  EXPECT_EQ(NetworkOf("::ffff:203.0.113.7"), "203.0.113.0/24");
  EXPECT_EQ(NetworkOf("2001:db8:1:2ff:ffff:ffff:ffff:ffff"), "2001:db8:1:200::/56");
  EXPECT_EQ(NetworkOf("2001:db8:1:200::1"), "2001:db8:1:200::/56");
  EXPECT_NE(NetworkOf("2001:db8:1:300::1"), NetworkOf("2001:db8:1:200::1"));
  EXPECT_EQ(NetworkOf(""), "");
  EXPECT_EQ(NetworkOf("alice"), "");
}

}  // namespace
}  // namespace tranche::server
