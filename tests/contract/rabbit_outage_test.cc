// What is true of claims in RabbitMQ while a broker is dead or frozen: on private brokers, which the tests break.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
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
using ::testing::IsSubsetOf;
using testing::kClaimPatience;
using testing::MiniRabbitmq;
using testing::MiniRabbitmqCluster;
using testing::PublishAndWait;

BrokerOptions OptionsFor(const std::string& brokers) {
  BrokerOptions options;
  options.brokers = brokers;
  return options;
}

// What became of many publishes. Outlives them.
class Outcomes {
 public:
  void Publish(ClaimPublisher& publisher, const std::string& queue, const std::string& id, std::string body,
               absl::Duration timeout) {
    {
      absl::MutexLock lock(&mutex_);
      ++open_;
    }
    publisher.Publish(queue, id, std::move(body), absl::Now() + timeout, [this, id](absl::Status status) {
      absl::MutexLock lock(&mutex_);
      --open_;
      (status.ok() ? confirmed_ : storage::IsUnknownCommit(status) ? unknown_ : refused_).insert(id);
    });
  }
  bool WaitForAll(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return open_ == 0; };
    return mutex_.AwaitWithTimeout(absl::Condition(&done), timeout);
  }
  size_t Confirmed() {
    absl::MutexLock lock(&mutex_);
    return confirmed_.size();
  }
  std::set<std::string> confirmed() { return Copy(confirmed_); }
  std::set<std::string> unknown() { return Copy(unknown_); }
  std::set<std::string> refused() { return Copy(refused_); }

 private:
  std::set<std::string> Copy(const std::set<std::string>& ids) {
    absl::MutexLock lock(&mutex_);
    return ids;
  }

  absl::Mutex mutex_;
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::string> confirmed_, unknown_, refused_;
};

// All that is in the queue: what comes before a message that is put there now.
std::set<std::string> Contents(ClaimPublisher& publisher, const BrokerOptions& options, const std::string& queue) {
  std::string last;
  int attempt = 0;
  EXPECT_TRUE(BecomesTrue([&] {
    last = absl::StrCat("last-", attempt++);
    return PublishAndWait(publisher, queue, last, "claim", absl::Seconds(5)).ok();
  }));
  ClaimCollector collector;
  const auto source = MakeRabbitClaimSource(options);
  source->Start({queue}, 10'000, &collector);
  const auto deliveries = collector.WaitForId(last);
  source->Stop();
  std::set<std::string> ids;
  for (const ClaimDelivery& delivery : deliveries) ids.insert(delivery.id);
  EXPECT_TRUE(ids.contains(last));
  return ids;
}

// Those of `ids` that are in the queue, and should not.
std::vector<std::string> Strangers(const std::set<std::string>& contents, const std::set<std::string>& ids) {
  std::vector<std::string> found;
  for (const std::string& id : ids) {
    if (contents.contains(id)) found.push_back(id);
  }
  return found;
}

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

TEST(RabbitClusterTest, ConfirmedMessagesSurviveTheLossOfOneOfThree) {
  MiniRabbitmqCluster cluster;
  const absl::Status started = cluster.Start();
  ASSERT_TRUE(started.ok()) << started;
  const std::string queue = "outage.cluster";
  const BrokerOptions options = OptionsFor(cluster.addresses());
  ASSERT_TRUE(RabbitClaimQueueAdmin(options).Declare({queue}).ok());
  for (size_t i = 0; i < MiniRabbitmqCluster::kBrokers; ++i) ASSERT_TRUE(cluster.broker(i).AwaitOnDisk(queue).ok());
  Outcomes outcomes;
  RabbitClaimPublisher publisher(options);
  ASSERT_TRUE(BecomesTrue([&] { return publisher.Up(); }));
  for (int i = 0; i < 500; ++i) {
    outcomes.Publish(publisher, queue, absl::StrCat(i), "claim", kClaimPatience);
  }
  ASSERT_TRUE(BecomesTrue([&] { return outcomes.Confirmed() > 0; }));
  ASSERT_TRUE(cluster.broker(0).Kill().ok());
  EXPECT_TRUE(outcomes.WaitForAll(kClaimPatience + absl::Seconds(1)));
  // Two of three go on.
  const std::set<std::string> contents = Contents(publisher, options, queue);
  EXPECT_THAT(outcomes.confirmed(), IsSubsetOf(contents)) << "confirmed, and lost";
  EXPECT_TRUE(Strangers(contents, outcomes.refused()).empty()) << "refused, and there";
}

TEST(RabbitClusterTest, FrozenBrokerIsLeftForTheOthers) {
  MiniRabbitmqCluster cluster;
  const absl::Status started = cluster.Start();
  ASSERT_TRUE(started.ok()) << started;
  const std::string queue = "outage.frozen-one";
  const BrokerOptions options = OptionsFor(cluster.addresses());
  ASSERT_TRUE(RabbitClaimQueueAdmin(options).Declare({queue}).ok());
  // So many that some are connected to the one.
  std::vector<std::unique_ptr<RabbitClaimPublisher>> publishers;
  for (int i = 0; i < 4; ++i) publishers.push_back(std::make_unique<RabbitClaimPublisher>(options));
  for (const auto& publisher : publishers) ASSERT_TRUE(BecomesTrue([&] { return publisher->Up(); }));
  ASSERT_TRUE(cluster.broker(0).Freeze().ok());
  const absl::Cleanup thaw = [&cluster] { EXPECT_TRUE(cluster.broker(0).Thaw().ok()); };
  for (const auto& publisher : publishers) {
    EXPECT_TRUE(BecomesTrue([&] { return PublishAndWait(*publisher, queue, "id", "claim", absl::Seconds(2)).ok(); }))
        << "the others serve, and nobody is asked";
  }
}

}  // namespace
}  // namespace tranche::server
