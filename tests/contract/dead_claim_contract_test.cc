// What every broker of claims does with dead letters, and for operators.
#include <thread>

#include "absl/time/clock.h"
#include "server/queue/rabbit_claim_queue.h"
#include "tests/contract/claim_queue_fixture.h"

namespace tranche::server {
namespace {

using testing::ClaimCollector;
using ::testing::ElementsAre;
using testing::IdsOf;
using ::testing::IsEmpty;

class DeadClaimContractTest : public ClaimQueueContractTest {
 protected:
  // Makes dead letters of all that is in the queue.
  void RejectAll(size_t count) {
    ClaimCollector collector;
    const auto source = Take(collector, 100);
    const auto deliveries = collector.WaitFor(count);
    ASSERT_EQ(deliveries.size(), count);
    for (const ClaimDelivery& delivery : deliveries) source->Settle(queue_, delivery.tag, Settlement::kDead);
    ASSERT_TRUE(DepthBecomes(0, static_cast<int64_t>(count)));
  }

  static std::vector<std::string> DeadIds(const std::vector<DeadClaim>& dead) {
    std::vector<std::string> ids;
    for (const DeadClaim& letter : dead) ids.push_back(letter.id);
    return ids;
  }
};

TEST_P(DeadClaimContractTest, PoisonIsDeadAfterTheLastDelivery) {
  ASSERT_TRUE(Publish("poison").ok());
  ASSERT_TRUE(Publish("neighbour").ok());
  ClaimCollector collector;
  const auto source = Take(collector, 1);
  for (size_t i = 0; i < kDeliveryLimit; ++i) {
    const auto deliveries = collector.WaitFor(i + 1);
    ASSERT_EQ(deliveries.size(), i + 1);
    ASSERT_EQ(deliveries[i].id, "poison");
    EXPECT_EQ(deliveries[i].deliveries, static_cast<int>(i));
    source->Settle(queue_, deliveries[i].tag, Settlement::kRequeue);
  }
  const auto deliveries = collector.WaitFor(kDeliveryLimit + 1);
  ASSERT_EQ(deliveries.size(), size_t{kDeliveryLimit} + 1);
  EXPECT_EQ(deliveries.back().id, "neighbour");
  source->Settle(queue_, deliveries.back().tag, Settlement::kDone);
  ASSERT_TRUE(DepthBecomes(0, 1));
  const auto dead = Dead();
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].id, "poison");
  EXPECT_EQ(dead[0].body, "body of poison");
  EXPECT_EQ(dead[0].queue, queue_);
  EXPECT_EQ(dead[0].reason, "delivery_limit");
  EXPECT_EQ(dead[0].deliveries, kDeliveryLimit);
  // The broker tells whole seconds.
  EXPECT_LT(absl::AbsDuration(absl::Now() - dead[0].died_at), absl::Minutes(5));
}

TEST_P(DeadClaimContractTest, LettersStayWhenTheyAreListed) {
  PublishNumbers(3);
  RejectAll(3);
  auto dead = Dead();
  ASSERT_THAT(DeadIds(dead), ElementsAre("1", "2", "3"));
  EXPECT_EQ(dead[0].reason, "rejected");
  ASSERT_TRUE(DepthBecomes(0, 3));
  EXPECT_THAT(DeadIds(Dead()), ElementsAre("1", "2", "3"));
  const auto first = backend_->admin().ListDead(queue_, 1);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(DeadIds(*first), ElementsAre("1"));
}

TEST_P(DeadClaimContractTest, OnlyWantedLettersThatAreAcceptedAreTaken) {
  PublishNumbers(4);
  RejectAll(4);
  std::vector<std::string> seen;
  const std::vector<std::string> wanted = {"2", "3", "unknown"};
  auto taken = backend_->admin().TakeDead(queue_, wanted, [&seen](const DeadClaim& letter) {
    seen.push_back(letter.id);
    return letter.id == "3" ? absl::UnavailableError("not this one") : absl::OkStatus();
  });
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(*taken, 1);
  EXPECT_THAT(seen, ElementsAre("2", "3"));
  ASSERT_TRUE(DepthBecomes(0, 3));
  EXPECT_THAT(DeadIds(Dead()), ElementsAre("1", "3", "4"));
  ASSERT_TRUE(DepthBecomes(0, 3));
  taken = backend_->admin().TakeDead(queue_, {}, [](const DeadClaim&) { return absl::OkStatus(); });
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(*taken, 3);
  ASSERT_TRUE(DepthBecomes(0, 0));
  EXPECT_THAT(Dead(), IsEmpty());
}

TEST_P(DeadClaimContractTest, LettersCanGoBackToTheirQueue) {
  PublishNumbers(1);
  RejectAll(1);
  const auto taken = backend_->admin().TakeDead(queue_, {}, [this](const DeadClaim& letter) {
    return testing::PublishAndWait(backend_->publisher(), letter.queue, letter.id, letter.body);
  });
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(*taken, 1);
  ASSERT_TRUE(DepthBecomes(1, 0));
  ClaimCollector collector;
  const auto source = Take(collector, 10);
  const auto deliveries = collector.WaitFor(1);
  ASSERT_THAT(IdsOf(deliveries), ElementsAre("1"));
  EXPECT_EQ(deliveries[0].deliveries, 0);
}

TEST_P(DeadClaimContractTest, DepthsAreToldAgainAtOnceWhenTheConnectionIsLost) {
  ASSERT_TRUE(Publish("claim").ok());
  ASSERT_TRUE(DepthBecomes(1, 0));
  for (int i = 0; i < 2; ++i) {
    backend_->LoseConnections();
    const auto depths = backend_->admin().Depths({queue_});
    ASSERT_TRUE(depths.ok()) << depths.status();
    EXPECT_EQ(depths->front().ready, 1);
  }
}

TEST_P(DeadClaimContractTest, TwoWhoLookAtDeadLettersAtOnceBothSeeThem) {
  ASSERT_TRUE(Publish("poison").ok());
  RejectAll(1);
  absl::StatusOr<std::vector<DeadClaim>> other = absl::UnknownError("not asked");
  std::thread thread([&] { other = backend_->admin().ListDead(queue_, 10); });
  const auto own = backend_->admin().ListDead(queue_, 10);
  thread.join();
  ASSERT_TRUE(own.ok() && other.ok()) << own.status() << other.status();
  EXPECT_THAT(DeadIds(*own), ElementsAre("poison"));
  EXPECT_THAT(DeadIds(*other), ElementsAre("poison"));
}

TEST_P(DeadClaimContractTest, DeclaringAgainChangesNothing) {
  PublishNumbers(1);
  EXPECT_TRUE(backend_->admin().Declare({queue_}).ok());
  EXPECT_TRUE(DepthBecomes(1, 0));
  EXPECT_TRUE(absl::IsNotFound(backend_->admin().Depths({queue_ + ".missing"}).status()));
  EXPECT_TRUE(absl::IsNotFound(backend_->admin().ListDead(queue_ + ".missing", 1).status()));
}

INSTANTIATE_TEST_SUITE_P(Brokers, DeadClaimContractTest, ::testing::Values(FakeClaimQueues(), RabbitClaimQueues()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tranche::server
