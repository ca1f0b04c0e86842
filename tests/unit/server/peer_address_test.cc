#include "server/rpc/peer_address.h"

#include <gtest/gtest.h>

namespace tranche::server {
namespace {

TEST(PeerAddressTest, IsTheSameForAllConnectionsOfOneMachine) {
  EXPECT_EQ(AddressOfPeer("ipv4:10.0.0.7:51234"), "ipv4:10.0.0.7");
  EXPECT_EQ(AddressOfPeer("ipv6:%5B2001:db8::7%5D:51234"), "ipv6:%5B2001:db8::7%5D");
  EXPECT_EQ(AddressOfPeer("ipv6:[::1]:51234"), "ipv6:[::1]");
}

TEST(PeerAddressTest, OfAnotherKindIsAllOfIt) {
  EXPECT_EQ(AddressOfPeer("unix:/run/tranched.sock"), "unix:/run/tranched.sock");
  EXPECT_EQ(AddressOfPeer(""), "");
}

}  // namespace
}  // namespace tranche::server
