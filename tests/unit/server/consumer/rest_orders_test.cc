// When consumers rest.
#include "server/consumer/rest_orders.h"

#include <gtest/gtest.h>

#include "storage/fake/fake_front_ledger.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::server {
namespace {

using Mode = storage::ServiceMode::Kind;

class RestOrdersTest : public ::testing::Test {
 protected:
  void Set(Mode mode) {
    const auto changed = front_.SetServiceMode({.kind = mode, .reason = "why"}, /*preview=*/false, "alice");
    ASSERT_TRUE(changed.ok()) << changed.status();
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  storage::FakeFrontLedger front_{&clock_};
  RestOrders orders_{&ledger_, &front_};
};

TEST_F(RestOrdersTest, TheyRestWhileQueuesArePaused) {
  EXPECT_FALSE(orders_.Look());
  ASSERT_TRUE(ledger_.SetClaimsPaused(true, "alice").ok());
  EXPECT_TRUE(orders_.Look());
  ASSERT_TRUE(ledger_.SetClaimsPaused(false, "alice").ok());
  EXPECT_FALSE(orders_.Look());
}

TEST_F(RestOrdersTest, TheyRestUnlessTheServiceModeIsNormal) {
  for (const Mode mode : {Mode::kChangesOnly, Mode::kReadOnly}) {
    Set(mode);
    EXPECT_TRUE(orders_.Look());
    Set(Mode::kNormal);
    EXPECT_FALSE(orders_.Look());
  }
}

TEST_F(RestOrdersTest, WhatHomeDoesNotSayIsAsItWas) {
  Set(Mode::kChangesOnly);
  EXPECT_TRUE(orders_.Look());
  Set(Mode::kNormal);
  front_.FailNext(1);
  EXPECT_TRUE(orders_.Look());
  EXPECT_FALSE(orders_.Look());
}

}  // namespace
}  // namespace tranche::server
