// What a leading balancer says of the sale: once, and not again after a change of leaders.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/support/logged_lines.h"
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class BalancerEventsTest : public BalancerTest {
 protected:
  // The lines of one kind of event.
  std::vector<std::string> Told(const std::string& event) const {
    std::vector<std::string> lines;
    for (const std::string& line : log_.lines()) {
      if (absl::StartsWith(line, "event " + event + " ")) lines.push_back(line);
    }
    return lines;
  }
  // So long that the announcements are looked through once more.
  void WholePass() {
    clock_.AdvanceBy(options_.repair_interval);
    Rounds();
  }

  const testing::LoggedLines log_;
};

TEST_F(BalancerEventsTest, ASaleIsToldFromItsOpeningToItsClosing) {
  const Node node = AddNode();
  Rounds();
  ASSERT_EQ(Told("balancer.leads").size(), 1u);
  EXPECT_THAT(Told("balancer.leads")[0], HasSubstr("balancer=balancer shard=home"));
  CreateSku(10);
  Rounds();
  ASSERT_EQ(Told("sale.opened").size(), 1u);
  EXPECT_THAT(Told("sale.opened")[0], HasSubstr("sku=tv units=10 unsold=10 held=false"));
  clock_.AdvanceBy(absl::Seconds(3));
  Buy(node, 10);
  ReportDemand(node, 1);
  Rounds();
  ASSERT_EQ(Told("sale.sold_out").size(), 1u) << "at once, because a node is dry";
  EXPECT_THAT(Told("sale.sold_out")[0], AllOf(HasSubstr("sku=tv units=10 unsold=0"), HasSubstr("seconds=3")));
  WholePass();
  EXPECT_EQ(Told("sale.sold_out").size(), 1u);
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  WholePass();
  EXPECT_EQ(Told("sale.closed").size(), 1u);
  WholePass();
  EXPECT_EQ(Told("sale.closed").size(), 1u);
}

TEST_F(BalancerEventsTest, ANewLeaderDoesNotRepeatWhatIsOld) {
  CreateSku(10);
  const Node node = AddNode();
  Rounds();
  WholePass();
  EXPECT_TRUE(Told("sale.opened").empty()) << "it was open when this leader began";
  Buy(node, 10);
  WholePass();
  EXPECT_EQ(Told("sale.sold_out").size(), 1u);
}

TEST_F(BalancerEventsTest, ADeathNamesTheNodeItsUnitsAndTheEvidence) {
  CreateSku(10);
  const Node dead = AddNode(), alive = AddNode();
  Rounds();
  const int64_t held = Left(dead.id);
  ASSERT_GT(held, 0);
  zookeeper_.ExpireSession(dead.session->SessionId());
  Rounds();
  WholePass();
  ASSERT_EQ(Told("node.gone").size(), 1u);
  EXPECT_THAT(Told("node.gone")[0],
              AllOf(HasSubstr("node=node incarnation=" + std::to_string(dead.id)), HasSubstr("address=host:1"),
                    HasSubstr("evidence=registration_gone"), HasSubstr("units=" + std::to_string(held))));
  EXPECT_EQ(Left(alive.id), 10);
  const Node late = AddNode();
  Rounds();
  EXPECT_EQ(Told("node.joined").size(), 1u) << "not those that were there when this leader began";
}

}  // namespace
}  // namespace tranche::quota
