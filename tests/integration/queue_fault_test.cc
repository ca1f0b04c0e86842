// Servers that break under queued claims: ledger, broker and consumers. No claim is lost, and none is decided twice.
#include <signal.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/queue_fixture.h"
#include "tests/integration/shoppers.h"

namespace tranche::testing {
namespace {

// The goal is 200 ms (docs/measurements.md); a machine that is busy with other tests needs longer.
constexpr absl::Duration kRefusedWithin = absl::Seconds(1);

TEST_F(QueueTest, WithoutItsLedgerAutoQueuesAndNothingIsLostOrSoldTwice) {
  constexpr int kClaims = 40;
  OpenQueued("auto", 100'000, v1::CLAIM_PATH_AUTO);
  // Unless the machine is so busy that its ledger is slow.
  std::vector<v1::QueuedClaim> early;
  AwaitTrue("with its ledger it sells at once", [&] {
    v1::CreateReservationResponse response;
    const v1::CreateReservationRequest claim = ClaimOf("auto", absl::StrCat("early-", absl::ToUnixNanos(absl::Now())));
    const bool ok = Claim(0, claim, &response).ok();
    if (ok && response.has_queued()) early.push_back(response.queued());
    return ok && response.has_reservation();
  });
  (void)AwaitAllSold(early);
  const std::set<std::string> before = RowsOf("auto");
  ASSERT_TRUE(cluster_->postgres().Stop().ok());
  const std::vector<v1::QueuedClaim> queued = QueueMany("auto", kClaims);
  ASSERT_TRUE(cluster_->postgres().Start().ok());

  std::set<std::string> sold = AwaitAllSold(queued);
  EXPECT_EQ(sold.size(), static_cast<size_t>(kClaims));
  sold.insert(before.begin(), before.end());
  EXPECT_EQ(RowsOf("auto"), sold);
  AwaitTrue("it sells at once again", [&] {
    v1::CreateReservationResponse response;
    return Claim(1, ClaimOf("auto", absl::StrCat("last-", absl::ToUnixNanos(absl::Now()))), &response).ok() &&
           response.has_reservation();
  });
}

TEST_F(QueueTest, AKilledConsumersClaimsAreDecidedByTheOther) {
  // Few: the broker gives up a consumer that says nothing for ten seconds, and all must be done before.
  constexpr int kClaims = 16;
  OpenQueued("killed", 200, v1::CLAIM_PATH_QUEUE);
  // It stands still with its share of the claims in hand.
  ServerProcess& consumer = cluster_->consumer(last_consumer());
  ASSERT_TRUE(consumer.process().Signal(SIGSTOP).ok());
  const std::vector<v1::QueuedClaim> queued = QueueMany("killed", kClaims);
  AwaitTrue("consumers have all claims", [&] { return StateOf(QueueName("killed")).ready() == 0; });
  EXPECT_TRUE(std::any_of(queued.begin(), queued.end(), [this](const auto& each) { return Get(0, each).has_queued(); }))
      << "the one that stands still was given none";
  ASSERT_TRUE(cluster_->KillConsumer(last_consumer()).ok());
  EXPECT_EQ(AwaitAllSold(queued).size(), static_cast<size_t>(kClaims));
  EXPECT_EQ(RowsOf("killed").size(), static_cast<size_t>(kClaims));
  const auto started = cluster_->StartConsumer();
  ASSERT_TRUE(started.ok()) << started.status();
}

TEST_F(QueueTest, AConsumerThatIsStoppedLeavesNoClaimBehind) {
  constexpr int kClaims = 40;
  OpenQueued("stopped", 200, v1::CLAIM_PATH_QUEUE);
  std::vector<v1::QueuedClaim> queued = QueueMany("stopped", kClaims / 2);
  const auto status = cluster_->StopConsumer(last_consumer());
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, 0);
  for (const v1::QueuedClaim& claim : QueueMany("stopped", kClaims / 2)) queued.push_back(claim);
  EXPECT_EQ(AwaitAllSold(queued).size(), static_cast<size_t>(kClaims));
  EXPECT_EQ(RowsOf("stopped").size(), static_cast<size_t>(kClaims));
  const auto started = cluster_->StartConsumer();
  ASSERT_TRUE(started.ok()) << started.status();
}

// Field: a publish to a broker that is away hangs, and the shop with it (alanxz/rabbitmq-c#519).
TEST_F(QueueTest, WithoutItsBrokerTheQueueRefusesQuicklyAndAllElseGoesOn) {
  constexpr int kClaims = 30;
  OpenQueued("brokered", 200, v1::CLAIM_PATH_QUEUE);
  OpenSale("direct", 2000);
  const std::vector<v1::QueuedClaim> queued = QueueMany("brokered", kClaims);
  ASSERT_TRUE(broker_->Kill().ok());
  const auto try_one = [&](int node) {
    v1::CreateReservationResponse response;
    const absl::Time began = absl::Now();
    const DoorAnswer answer =
        Claim(node, ClaimOf("brokered", absl::StrCat("late-", absl::ToUnixNanos(began))), &response);
    return std::make_pair(answer, absl::Now() - began);
  };
  for (int node = 0; node < 2; ++node) {
    // Until the connection's end is known, a claim may be in doubt.
    AwaitTrue("the queue is refused", [&] { return try_one(node).first.reason == "QUEUE_UNAVAILABLE"; });
    const auto [answer, took] = try_one(node);
    EXPECT_EQ(answer.reason, "QUEUE_UNAVAILABLE") << ::testing::PrintToString(answer);
    EXPECT_GT(answer.retry_after, absl::ZeroDuration());
    EXPECT_LT(took, kRefusedWithin);
  }
  const auto client = ClientOf(cluster_->endpoints());
  {
    Shoppers shoppers(client.get(), {"direct"}, 4);
    EXPECT_TRUE(shoppers.WaitForMore(100, kQueuePatience)) << "direct claims stopped with the broker";
    shoppers.Stop();
    for (const auto& [reason, count] : shoppers.refused()) EXPECT_EQ(reason, "EXHAUSTED_HERE") << count << " times";
  }

  ASSERT_TRUE(broker_->Start().ok());
  EXPECT_EQ(AwaitAllSold(queued).size(), static_cast<size_t>(kClaims)) << "confirmed claims are lost";
  EXPECT_EQ(AwaitAllSold(QueueMany("brokered", 2)).size(), 2u) << "the queue is back";
}

}  // namespace
}  // namespace tranche::testing
