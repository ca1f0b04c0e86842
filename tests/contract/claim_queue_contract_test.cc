// What every broker of claims does, on the fake and on RabbitMQ: publishing and taking.
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/time/clock.h"
#include "tests/contract/claim_queue_fixture.h"

namespace tranche::server {
namespace {

using testing::BecomesTrue;
using testing::ClaimCollector;
using ::testing::ElementsAre;
using testing::IdsOf;
using testing::PublishAndWait;

TEST_P(ClaimQueueContractTest, ConfirmedMessagesAreDeliveredInTheirOrder) {
  PublishNumbers(5);
  EXPECT_TRUE(DepthBecomes(5, 0));
  ClaimCollector collector;
  const auto source = Take(collector, 10);
  const auto deliveries = collector.WaitFor(5);
  ASSERT_THAT(IdsOf(deliveries), ElementsAre("1", "2", "3", "4", "5"));
  for (const ClaimDelivery& delivery : deliveries) {
    EXPECT_EQ(delivery.queue, queue_);
    EXPECT_EQ(delivery.body, "body of " + delivery.id);
    EXPECT_EQ(delivery.deliveries, 0);
    source->Settle(queue_, delivery.tag, Settlement::kDone);
  }
  EXPECT_TRUE(BecomesTrue([&] { return source->Up(); }));
  source->Stop();
  EXPECT_TRUE(DepthBecomes(0, 0));
  EXPECT_EQ(collector.count(), 5u);
}

TEST_P(ClaimQueueContractTest, LateSettlementsOfEarlyMessagesLoseNone) {
  PublishNumbers(6);
  ClaimCollector collector;
  auto source = Take(collector, 10);
  const auto deliveries = collector.WaitFor(6);
  ASSERT_EQ(deliveries.size(), 6u);
  // 1 and 3 stay open: what is settled behind them must not settle them.
  for (const size_t index : {1u, 3u, 4u, 5u}) {
    source->Settle(queue_, deliveries[index].tag, Settlement::kDone);
  }
  source->Stop();
  EXPECT_TRUE(DepthBecomes(2, 0));
  ClaimCollector next;
  source = Take(next, 10);
  EXPECT_THAT(IdsOf(next.WaitFor(2)), ElementsAre("1", "3"));
}

TEST_P(ClaimQueueContractTest, WhatIsUnsettledComesBackAfterALostConnection) {
  PublishNumbers(3);
  ClaimCollector collector;
  const auto source = Take(collector, 10);
  ASSERT_EQ(collector.WaitFor(3).size(), 3u);
  backend_->LoseConnections();
  ASSERT_TRUE(collector.WaitForLoss(queue_));
  const auto deliveries = collector.WaitFor(6);
  ASSERT_THAT(IdsOf(deliveries), ElementsAre("1", "2", "3", "1", "2", "3"));
  EXPECT_EQ(deliveries[3].deliveries, 1);
  // Settling what was lost has no effect, whatever its tag was.
  for (size_t i = 0; i < 3; ++i) source->Settle(queue_, deliveries[i].tag, Settlement::kDead);
  for (size_t i = 3; i < 6; ++i) source->Settle(queue_, deliveries[i].tag, Settlement::kDone);
  source->Stop();
  EXPECT_TRUE(DepthBecomes(0, 0));
}

TEST_P(ClaimQueueContractTest, WhatIsGivenBackComesFirstAndIsCounted) {
  PublishNumbers(2);
  ClaimCollector collector;
  const auto source = Take(collector, 1);
  auto deliveries = collector.WaitFor(1);
  ASSERT_EQ(deliveries.size(), 1u);
  source->Settle(queue_, deliveries[0].tag, Settlement::kRequeue);
  deliveries = collector.WaitFor(2);
  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_EQ(deliveries[1].id, "1");
  EXPECT_EQ(deliveries[1].deliveries, 1);
  source->Settle(queue_, deliveries[1].tag, Settlement::kDone);
  deliveries = collector.WaitFor(3);
  ASSERT_EQ(deliveries.size(), 3u);
  EXPECT_EQ(deliveries[2].id, "2");
  EXPECT_EQ(deliveries[2].deliveries, 0);
}

TEST_P(ClaimQueueContractTest, NoMoreIsUnsettledThanThePrefetch) {
  PublishNumbers(6);
  ClaimCollector collector;
  const auto source = Take(collector, 3);
  const auto deliveries = collector.WaitFor(3);
  ASSERT_EQ(deliveries.size(), 3u);
  EXPECT_TRUE(DepthBecomes(3, 0)) << "the others are still in the queue";
  EXPECT_EQ(collector.count(), 3u);
  source->Settle(queue_, deliveries[1].tag, Settlement::kDone);
  EXPECT_THAT(IdsOf(collector.WaitFor(4)), ElementsAre("1", "2", "3", "4"));
  EXPECT_TRUE(DepthBecomes(2, 0));
  EXPECT_EQ(collector.count(), 4u);
}

TEST_P(ClaimQueueContractTest, PausedSourceTakesNothingAndCanSettle) {
  PublishNumbers(1);
  ClaimCollector collector;
  const auto source = Take(collector, 10);
  auto deliveries = collector.WaitFor(1);
  ASSERT_EQ(deliveries.size(), 1u);
  source->Pause();
  source->Pause();
  source->Settle(queue_, deliveries[0].tag, Settlement::kDone);
  ASSERT_TRUE(BecomesTrue([&] { return Depth().consumers == 0; }));
  ASSERT_TRUE(Publish("2").ok());
  ASSERT_TRUE(DepthBecomes(1, 0));
  EXPECT_EQ(collector.count(), 1u);
  source->Resume();
  deliveries = collector.WaitFor(2);
  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_EQ(deliveries[1].id, "2");
  source->Settle(queue_, deliveries[1].tag, Settlement::kDone);
  source->Stop();
  EXPECT_TRUE(DepthBecomes(0, 0));
}

TEST_P(ClaimQueueContractTest, WhatArrivesDuringAPauseIsHandedOver) {
  PublishNumbers(50);
  ClaimCollector collector;
  const auto source = Take(collector, 50);
  ASSERT_FALSE(collector.WaitFor(1).empty());
  source->Pause();
  // A broker may still count who holds messages as a consumer.
  EXPECT_TRUE(BecomesTrue([&] { return collector.count() + static_cast<size_t>(Depth().ready) == 50; }))
      << collector.count() << " delivered, " << Depth().ready << " in the queue";
  source->Stop();
}

TEST_P(ClaimQueueContractTest, PrefetchHoldsOverAPause) {
  PublishNumbers(4);
  ClaimCollector collector;
  const auto source = Take(collector, 2);
  const auto deliveries = collector.WaitFor(2);
  ASSERT_EQ(deliveries.size(), 2u);
  source->Pause();
  ASSERT_TRUE(DepthBecomes(2, 0));
  source->Resume();
  // Settling one makes room for one, wherever the others wait meanwhile.
  source->Settle(queue_, deliveries[0].tag, Settlement::kDone);
  EXPECT_THAT(IdsOf(collector.WaitFor(3)), ElementsAre("1", "2", "3"));
  source->Stop();
  EXPECT_TRUE(DepthBecomes(3, 0));
  EXPECT_EQ(collector.count(), 3u);
}

TEST_P(ClaimQueueContractTest, StopGivesBackWhatIsNotSettled) {
  PublishNumbers(3);
  ClaimCollector collector;
  auto source = Take(collector, 2);
  ASSERT_EQ(collector.WaitFor(2).size(), 2u);
  source->Stop();
  EXPECT_FALSE(source->Up());
  EXPECT_TRUE(DepthBecomes(3, 0));
  ClaimCollector next;
  source = Take(next, 10);
  const auto deliveries = next.WaitFor(3);
  ASSERT_THAT(IdsOf(deliveries), ElementsAre("1", "2", "3"));
  EXPECT_EQ(deliveries[0].deliveries, 1);
  EXPECT_EQ(deliveries[2].deliveries, 0);
}

TEST_P(ClaimQueueContractTest, FullQueueRejects) {
  Make(/*max_length=*/10);
  absl::Status published;
  int confirmed = 0;
  // The broker stops publishers a few messages after the bound.
  while (confirmed < 200 && (published = Publish(absl::StrCat(confirmed))).ok()) ++confirmed;
  ASSERT_TRUE(absl::IsResourceExhausted(published)) << published;
  EXPECT_GE(confirmed, 10);
  ClaimCollector collector;
  const auto source = Take(collector, 250);
  const auto deliveries = collector.WaitFor(static_cast<size_t>(confirmed));
  EXPECT_EQ(deliveries.size(), static_cast<size_t>(confirmed)) << "what was rejected is not there";
  for (const ClaimDelivery& delivery : deliveries) source->Settle(queue_, delivery.tag, Settlement::kDone);
  EXPECT_TRUE(BecomesTrue([this] { return Publish("again").ok(); }));
}

TEST_P(ClaimQueueContractTest, AlarmRefusesPublishersAndNotSources) {
  if (!backend_->CanAlarm()) GTEST_SKIP() << "the broker is not ours";
  ASSERT_TRUE(Publish("before").ok());
  backend_->SetAlarm(true);
  absl::Cleanup lift = [this] { backend_->SetAlarm(false); };
  EXPECT_TRUE(BecomesTrue([this] { return !backend_->publisher().Up(); }));
  // One of several connections may hear of it a moment later. What was sent there meanwhile is in doubt, or taken.
  constexpr absl::Duration kBrief = absl::Milliseconds(300);
  EXPECT_TRUE(BecomesTrue([&] {
    const absl::Time start = absl::Now();
    const absl::Status refused = PublishAndWait(backend_->publisher(), queue_, "under alarm", "", kBrief);
    EXPECT_TRUE(refused.ok() || absl::IsUnavailable(refused)) << refused;
    return !refused.ok() && !storage::IsUnknownCommit(refused) && absl::Now() - start < kBrief;
  }));
  ClaimCollector collector;
  const auto source = Take(collector, 10);
  EXPECT_EQ(IdsOf(collector.WaitFor(1)).front(), "before");
  std::move(lift).Invoke();
  EXPECT_TRUE(BecomesTrue([this] { return backend_->publisher().Up(); }));
  ASSERT_TRUE(Publish("after").ok());
  EXPECT_EQ(IdsOf(collector.WaitForId("after")).back(), "after");
}

TEST_P(ClaimQueueContractTest, WhatCannotBeSentIsRefused) {
  ClaimPublisher& publisher = backend_->publisher();
  const absl::Status late = PublishAndWait(publisher, queue_, "late", "", absl::ZeroDuration());
  EXPECT_TRUE(absl::IsUnavailable(late)) << late;
  EXPECT_FALSE(storage::IsUnknownCommit(late)) << late;
  const absl::Status nowhere = PublishAndWait(publisher, queue_ + ".missing", "nowhere", "");
  EXPECT_TRUE(absl::IsUnavailable(nowhere)) << nowhere;
  EXPECT_FALSE(storage::IsUnknownCommit(nowhere)) << nowhere;
  const absl::Status large = PublishAndWait(publisher, queue_, "large", std::string(kMaxQueuedBytes + 1, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(large)) << large;
  EXPECT_TRUE(PublishAndWait(publisher, queue_, "largest", std::string(kMaxQueuedBytes, 'x')).ok());
  EXPECT_TRUE(DepthBecomes(1, 0));
}

INSTANTIATE_TEST_SUITE_P(Brokers, ClaimQueueContractTest, ::testing::Values(FakeClaimQueues(), RabbitClaimQueues()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tranche::server
