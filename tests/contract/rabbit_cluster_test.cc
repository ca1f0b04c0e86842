// What is true of claims in a RabbitMQ of three brokers while one of them is frozen or dead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/queue/rabbit_claim_queue.h"
#include "tests/contract/rabbit_outage.h"
#include "tests/support/claim_collector.h"
#include "tests/support/mini_rabbitmq.h"

namespace tranche::server {
namespace {

using testing::BecomesTrue;
using testing::Contents;
using ::testing::IsSubsetOf;
using testing::kClaimPatience;
using testing::MiniRabbitmqCluster;
using testing::OptionsFor;
using testing::Outcomes;
using testing::PublishAndWait;
using testing::Strangers;

class RabbitClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const absl::Status started = cluster_.Start();
    ASSERT_TRUE(started.ok()) << started;
    options_ = OptionsFor(cluster_.addresses());
  }
  void Declare(const std::string& queue) {
    ASSERT_TRUE(RabbitClaimQueueAdmin(options_).Declare({queue}).ok());
    for (size_t i = 0; i < MiniRabbitmqCluster::kBrokers; ++i) ASSERT_TRUE(cluster_.broker(i).AwaitOnDisk(queue).ok());
  }

  MiniRabbitmqCluster cluster_;
  BrokerOptions options_;
};

TEST_F(RabbitClusterTest, ConfirmedMessagesSurviveTheLossOfOneOfThree) {
  const std::string queue = "outage.cluster";
  ASSERT_NO_FATAL_FAILURE(Declare(queue));
  Outcomes outcomes;
  RabbitClaimPublisher publisher(options_);
  ASSERT_TRUE(BecomesTrue([&] { return publisher.Up(); }));
  for (int i = 0; i < 500; ++i) {
    outcomes.Publish(publisher, queue, absl::StrCat(i), "claim", kClaimPatience);
  }
  ASSERT_TRUE(BecomesTrue([&] { return outcomes.Confirmed() > 0; }));
  ASSERT_TRUE(cluster_.broker(0).Kill().ok());
  EXPECT_TRUE(outcomes.WaitForAll(kClaimPatience + absl::Seconds(1)));
  // Two of three go on.
  const std::set<std::string> contents = Contents(publisher, options_, queue);
  EXPECT_THAT(outcomes.confirmed(), IsSubsetOf(contents)) << "confirmed, and lost";
  EXPECT_TRUE(Strangers(contents, outcomes.refused()).empty()) << "refused, and there";
}

TEST_F(RabbitClusterTest, FrozenBrokerIsLeftForTheOthers) {
  const std::string queue = "outage.frozen-one";
  ASSERT_NO_FATAL_FAILURE(Declare(queue));
  // So many that some are connected to the one.
  std::vector<std::unique_ptr<RabbitClaimPublisher>> publishers;
  for (int i = 0; i < 4; ++i) publishers.push_back(std::make_unique<RabbitClaimPublisher>(options_));
  for (const auto& publisher : publishers) ASSERT_TRUE(BecomesTrue([&] { return publisher->Up(); }));
  ASSERT_TRUE(cluster_.broker(0).Freeze().ok());
  const absl::Cleanup thaw = [this] { EXPECT_TRUE(cluster_.broker(0).Thaw().ok()); };
  for (const auto& publisher : publishers) {
    absl::Status published;
    EXPECT_TRUE(BecomesTrue([&] {
      published = PublishAndWait(*publisher, queue, "id", "claim", absl::Seconds(2));
      return published.ok();
    })) << published
        << ": the others serve, and nobody is asked";
  }
}

}  // namespace
}  // namespace tranche::server
