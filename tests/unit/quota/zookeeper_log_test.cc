#include "quota/zookeeper/zookeeper_log.h"

#include <gtest/gtest.h>

#include "tests/support/logged_lines.h"

namespace tranche::quota {
namespace {

// The client repeats itself with every try to connect: for hours, if the ensemble is down so long.
TEST(ZookeeperLogTest, ACauseIsToldOnceHoweverOftenTheClientRepeatsIt) {
  const testing::LoggedLines told;
  LogFromZookeeper("2026-11-28 12:00:00,1:17(0x7f):ZOO_ERROR@check_events@1: Socket [10.0.0.1:2181] refused");
  LogFromZookeeper("2026-11-28 12:00:01,1:17(0x7f):ZOO_ERROR@check_events@1: Socket [10.0.0.2:2181] refused");
  LogFromZookeeper("2026-11-28 12:00:01,2:17(0x7f):ZOO_WARN@zookeeper_interest@2: Exceeded deadline by 12ms");
  LogFromZookeeper("2026-11-28 12:00:02,1:17(0x7f):ZOO_ERROR@check_events@1: Socket [10.0.0.1:2181] refused");
  ASSERT_EQ(told.lines().size(), 2U);
  EXPECT_EQ(told.lines()[0], "ZooKeeper client: ZOO_ERROR@check_events@1: Socket [10.0.0.1:2181] refused");
  EXPECT_EQ(told.lines()[1], "ZooKeeper client: ZOO_WARN@zookeeper_interest@2: Exceeded deadline by 12ms");
}

}  // namespace
}  // namespace tranche::quota
