#include "storage/ledger/actor.h"

#include <gtest/gtest.h>

namespace tranche::storage {
namespace {

TEST(Actor, HasALineForEachPart) {
  EXPECT_EQ(Actor("alice").ForLedger(), "alice");
  EXPECT_EQ(Actor("alice", "the price was wrong").ForLedger(), "alice\nthe price was wrong");
  EXPECT_EQ(Actor::Process("balancer").ForLedger(), "balancer\n\nautomatic");
}

TEST(Actor, ANameOrAReasonDoesNotMakeAPersonAProcess) {
  EXPECT_EQ(Actor("alice\n\nautomatic").ForLedger(), "alice  automatic");
  EXPECT_EQ(Actor("alice", "why\nautomatic").ForLedger(), "alice\nwhy automatic");
}

TEST(Actor, NobodyIsNobodyWhateverTheReason) {
  EXPECT_EQ(Actor("").ForLedger(), "");
  EXPECT_EQ(Actor("", "why").ForLedger(), "");
  EXPECT_EQ(Actor::Process("").ForLedger(), "");
}

}  // namespace
}  // namespace tranche::storage
