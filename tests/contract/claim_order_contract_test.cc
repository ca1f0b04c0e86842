// The order of what comes back to a queue, with several messages in a consumer's hands.
#include "tests/contract/claim_queue_fixture.h"

namespace tranche::server {
namespace {

using testing::ClaimCollector;
using ::testing::ElementsAre;
using testing::IdsOf;

class ClaimOrderContractTest : public ClaimQueueContractTest {};

// Field: requeued messages overtake each other as soon as the prefetch is more than one (rabbitmq-java-client#653).
TEST_P(ClaimOrderContractTest, WhatIsGivenBackTogetherKeepsItsOrder) {
  PublishNumbers(4);
  ClaimCollector collector;
  const auto source = Take(collector, 3);
  const auto first = collector.WaitFor(3);
  ASSERT_EQ(first.size(), 3u);
  source->Pause();
  for (const ClaimDelivery& delivery : first) source->Settle(queue_, delivery.tag, Settlement::kRequeue);
  source->Resume();
  const auto again = collector.WaitFor(6);
  ASSERT_THAT(IdsOf(again), ElementsAre("1", "2", "3", "1", "2", "3"));
  for (size_t i = 3; i < again.size(); ++i) source->Settle(queue_, again[i].tag, Settlement::kDone);
  EXPECT_THAT(IdsOf(collector.WaitFor(7)), ElementsAre("1", "2", "3", "1", "2", "3", "4"));
}

TEST_P(ClaimOrderContractTest, WhatComesBackFromALostConnectionKeepsItsOrder) {
  PublishNumbers(4);
  ClaimCollector collector;
  const auto source = Take(collector, 3);
  ASSERT_EQ(collector.WaitFor(3).size(), 3u);
  backend_->LoseConnections();
  ASSERT_TRUE(collector.WaitForLoss(queue_));
  EXPECT_THAT(IdsOf(collector.WaitFor(6)), ElementsAre("1", "2", "3", "1", "2", "3"));
}

INSTANTIATE_TEST_SUITE_P(Brokers, ClaimOrderContractTest, ::testing::Values(FakeClaimQueues(), RabbitClaimQueues()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tranche::server
