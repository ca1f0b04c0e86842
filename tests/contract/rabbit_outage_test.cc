// What is true of claims in RabbitMQ while a broker is dead or frozen: on private brokers, which the tests break.
#include "tests/contract/rabbit_outage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/rabbit_claim_queue.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/claim_collector.h"
#include "tests/support/free_port.h"
#include "tests/support/mini_rabbitmq.h"

namespace tranche::server {
namespace {

using testing::BecomesTrue;
using testing::ClaimCollector;
using testing::Contents;
using ::testing::IsSubsetOf;
using testing::kClaimPatience;
using testing::MiniRabbitmq;
using testing::OptionsFor;
using testing::Outcomes;
using testing::PublishAndWait;
using testing::Strangers;

class RabbitOutageTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    broker_ = std::make_unique<MiniRabbitmq>();
    const absl::Status started = broker_->Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  static void TearDownTestSuite() { broker_.reset(); }

  void Declare(const std::string& queue) {
    const absl::Status declared = RabbitClaimQueueAdmin(options_).Declare({queue});
    ASSERT_TRUE(declared.ok()) << declared;
    const absl::Status kept = broker_->AwaitOnDisk(queue);
    ASSERT_TRUE(kept.ok()) << kept;
  }

  static std::unique_ptr<MiniRabbitmq> broker_;
  const BrokerOptions options_ = OptionsFor(broker_->address());
};

std::unique_ptr<MiniRabbitmq> RabbitOutageTest::broker_;

TEST_F(RabbitOutageTest, ConfirmedMessagesSurviveAKilledBroker) {
  const std::string queue = "outage.killed";
  Declare(queue);
  Outcomes outcomes;
  RabbitClaimPublisher publisher(options_);
  ASSERT_TRUE(BecomesTrue([&] { return publisher.Up(); }));
  int published = 0;
  // Some are under way when it dies, and some come later.
  for (; published < 2000; ++published) {
    outcomes.Publish(publisher, queue, absl::StrCat(published), "claim", kClaimPatience);
  }
  ASSERT_TRUE(BecomesTrue([&] { return outcomes.Confirmed() > 0; }));
  ASSERT_TRUE(broker_->Kill().ok());
  for (; published < 2100; ++published) {
    outcomes.Publish(publisher, queue, absl::StrCat(published), "claim", kClaimPatience);
  }
  EXPECT_TRUE(outcomes.WaitForAll(absl::Seconds(10))) << "nobody waits for a dead broker until the deadline";
  EXPECT_FALSE(publisher.Up());

  ASSERT_TRUE(broker_->Start().ok());
  EXPECT_TRUE(BecomesTrue([&] { return publisher.Up(); }));
  const std::set<std::string> contents = Contents(publisher, options_, queue);
  EXPECT_THAT(outcomes.confirmed(), IsSubsetOf(contents)) << "confirmed, and lost";
  EXPECT_TRUE(Strangers(contents, outcomes.refused()).empty()) << "refused, and there";
  EXPECT_EQ(outcomes.confirmed().size() + outcomes.unknown().size() + outcomes.refused().size(), 2100u);
}

TEST_F(RabbitOutageTest, FrozenBrokerIsNotWaitedFor) {
  const std::string queue = "outage.frozen";
  Declare(queue);
  Outcomes outcomes;
  RabbitClaimPublisher publisher(options_);
  ASSERT_TRUE(BecomesTrue([&] { return publisher.Up(); }));
  ASSERT_TRUE(broker_->Freeze().ok());
  absl::Cleanup thaw = [] { EXPECT_TRUE(broker_->Thaw().ok()); };
  // More than sockets take: the publisher must not hang in one.
  for (int i = 0; i < 600; ++i) {
    outcomes.Publish(publisher, queue, absl::StrCat(i), std::string(kMaxQueuedBytes, 'x'), absl::Milliseconds(500));
  }
  // 200 ms late at the latest, and a margin for a busy machine.
  EXPECT_TRUE(outcomes.WaitForAll(absl::Milliseconds(1500)));
  EXPECT_TRUE(outcomes.confirmed().empty());
  EXPECT_FALSE(outcomes.unknown().empty());
  EXPECT_TRUE(BecomesTrue([&] { return !publisher.Up(); })) << "a broker that says nothing";
  const absl::Status refused = PublishAndWait(publisher, queue, "refused", "claim");
  EXPECT_TRUE(absl::IsUnavailable(refused) && !storage::IsUnknownCommit(refused)) << refused;

  std::move(thaw).Invoke();
  EXPECT_TRUE(BecomesTrue([&] { return publisher.Up(); }));
  EXPECT_TRUE(Strangers(Contents(publisher, options_, queue), outcomes.refused()).empty()) << "refused, and there";
}

TEST_F(RabbitOutageTest, SourceLeavesAFrozenBroker) {
  const std::string queue = "outage.heartbeat";
  Declare(queue);
  ClaimCollector collector;
  const auto source = MakeRabbitClaimSource(options_);
  source->Start({queue}, 10, &collector);
  ASSERT_TRUE(BecomesTrue([&] { return source->Up(); }));
  ASSERT_TRUE(broker_->Freeze().ok());
  const absl::Cleanup thaw = [] { EXPECT_TRUE(broker_->Thaw().ok()); };
  const absl::Time start = absl::Now();
  EXPECT_TRUE(BecomesTrue([&] { return !source->Up(); }));
  // Ten seconds, and a margin for a busy machine.
  EXPECT_LT(absl::Now() - start, absl::Seconds(13));
}

TEST_F(RabbitOutageTest, SourceStopsInTimeWhileItsBrokerIsFrozen) {
  const std::string queue = "outage.stop";
  Declare(queue);
  ClaimCollector collector;
  const auto source = MakeRabbitClaimSource(options_);
  source->Start({queue}, 10, &collector);
  ASSERT_TRUE(BecomesTrue([&] { return source->Up(); }));
  ASSERT_TRUE(broker_->Freeze().ok());
  const absl::Cleanup thaw = [] { EXPECT_TRUE(broker_->Thaw().ok()); };
  const absl::Time start = absl::Now();
  source->Stop();
  // Two seconds, and a margin for a busy machine.
  EXPECT_LT(absl::Now() - start, absl::Milliseconds(2500));
}

TEST(RabbitAbsentTest, WithoutABrokerAllIsRefusedAtOnce) {
  const BrokerOptions options = OptionsFor(absl::StrCat("127.0.0.1:", testing::PickFreePort()));
  RabbitClaimPublisher publisher(options);
  const absl::Time start = absl::Now();
  const absl::Status refused = PublishAndWait(publisher, "queue", "id", "claim");
  EXPECT_TRUE(absl::IsUnavailable(refused) && !storage::IsUnknownCommit(refused)) << refused;
  EXPECT_TRUE(absl::IsUnavailable(RabbitClaimQueueAdmin(options).Declare({"queue"})));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
}

}  // namespace
}  // namespace tranche::server
